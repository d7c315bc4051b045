//! A run: sorted rows in blocks, written once and never changed, in a sled tree of its own.
//!
//! **Invariant: a block is used only if its checksum is the one its run's head names, and a head only if its checksum is
//! the one the manifest names.** So a hole, an older version of a block or a flipped byte is seen, never believed.
//!
//! Why a tree each: a run that was merged away goes by dropping its tree; removing its blocks one by one would make
//! sled write each leaf again for nothing.

use std::sync::Arc;

use super::{
    block::{Block, Rank, Row},
    store::{self, Store},
    types::{IndexError, OrderKey},
};
use crate::bloom::Bloom;

/// Keys of the head's pieces in the run's tree begin here; below are the numbers of the blocks.
pub(super) const HEAD_KEY: u32 = 0x8000_0000;
const RANK_BYTES: usize = 24;

/// What the rows of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunKind {
    /// Places by order.
    Orders,
    /// Orders by deadline, with tombstones.
    Dues,
}

/// What the manifest says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunInfo {
    pub(super) kind: RunKind,
    pub(super) id: u64,
    pub(super) rows: u64,
    /// Tombstones among the rows.
    pub(super) dead: u64,
    pub(super) blocks: u32,
    pub(super) block_bytes: u64,
    pub(super) head_bytes: u32,
    /// CRC32C of the head.
    pub(super) head_crc: u32,
}

impl RunInfo {
    /// Name of the run's tree.
    pub(super) fn tree_name(&self) -> [u8; 9] {
        tree_name(self.kind, self.id)
    }
}

/// Name of the tree of run `id`.
pub(super) fn tree_name(kind: RunKind, id: u64) -> [u8; 9] {
    let mut name = [0; 9];
    name[0] = match kind {
        RunKind::Orders => b'o',
        RunKind::Dues => b'd',
    };
    name[1..].copy_from_slice(&id.to_be_bytes());
    name
}

/// The id behind [`tree_name`]; `None` for a tree that is no run's.
pub(super) fn run_id(name: &[u8]) -> Option<u64> {
    let (kind, id) = name.split_first()?;
    let id = id.try_into().ok()?;
    matches!(kind, b'o' | b'd').then_some(u64::from_be_bytes(id))
}

/// What is held in memory of a run: the first rank and checksum of each block, and the bloom filter (orders only).
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) firsts: Vec<Rank>,
    pub(super) crcs: Vec<u32>,
    pub(super) bloom: Bloom,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.memory_bytes());
        for ((time, key), crc) in self.firsts.iter().zip(&self.crcs) {
            bytes.extend(time.to_le_bytes());
            bytes.extend(key);
            bytes.extend(crc.to_le_bytes());
        }
        bytes.extend(self.bloom.words().iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    fn decode(bytes: &[u8], blocks: u32) -> Option<Self> {
        let blocks = usize::try_from(blocks).ok()?;
        let (entries, words) = bytes.split_at_checked(blocks.checked_mul(RANK_BYTES + 4)?)?;
        let mut head = Self::default();
        for entry in entries.chunks_exact(RANK_BYTES + 4) {
            let time = u64::from_le_bytes(entry.get(..8)?.try_into().ok()?);
            head.firsts.push((time, entry.get(8..RANK_BYTES)?.try_into().ok()?));
            head.crcs.push(u32::from_le_bytes(entry.get(RANK_BYTES..)?.try_into().ok()?));
        }
        let words = words.chunks_exact(8).map(|word| word.try_into().map(u64::from_le_bytes));
        head.bloom = Bloom::from_words(words.collect::<Result<_, _>>().ok()?)?;
        Some(head)
    }

    fn memory_bytes(&self) -> usize {
        self.firsts.len() * (RANK_BYTES + 4) + self.bloom.words().len() * 8
    }
}

/// A run that can be read.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) info: RunInfo,
    tree: sled::Tree,
    head: Head,
}

impl Run {
    /// The run just written to `tree`.
    pub(super) fn new(info: RunInfo, tree: sled::Tree, head: Head) -> Self {
        Self { info, tree, head }
    }

    /// The run that the manifest names.
    pub(super) fn load(store: &Store, info: RunInfo) -> Result<Self, IndexError> {
        let tree = store.tree(&info.tree_name())?;
        let wanted = usize::try_from(info.head_bytes).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        for piece in HEAD_KEY.. {
            if bytes.len() >= wanted {
                break;
            }
            match store::get(&tree, &piece.to_be_bytes())? {
                Some(stored) if !stored.is_empty() => bytes.extend_from_slice(&stored),
                _ => return Err(damaged(&info, "a piece of its head is missing")),
            }
        }
        if bytes.len() != wanted || crc32c::crc32c(&bytes) != info.head_crc {
            return Err(damaged(&info, "its head is not the one written"));
        }
        let head = Head::decode(&bytes, info.blocks).ok_or_else(|| damaged(&info, "its head is no head"))?;
        Ok(Self { info, tree, head })
    }

    /// Reads every block. For opening, while there are few enough.
    pub(super) fn verify(&self) -> Result<(), IndexError> {
        (0..self.head.crcs.len()).try_for_each(|number| self.block(number).map(drop))
    }

    /// False only if the run does not hold the order. `hash` is [`Bloom::hash`] of its key.
    pub(super) fn may_hold(&self, hash: (u64, u64)) -> bool {
        self.head.bloom.may_hold(hash)
    }

    /// The row of that rank. Blocking.
    pub(super) fn get(&self, rank: Rank) -> Result<Option<Row>, IndexError> {
        let Some(number) = self.block_of(rank) else { return Ok(None) };
        Ok(find(&self.block(number)?, rank))
    }

    /// Bytes of memory that the head takes.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.head.memory_bytes() as u64
    }

    /// The block that would hold the rank; `None` before the first.
    fn block_of(&self, rank: Rank) -> Option<usize> {
        self.head.firsts.partition_point(|first| *first <= rank).checked_sub(1)
    }

    fn block(&self, number: usize) -> Result<Block, IndexError> {
        let bytes = u32::try_from(number).ok().map(|number| store::get(&self.tree, &number.to_be_bytes()));
        let Some(bytes) = bytes.transpose()?.flatten() else {
            return Err(damaged(&self.info, &format!("block {number} is missing")));
        };
        if self.head.crcs.get(number) != Some(&crc32c::crc32c(&bytes)) {
            return Err(damaged(&self.info, &format!("block {number} is not the one written")));
        }
        Block::parse(bytes).ok_or_else(|| damaged(&self.info, &format!("block {number} is no block")))
    }
}

fn find(block: &Block, rank: Rank) -> Option<Row> {
    let at = block.seek(rank);
    (at < block.len()).then(|| block.row(at)).filter(|row| row.rank == rank)
}

fn damaged(info: &RunInfo, what: &str) -> IndexError {
    IndexError::Damaged(format!("run {} of {:?}: {what}", info.id, info.kind))
}

/// Reads a run's rows in order, one block in memory at a time.
#[derive(Debug)]
pub(super) struct RunReader {
    run: Arc<Run>,
    next_block: usize,
    block: Option<Block>,
    next_row: usize,
}

impl RunReader {
    /// From the first row that is not before `from`. Reads a block.
    pub(super) fn new(run: Arc<Run>, from: Rank) -> Result<Self, IndexError> {
        let first = run.block_of(from).unwrap_or_default();
        let mut reader = Self { run, next_block: first, block: None, next_row: 0 };
        reader.read_block()?;
        reader.next_row = reader.block.as_ref().map_or(0, |block| block.seek(from));
        Ok(reader)
    }

    /// The next row, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row>, IndexError> {
        while let Some(block) = &self.block {
            if self.next_row < block.len() {
                let row = block.row(self.next_row);
                self.next_row += 1;
                return Ok(Some(row));
            }
            self.read_block()?;
        }
        Ok(None)
    }

    fn read_block(&mut self) -> Result<(), IndexError> {
        self.next_row = 0;
        self.block = None;
        if self.next_block < self.run.head.crcs.len() {
            self.block = Some(self.run.block(self.next_block)?);
            self.next_block += 1;
        }
        Ok(())
    }
}

/// Looks up many ranks of a run in rising order: each block is read once.
#[derive(Debug)]
pub(super) struct RisingLookup {
    run: Arc<Run>,
    block: Option<(usize, Block)>,
}

impl RisingLookup {
    pub(super) fn new(run: Arc<Run>) -> Self {
        Self { run, block: None }
    }

    /// The order's row, if the run has it. `hash` is [`Bloom::hash`] of the key.
    pub(super) fn order(&mut self, key: OrderKey, hash: (u64, u64)) -> Result<Option<Row>, IndexError> {
        if !self.run.may_hold(hash) {
            return Ok(None);
        }
        let Some(number) = self.run.block_of((0, key)) else { return Ok(None) };
        let kept = self.block.take().filter(|(kept, _)| *kept == number);
        let block = match kept {
            Some((_, block)) => block,
            None => self.run.block(number)?,
        };
        let row = find(&block, (0, key));
        self.block = Some((number, block));
        Ok(row)
    }
}
