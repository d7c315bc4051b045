//! How a node's membership stands, for who asks whether it can do its work: written by the one task that follows etcd, read by anyone.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::PartitionId;
use tokio::time::Instant;

/// How a membership stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// For so long no session has surely stood, by our own clock; `None` while one does. Others may have taken over since.
    pub session_lost_for: Option<Duration>,
    /// For so long this node has not stood among the nodes, though etcd was read: another process of its name does.
    pub unlisted_for: Option<Duration>,
    /// What is in the way, as it was said last.
    pub why: Option<String>,
    /// The partitions that this node is to run, and for how long it has been so. Whether it runs them the node knows.
    pub placed_for: BTreeMap<PartitionId, Duration>,
}

/// What is known of it.
pub(crate) struct Known {
    state: Mutex<State>,
}

struct State {
    /// Until then the session surely stands; in the past: since then it does not.
    sure_until: Instant,
    unlisted_since: Option<Instant>,
    why: Option<String>,
    placed: BTreeMap<PartitionId, Instant>,
}

impl Known {
    /// There was no session yet.
    pub(crate) fn new() -> Self {
        let state =
            State { sure_until: Instant::now(), unlisted_since: None, why: None, placed: BTreeMap::new() };
        Self { state: Mutex::new(state) }
    }

    pub(crate) fn sure_until(&self, until: Instant) {
        self.state.lock().sure_until = until;
    }

    /// The session has ended: by etcd's word, or ours.
    pub(crate) fn ended(&self) {
        let mut state = self.state.lock();
        state.sure_until = state.sure_until.min(Instant::now());
    }

    pub(crate) fn says(&self, why: Option<&str>) {
        let mut state = self.state.lock();
        if state.why.as_deref() != why {
            state.why = why.map(str::to_owned);
        }
    }

    /// What etcd says of this node: whether it is one of the nodes, and what it is to run.
    pub(crate) fn placed(&self, listed: bool, placed: impl Iterator<Item = PartitionId>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.unlisted_since = if listed { None } else { Some(state.unlisted_since.unwrap_or(now)) };
        let before = std::mem::take(&mut state.placed);
        let since = |partition| (partition, before.get(&partition).copied().unwrap_or(now));
        state.placed = placed.map(since).collect();
    }

    pub(crate) fn is_sure(&self) -> bool {
        Instant::now() < self.state.lock().sure_until
    }

    pub(crate) fn membership(&self) -> Membership {
        let now = Instant::now();
        let state = self.state.lock();
        let since = |at: Instant| now.saturating_duration_since(at);
        Membership {
            session_lost_for: (now >= state.sure_until).then(|| since(state.sure_until)),
            unlisted_for: state.unlisted_since.map(since),
            why: state.why.clone(),
            placed_for: state.placed.iter().map(|(partition, at)| (*partition, since(*at))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_says_since_when_there_is_no_session_and_what_is_placed_here() {
        let s = Duration::from_secs;
        let known = Known::new();
        tokio::time::advance(s(2)).await;
        assert_eq!(known.membership().session_lost_for, Some(s(2)), "there was none yet");
        known.sure_until(Instant::now() + s(3));
        assert!(known.is_sure() && known.membership().session_lost_for.is_none());
        known.placed(true, [PartitionId(1), PartitionId(2)].into_iter());
        tokio::time::advance(s(4)).await;
        assert_eq!(known.membership().session_lost_for, Some(s(1)), "nothing was heard of it");
        known.ended();
        known.says(Some("no answer"));
        known.placed(false, [PartitionId(2), PartitionId(3)].into_iter());
        tokio::time::advance(s(1)).await;
        let membership = known.membership();
        assert_eq!(membership.session_lost_for, Some(s(2)), "that it ended makes it no shorter");
        assert_eq!(membership.unlisted_for, Some(s(1)));
        assert_eq!(membership.why.as_deref(), Some("no answer"));
        assert_eq!(membership.placed_for, BTreeMap::from([(PartitionId(2), s(5)), (PartitionId(3), s(1))]));
    }
}
