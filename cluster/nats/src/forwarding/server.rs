//! Where a node answers for the partitions that it runs.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, SubscribeError};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::CommandDoor;
use retailflow_engine::wire::{Code, Outcome};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::values::{Answer, Call, ForwardRequest, NotReleased};
use crate::connect::EdgeConnection;
use crate::service::{self, Responder};
use crate::subjects;

/// What a caller is told to wait for whom there was no room.
const RETRY_AFTER_MS: u64 = 500;

/// Limits of a server of forwarded requests.
#[derive(Debug, Clone)]
pub struct ForwardOptions {
    /// Calls that are worked on at once, all partitions together.
    pub in_flight_max: usize,
    /// How long a call may take that another node makes, in milliseconds.
    pub deadline_max_ms: u64,
    /// How long what was begun may take when a partition is given up, in milliseconds.
    pub end_ms: u64,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self { in_flight_max: 4_096, deadline_max_ms: 120_000, end_ms: 10_000 }
    }
}

/// Answers what other nodes forward to this one.
#[derive(Clone)]
pub struct ForwardServer {
    connection: EdgeConnection,
    /// The node itself: what comes here goes no further.
    door: Arc<dyn CommandDoor>,
    options: ForwardOptions,
    permits: Arc<Semaphore>,
}

impl ForwardServer {
    /// One that answers over `connection`, which only nodes use, with what `door` says.
    #[must_use]
    pub fn new(connection: EdgeConnection, door: Arc<dyn CommandDoor>, options: ForwardOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.in_flight_max.max(1)));
        Self { connection, door, options, permits }
    }

    /// Answers for a partition until `end`; then takes nothing more, and answers what was begun.
    ///
    /// # Errors
    /// When the client takes no subscription.
    pub async fn answer_for(
        &self,
        partition: PartitionId,
        end: CancellationToken,
    ) -> Result<(), SubscribeError> {
        let client = &self.connection.client;
        // One group: where two nodes believe that they run it, one of them is asked.
        let group = subjects::NODE_GROUP.to_owned();
        let subscribing = client.queue_subscribe(subjects::node(partition), group);
        let requests = tokio::select! {
            () = end.cancelled() => return Ok(()),
            subscribed = subscribing => subscribed?,
        };
        // Whoever calls after the end is told that nobody is here; what the server has sent already is answered.
        let at_most = Duration::from_millis(self.options.end_ms);
        if !service::serve(requests, self, &end, at_most).await {
            tracing::warn!(%partition, "calls of other nodes were left unanswered");
        }
        Ok(())
    }

    async fn decide(&self, message: &Message) -> Answer {
        let at_most = Duration::from_millis(self.options.deadline_max_ms);
        match Call::read(&message.payload) {
            Ok(ForwardRequest::Ask { command, actor, deadline }) => {
                let asked = self.door.ask(*command, actor, deadline.min(at_most));
                Answer::Outcome(Box::new(asked.await))
            }
            Ok(ForwardRequest::EndParking { order, operator, discard }) => {
                let ended = self.door.end_parking(&order, &operator, discard);
                match tokio::time::timeout(at_most, ended).await {
                    Ok(Ok(report)) => Answer::Released(report),
                    Ok(Err(error)) => {
                        Answer::NotReleased { kind: NotReleased::of(&error), message: error.to_string() }
                    }
                    Err(_) => Answer::NotReleased {
                        kind: NotReleased::Unknown,
                        message: format!("it is not done after {at_most:?}"),
                    },
                }
            }
            Err(why) => {
                tracing::warn!(%why, subject = %message.subject, "a call of another node cannot be understood");
                Answer::Refused(why)
            }
        }
    }

    async fn reply(&self, reply: async_nats::Subject, answer: &Answer) {
        let sent = self.connection.client.publish(reply, answer.write().into());
        self.connection.send("an answer to another node", sent).await;
    }
}

impl Responder for ForwardServer {
    type Request = Message;

    async fn on_request(&self, message: Message, begun: &mut JoinSet<()>) {
        // Only nodes may publish here; all the same, nothing is sent where a stream or a service could take it.
        let Some(reply) = message.reply.clone().filter(|reply| subjects::may_answer(reply, None)) else {
            return;
        };
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            return self.reply(reply, &overloaded(&message.payload)).await;
        };
        let server = self.clone();
        begun.spawn(async move {
            let answer = server.decide(&message).await;
            server.reply(reply, &answer).await;
            drop(permit);
        });
    }
}

/// Says that there is no room, of what was asked for: whoever asked passes it on to a caller who may have many under way.
fn overloaded(payload: &[u8]) -> Answer {
    let code = Code::Overloaded;
    match Call::read(payload) {
        Ok(ForwardRequest::Ask { command, .. }) => {
            let outcome = Outcome::refused(&command.order, &command.key, code, code.meaning());
            Answer::Outcome(Box::new(outcome.with_retry_after_ms(RETRY_AFTER_MS)))
        }
        Ok(ForwardRequest::EndParking { .. }) => {
            Answer::NotReleased { kind: NotReleased::Unavailable, message: code.meaning().to_owned() }
        }
        Err(why) => Answer::Refused(why),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use retailflow_engine::order::Actor;
    use retailflow_engine::wire::{CommandEvent, Status};
    use retailflow_testkit::author::{order, place};

    use super::*;

    #[test]
    fn whoever_finds_no_room_is_told_of_which_command() {
        let command = place(&order("shop", "o-1"), "c-1");
        let event = CommandEvent::new(command.order, command.key, (*command.data).clone());
        let call = Call::ask(&event, &Actor::Tenant, Duration::from_secs(1)).write();
        let Answer::Outcome(outcome) = overloaded(&call) else { panic!("an outcome is expected") };
        assert_eq!((outcome.status, outcome.code), (Status::Refused, Code::Overloaded));
        let named = (&outcome.tenant, &outcome.order, &outcome.source, &outcome.command_id);
        assert!(matches!(named, (Some(_), Some(_), Some(_), Some(_))), "{outcome:?}");
        assert!(outcome.retry_after_ms.is_some());
    }
}
