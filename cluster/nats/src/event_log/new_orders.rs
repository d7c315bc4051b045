//! Which orders of a partition have no record yet, told from memory: most commands place new orders, and each would cost a
//! question to the stream's leader, which answers between two syncs.
//!
//! Begun by whoever writes the partition, after its first group: the orders that are there are read from the leader in the
//! background, those of its own groups are added before they are sent. It is forgotten when somebody else has written.
//!
//! Invariant: an order that it calls absent had no record in any group up to the last one that was written here. Somebody who has
//! taken the partition over since may have written one: then the server refuses what is built on it.

use std::time::Duration;

use fastbloom::BloomFilter;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::order_key;
use tokio::time::Instant;

/// Orders of a partition with which it is worth the memory (2 MB) and the time of the server that lists them.
pub(super) const ORDERS_MAX: u64 = 1_000_000;
/// Orders that the first filter has room for; each further one for as many as all before it.
const ROOM_MIN: u64 = 16_384;
/// After reading failed; doubled each time.
const RETRY_DELAY_MIN: Duration = Duration::from_secs(30);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(3_600);

pub(super) type Hashes = Vec<u64>;

/// Of each filter, for each order that it has room for: about one order in 2,000 is taken for one that is there.
const BITS_PER_ORDER: usize = 16;

#[derive(Default)]
enum State {
    /// Nothing is known.
    #[default]
    Off,
    /// The orders that are there are being read; those that came since.
    Reading(Hashes),
    /// All that may be there.
    Known(Filters),
}

/// Bloom filters, each with its room; what is in any of them may be there. A single one would say so of everything in the end.
#[derive(Default)]
struct Filters {
    all: Vec<BloomFilter>,
    /// Orders that the last one takes.
    room: u64,
    count: u64,
}

impl Filters {
    fn may_hold(&self, hash: u64) -> bool {
        self.all.iter().any(|filter| filter.contains_hash(hash))
    }

    /// `false` when there are more than may be.
    fn insert(&mut self, hash: u64) -> bool {
        // Most commands are for orders that are there.
        if self.may_hold(hash) {
            return true;
        }
        if self.room == 0 {
            self.room = self.count.max(ROOM_MIN);
            let room = usize::try_from(self.room).unwrap_or(usize::MAX / BITS_PER_ORDER);
            self.all.push(BloomFilter::with_num_bits(room * BITS_PER_ORDER).expected_items(room));
        }
        if let Some(last) = self.all.last_mut() {
            last.insert_hash(hash);
        }
        self.room -= 1;
        self.count += 1;
        self.count <= ORDERS_MAX
    }
}

/// What is known of the orders of a partition.
#[derive(Default)]
pub(super) struct NewOrderIndex {
    state: State,
    /// Changes when all is forgotten: what was read for an earlier turn is of no use.
    turn: u64,
    not_before: Option<Instant>,
    failures: u32,
    pub(super) to_read: Option<ToRead>,
}

/// What is to be read: the orders of a partition, for this turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ToRead {
    pub(super) turn: u64,
    /// The sequence of a message of ours, which whoever answers must have.
    pub(super) written: u64,
}

impl NewOrderIndex {
    /// Surely without a record, as far as this writer can know.
    pub(super) fn is_absent(&self, order: &OrderRef) -> bool {
        match &self.state {
            State::Known(filters) => !filters.may_hold(hash(order)),
            State::Off | State::Reading(_) => false,
        }
    }

    /// It may have a record from now on.
    pub(super) fn note(&mut self, order: &OrderRef) {
        match &mut self.state {
            State::Off => {}
            State::Reading(since) if since.len() as u64 >= ORDERS_MAX => self.give_up(),
            State::Reading(since) => since.push(hash(order)),
            State::Known(filters) => {
                if !filters.insert(hash(order)) {
                    self.give_up();
                }
            }
        }
    }

    /// Somebody else has written.
    pub(super) fn forget(&mut self) {
        self.state = State::Off;
        self.to_read = None;
        self.turn += 1;
    }

    /// A group of ours is stored, and ends here in the stream: if nothing is known, reading is due.
    pub(super) fn begin(&mut self, written: u64) {
        let waits = self.not_before.is_some_and(|at| Instant::now() < at);
        if !waits && matches!(self.state, State::Off) {
            self.state = State::Reading(Vec::new());
            self.to_read = Some(ToRead { turn: self.turn, written });
        }
    }

    /// There are more than it is worth.
    fn give_up(&mut self) {
        self.not_before = Some(Instant::now() + RETRY_DELAY_MAX);
        self.forget();
    }

    pub(super) fn end(&mut self, turn: u64, found: Found) {
        let State::Reading(since) = &mut self.state else { return };
        if self.turn != turn {
            return;
        }
        match found {
            Found::All(found) => {
                let mut filters = Filters::default();
                let fits = found.into_iter().chain(since.drain(..)).all(|hash| filters.insert(hash));
                self.failures = 0;
                self.state = State::Known(filters);
                if !fits {
                    self.give_up();
                }
            }
            Found::TooMany => self.give_up(),
            Found::Nothing => {
                let wait = RETRY_DELAY_MIN.saturating_mul(1 << self.failures.min(10)).min(RETRY_DELAY_MAX);
                self.failures += 1;
                self.not_before = Some(Instant::now() + wait);
                self.forget();
            }
        }
    }
}

/// What reading the orders came to.
pub(super) enum Found {
    All(Hashes),
    TooMany,
    /// It failed.
    Nothing,
}

/// Half of the key: it is a cryptographic hash already.
pub(super) fn hash(order: &OrderRef) -> u64 {
    u128::from_le_bytes(order_key(order)) as u64
}

#[cfg(test)]
mod tests {
    use retailflow_testkit::author::order;

    use super::*;

    fn begun(new_orders: &mut NewOrderIndex) -> Option<u64> {
        new_orders.begin(1);
        new_orders.to_read.take().map(|due| due.turn)
    }

    #[test]
    fn only_what_was_read_and_never_written_is_absent() {
        let mut new_orders = NewOrderIndex::default();
        let [there, during, after, new] = ["a", "b", "c", "d"].map(|name| order("shop", name));
        assert!(!new_orders.is_absent(&new), "nothing is known");
        let turn = begun(&mut new_orders).unwrap();
        assert_eq!(begun(&mut new_orders), None, "it is being read");
        new_orders.note(&during);
        assert!(!new_orders.is_absent(&new));
        new_orders.end(turn, Found::All(vec![hash(&there)]));
        new_orders.note(&after);
        let absent = [&there, &during, &after, &new].map(|order| new_orders.is_absent(order));
        assert_eq!(absent, [false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_somebody_else_wrote_is_of_no_use() {
        let mut new_orders = NewOrderIndex::default();
        let new = order("shop", "new");
        let turn = begun(&mut new_orders).unwrap();
        new_orders.forget();
        let next = begun(&mut new_orders).unwrap();
        new_orders.end(turn, Found::All(Vec::new()));
        assert!(!new_orders.is_absent(&new));
        new_orders.end(next, Found::Nothing);
        assert_eq!(begun(&mut new_orders), None, "it failed just now");
        tokio::time::advance(RETRY_DELAY_MIN).await;
        let last = begun(&mut new_orders).unwrap();
        new_orders.end(last, Found::All(Vec::new()));
        assert!(new_orders.is_absent(&new));
        new_orders.forget();
        assert!(!new_orders.is_absent(&new));
    }

    /// A single filter that was made for the orders of the beginning would call nothing absent any more.
    #[test]
    fn new_orders_are_told_from_others_however_many_have_come() {
        let mut filters = Filters::default();
        let mut rng = fastrand::Rng::with_seed(3);
        let mut draw = || rng.u64(..);
        let all: Vec<_> = (0..200_000).map(|_| draw()).collect();
        assert!(all.iter().all(|hash| filters.insert(*hash)));
        assert!(all.iter().all(|hash| filters.may_hold(*hash)));
        assert!(filters.all.len() <= 6, "{}", filters.all.len());
        let taken_for_there = (0..10_000).filter(|_| filters.may_hold(draw())).count();
        assert!(taken_for_there < 1_000, "{taken_for_there} of 10,000");
    }
}
