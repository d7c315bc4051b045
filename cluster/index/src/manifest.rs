//! The manifest: one value that names all there is, with a checksum of its own.
//!
//! **Invariant: cursor, runs, meta blob and controls change together**, in one batch to one tree, which sled makes
//! atomic. What the manifest does not name is rubbish.

use super::{
    run::{RunInfo, RunKind},
    types::{Cursor, IndexError},
};

/// Key of the manifest in the main tree.
pub(super) const MANIFEST_KEY: &[u8] = b"m";
/// 1 had its runs in sled.
const FORMAT: u8 = 2;
const RUN_BYTES: usize = 45;

/// All that the index consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) log_id: [u8; 16],
    pub(super) cursor: Cursor,
    pub(super) next_run_id: u64,
    /// Length and CRC32C of the meta blob, if there is one.
    pub(super) meta: Option<(u32, u32)>,
    pub(super) controls: ControlSum,
    /// Which of the two snapshot trees is written to, and about how many bytes are in it.
    pub(super) snapshots: (u8, u64),
    /// Runs of orders, oldest first.
    pub(super) orders: Vec<RunInfo>,
    /// Runs of deadlines, oldest first.
    pub(super) dues: Vec<RunInfo>,
}

/// Count and sum of digests of all control entries: a hole or an older value among them changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ControlSum {
    pub(super) entries: u64,
    pub(super) digests: u64,
}

impl Manifest {
    pub(super) fn encode(&self) -> Result<Vec<u8>, IndexError> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.log_id);
        bytes.extend(self.cursor.position.to_le_bytes());
        bytes.extend(self.cursor.frame_hash);
        bytes.extend(self.next_run_id.to_le_bytes());
        let (length, crc) = self.meta.unwrap_or_default();
        bytes.push(u8::from(self.meta.is_some()));
        bytes.extend(length.to_le_bytes());
        bytes.extend(crc.to_le_bytes());
        bytes.extend(self.controls.entries.to_le_bytes());
        bytes.extend(self.controls.digests.to_le_bytes());
        bytes.push(self.snapshots.0);
        bytes.extend(self.snapshots.1.to_le_bytes());
        for runs in [&self.orders, &self.dues] {
            let count =
                u16::try_from(runs.len()).map_err(|_| IndexError::TooLarge("the list of runs".into()))?;
            bytes.extend(count.to_le_bytes());
            runs.iter().for_each(|run| encode_run(run, &mut bytes));
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// # Errors
    /// `Damaged`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let damaged = || IndexError::Damaged("the manifest is not the one written".into());
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        decode_body(body).ok_or_else(|| IndexError::Damaged("the manifest is of another format".into()))
    }
}

fn encode_run(run: &RunInfo, bytes: &mut Vec<u8>) {
    bytes.push(match run.kind {
        RunKind::Orders => 0,
        RunKind::Dues => 1,
    });
    bytes.extend(run.id.to_le_bytes());
    bytes.extend(run.rows.to_le_bytes());
    bytes.extend(run.dead.to_le_bytes());
    bytes.extend(run.blocks.to_le_bytes());
    bytes.extend(run.block_bytes.to_le_bytes());
    bytes.extend(run.head_bytes.to_le_bytes());
    bytes.extend(run.head_crc.to_le_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn int(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn short(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn run(&mut self) -> Option<RunInfo> {
        let kind = match self.byte()? {
            0 => RunKind::Orders,
            1 => RunKind::Dues,
            _ => return None,
        };
        Some(RunInfo {
            kind,
            id: self.int()?,
            rows: self.int()?,
            dead: self.int()?,
            blocks: self.short()?,
            block_bytes: self.int()?,
            head_bytes: self.short()?,
            head_crc: self.short()?,
        })
    }

    fn runs(&mut self) -> Option<Vec<RunInfo>> {
        let count = usize::from(u16::from_le_bytes(self.take()?));
        (self.0.len() >= count * RUN_BYTES).then_some(())?;
        (0..count).map(|_| self.run()).collect()
    }
}

fn decode_body(body: &[u8]) -> Option<Manifest> {
    let mut reader = Reader(body);
    (reader.byte()? == FORMAT).then_some(())?;
    let manifest = Manifest {
        log_id: reader.take()?,
        cursor: Cursor { position: reader.int()?, frame_hash: reader.take()? },
        next_run_id: reader.int()?,
        meta: {
            let there = reader.byte()? == 1;
            let meta = (reader.short()?, reader.short()?);
            there.then_some(meta)
        },
        controls: ControlSum { entries: reader.int()?, digests: reader.int()? },
        snapshots: (reader.byte()?, reader.int()?),
        orders: reader.runs()?,
        dues: reader.runs()?,
    };
    reader.0.is_empty().then_some(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_no_other_bytes_pass() {
        let run = |kind, id| RunInfo {
            kind,
            id,
            rows: 9,
            dead: 1,
            blocks: 2,
            block_bytes: 7,
            head_bytes: 6,
            head_crc: 5,
        };
        let manifest = Manifest {
            log_id: [3; 16],
            cursor: Cursor { position: 77, frame_hash: [8; 32] },
            next_run_id: 12,
            meta: Some((100, 200)),
            controls: ControlSum { entries: 4, digests: u64::MAX },
            snapshots: (1, 55),
            orders: vec![run(RunKind::Orders, 1), run(RunKind::Orders, 4)],
            dues: vec![run(RunKind::Dues, 2)],
        };
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..at]).is_err());
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(Manifest::decode(&flipped).is_err());
        }
        let empty = Manifest::default();
        assert_eq!(Manifest::decode(&empty.encode().unwrap()).unwrap(), empty);
    }
}
