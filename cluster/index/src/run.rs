//! A run: sorted rows in blocks, written once and never changed, in a file of its own, its head behind the blocks.
//!
//! **Invariant: a block is used only if its checksum is the one its run's head names, and a head only if its checksum is
//! the one the manifest names.** So a hole, an older version of a block or a flipped byte is seen, never believed.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use super::{
    block::{BLOCK_MAX_BYTES, Block, Rank, Row},
    store::Store,
    types::{IndexError, OrderKey},
};
use crate::bloom::Bloom;

const RANK_BYTES: usize = 24;
/// Of a block in the head: its first rank, its place in the file, its checksum.
const ENTRY_BYTES: usize = RANK_BYTES + 8 + 4;

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
    /// Of a run in which nothing is yet.
    pub(super) fn new(kind: RunKind, id: u64) -> Self {
        Self { kind, id, rows: 0, dead: 0, blocks: 0, block_bytes: 0, head_bytes: 0, head_crc: 0 }
    }

    /// Name of the run's file.
    pub(super) fn file_name(&self) -> String {
        let kind = match self.kind {
            RunKind::Orders => 'o',
            RunKind::Dues => 'd',
        };
        format!("{kind}{:016x}", self.id)
    }
}

/// What is held in memory of a run: of each block the first rank, the place in the file and the checksum, and the bloom
/// filter (orders only).
#[derive(Debug, Default)]
pub(super) struct Head {
    firsts: Vec<Rank>,
    begins: Vec<u64>,
    crcs: Vec<u32>,
    pub(super) bloom: Bloom,
}

impl Head {
    /// Of a run in which nothing is yet.
    pub(super) fn new(bloom: Bloom) -> Self {
        Self { bloom, ..Self::default() }
    }

    /// Takes in the next block, which begins at `begin` of the file.
    pub(super) fn add(&mut self, first: Rank, begin: u64, block: &[u8]) {
        self.firsts.push(first);
        self.begins.push(begin);
        self.crcs.push(crc32c::crc32c(block));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.memory_bytes());
        for (((time, key), begin), crc) in self.firsts.iter().zip(&self.begins).zip(&self.crcs) {
            bytes.extend(time.to_le_bytes());
            bytes.extend(key);
            bytes.extend(begin.to_le_bytes());
            bytes.extend(crc.to_le_bytes());
        }
        bytes.extend(self.bloom.words().iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    fn decode(bytes: &[u8], blocks: u32) -> Option<Self> {
        let blocks = usize::try_from(blocks).ok()?;
        let (entries, words) = bytes.split_at_checked(blocks.checked_mul(ENTRY_BYTES)?)?;
        let mut head = Self::default();
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let time = u64::from_le_bytes(entry.get(..8)?.try_into().ok()?);
            head.firsts.push((time, entry.get(8..RANK_BYTES)?.try_into().ok()?));
            head.begins.push(u64::from_le_bytes(entry.get(RANK_BYTES..RANK_BYTES + 8)?.try_into().ok()?));
            head.crcs.push(u32::from_le_bytes(entry.get(RANK_BYTES + 8..)?.try_into().ok()?));
        }
        let words = words.chunks_exact(8).map(|word| word.try_into().map(u64::from_le_bytes));
        head.bloom = Bloom::from_words(words.collect::<Result<_, _>>().ok()?)?;
        Some(head)
    }

    fn memory_bytes(&self) -> usize {
        self.firsts.len() * ENTRY_BYTES + self.bloom.words().len() * 8
    }
}

/// A run that can be read.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) info: RunInfo,
    file: File,
    head: Head,
}

impl Run {
    /// The run just written to `file`.
    pub(super) fn new(info: RunInfo, file: File, head: Head) -> Self {
        Self { info, file, head }
    }

    /// The run that the manifest names.
    pub(super) fn load(store: &Store, info: RunInfo) -> Result<Self, IndexError> {
        let file = store.runs().open(&info.file_name()).map_err(|error| read_error(&info, &error))?;
        let there = file.metadata().map_err(|error| read_error(&info, &error))?.len();
        // Before so many bytes are asked for: the manifest's numbers are sound, the file may be cut.
        if there != info.block_bytes + u64::from(info.head_bytes) {
            return Err(damaged(&info, "its file has another length"));
        }
        let bytes = read(&info, &file, info.block_bytes, info.head_bytes as usize)?;
        if crc32c::crc32c(&bytes) != info.head_crc {
            return Err(damaged(&info, "its head is not the one written"));
        }
        let head = Head::decode(&bytes, info.blocks).ok_or_else(|| damaged(&info, "its head is no head"))?;
        Ok(Self { info, file, head })
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
        let begin = self.head.begins.get(number).copied();
        let end = self.head.begins.get(number + 1).copied().unwrap_or(self.info.block_bytes);
        let length = begin.and_then(|begin| usize::try_from(end.checked_sub(begin)?).ok());
        let (Some(begin), Some(length)) = (begin, length.filter(|length| *length <= BLOCK_MAX_BYTES)) else {
            return Err(damaged(&self.info, &format!("block {number} is missing")));
        };
        let bytes = read(&self.info, &self.file, begin, length)?;
        if self.head.crcs.get(number) != Some(&crc32c::crc32c(&bytes)) {
            return Err(damaged(&self.info, &format!("block {number} is not the one written")));
        }
        Block::parse(bytes).ok_or_else(|| damaged(&self.info, &format!("block {number} is no block")))
    }
}

fn read(info: &RunInfo, file: &File, begin: u64, length: usize) -> Result<Vec<u8>, IndexError> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, begin).map_err(|error| read_error(info, &error))?;
    Ok(bytes)
}

/// A file that is gone or ends too early is damage: to build the index again helps.
fn read_error(info: &RunInfo, error: &io::Error) -> IndexError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => damaged(info, &error.to_string()),
        _ => IndexError::Io(format!("read {}: {error}", info.file_name())),
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
