//! The process that has the books.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, SubscribeError, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::{Map, SelectAll, select_all};
use retailflow_engine::ports::{Participant, Participants, Role};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::values::{Answer, Call, Verb};
use crate::connect::EdgeConnection;
use crate::service::{self, Requests, Responder};
use crate::subjects;

/// Calls that are worked on at once; further ones wait in the subscription, and are lost beyond it, as over any network.
const IN_FLIGHT_MAX: usize = 8_192;
/// For what was begun when it ends.
const END: Duration = Duration::from_secs(5);

/// Participants that answer nodes.
pub struct RemoteParticipants {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl RemoteParticipants {
    /// Answers with what `participants` say.
    ///
    /// # Errors
    /// When the client takes no subscription.
    pub async fn open(
        connection: EdgeConnection,
        participants: Participants,
    ) -> Result<Self, SubscribeError> {
        let mut asked = Vec::new();
        for role in Role::ALL {
            let calls = connection.client.subscribe(subjects::participant_calls(role.as_str())).await?;
            asked.push(calls.map(move |message| (role, message)));
        }
        connection.confirm_subscriptions().await;
        let stop = CancellationToken::new();
        let permits = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let answering = Answering { connection, participants, permits, stop: stop.clone() };
        let task = tokio::spawn(serve(Calls(select_all(asked)), answering));
        Ok(Self { stop, task: Some(task) })
    }

    /// Takes no more calls, and waits a moment for those that were begun.
    pub async fn close(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && task.await.is_err()
        {
            tracing::error!(event = "task_panicked", "the participants' task panicked");
        }
    }
}

/// Calls of all roles.
struct Calls<F>(SelectAll<Map<Subscriber, F>>);

impl<F: FnMut(Message) -> (Role, Message) + Send + 'static> Requests for Calls<F> {
    type Request = (Role, Message);

    async fn next_request(&mut self) -> Option<Self::Request> {
        self.0.next().await
    }

    /// What is not begun is lost, as over any network.
    async fn drain_requests(&mut self) -> bool {
        false
    }
}

struct Answering {
    connection: EdgeConnection,
    participants: Participants,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Responder for Answering {
    type Request = (Role, Message);

    /// Waits until there is room: whatever comes meanwhile waits in the subscription.
    async fn on_request(&self, (role, message): Self::Request, begun: &mut JoinSet<()>) {
        let permit = tokio::select! {
            () = self.stop.cancelled() => return,
            permit = self.permits.clone().acquire_owned() => permit,
        };
        let (connection, participant) = (self.connection.clone(), self.participants.of(role).clone());
        begun.spawn(async move {
            answer(&connection, &*participant, message).await;
            drop(permit);
        });
    }
}

async fn serve<F: FnMut(Message) -> (Role, Message) + Send + 'static>(calls: Calls<F>, answering: Answering) {
    let stop = answering.stop.clone();
    if !service::serve(calls, &answering, &stop, END).await {
        tracing::warn!("calls to participants were left unanswered");
    }
}

async fn answer(connection: &EdgeConnection, participant: &dyn Participant, message: Message) {
    let Some(reply) = message.reply.clone().filter(|reply| subjects::may_answer(reply, None)) else { return };
    let asked: Call = match serde_json::from_slice(&message.payload) {
        Ok(asked) => asked,
        Err(error) => return tracing::warn!(%error, "a call to a participant cannot be understood"),
    };
    let request = asked.request.into_request();
    let answer = match asked.verb {
        Verb::Perform => Answer::Answered((&participant.perform(&request).await).into()),
        Verb::Query => Answer::Standing((&participant.query(&request).await).into()),
        Verb::Settle => Answer::Settlement((&participant.settle(&request).await).into()),
    };
    let body = serde_json::to_vec(&answer).unwrap_or_default();
    if let Err(error) = connection.client.publish(reply, body.into()).await {
        tracing::warn!(%error, "a participant's answer could not be sent");
    }
}
