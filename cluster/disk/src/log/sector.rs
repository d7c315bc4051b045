//! Seals: the last byte of each 512-byte sector tells whether the sector was written to its end.
//!
//! Invariant: a data byte never stands in the last place of a sector. The seal is written together with the byte
//! before it, so a sector that a power cut left old, or tore, has a zero there.

use super::Position;

/// The unit in which disks write, in bytes.
pub const SECTOR_BYTES: u64 = 512;
/// Data bytes of a sector.
pub const DATA_BYTES: u64 = SECTOR_BYTES - 1;
/// The last byte of a written sector. Four bits away from zero: no single flip turns it into "not written".
pub const SEAL: u8 = 0xa5;

/// Where the data byte `logical` stands in the file.
#[must_use]
pub const fn physical(logical: u64) -> u64 {
    logical / DATA_BYTES * SECTOR_BYTES + logical % DATA_BYTES
}

/// The beginning of the sector at or after `position`: a batch begins there.
#[must_use]
pub const fn round_up(position: Position) -> Position {
    let offset = (position.offset() as u64).div_ceil(DATA_BYTES) * DATA_BYTES;
    Position::new(position.segment(), offset as u32)
}

/// How many data bytes fit into a file of `bytes`.
#[must_use]
pub const fn capacity(bytes: u64) -> u64 {
    bytes / SECTOR_BYTES * DATA_BYTES
}

/// Appends `data`, which stands at `start` (logical), to `out` as it stands in the file.
pub fn seal(start: u64, mut data: &[u8], out: &mut Vec<u8>) {
    let mut room = (DATA_BYTES - start % DATA_BYTES) as usize;
    while data.len() >= room {
        let (part, rest) = data.split_at(room);
        out.extend_from_slice(part);
        out.push(SEAL);
        data = rest;
        room = DATA_BYTES as usize;
    }
    out.extend_from_slice(data);
}

/// Appends a whole batch, which begins a sector, to `out` as it stands in the file: what is left of its last sector is
/// zeros and a seal.
pub fn seal_batch(start: u64, data: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    seal(start, data, out);
    let rest = (out.len() - begin) as u64 % SECTOR_BYTES;
    if rest != 0 {
        out.resize(out.len() + (DATA_BYTES - rest) as usize, 0);
        out.push(SEAL);
    }
}

/// The reverse of [`seal`]: appends the data bytes of `raw`, which was read at the place of `start`. The seals are
/// dropped, whatever they are.
pub fn unseal(start: u64, mut raw: &[u8], out: &mut Vec<u8>) {
    let mut room = (DATA_BYTES - start % DATA_BYTES) as usize;
    while raw.len() > room {
        out.extend_from_slice(&raw[..room]);
        raw = &raw[room + 1..];
        room = DATA_BYTES as usize;
    }
    out.extend_from_slice(raw);
}

/// What the seals of a stretch say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seals {
    /// All of it was written.
    Whole,
    /// A sector was not written to its end.
    Missing,
    /// A seal is neither there nor zero: damage.
    Wrong,
}

/// Looks at the seals in `raw`, which was read at the place of `start`.
#[must_use]
pub fn seals(start: u64, raw: &[u8]) -> Seals {
    let first = (DATA_BYTES - start % DATA_BYTES) as usize;
    let mut found = Seals::Whole;
    for seal in raw.iter().skip(first).step_by(SECTOR_BYTES as usize) {
        match *seal {
            SEAL => {}
            0 => return Seals::Missing,
            _ => found = Seals::Wrong,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_come_back_from_any_place() {
        let data: Vec<u8> = (0..3000u32).map(|n| n as u8).collect();
        for start in (0..1100).chain([5110, 5111]) {
            for length in [0, 1, 2, 509, 510, 511, 512, 1021, 1022, 1023, 3000] {
                let mut raw = Vec::new();
                seal(start, &data[..length], &mut raw);
                assert_eq!(raw.len() as u64, physical(start + length as u64) - physical(start));
                assert_eq!(seals(start, &raw), Seals::Whole);
                let mut back = Vec::new();
                unseal(start, &raw, &mut back);
                assert_eq!(back, data[..length], "{length} at {start}");
            }
        }
    }

    #[test]
    fn a_sector_that_was_not_finished_shows() {
        let mut raw = Vec::new();
        seal(100, &[7; 2000], &mut raw);
        for at in 0..raw.len() {
            let mut torn = raw.clone();
            let end = (at + 1..=raw.len()).find(|end| (physical(100) as usize + end).is_multiple_of(512));
            let Some(end) = end else { continue };
            torn[at..end].fill(0);
            assert_eq!(seals(100, &torn), Seals::Missing, "torn at {at}");
        }
    }
}
