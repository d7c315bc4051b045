//! Whether a partition can be written, as its last tries show: for who asks whether a node can do its work.

use std::time::Duration;

use retailflow_engine::ports::{Commit, CommitError};
use tokio::time::Instant;

/// What keeps a partition from being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutage {
    /// For how long, from when the first try began that was not answered, or refused for want of room.
    pub lasts: Duration,
    /// What was said last.
    pub why: String,
    /// There is no room; otherwise there is no answer, or no leader.
    pub is_full: bool,
}

/// Tries that were not answered, one after another.
pub(super) struct Outage {
    begun: Instant,
    why: String,
    is_full: bool,
}

impl Outage {
    pub(super) fn now(&self) -> WriteOutage {
        WriteOutage { lasts: self.begun.elapsed(), why: self.why.clone(), is_full: self.is_full }
    }

    /// Takes in how a try ended that began at `begun`.
    pub(super) fn note(since: &mut Option<Self>, begun: Instant, answer: &Result<Commit, CommitError>) {
        let (why, is_full) = match answer {
            Err(CommitError::Unavailable(why)) => (why, true),
            Err(CommitError::Unknown(why) | CommitError::Unreachable(why)) => (why, false),
            // It was written, or the log said why it may not be.
            _ => return *since = None,
        };
        let begun = since.as_ref().map_or(begun, |since| since.begun);
        *since = Some(Self { begun, why: why.clone(), is_full });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_from_the_first_try_that_failed_to_the_first_that_was_answered() {
        let mut since = None;
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        Outage::note(&mut since, begun, &Err(CommitError::Unknown("silence".into())));
        tokio::time::advance(Duration::from_secs(5)).await;
        Outage::note(&mut since, Instant::now(), &Err(CommitError::Unavailable("full".into())));
        let now = since.as_ref().map(Outage::now);
        let wanted = WriteOutage { lasts: Duration::from_secs(10), why: "full".into(), is_full: true };
        assert_eq!(now, Some(wanted));
        Outage::note(&mut since, Instant::now(), &Err(CommitError::Fenced { epoch: 3 }));
        assert!(since.is_none(), "the log answers");
    }
}
