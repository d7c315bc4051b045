//! Which partitions' published commands are read, and why others are not: for whoever tells whether the node can do its work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use retailflow_actors::NodeHandle;
use retailflow_engine::ids::PartitionId;

use crate::serve::readiness::partitions::named;
use crate::serve::readiness::{HealthIssue, Part, Watch};

/// A partition is read again after trouble that passes; what comes again and again within so long has not passed.
const PASSED_AFTER: Duration = Duration::from_secs(5);
/// Trouble that passes is told of when it has gone on for so long: leaders change.
const PASSING_MAX: Duration = Duration::from_secs(5);

/// Why a partition's commands are not read.
#[derive(Debug, Clone)]
struct Pause {
    since: Instant,
    last: Instant,
    /// Nobody has begun to read again.
    stands: bool,
    why: Arc<str>,
    /// Only people can end it.
    damaged: bool,
}

/// How far each partition's reading is from well.
#[derive(Debug, Default)]
pub(super) struct Reading(Mutex<BTreeMap<PartitionId, Pause>>);

impl Pause {
    fn is_on(&self, now: Instant) -> bool {
        self.stands || now.saturating_duration_since(self.last) < PASSED_AFTER
    }
}

impl Reading {
    /// The partition's commands are not read now.
    pub(super) fn stops(&self, partition: PartitionId, why: &str, damaged: bool) {
        let now = Instant::now();
        let mut pauses = self.0.lock();
        let since = pauses.get(&partition).filter(|pause| pause.is_on(now)).map_or(now, |pause| pause.since);
        pauses.insert(partition, Pause { since, last: now, stands: true, why: why.into(), damaged });
    }

    /// They are read again: whether that lasts is seen in a while.
    pub(super) fn goes_on(&self, partition: PartitionId) {
        if let Some(pause) = self.0.lock().get_mut(&partition) {
            pause.stands = false;
        }
    }

    /// This node sees to it no more.
    pub(super) fn ends(&self, partition: PartitionId) {
        self.0.lock().remove(&partition);
    }

    /// Says which are not read.
    pub(super) fn watch(self: &Arc<Self>, node: &NodeHandle) -> Watch {
        let (reading, node) = (Arc::clone(self), node.clone());
        Box::new(move || reading.issues(node.terms().len(), Instant::now()))
    }

    fn issues(&self, held: usize, now: Instant) -> Vec<HealthIssue> {
        let pauses = self.0.lock();
        let on = pauses.iter().filter(|(_, pause)| pause.is_on(now));
        let (damaged, passing): (Vec<_>, Vec<_>) = on.partition(|(_, pause)| pause.damaged);
        let passing: Vec<_> = passing
            .into_iter()
            .filter(|(_, pause)| now.saturating_duration_since(pause.since) >= PASSING_MAX)
            .collect();
        let mut issues = Vec::new();
        for (found, bars, what) in [
            (&damaged, true, "published commands are not read until people have looked"),
            (
                &passing,
                damaged.len() + passing.len() == held,
                "published commands wait, and are tried again each second",
            ),
        ] {
            let Some((_, first)) = found.first() else { continue };
            let partitions: Vec<PartitionId> = found.iter().map(|(partition, _)| **partition).collect();
            let since = found.iter().map(|(_, pause)| now.saturating_duration_since(pause.since)).max();
            let text = format!("{}: {what}: {}", named(&partitions, held), first.why);
            let issue = HealthIssue { bars, ..HealthIssue::note(Part::Reading, text) };
            issues.push(issue.since(since.unwrap_or_default()));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(reading: &Reading, held: usize, after: Duration) -> Vec<bool> {
        let issues = reading.issues(held, Instant::now() + after);
        issues.into_iter().map(|issue| issue.bars).collect()
    }

    #[test]
    fn what_is_damaged_bars_at_once_and_what_passes_only_where_it_is_all_and_stays() {
        let (reading, s) = (Reading::default(), Duration::from_secs);
        assert!(bars(&reading, 2, s(0)).is_empty());
        reading.stops(PartitionId(0), "no answer", false);
        assert_eq!((bars(&reading, 2, s(1)), bars(&reading, 2, s(6))), (vec![], vec![false]));
        reading.stops(PartitionId(1), "no answer", false);
        assert_eq!(bars(&reading, 2, s(6)), [true], "none of its partitions is read");
        reading.goes_on(PartitionId(0));
        reading.goes_on(PartitionId(1));
        assert!(bars(&reading, 2, s(6)).is_empty(), "it lasted");
        reading.stops(PartitionId(1), "the stream is stopped", true);
        assert_eq!(bars(&reading, 2, s(0)), [true]);
        reading.ends(PartitionId(1));
        assert!(bars(&reading, 2, s(0)).is_empty());
    }
}
