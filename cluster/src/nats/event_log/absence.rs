//! Which orders of a partition have no record yet, told from memory: most commands place new orders, and each would cost a
//! question to the stream's leader, which answers between two syncs.
//!
//! Begun by whoever writes the partition, after its first group: the orders that are there are read from the leader in the
//! background, those of its own groups are added before they are sent. It is forgotten when somebody else has written.
//!
//! Invariant: an order that it calls absent had no record in any group up to the last one that was written here. Somebody who has
//! taken the partition over since may have written one: then the server refuses what is built on it.

use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::order_key;
use tokio::time::Instant;

use super::Inner;
use crate::bloom::Bloom;
use crate::nats::api::Trouble;
use crate::nats::subjects::{self, Subject};

/// Orders of a partition with which it is worth the memory: 5 MB.
const ORDERS_MAX: u64 = 2_000_000;
/// Room for new orders, beyond those that are there, before many are asked for in vain.
const ROOM_MIN: u64 = 16_384;
/// After reading failed.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

type Hashes = Vec<(u64, u64)>;

#[derive(Default)]
enum State {
    /// Nothing is known.
    #[default]
    Off,
    /// The orders that are there are being read; those that came since.
    Reading(Hashes),
    /// All that may be there.
    Known(Bloom),
}

/// What is known of the orders of a partition.
#[derive(Default)]
pub(super) struct Absence {
    state: State,
    /// Changes when all is forgotten: what was read for an earlier turn is of no use.
    turn: u64,
    not_before: Option<Instant>,
}

impl Absence {
    /// Surely without a record, as far as this writer can know.
    pub(super) fn is_absent(&self, order: &OrderRef) -> bool {
        match &self.state {
            State::Known(bloom) => !bloom.may_hold(hash(order)),
            State::Off | State::Reading(_) => false,
        }
    }

    /// It may have a record from now on.
    pub(super) fn note(&mut self, order: &OrderRef) {
        match &mut self.state {
            State::Off => {}
            State::Reading(since) if since.len() as u64 >= ORDERS_MAX => self.forget(),
            State::Reading(since) => since.push(hash(order)),
            State::Known(bloom) => bloom.insert(hash(order)),
        }
    }

    /// Somebody else has written.
    pub(super) fn forget(&mut self) {
        self.state = State::Off;
        self.turn += 1;
    }

    /// Whether reading is due; who is told so reads. Gives the turn.
    fn begin(&mut self) -> Option<u64> {
        let waits = self.not_before.is_some_and(|at| Instant::now() < at);
        if waits || !matches!(self.state, State::Off) {
            return None;
        }
        self.state = State::Reading(Vec::new());
        Some(self.turn)
    }

    fn end(&mut self, turn: u64, found: Result<Hashes, Duration>) {
        let State::Reading(since) = &mut self.state else { return };
        if self.turn != turn {
            return;
        }
        match found {
            Ok(found) => {
                let orders = (found.len() + since.len()) as u64;
                let mut bloom = Bloom::with_capacity((2 * orders).max(ROOM_MIN));
                found.into_iter().chain(since.drain(..)).for_each(|hash| bloom.insert(hash));
                self.state = State::Known(bloom);
            }
            Err(again_after) => {
                self.not_before = Some(Instant::now() + again_after);
                self.forget();
            }
        }
    }
}

fn hash(order: &OrderRef) -> (u64, u64) {
    Bloom::hash(&order_key(order))
}

impl Inner {
    /// Whether a partition's orders are to be read, for this turn.
    pub(super) fn absence_is_due(&self, partition: PartitionId) -> Option<u64> {
        self.partitions[usize::from(partition.0)].absence.lock().begin()
    }

    /// Reads them. `written`: the sequence of a message of ours, which whoever answers must have.
    pub(super) async fn learn_absence(&self, partition: PartitionId, turn: u64, written: u64) {
        let found = match self.orders_there(partition, written).await {
            Ok(Some(found)) => Ok(found),
            // As good as never.
            Ok(None) => Err(Duration::from_secs(86_400)),
            Err(trouble) => {
                tracing::debug!(%partition, %trouble, "the orders of a partition cannot be listed now");
                Err(AGAIN_AFTER)
            }
        };
        self.partitions[usize::from(partition.0)].absence.lock().end(turn, found);
    }

    /// `None`: more than are worth it.
    async fn orders_there(&self, partition: PartitionId, written: u64) -> Result<Option<Hashes>, Trouble> {
        // One after another: each holds the stream up while the server gathers its subjects.
        let _one = self.learning.acquire().await;
        let (stream, filter) = (self.stream(partition), subjects::records_of(partition));
        let mut found = Hashes::new();
        loop {
            let page = self.api.subjects(&stream, &filter, found.len()).await?;
            if page.last_sequence < written {
                return Err(Trouble::Strange(format!("{stream} ends before {written}")));
            }
            if page.total > ORDERS_MAX {
                return Ok(None);
            }
            let before = found.len();
            for subject in &page.subjects {
                match subjects::parse(subject) {
                    Some(Subject::Record(_, order)) => found.push(hash(&order)),
                    _ => return Err(Trouble::Strange(format!("{subject} among the records of {partition}"))),
                }
            }
            if found.len() as u64 >= page.total {
                return Ok(Some(found));
            }
            if found.len() == before {
                return Err(Trouble::Strange(format!("{before} of {} subjects of {stream}", page.total)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use retailflow_engine::contract::author::order;

    use super::*;

    #[test]
    fn only_what_was_read_and_never_written_is_absent() {
        let mut absence = Absence::default();
        let [there, during, after, new] = ["a", "b", "c", "d"].map(|name| order("shop", name));
        assert!(!absence.is_absent(&new), "nothing is known");
        let turn = absence.begin().unwrap();
        assert_eq!(absence.begin(), None, "it is being read");
        absence.note(&during);
        assert!(!absence.is_absent(&new));
        absence.end(turn, Ok(vec![hash(&there)]));
        absence.note(&after);
        assert_eq!(
            [&there, &during, &after, &new].map(|order| absence.is_absent(order)),
            [false, false, false, true]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_somebody_else_wrote_is_of_no_use() {
        let mut absence = Absence::default();
        let new = order("shop", "new");
        let turn = absence.begin().unwrap();
        absence.forget();
        let next = absence.begin().unwrap();
        absence.end(turn, Ok(Vec::new()));
        assert!(!absence.is_absent(&new));
        absence.end(next, Err(AGAIN_AFTER));
        assert_eq!(absence.begin(), None, "it failed just now");
        tokio::time::advance(AGAIN_AFTER).await;
        let last = absence.begin().unwrap();
        absence.end(last, Ok(Vec::new()));
        assert!(absence.is_absent(&new));
        absence.forget();
        assert!(!absence.is_absent(&new));
    }
}
