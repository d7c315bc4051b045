//! The latest events, for all who keep up.
//!
//! Invariant: while it is in use, the ring holds every event after `start` up to and with the group `complete`. So a
//! reader that stands at `start` or later misses nothing, and one that stands earlier must read the log.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::RelayedEvent;

use super::placed::{At, BEHIND, PlacedEvent};

/// What an event takes beside its text, about, in bytes.
const EVENT_BYTES: usize = 200;

/// The latest events.
pub(super) struct Ring {
    events_max: usize,
    bytes_max: usize,
    events: VecDeque<PlacedEvent>,
    bytes: usize,
    /// The last group that the projector has begun to take in.
    passed: u64,
    /// No events are made of groups up to here: they were in the log before the projector began.
    floor: u64,
    start: At,
    complete: u64,
    in_use: bool,
    listeners: usize,
    left: Option<Instant>,
}

impl Ring {
    pub(super) fn new(events_max: usize, bytes_max: usize) -> Self {
        Self {
            events_max: events_max.max(1),
            bytes_max,
            events: VecDeque::new(),
            bytes: 0,
            passed: 0,
            floor: 0,
            start: (0, BEHIND),
            complete: 0,
            in_use: false,
            listeners: 0,
            left: None,
        }
    }

    /// The projector begins after the group `passed`, of a log that goes up to `floor`.
    pub(super) fn begin(&mut self, passed: u64, floor: u64) {
        (self.passed, self.floor) = (passed, floor);
        self.restart();
    }

    fn restart(&mut self) {
        self.events = VecDeque::new();
        self.bytes = 0;
        self.complete = self.passed.max(self.floor);
        self.start = (self.complete, BEHIND);
    }

    /// Somebody listens from now on.
    pub(super) fn join(&mut self) {
        self.listeners += 1;
        if !self.in_use {
            self.in_use = true;
            self.restart();
        }
    }

    /// Somebody listens no longer.
    pub(super) fn leave(&mut self) {
        self.listeners = self.listeners.saturating_sub(1);
        self.left = Some(Instant::now());
    }

    /// Gives up what nobody has listened to for so long.
    pub(super) fn rest(&mut self, linger: Duration) {
        let long_ago = self.left.is_none_or(|left| left.elapsed() >= linger);
        if self.in_use && self.listeners == 0 && long_ago {
            self.in_use = false;
            self.restart();
        }
    }

    /// The projector takes in the groups up to `last`; after which place events are wanted, if they are.
    pub(super) fn pass(&mut self, last: u64) -> Option<At> {
        self.passed = last;
        (self.in_use && last > self.floor).then_some((self.floor, BEHIND))
    }

    /// The events of the groups up to `last`, after [`Ring::pass`] has asked for them.
    pub(super) fn push(&mut self, events: Vec<PlacedEvent>, last: u64) {
        self.complete = self.complete.max(last);
        for placed in events {
            self.bytes += placed.event.json.len() + EVENT_BYTES;
            self.events.push_back(placed);
        }
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.json.len() + EVENT_BYTES;
            self.start = oldest.at;
        }
    }

    /// A tenant's events after `at`, `max` at most, and where the reader stands then; `None` when some of them may not be
    /// here.
    pub(super) fn read(&self, at: At, tenant: &TenantId, max: usize) -> Option<(Vec<RelayedEvent>, At)> {
        if !self.in_use || at < self.start {
            return None;
        }
        let first = self.events.partition_point(|placed| placed.at <= at);
        let mut found = Vec::new();
        for placed in self.events.range(first..) {
            if placed.event.tenant == *tenant {
                found.push(placed.event.clone());
                if found.len() == max {
                    return Some((found, placed.at));
                }
            }
        }
        Some((found, at.max((self.complete, BEHIND))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn placed(at: At, name: &str) -> PlacedEvent {
        let json = format!("{at:?}");
        let event =
            RelayedEvent { token: "".into(), tenant: tenant(name), kind: "k", json: json.as_str().into() };
        PlacedEvent { at, event }
    }

    #[test]
    fn who_keeps_up_gets_all_and_who_does_not_is_told() {
        let mut ring = Ring::new(3, 1 << 20);
        ring.begin(5, 5);
        let shop = tenant("shop");
        assert!(ring.pass(6).is_none() && ring.read((6, BEHIND), &shop, 9).is_none(), "nobody listens");
        ring.join();
        assert_eq!(ring.read((6, BEHIND), &shop, 9), Some((vec![], (6, BEHIND))));
        assert!(ring.read((6, 0), &shop, 9).is_none(), "what came before is not here");
        assert!(ring.pass(8).is_some());
        ring.push(vec![placed((7, 0), "shop"), placed((7, 1), "till"), placed((8, 0), "shop")], 8);
        let (events, at) = ring.read((6, BEHIND), &shop, 1).unwrap();
        assert_eq!((events.len(), at), (1, (7, 0)));
        let (events, at) = ring.read(at, &shop, 9).unwrap();
        assert_eq!((&*events[0].json, at), ("(8, 0)", (8, BEHIND)));
        assert!(ring.pass(9).is_some());
        ring.push(vec![placed((9, 0), "shop")], 9);
        assert!(ring.read((6, BEHIND), &shop, 9).is_none(), "it fell out of the ring");
        assert!(ring.read((7, 0), &shop, 9).is_some());
        ring.leave();
        ring.rest(Duration::ZERO);
        assert!(ring.pass(10).is_none() && ring.read((9, BEHIND), &shop, 9).is_none());
    }
}
