//! Participants that do everything at once and only count: what remains is the engine's own work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retailflow_engine::ports::{
    KeyStanding, Participant, Participants, Performed, PortFuture, Settlement, StepAnswer, StepRequest,
};

/// Answers at once, and counts.
#[derive(Default)]
pub struct Instant {
    performed: AtomicU64,
}

impl Instant {
    /// All participants, which are one.
    pub fn participants(self: &Arc<Self>) -> Participants {
        Participants {
            inventory: self.clone(),
            payments: self.clone(),
            shipping: self.clone(),
            review: self.clone(),
        }
    }

    /// Steps performed.
    pub fn performed(&self) -> u64 {
        self.performed.load(Ordering::Relaxed)
    }
}

impl Participant for Instant {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        self.performed.fetch_add(1, Ordering::Relaxed);
        let done =
            Performed { reference: request.key.clone(), amount_minor: None, expires: None, units: None };
        Box::pin(std::future::ready(StepAnswer::Done(done)))
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(std::future::ready(KeyStanding::NotSeen))
    }

    fn settle<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(std::future::ready(Settlement::NotDone))
    }
}
