//! Simulated participants that many nodes share: one process has their books, and nodes ask it over NATS.
//!
//! They take the place of real ones in demos, tests and chaos. What nodes and remote participants say to each other is a matter between builds of the
//! same version, and no contract.
//!
//! Invariant: a call that is not answered is `Unknown`, as it would be with a real one: it may be done.

mod serve;
mod values;

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ports::{
    KeyStanding, Participant, Participants, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};

use self::values::{Answer, Call, Request, Verb};
use super::connect::EdgeConnection;
use super::subjects;

pub use self::serve::RemoteParticipants;

/// The three, as they are asked over a connection. `timeout` is for one call.
#[must_use]
pub fn participants(connection: &EdgeConnection, timeout: Duration) -> Participants {
    let of =
        |role| -> Arc<dyn Participant> { Arc::new(Remote { connection: connection.clone(), role, timeout }) };
    Participants {
        inventory: of(Role::Inventory),
        payments: of(Role::Payments),
        shipping: of(Role::Shipping),
        review: of(Role::Review),
    }
}

struct Remote {
    connection: EdgeConnection,
    role: Role,
    timeout: Duration,
}

impl Remote {
    async fn call(&self, verb: Verb, request: &StepRequest) -> Result<Answer, Box<str>> {
        let call = Call { verb, request: Request::of(request) };
        let body = serde_json::to_vec(&call).map_err(|error| error.to_string())?;
        let sent =
            self.connection.client.request(subjects::participant_calls(self.role.as_str()), body.into());
        let answered = tokio::time::timeout(self.timeout, sent).await;
        let message = answered.map_err(|_| "no answer in time")?.map_err(|error| error.to_string())?;
        serde_json::from_slice(&message.payload).map_err(|error| error.to_string().into())
    }
}

impl Participant for Remote {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async {
            let answer = self.call(Verb::Perform, request).await.and_then(Answer::answered);
            answer.unwrap_or_else(|reason| StepAnswer::Unknown { reason })
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async {
            let answer = self.call(Verb::Query, request).await.and_then(Answer::standing);
            answer.unwrap_or_else(|reason| KeyStanding::Unknown { reason })
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async {
            let answer = self.call(Verb::Settle, request).await.and_then(Answer::settlement);
            answer.unwrap_or_else(|reason| Settlement::Unknown { reason })
        })
    }
}
