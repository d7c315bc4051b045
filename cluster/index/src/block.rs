//! A block: up to 7 KB of sorted rows, each column with a base and just the bytes that its range needs.
//!
//! Why not 16 KB: a lookup reads one whole block and checks it. Two pages of the system's cache are enough for 270 orders.
//!
//! Layout, little-endian: row count `u16`; for each of 4 columns base `u64`, width `u8`; then the rows: 16 bytes of key
//! and each column's `value - base + 1` in `width` bytes, 0 for none. Width 0: every row has the base itself; width
//! 255: no row has a value. A new order with a deadline takes 24 to 26 bytes, a deadline 18.

use super::types::{OrderKey, OrderPlace};

/// What rows are sorted by: time (0 for orders), then key.
pub(super) type Rank = (u64, OrderKey);

/// Most bytes of a block.
pub(super) const BLOCK_MAX_BYTES: usize = 7_100;
const COLUMNS: usize = 4;
const HEADER_BYTES: usize = 2 + COLUMNS * 9;
const KEY_BYTES: usize = 16;
const ALL_NONE: u8 = 255;

/// An entry of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) rank: Rank,
    cells: [Option<u64>; COLUMNS - 1],
}

/// Keeps the order of times in unsigned numbers.
pub(super) fn time_rank(time_ms: i64) -> u64 {
    time_ms.cast_unsigned() ^ (1 << 63)
}

/// The time behind [`time_rank`].
pub(super) fn rank_time(rank: u64) -> i64 {
    (rank ^ (1 << 63)).cast_signed()
}

impl Row {
    /// Where an order stands.
    pub(super) fn order(key: OrderKey, place: OrderPlace) -> Self {
        let deadline = place.deadline_ms.map(time_rank);
        Self { rank: (0, key), cells: [Some(place.position), Some(place.revision), deadline] }
    }

    /// An order's deadline, or with `dead` the mark that it stands no more.
    pub(super) fn due(time_ms: i64, key: OrderKey, dead: bool) -> Self {
        Self { rank: (time_rank(time_ms), key), cells: [dead.then_some(1), None, None] }
    }

    /// The place that [`Row::order`] was given.
    pub(super) fn place(&self) -> OrderPlace {
        let [position, revision, deadline] = self.cells;
        OrderPlace {
            position: position.unwrap_or_default(),
            revision: revision.unwrap_or_default(),
            deadline_ms: deadline.map(rank_time),
        }
    }

    /// Whether this is the mark of a deadline that stands no more.
    pub(super) fn is_dead_due(&self) -> bool {
        self.cells[0].is_some()
    }

    fn columns(&self) -> [Option<u64>; COLUMNS] {
        let [a, b, c] = self.cells;
        [Some(self.rank.0), a, b, c]
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    range: Option<(u64, u64)>,
    some: usize,
}

impl Span {
    fn with(self, value: Option<u64>) -> Self {
        let Some(value) = value else { return self };
        let range = self.range.map_or((value, value), |(low, high)| (low.min(value), high.max(value)));
        Self { range: Some(range), some: self.some + 1 }
    }

    /// Base and width for `rows` rows; `None` when 8 bytes are too few.
    fn shape(self, rows: usize) -> Option<(u64, u8)> {
        let Some((low, high)) = self.range else { return Some((0, ALL_NONE)) };
        if low == high && self.some == rows {
            return Some((low, 0));
        }
        let largest = (high - low).checked_add(1)?;
        let bytes = (u64::BITS - largest.leading_zeros()).div_ceil(8);
        Some((low, u8::try_from(bytes).ok()?))
    }
}

fn width_bytes(width: u8) -> usize {
    if width == ALL_NONE { 0 } else { usize::from(width) }
}

/// Collects rows of one block.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    rows: Vec<Row>,
    spans: [Span; COLUMNS],
}

impl BlockBuilder {
    /// Takes the row, or returns false when the block is full: then [`BlockBuilder::seal`] first. An empty block
    /// takes any row. Rows come in the order of their ranks.
    pub(super) fn push(&mut self, row: Row) -> bool {
        let mut spans = self.spans;
        for (span, value) in spans.iter_mut().zip(row.columns()) {
            *span = span.with(value);
        }
        let rows = self.rows.len() + 1;
        let mut row_bytes = KEY_BYTES;
        for span in spans {
            let Some((_, width)) = span.shape(rows) else { return false };
            row_bytes += width_bytes(width);
        }
        if HEADER_BYTES + rows * row_bytes > BLOCK_MAX_BYTES {
            return false;
        }
        self.spans = spans;
        self.rows.push(row);
        true
    }

    /// The block's first rank and its bytes, and begins the next one; `None` when there are no rows.
    pub(super) fn seal(&mut self) -> Option<(Rank, Vec<u8>)> {
        let first = self.rows.first()?.rank;
        let count = u16::try_from(self.rows.len()).ok()?;
        let mut shapes = [(0, 0); COLUMNS];
        for (shape, span) in shapes.iter_mut().zip(self.spans) {
            *shape = span.shape(self.rows.len())?;
        }
        let mut bytes = Vec::with_capacity(BLOCK_MAX_BYTES);
        bytes.extend(count.to_le_bytes());
        for (base, width) in shapes {
            bytes.extend(base.to_le_bytes());
            bytes.push(width);
        }
        for row in &self.rows {
            bytes.extend(row.rank.1);
            for (value, (base, width)) in row.columns().into_iter().zip(shapes) {
                let stored = value.map_or(0, |value| value.wrapping_sub(base).wrapping_add(1));
                bytes.extend(&stored.to_le_bytes()[..width_bytes(width)]);
            }
        }
        self.rows.clear();
        self.spans = Default::default();
        Some((first, bytes))
    }
}

/// A block as read. Its checksum has been checked; the shape is checked here all the same.
#[derive(Debug, Clone)]
pub(super) struct Block {
    bytes: Vec<u8>,
    rows: usize,
    row_bytes: usize,
    shapes: [(u64, u8); COLUMNS],
}

impl Block {
    /// `None` when the bytes are no block.
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let rows = usize::from(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?));
        let mut shapes = [(0, 0); COLUMNS];
        let mut row_bytes = KEY_BYTES;
        for (shape, stored) in shapes.iter_mut().zip(bytes.get(2..HEADER_BYTES)?.chunks_exact(9)) {
            *shape = (u64::from_le_bytes(stored.get(..8)?.try_into().ok()?), stored[8]);
            if shape.1 > 8 && shape.1 != ALL_NONE {
                return None;
            }
            row_bytes += width_bytes(shape.1);
        }
        (rows > 0 && bytes.len() == HEADER_BYTES + rows * row_bytes).then_some(())?;
        Some(Self { bytes, rows, row_bytes, shapes })
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Row `index`, which is below [`Block::len`].
    pub(super) fn row(&self, index: usize) -> Row {
        let start = HEADER_BYTES + index * self.row_bytes;
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&self.bytes[start..start + KEY_BYTES]);
        let mut at = start + KEY_BYTES;
        let [time, a, b, c] = self.shapes.map(|(base, width)| {
            let mut stored = [0; 8];
            let end = at + width_bytes(width);
            stored[..end - at].copy_from_slice(&self.bytes[at..end]);
            at = end;
            match (width, u64::from_le_bytes(stored)) {
                (ALL_NONE, _) => None,
                (0, _) => Some(base),
                (_, 0) => None,
                (_, stored) => Some(base.wrapping_add(stored - 1)),
            }
        });
        Row { rank: (time.unwrap_or_default(), key), cells: [a, b, c] }
    }

    /// The first row that is not before `rank`; [`Block::len`] when there is none.
    pub(super) fn seek(&self, rank: Rank) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle).rank < rank {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(rows: &[Row]) {
        let mut builder = BlockBuilder::default();
        let mut back = Vec::new();
        let mut read = |bytes: Vec<u8>| {
            assert!(bytes.len() <= BLOCK_MAX_BYTES);
            let block = Block::parse(bytes).unwrap();
            (0..block.len()).for_each(|at| {
                back.push(block.row(at));
                assert_eq!(block.seek(block.row(at).rank), at);
            });
        };
        for row in rows {
            if !builder.push(*row) {
                read(builder.seal().unwrap().1);
                assert!(builder.push(*row));
            }
        }
        read(builder.seal().unwrap().1);
        assert_eq!(back, rows);
        assert!(builder.seal().is_none());
    }

    #[test]
    fn extreme_values_come_back() {
        let deadlines = [None, Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), None];
        let rows: Vec<Row> = (0u128..600)
            .map(|n| {
                let position = if n % 7 == 0 { u64::MAX } else { n as u64 };
                let deadline_ms = deadlines[(n % 6) as usize];
                Row::order(n.to_be_bytes(), OrderPlace { position, revision: n as u64 % 3, deadline_ms })
            })
            .collect();
        round_trip(&rows);
        let times = [i64::MIN, -5, 0, 7, i64::MAX];
        round_trip(&times.map(|time| Row::due(time, [9; 16], time == 0)));
        assert!(times.is_sorted_by_key(|time| time_rank(*time)));
        assert!(times.iter().all(|time| rank_time(time_rank(*time)) == *time));
    }

    #[test]
    fn ordinary_rows_are_small() {
        let mut builder = BlockBuilder::default();
        let place = |n: u64| OrderPlace {
            position: (1 << 40) + n * 400,
            revision: 1,
            deadline_ms: Some(1_790_000_000_000 + (n * 7_919 % 3_600_000).cast_signed()),
        };
        let fits =
            (0..).take_while(|n| builder.push(Row::order(u128::from(*n).to_be_bytes(), place(*n)))).count();
        assert!(fits > 290, "{fits}");
    }

    #[test]
    fn other_bytes_are_no_block() {
        let mut builder = BlockBuilder::default();
        assert!(builder.push(Row::due(5, [1; 16], false)));
        let bytes = builder.seal().unwrap().1;
        for cut in 0..bytes.len() {
            assert!(Block::parse(bytes[..cut].into()).is_none());
        }
        assert!(Block::parse(bytes).is_some());
    }
}
