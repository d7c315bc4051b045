//! How this node's membership stands, for whoever tells whether it can do its work.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use retailflow_actors::NodeHandle;
use retailflow_engine::ids::PartitionId;
use retailflow_etcd::{EtcdOwnership, Membership};

use crate::serve::readiness::partitions::named;
use crate::serve::readiness::{HealthIssue, Part, Watch};

/// Between two processes of one name, and at a start, the entry changes hands within this time.
const UNLISTED_MAX: Duration = Duration::from_secs(3);

/// The membership, once this node has joined.
#[derive(Clone, Default)]
pub(super) struct JoinedOwnership(Arc<OnceLock<Arc<EtcdOwnership>>>);

impl JoinedOwnership {
    pub(super) fn joined(&self, ownership: &Arc<EtcdOwnership>) {
        // A node joins once.
        let _ = self.0.set(ownership.clone());
    }

    /// Says what is wrong with it. A partition that is this node's is run within `moving`.
    pub(super) fn watch(&self, node: &NodeHandle, moving: Duration) -> Watch {
        let (joined, node) = (self.clone(), node.clone());
        Box::new(move || {
            let Some(ownership) = joined.0.get() else { return Vec::new() };
            let run: Vec<PartitionId> = node.terms().into_iter().map(|(partition, _)| partition).collect();
            issues_of(&ownership.membership(), &run, moving)
        })
    }
}

fn issues_of(membership: &Membership, run: &[PartitionId], moving: Duration) -> Vec<HealthIssue> {
    let mut issues = Vec::new();
    let why = membership.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    if let Some(lost) = membership.session_lost_for {
        let text = format!(
            "no session with etcd for {} s: others may have taken over what this node runs{why}",
            lost.as_secs()
        );
        issues.push(HealthIssue::bars(Part::Session, text).since(lost));
    } else if let Some(unlisted) = membership.unlisted_for.filter(|since| *since > UNLISTED_MAX) {
        let text = format!("this node does not stand among the nodes, and is given no partition{why}");
        let remedy = "where two processes have this name, give one of them another --node NAME; else see what is said of etcd";
        issues.push(HealthIssue::bars(Part::Session, text).with_remedy(remedy).since(unlisted));
    }
    let late = |(partition, since): &(&PartitionId, &Duration)| **since > moving && !run.contains(partition);
    let late: Vec<_> = membership.placed_for.iter().filter(late).collect();
    if let Some(since) = late.iter().map(|(_, since)| **since).max() {
        let partitions: Vec<PartitionId> = late.iter().map(|(partition, _)| **partition).collect();
        let text = format!(
            "{}: this node's for {} s, and not run here: nobody decides their commands, or another node does and goes on",
            named(&partitions, membership.placed_for.len()),
            since.as_secs()
        );
        issues.push(HealthIssue::bars(Part::Ownership, text).since(since));
    }
    issues
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MOVING: Duration = Duration::from_secs(30);

    fn bars(membership: &Membership, run: &[PartitionId]) -> Vec<Part> {
        let issues = issues_of(membership, run, MOVING);
        issues.into_iter().filter(|issue| issue.bars).map(|issue| issue.part).collect()
    }

    #[test]
    fn a_node_without_session_or_entry_or_with_a_partition_that_it_does_not_run_is_barred() {
        let (s, of) =
            (Duration::from_secs, |seconds| BTreeMap::from([(PartitionId(1), Duration::from_secs(seconds))]));
        let well = Membership { session_lost_for: None, unlisted_for: None, why: None, placed_for: of(60) };
        let run = [PartitionId(1)];
        assert!(bars(&well, &run).is_empty());
        assert_eq!(bars(&well, &[]), [Part::Ownership]);
        assert!(bars(&Membership { placed_for: of(10), ..well.clone() }, &[]).is_empty(), "it is on its way");
        assert_eq!(bars(&Membership { session_lost_for: Some(s(0)), ..well.clone() }, &run), [Part::Session]);
        assert!(bars(&Membership { unlisted_for: Some(s(1)), ..well.clone() }, &run).is_empty());
        assert_eq!(bars(&Membership { unlisted_for: Some(s(4)), ..well }, &run), [Part::Session]);
    }
}
