//! A circuit breaker: who keeps failing is left alone for a while, then asked once.
//!
//! The states and the count of failures are `failsafe`'s. Three things of it do not fit, and are done here:
//! - It reads the standard clock. So its open state lasts no time at all, and how long calls are refused is decided
//!   here, by tokio's clock, which a seeded world pauses.
//! - Half-open, it lets everyone in. Here one probe is out at a time; all others are refused until it is back.
//! - It takes the verdict of any call in any state. Here a verdict counts in the era in which its call began: an answer
//!   that comes late says nothing about a participant that has failed since.
//!
//! And failures come sooner than successes: a participant that refuses one call in ten at once, and needs a while (a sync of
//! its disk) for the other nine, shows nothing but failures until the first of the nine is back. So failures in a row are
//! told to `failsafe` once they are at least as many as the calls that are still out: those may all be well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use failsafe::backoff::Constant;
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::{Instrument, StateMachine};
use parking_lot::Mutex;
use retailflow_config::Effects;
use retailflow_engine::ports::Rng;
use tokio::time::Instant;

/// The time for which a breaker stays open doubles this often at most: to sixteen times what is configured.
const DOUBLINGS_MAX: u32 = 4;
/// `failsafe` leaves its open state only once the standard clock has moved at all; it is asked so often.
const ASKS_MAX: u32 = 100_000;

/// The call is refused; it may come again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub(crate) Duration);

/// How often something happened to a breaker.
#[cfg(test)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BreakerCounts {
    /// It opened, or opened again after a failed probe.
    pub(crate) opened: u64,
    /// It closed after a probe that succeeded.
    pub(crate) closed: u64,
    /// A probe was let in.
    pub(crate) probes: u64,
    /// A call was refused.
    pub(crate) refused: u64,
}

/// The breaker of one participant. Clones share it.
#[derive(Clone)]
pub(crate) struct Breaker(Arc<Inner>);

struct Inner {
    machine: StateMachine<ConsecutiveFailures<Constant>, BreakerEvents>,
    state: Arc<State>,
    probe_slot: Mutex<ProbeSlot>,
    rng: Arc<dyn Rng>,
    open_ms: u64,
}

/// What `failsafe` reports, and what is counted beside it.
#[derive(Default)]
struct State {
    open: AtomicBool,
    opened: AtomicU64,
    closed: AtomicU64,
    probes: AtomicU64,
    refused: AtomicU64,
}

struct BreakerEvents(Arc<State>);

impl Instrument for BreakerEvents {
    /// Never happens: it is asked only when it must let a call in.
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        self.0.open.store(true, Ordering::Release);
        self.0.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn on_half_open(&self) {}

    fn on_closed(&self) {
        // It also says so when it is made.
        if self.0.open.swap(false, Ordering::AcqRel) {
            self.0.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct ProbeSlot {
    /// Counts the changes between open and closed.
    era: u64,
    open: Option<OpenState>,
    /// Calls of this era that are not back.
    out: u32,
    /// Failures of this era since its last success.
    row: u32,
    /// Of these, those that `failsafe` has not been told of.
    untold: u32,
}

impl ProbeSlot {
    fn new(era: u64, open: Option<OpenState>) -> Self {
        Self { era, open, out: 0, row: 0, untold: 0 }
    }
}

struct OpenState {
    until: Instant,
    /// How often it has opened again since it was last closed.
    doublings: u32,
    probing: bool,
}

impl Breaker {
    /// A closed breaker.
    pub(crate) fn new(effects: &Effects, rng: Arc<dyn Rng>) -> Self {
        let state = Arc::new(State::default());
        let policy =
            consecutive_failures(effects.breaker_failures, failsafe::backoff::constant(Duration::ZERO));
        Self(Arc::new(Inner {
            machine: StateMachine::new(policy, BreakerEvents(Arc::clone(&state))),
            state,
            probe_slot: Mutex::new(ProbeSlot::new(0, None)),
            rng,
            open_ms: effects.breaker_open_ms,
        }))
    }

    /// Lets a call in, or says when to come again. The time limit of the call belongs inside the pass: a call that is
    /// dropped has no verdict.
    ///
    /// # Errors
    /// [`RetryAfter`] while the breaker is open, and while a probe is out.
    pub(crate) fn try_pass(&self) -> Result<Pass, RetryAfter> {
        let inner = &self.0;
        let mut probe_slot = inner.probe_slot.lock();
        let era = probe_slot.era;
        let Some(open) = &mut probe_slot.open else {
            probe_slot.out += 1;
            return Ok(self.pass(era, false));
        };
        let refused = |after: Duration| {
            inner.state.refused.fetch_add(1, Ordering::Relaxed);
            Err(RetryAfter(after))
        };
        let left = open.until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return refused(left);
        }
        if open.probing || !(0..ASKS_MAX).any(|_| inner.machine.is_call_permitted()) {
            // How long the probe takes is not known.
            return refused(Duration::from_millis(inner.open_ms));
        }
        open.probing = true;
        probe_slot.out += 1;
        inner.state.probes.fetch_add(1, Ordering::Relaxed);
        Ok(self.pass(era, true))
    }

    /// Whether calls are refused, all or all but a probe.
    pub(crate) fn is_open(&self) -> bool {
        self.0.state.open.load(Ordering::Acquire)
    }

    /// How often what happened.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> BreakerCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let State { opened, closed, probes, refused, .. } = &*self.0.state;
        BreakerCounts { opened: of(opened), closed: of(closed), probes: of(probes), refused: of(refused) }
    }

    fn pass(&self, era: u64, probe: bool) -> Pass {
        Pass { breaker: self.clone(), era, probe, ended: false }
    }
}

impl Inner {
    fn verdict(&self, era: u64, good: bool) {
        let mut probe_slot = self.probe_slot.lock();
        if probe_slot.era != era {
            return;
        }
        probe_slot.out = probe_slot.out.saturating_sub(1);
        let doublings = probe_slot.open.as_ref().map(|open| open.doublings);
        if good {
            self.machine.on_success();
            (probe_slot.row, probe_slot.untold) = (0, 0);
            if doublings.is_some() {
                *probe_slot = ProbeSlot::new(era + 1, None);
            }
            return;
        }
        (probe_slot.row, probe_slot.untold) = (probe_slot.row + 1, probe_slot.untold + 1);
        if probe_slot.row < probe_slot.out {
            return;
        }
        let opened_before = self.state.opened.load(Ordering::Relaxed);
        let is_open = || self.state.opened.load(Ordering::Relaxed) > opened_before;
        while probe_slot.untold > 0 && !is_open() {
            probe_slot.untold -= 1;
            self.machine.on_error();
        }
        if is_open() {
            let doublings = doublings.map_or(0, |doublings| (doublings + 1).min(DOUBLINGS_MAX));
            let until = Instant::now() + self.open_time(doublings);
            *probe_slot = ProbeSlot::new(era + 1, Some(OpenState { until, doublings, probing: false }));
        }
    }

    /// At least what is configured, doubled, and up to half as much again, so that the nodes of a cluster do not probe
    /// at the same moment. Below the cap each time is longer than the one before.
    fn open_time(&self, doublings: u32) -> Duration {
        let base_ms = self.open_ms.saturating_mul(1 << doublings);
        Duration::from_millis(base_ms.saturating_add(self.rng.below(base_ms / 2 + 1)))
    }

    fn dropped(&self, era: u64, probe: bool) {
        let mut probe_slot = self.probe_slot.lock();
        if probe_slot.era != era {
            return;
        }
        probe_slot.out = probe_slot.out.saturating_sub(1);
        if probe && let Some(open) = &mut probe_slot.open {
            open.probing = false;
        }
    }
}

/// A call that was let in. Dropped, it says nothing about the participant, and frees the probe_slot if it was the probe.
#[must_use]
pub(crate) struct Pass {
    breaker: Breaker,
    era: u64,
    probe: bool,
    ended: bool,
}

impl Pass {
    /// The participant answered, whatever it said.
    pub(crate) fn success(mut self) {
        self.ended = true;
        self.breaker.0.verdict(self.era, true);
    }

    /// It did not answer, or said that it can't.
    pub(crate) fn failure(mut self) {
        self.ended = true;
        self.breaker.0.verdict(self.era, false);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.0.dropped(self.era, self.probe);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
