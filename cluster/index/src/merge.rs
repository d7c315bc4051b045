//! Merging runs: newest wins, block by block, in steps.
//!
//! Runs of a kind are kept in order of age. Sizes fall into tiers, each 8 times the one below; when 8 runs of a tier have
//! gathered, they and all newer ones become one. So there are at most 7 runs a tier and each row is written again about
//! once a tier. (Size-tiered compaction, as in Bigtable and Cassandra.)

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range, sync::Arc};

use super::{
    block::{Rank, Row},
    build::RunBuilder,
    run::{Run, RunKind, RunReader},
    store::Store,
    types::IndexError,
};

const FAN_OUT: usize = 8;
/// Rows of the lowest tier: runs below are so cheap to merge that their size does not matter.
const LOWEST_TIER_ROWS: u64 = 4_096;

fn tier(rows: u64) -> u32 {
    (rows / LOWEST_TIER_ROWS).checked_ilog(FAN_OUT as u64).map_or(0, |log| log + 1)
}

/// The runs to merge next (as places in `runs`, oldest first), if any.
///
/// Deadlines have a second reason: tombstones in newer runs hide dead entries in older ones, which a listing would have
/// to skip again and again. Once they are a quarter of all that were set (and `dead_min`), all runs become one.
pub(super) fn next_merge(kind: RunKind, runs: &[Arc<Run>], dead_min: u64) -> Option<Range<usize>> {
    if kind == RunKind::Dues && runs.len() > 1 {
        let (rows, dead) =
            runs.iter().fold((0, 0), |(rows, dead), run| (rows + run.info.rows, dead + run.info.dead));
        if dead >= dead_min.max((rows - dead) / 4) {
            return Some(0..runs.len());
        }
    }
    pick(&runs.iter().map(|run| tier(run.info.rows)).collect::<Vec<_>>())
}

fn pick(tiers: &[u32]) -> Option<Range<usize>> {
    let highest = tiers.iter().copied().max()?;
    (0..=highest).find_map(|wanted| {
        let older = tiers.iter().rposition(|tier| *tier > wanted).map_or(0, |at| at + 1);
        let gathered = tiers[older..].iter().filter(|tier| **tier == wanted).count();
        (gathered >= FAN_OUT).then_some(older..tiers.len())
    })
}

/// A row of some runs together, and the oldest one of the same rank that it hides (itself if there is none).
#[derive(Debug, Clone, Copy)]
pub(super) struct MergedRow {
    pub(super) newest: Row,
    pub(super) oldest: Row,
}

/// The rows of some runs in order of rank.
#[derive(Debug)]
pub(super) struct MergedRows {
    readers: Vec<(RunReader, Option<Row>)>,
    /// Next rank of each reader; among equal ones the newest run (highest number) first.
    next: BinaryHeap<Reverse<(Rank, Reverse<usize>)>>,
}

impl MergedRows {
    /// Of `runs`, oldest first, from `from` on. Reads a block of each.
    pub(super) fn new(runs: &[Arc<Run>], from: Rank) -> Result<Self, IndexError> {
        let mut rows = Self { readers: Vec::with_capacity(runs.len()), next: BinaryHeap::new() };
        for run in runs {
            rows.readers.push((RunReader::new(Arc::clone(run), from)?, None));
            rows.advance(rows.readers.len() - 1)?;
        }
        Ok(rows)
    }

    /// The next row, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<MergedRow>, IndexError> {
        let mut merged: Option<MergedRow> = None;
        while let Some(Reverse((rank, Reverse(number)))) = self.next.peek().copied() {
            if merged.is_some_and(|merged| merged.newest.rank != rank) {
                break;
            }
            self.next.pop();
            if let Some(row) = self.advance(number)? {
                merged = Some(MergedRow { newest: merged.map_or(row, |merged| merged.newest), oldest: row });
            }
        }
        Ok(merged)
    }

    /// Takes the row that reader `number` stands at, and moves it on.
    fn advance(&mut self, number: usize) -> Result<Option<Row>, IndexError> {
        let Some((reader, current)) = self.readers.get_mut(number) else { return Ok(None) };
        let next = reader.next()?;
        if let Some(row) = &next {
            self.next.push(Reverse((row.rank, Reverse(number))));
        }
        Ok(std::mem::replace(current, next))
    }
}

/// A merge under way.
#[derive(Debug)]
pub(super) struct Merge {
    inputs: Vec<Arc<Run>>,
    rows: MergedRows,
    builder: RunBuilder,
    kind: RunKind,
    /// Nothing older than the inputs is there to be hidden by a tombstone.
    from_oldest: bool,
}

impl Merge {
    /// Begins merging `inputs`, oldest first, into run `id`.
    pub(super) fn new(
        store: &Store,
        kind: RunKind,
        id: u64,
        inputs: Vec<Arc<Run>>,
        from_oldest: bool,
    ) -> Result<Self, IndexError> {
        let expected = inputs.iter().map(|run| run.info.rows).sum();
        let builder = RunBuilder::new(store, kind, id, expected)?;
        Ok(Self { rows: MergedRows::new(&inputs, Rank::default())?, inputs, builder, kind, from_oldest })
    }

    /// Merges up to `rows` rows; true when all are done.
    pub(super) fn step(&mut self, rows: u64) -> Result<bool, IndexError> {
        for _ in 0..rows {
            let Some(row) = self.rows.next()? else { return Ok(true) };
            if !self.vanishes(&row) {
                self.builder.push(row.newest)?;
            }
        }
        Ok(false)
    }

    /// What was merged, and the new run; `breathe` as in [`RunBuilder::finish`].
    pub(super) fn finish(self, breathe: &mut dyn FnMut()) -> Result<(Vec<Arc<Run>>, Run), IndexError> {
        Ok((self.inputs, self.builder.finish(breathe)?))
    }

    pub(super) fn kind(&self) -> RunKind {
        self.kind
    }

    /// A deadline is written only when it was not there, and a tombstone only when it was. So a tombstone that hides
    /// an entry first written in these runs takes it along; nothing older can be there.
    fn vanishes(&self, row: &MergedRow) -> bool {
        self.kind == RunKind::Dues
            && row.newest.is_dead_due()
            && (self.from_oldest || !row.oldest.is_dead_due())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_eightfold() {
        let sizes = [0, 4_095, 4_096, 32_767, 32_768, 262_143, 262_144];
        assert_eq!(sizes.map(tier), [0, 0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn eight_of_a_tier_go_with_all_newer_ones() {
        assert_eq!(pick(&[]), None);
        assert_eq!(pick(&[0; 7]), None);
        assert_eq!(pick(&[0; 8]), Some(0..8));
        assert_eq!(pick(&[2, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Some(2..10));
        assert_eq!(pick(&[2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]), Some(1..11));
        assert_eq!(pick(&[1, 0, 1, 0, 1, 1, 0, 1, 1, 1]), None);
        // However flushes are sized, runs stay few.
        let mut rng = fastrand::Rng::with_seed(3);
        let mut rows: Vec<u64> = Vec::new();
        for _ in 0..5_000 {
            rows.push(rng.u64(1..65_536));
            while let Some(range) = pick(&rows.iter().map(|rows| tier(*rows)).collect::<Vec<_>>()) {
                let merged = rows.drain(range.clone()).sum();
                rows.insert(range.start, merged);
            }
            assert!(rows.len() <= 7 * 6, "{}", rows.len());
        }
    }
}
