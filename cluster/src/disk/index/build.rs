//! Writes a run, block by block.

use super::{
    block::{BlockBuilder, Row},
    run::{HEAD_KEY, Head, Run, RunInfo, RunKind, tree_name},
    store::{self, Store},
    types::IndexError,
};
use crate::bloom::Bloom;

/// Blocks that are gathered before they go to sled (1.8 MB).
const GROUP_BLOCKS: usize = 256;
/// Values in one sled batch (450 KB): few enough that sled's writing keeps pace.
const BATCH_VALUES: usize = 64;
/// Largest piece of a head; see `block.rs` for why not more.
const PIECE_BYTES: usize = 7_000;

/// A run being written. Dropped without [`RunBuilder::finish`], its tree is rubbish that the next open removes.
#[derive(Debug)]
pub(super) struct RunBuilder {
    info: RunInfo,
    tree: sled::Tree,
    block: BlockBuilder,
    head: Head,
    group: Vec<(u32, Vec<u8>)>,
}

impl RunBuilder {
    /// Begins run `id`, which will have up to `expected_rows` rows.
    pub(super) fn new(store: &Store, kind: RunKind, id: u64, expected_rows: u64) -> Result<Self, IndexError> {
        let name = tree_name(kind, id);
        let bloom = match kind {
            RunKind::Orders => Bloom::with_capacity(expected_rows),
            RunKind::Dues => Bloom::default(),
        };
        Ok(Self {
            info: RunInfo {
                kind,
                id,
                rows: 0,
                dead: 0,
                blocks: 0,
                block_bytes: 0,
                head_bytes: 0,
                head_crc: 0,
            },
            tree: store.tree(&name)?,
            block: BlockBuilder::default(),
            head: Head { bloom, ..Head::default() },
            group: Vec::new(),
        })
    }

    /// Adds a row; ranks rise.
    pub(super) fn push(&mut self, row: Row) -> Result<(), IndexError> {
        if !self.block.push(row) {
            self.seal_block()?;
            self.block.push(row);
        }
        self.info.rows += 1;
        match self.info.kind {
            RunKind::Orders => self.head.bloom.insert(Bloom::hash(&row.rank.1)),
            RunKind::Dues => self.info.dead += u64::from(row.is_dead_due()),
        }
        Ok(())
    }

    /// Writes the rest. The run is there for good only when a manifest names it.
    pub(super) fn finish(mut self) -> Result<Run, IndexError> {
        self.seal_block()?;
        let head = self.head.encode();
        self.info.head_crc = crc32c::crc32c(&head);
        self.info.head_bytes =
            u32::try_from(head.len()).map_err(|_| IndexError::TooLarge("the head of a run".into()))?;
        for (key, piece) in (HEAD_KEY..).zip(head.chunks(PIECE_BYTES)) {
            self.put(key, piece.to_vec())?;
        }
        self.write_group()?;
        Ok(Run::new(self.info, self.tree, self.head))
    }

    fn seal_block(&mut self) -> Result<(), IndexError> {
        let Some((first, bytes)) = self.block.seal() else { return Ok(()) };
        self.head.firsts.push(first);
        self.head.crcs.push(crc32c::crc32c(&bytes));
        let number = self.info.blocks;
        self.info.blocks += 1;
        self.info.block_bytes += bytes.len() as u64;
        self.put(number, bytes)
    }

    fn put(&mut self, key: u32, bytes: Vec<u8>) -> Result<(), IndexError> {
        self.group.push((key, bytes));
        if self.group.len() < GROUP_BLOCKS { Ok(()) } else { self.write_group() }
    }

    /// First all keys with empty values, then the values. With the keys there, sled's leaves are split while they are
    /// still small, and each block is written once; otherwise each is written two or three times, as its leaf
    /// is split and consolidated (measured: 91 instead of 111 MB for a million orders).
    fn write_group(&mut self) -> Result<(), IndexError> {
        let mut keys = sled::Batch::default();
        for (key, _) in &self.group {
            keys.insert(&key.to_be_bytes(), &[][..]);
        }
        store::write(&self.tree, keys)?;
        let mut values = std::mem::take(&mut self.group).into_iter().peekable();
        while values.peek().is_some() {
            let mut batch = sled::Batch::default();
            for (key, bytes) in values.by_ref().take(BATCH_VALUES) {
                batch.insert(&key.to_be_bytes(), bytes);
            }
            store::write(&self.tree, batch)?;
        }
        Ok(())
    }
}
