//! Callers that remember each answer, and ask for it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::http::{Answer, Client};
use crate::support::world::first_time;

/// Callers at once, each with one connection.
const CALLERS: usize = 32;

struct Sent {
    order: String,
    kind: &'static str,
    id: String,
    body: &'static str,
    /// The status and the outcome that were given first.
    told: Option<(u16, Value)>,
}

const PLACE: &str = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;
const CANCEL: &str = r#"{"reason":"changed my mind"}"#;

/// One who places orders and cancels some of them, over a connection that is kept.
struct LoadClient {
    name: usize,
    rng: fastrand::Rng,
    orders: usize,
    sent: Vec<Sent>,
    compared: u64,
}

impl LoadClient {
    /// Sends one command until it has an outcome; false when the connection is lost.
    fn send(&mut self, client: &mut Client, at: usize, answered: &AtomicU64) -> bool {
        let sent = &mut self.sent[at];
        let path = format!("/v1/tenants/t/orders/{}/commands", sent.order);
        let kind = format!("retailflow.order.{}.v1", sent.kind);
        let headers =
            [("Content-Type", "application/json"), ("Ce-Type", &*kind), ("Idempotency-Key", &*sent.id)];
        let answer = loop {
            let Ok(answer) = client.post(&path, &headers, sent.body) else { return false };
            match answer.status {
                200 | 422 => break answer,
                // Nothing is recorded, or nobody knows: it has no outcome yet.
                429 | 503 | 504 => {}
                _ => panic!("{}: {answer:?}", sent.id),
            }
        };
        let outcome = outcome(&answer);
        match &sent.told {
            None => sent.told = Some(outcome),
            Some(told) => {
                assert_eq!(*told, outcome, "{} was told otherwise before", sent.id);
                assert_eq!(answer.header("idempotent-replayed"), Some("true"), "{answer:?}");
                self.compared += 1;
            }
        }
        answered.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn add(&mut self, order: String, kind: &'static str, body: &'static str) -> usize {
        let id = format!("{}-{}", self.name, self.sent.len());
        self.sent.push(Sent { order, kind, id, body, told: None });
        self.sent.len() - 1
    }

    /// What has no outcome yet, some of what has one, and then new orders, until the connection is lost.
    fn work(&mut self, address: &str, answered: &AtomicU64) {
        let mut client = Client::new(address);
        for at in 0..self.sent.len() {
            let again = self.sent[at].told.is_none() || self.rng.u8(..5) == 0;
            if again && !self.send(&mut client, at, answered) {
                return;
            }
        }
        loop {
            self.orders += 1;
            let order = format!("k{}-{}", self.name, self.orders);
            let mut commands = vec![self.add(order.clone(), "place", PLACE)];
            // The second cancel is rejected, or finds nothing to do; either stays so.
            for _ in 0..self.rng.u8(..3) {
                commands.push(self.add(order.clone(), "cancel", CANCEL));
            }
            for at in commands {
                if !self.send(&mut client, at, answered) {
                    return;
                }
            }
        }
    }

    /// Everything again.
    fn check(&mut self, address: &str, answered: &AtomicU64) {
        let mut client = Client::new(address);
        for at in 0..self.sent.len() {
            assert!(self.send(&mut client, at, answered), "the connection was lost");
        }
    }
}

/// The outcome in an answer, without what differs when it is given again.
fn outcome(answer: &Answer) -> (u16, Value) {
    (answer.status, first_time(&answer.json()))
}

/// All callers.
pub(super) struct Load {
    callers: Vec<LoadClient>,
    answered: AtomicU64,
}

impl Load {
    pub(super) fn new() -> Self {
        let caller = |name| LoadClient {
            name,
            rng: fastrand::Rng::with_seed(name as u64),
            orders: 0,
            sent: Vec::new(),
            compared: 0,
        };
        Self { callers: (0..CALLERS).map(caller).collect(), answered: AtomicU64::new(0) }
    }

    /// Lets them work until each has lost its connection; `end` sees to that, and is told how many answers there are.
    pub(super) fn work(&mut self, address: &str, end: impl FnOnce(&AtomicU64)) {
        let Self { callers, answered } = self;
        answered.store(0, Ordering::Relaxed);
        thread::scope(|scope| {
            for caller in callers {
                let answered = &*answered;
                scope.spawn(move || caller.work(address, answered));
            }
            end(answered);
        });
    }

    /// Sends every command ever sent again, and compares.
    pub(super) fn check(&mut self, address: &str) {
        let Self { callers, answered } = self;
        thread::scope(|scope| {
            for caller in callers {
                let answered = &*answered;
                scope.spawn(move || caller.check(address, answered));
            }
        });
    }

    /// How many commands were sent, and how many outcomes were compared with the first one.
    pub(super) fn counts(&self) -> (usize, u64) {
        let sent = self.callers.iter().map(|caller| caller.sent.len()).sum();
        (sent, self.callers.iter().map(|caller| caller.compared).sum())
    }

    /// How many orders were placed.
    pub(super) fn orders(&self) -> usize {
        self.callers.iter().map(|caller| caller.orders).sum()
    }
}
