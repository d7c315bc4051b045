//! Writes a run, block by block.

use super::{
    block::{BlockBuilder, Row},
    files::NewFile,
    run::{Head, Run, RunInfo, RunKind},
    store::Store,
    types::IndexError,
};
use crate::bloom::Bloom;

/// Largest piece of a head that is written at once.
const PIECE_BYTES: usize = 64 << 10;

/// A run being written. Dropped without [`RunBuilder::finish`], nothing of it is left.
#[derive(Debug)]
pub(super) struct RunBuilder {
    info: RunInfo,
    file: NewFile,
    block: BlockBuilder,
    head: Head,
}

impl RunBuilder {
    /// Begins run `id`, which will have up to `expected_rows` rows.
    pub(super) fn new(store: &Store, kind: RunKind, id: u64, expected_rows: u64) -> Result<Self, IndexError> {
        let bloom = match kind {
            RunKind::Orders => Bloom::with_capacity(expected_rows),
            RunKind::Dues => Bloom::default(),
        };
        let info = RunInfo::new(kind, id);
        let name = info.file_name();
        let file = store.runs().create(&name).map_err(|error| io_error(&name, &error))?;
        Ok(Self { info, file, block: BlockBuilder::default(), head: Head::new(bloom) })
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

    /// Writes the rest; `breathe` is called between its pieces. The run is there for good only when a manifest names it.
    pub(super) fn finish(mut self, breathe: &mut dyn FnMut()) -> Result<Run, IndexError> {
        self.seal_block()?;
        let head = self.head.encode();
        self.info.head_crc = crc32c::crc32c(&head);
        self.info.head_bytes =
            u32::try_from(head.len()).map_err(|_| IndexError::TooLarge("the head of a run".into()))?;
        for piece in head.chunks(PIECE_BYTES) {
            self.write(piece)?;
            breathe();
        }
        let file = self.file.finish().map_err(|error| io_error(&self.info.file_name(), &error))?;
        Ok(Run::new(self.info, file, self.head))
    }

    fn seal_block(&mut self) -> Result<(), IndexError> {
        let Some((first, bytes)) = self.block.seal() else { return Ok(()) };
        self.head.add(first, self.info.block_bytes, &bytes);
        self.info.blocks += 1;
        self.info.block_bytes += bytes.len() as u64;
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.file.push(bytes).map_err(|error| io_error(&self.info.file_name(), &error))
    }
}

fn io_error(name: &str, error: &std::io::Error) -> IndexError {
    IndexError::Io(format!("write {name}: {error}"))
}
