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

use super::values::{Answer, Asked, Verb};
use crate::connect::EdgeConnection;
use crate::subjects;

/// Calls that are worked on at once; further ones wait in the subscription, and are lost beyond it, as over any network.
const IN_FLIGHT_MAX: usize = 8_192;
/// For what was begun when it ends.
const END: Duration = Duration::from_secs(5);

/// Participants that answer nodes.
pub struct StandIns {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl StandIns {
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
            let calls = connection.client.subscribe(subjects::stand_in(role.as_str())).await?;
            asked.push(calls.map(move |message| (role, message)));
        }
        connection.settled().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(connection, participants, select_all(asked), stop.clone()));
        Ok(Self { stop, task: Some(task) })
    }

    /// Takes no more calls, and waits a moment for those that were begun.
    pub async fn close(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && task.await.is_err()
        {
            tracing::error!("the participants' task panicked");
        }
    }
}

async fn serve<F>(
    connection: EdgeConnection,
    participants: Participants,
    mut calls: SelectAll<Map<Subscriber, F>>,
    stop: CancellationToken,
) where
    F: FnMut(Message) -> (Role, Message) + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut begun = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = begun.join_next(), if !begun.is_empty() => {}
            permit = permits.clone().acquire_owned() => {
                let Ok(permit) = permit else { break };
                let next = tokio::select! {
                    () = stop.cancelled() => break,
                    next = calls.next() => next,
                };
                let Some((role, message)) = next else { break };
                let (connection, participant) = (connection.clone(), participants.of(role).clone());
                begun.spawn(async move {
                    answer(&connection, &*participant, message).await;
                    drop(permit);
                });
            }
        }
    }
    let rest = async { while begun.join_next().await.is_some() {} };
    if tokio::time::timeout(END, rest).await.is_err() {
        tracing::warn!("calls to participants were left unanswered");
    }
}

async fn answer(connection: &EdgeConnection, participant: &dyn Participant, message: Message) {
    let Some(reply) = message.reply.clone().filter(|reply| subjects::may_answer(reply, None)) else { return };
    let asked: Asked = match serde_json::from_slice(&message.payload) {
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
