//! Participants that are not there: for nodes that drive nothing. Whoever asks them all the same learns nothing.

use std::sync::Arc;

use retailflow_engine::ports::{
    KeyStanding, Participant, Participants, PortFuture, Settlement, StepAnswer, StepRequest,
};

const REASON: &str = "this node has no participants";

struct Absent;

/// The three participants.
pub(crate) fn participants() -> Participants {
    let absent = Arc::new(Absent);
    Participants {
        inventory: absent.clone(),
        payments: absent.clone(),
        shipping: absent.clone(),
        review: absent,
    }
}

impl Participant for Absent {
    fn perform<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(std::future::ready(StepAnswer::Unknown { reason: REASON.into() }))
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(std::future::ready(KeyStanding::Unknown { reason: REASON.into() }))
    }

    fn settle<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(std::future::ready(Settlement::Unknown { reason: REASON.into() }))
    }
}
