//! The door of a cluster: here, if the partition is run here; else at the node that runs it.

use std::time::Duration;

use metrics::counter;
use retailflow_actors::NodeHandle;
use retailflow_cluster::nats::{CallError, Caller};
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::metric;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EndParkingError, PortFuture};
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use tokio::time::Instant;

/// A partition that goes from one node to another is nowhere for a moment: a caller that has time waits for it so long.
const MOVING_MAX: Duration = Duration::from_secs(3);
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
pub(super) struct Doorway {
    node: NodeHandle,
    caller: Caller,
    partitions: u16,
}

impl Doorway {
    pub(super) fn new(node: NodeHandle, partitions: u16, caller: Caller) -> Self {
        Self { node, caller, partitions }
    }

    fn partition(&self, order: &OrderRef) -> PartitionId {
        partition_of(order, self.partitions)
    }

    async fn decide(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> Outcome {
        let begun = Instant::now();
        let partition = self.partition(&command.order);
        let (order, key) = (command.order.clone(), command.key.clone());
        let unknown = || Outcome::refused(&order, &key, Code::OutcomeUnknown, Code::OutcomeUnknown.meaning());
        // An earlier call had no answer: it may be recorded, so nobody may say that it is not.
        let mut in_doubt = false;
        loop {
            let left = deadline.saturating_sub(begun.elapsed());
            let outcome = if self.node.holds(&order) {
                CommandDoor::ask(&self.node, command.clone(), actor.clone(), left).await
            } else {
                let called = self.caller.ask(partition, &command, &actor, left, left.min(CALL_MAX)).await;
                counter!(metric::FORWARDED.name, "result" => result(&called)).increment(1);
                match called {
                    Ok(outcome) => outcome,
                    Err(CallError::Silent(_)) => {
                        in_doubt = true;
                        unknown()
                    }
                    Err(error) => Outcome::refused(&order, &key, Code::Unavailable, error.to_string())
                        .with_retry_after_ms(RETRY_AFTER_MS),
                }
            };
            let passing = outcome.code.retry_helps();
            let moving = matches!(outcome.code, Code::Unavailable | Code::Draining);
            // Who is in doubt waits as long as its caller does; else nobody waits longer than a partition moves.
            let at_most = if in_doubt { deadline } else { MOVING_MAX.min(deadline) };
            let again = passing && (moving || in_doubt);
            if !again || begun.elapsed() + Duration::from_millis(LOOK_MS.end) > at_most {
                return if passing && in_doubt { unknown() } else { outcome };
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(LOOK_MS))).await;
        }
    }
}

fn result<T>(called: &Result<T, CallError>) -> &'static str {
    match called {
        Ok(_) => "answered",
        Err(CallError::Nobody(_)) => "nobody",
        Err(CallError::Silent(_)) => "silent",
        Err(CallError::Strange { .. }) => "strange",
    }
}

impl CommandDoor for Doorway {
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome> {
        self.node.refuses(tenant)
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(self.decide(command, actor, deadline))
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        if self.node.holds(order) {
            return self.node.end_parking(order, operator, discard);
        }
        Box::pin(async move {
            let partition = self.partition(order);
            let called = self.caller.end_parking(partition, order, operator, discard, RELEASE_MAX).await;
            called.unwrap_or_else(|error| {
                let text = error.to_string();
                Err(match error {
                    CallError::Nobody(_) | CallError::Strange { .. } => EndParkingError::Unavailable(text),
                    CallError::Silent(_) => EndParkingError::Unknown(text),
                })
            })
        })
    }
}
