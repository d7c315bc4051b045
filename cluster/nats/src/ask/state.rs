//! What the tasks of an ask door share: its limits, its places, and what became of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retailflow_engine::ports::CommandDoor;

use super::shares::Places;
use crate::connect::EdgeConnection;

/// Limits of the ask door.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Requests that are worked on at once; half as many of one tenant.
    pub in_flight_max: usize,
    /// How long a request may take that does not say so, in milliseconds.
    pub timeout_ms: u64,
    /// How long one may ask for at most, in milliseconds.
    pub timeout_max_ms: u64,
    /// When to come again that comes when there is too much, in milliseconds.
    pub retry_after_ms: u64,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self { in_flight_max: 256, timeout_ms: 10_000, timeout_max_ms: 60_000, retry_after_ms: 250 }
    }
}

/// What became of requests since the door was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskCounts {
    /// Were answered, whatever the answer.
    pub answered: u64,
    /// Of these, with an error.
    pub errors: u64,
    /// Of these, because there was too much.
    pub overloaded: u64,
    /// Were dropped unread: there is nowhere to answer to.
    pub dropped: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) answered: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) overloaded: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) busy_nanos: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) struct Shared {
    pub(super) edge: EdgeConnection,
    pub(super) door: Arc<dyn CommandDoor>,
    pub(super) options: AskOptions,
    pub(super) places: Places,
    pub(super) counters: Counters,
}

impl Shared {
    pub(super) fn counts(&self) -> AskCounts {
        let counters = &self.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AskCounts {
            answered: of(&counters.answered),
            errors: of(&counters.errors),
            overloaded: of(&counters.overloaded),
            dropped: of(&counters.dropped),
        }
    }
}
