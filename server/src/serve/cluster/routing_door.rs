//! The door of a cluster: here, if the partition is run here; else at the node that runs it.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::metric;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EndParkingError, PortFuture};
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use retailflow_nats::{ForwardClient, ForwardError};
use tokio::time::Instant;

use super::local_door::LocalDoor;

/// A partition that goes from one node to another is nowhere for a moment: a caller that has time waits for it so long.
const HANDOVER_RETRY_MAX: Duration = Duration::from_secs(3);
/// Between two looks who has it.
const LOOK_MS: std::ops::Range<u64> = 10..40;
/// So long one call to another node is waited for: that one may have died with it. Asked again, the same command joins the
/// first one, or is given its outcome.
const CALL_MAX: Duration = Duration::from_secs(2);
/// What a caller is told to wait that did not get through.
const RETRY_AFTER_MS: u64 = 500;
/// Releasing a parked order decides all that waits behind it.
const RELEASE_MAX: Duration = Duration::from_secs(60);

/// The way to whoever runs an order's partition.
pub(super) struct RoutingDoor {
    here: Arc<LocalDoor>,
    caller: ForwardClient,
    partitions: u16,
}

impl RoutingDoor {
    pub(super) fn new(here: Arc<LocalDoor>, partitions: u16, caller: ForwardClient) -> Self {
        Self { here, caller, partitions }
    }

    fn partition(&self, order: &OrderRef) -> PartitionId {
        partition_of(order, self.partitions)
    }

    async fn decide(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> Outcome {
        let begun = Instant::now();
        let partition = self.partition(&command.order);
        let (order, key) = (command.order.clone(), command.key.clone());
        let unknown = || Outcome::refused(&order, &key, Code::OutcomeUnknown, Code::OutcomeUnknown.meaning());
        // An earlier call had no answer, or none that can be understood: it may be recorded, so nobody may say that it is not.
        let mut in_doubt = false;
        loop {
            let left = deadline.saturating_sub(begun.elapsed());
            let outcome = if self.here.holds(&order) {
                self.here.ask(command.clone(), actor.clone(), left).await
            } else {
                let called = self.caller.ask(partition, &command, &actor, left, left.min(CALL_MAX)).await;
                counter!(metric::FORWARDED.name, "result" => result(&called)).increment(1);
                match called {
                    Ok(outcome) => outcome,
                    Err(error) if !error.nothing_begun() => {
                        if let ForwardError::Strange { .. } = error
                            && !in_doubt
                        {
                            tracing::warn!(event = "answer_not_understood", %partition, %error, "another node's answer cannot be understood");
                        }
                        in_doubt = true;
                        unknown()
                    }
                    Err(error) => Outcome::refused(&order, &key, Code::Unavailable, error.to_string())
                        .with_retry_after_ms(RETRY_AFTER_MS),
                }
            };
            match next(outcome.code, in_doubt, begun.elapsed(), deadline) {
                Next::Tell => return outcome,
                Next::TellUnknown => return unknown(),
                Next::Again => {}
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(LOOK_MS))).await;
        }
    }
}

/// What follows on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is the caller's.
    Tell,
    /// The caller is told that nobody knows.
    TellUnknown,
    /// The owner is asked again.
    Again,
}

/// `in_doubt`: an earlier call had no answer that says what became of it. Who is in doubt waits as long as its caller does; else nobody waits longer than a
/// partition moves.
fn next(code: Code, in_doubt: bool, elapsed: Duration, deadline: Duration) -> Next {
    // That an order is not known its owner says of the log: then nothing of it was recorded.
    let passing = code.retry_helps() && code != Code::OrderNotFound;
    let moving = matches!(code, Code::Unavailable | Code::Draining);
    let at_most = if in_doubt { deadline } else { HANDOVER_RETRY_MAX.min(deadline) };
    let in_time = elapsed + Duration::from_millis(LOOK_MS.end) <= at_most;
    match passing {
        true if (moving || in_doubt) && in_time => Next::Again,
        true if in_doubt => Next::TellUnknown,
        _ => Next::Tell,
    }
}

fn result<T>(called: &Result<T, ForwardError>) -> &'static str {
    match called {
        Ok(_) => "answered",
        Err(ForwardError::Nobody(_)) => "nobody",
        Err(ForwardError::Refused { .. }) => "refused",
        Err(ForwardError::Silent(_)) => "silent",
        Err(ForwardError::Strange { .. }) => "strange",
    }
}

impl CommandDoor for RoutingDoor {
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome> {
        self.here.refuses(tenant)
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(self.decide(command, actor, deadline))
    }

    /// Here, whoever runs the partition: it is read, as orders are.
    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        self.here.dry_run(command, actor, deadline)
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        if self.here.holds(order) {
            return self.here.end_parking(order, operator, discard);
        }
        Box::pin(async move {
            let partition = self.partition(order);
            let called = self.caller.end_parking(partition, order, operator, discard, RELEASE_MAX).await;
            called.unwrap_or_else(|error| {
                let text = error.to_string();
                Err(match error.nothing_begun() {
                    true => EndParkingError::Unavailable(text),
                    false => EndParkingError::Unknown(text),
                })
            })
        })
    }
}

#[cfg(test)]
mod tests;
