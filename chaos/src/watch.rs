//! Watches what committers propose: the rules of the port that no outcome would show to be broken.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::{Commit, CommitError};
use retailflow_invariants::{InvariantId, Violation};

/// An order that lost a race knows what the winner left: it does not lose to the same record again and again. While an
/// append hangs, though, each life of an order that crashes meanwhile may leave one proposal behind; no plan has so many
/// crashes.
const CONFLICTS_MAX: u32 = 25;

/// One append as the watch sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) partition: PartitionId,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) hash: Hash,
    /// It takes the partition over: a successor in the same epoch may do so with another group.
    pub(crate) take_over: bool,
}

#[derive(Debug, Default)]
struct Seen {
    /// By partition and epoch: the group that may be written now, later or never.
    in_doubt: BTreeMap<(PartitionId, u64), Hash>,
    conflicts: BTreeMap<(OrderRef, u64), u32>,
    violations: Vec<Violation>,
}

/// What was proposed and answered so far.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Seen>);

impl Watch {
    /// A group is proposed. Gives whether it was in doubt before.
    pub(crate) fn proposed(&self, attempt: &Attempt) -> bool {
        if attempt.take_over {
            return false;
        }
        let mut seen = self.0.lock();
        let before = seen.in_doubt.insert((attempt.partition, attempt.epoch), attempt.hash);
        if before.is_some_and(|before| before != attempt.hash) {
            let Attempt { partition, epoch, number, .. } = attempt;
            let text = format!(
                "group {number} of partition {partition} in epoch {epoch} while another one is in doubt"
            );
            seen.violations.push(Violation::new(InvariantId::Fence, text));
        }
        before == Some(attempt.hash)
    }

    /// It is answered. `records` are its orders with the revision that each expected.
    pub(crate) fn answered(
        &self,
        attempt: &Attempt,
        was_in_doubt: bool,
        answer: &Result<Commit, CommitError>,
        records: &[(OrderRef, u64)],
    ) {
        let mut seen = self.0.lock();
        let still = match answer {
            Err(CommitError::Unknown(_)) => true,
            // This time nothing was written. An earlier time it may have been.
            Err(error) if error.refused_as().is_some() => was_in_doubt,
            _ => false,
        };
        if !still {
            seen.in_doubt.remove(&(attempt.partition, attempt.epoch));
        }
        if let Err(CommitError::Conflict(order)) = answer
            && let Some(record) = records.iter().find(|(name, _)| name == order)
        {
            let times = seen.conflicts.entry(record.clone()).or_default();
            *times += 1;
            if *times == CONFLICTS_MAX {
                let text =
                    format!("{order} keeps proposing what follows revision {}, which is taken", record.1);
                seen.violations.push(Violation::new(InvariantId::Progress, text));
            }
        }
    }

    /// How often an order lost a race.
    pub(crate) fn conflicts(&self) -> u64 {
        self.0.lock().conflicts.values().map(|times| u64::from(*times)).sum()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.0.lock().violations.clone()
    }
}
