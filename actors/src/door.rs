//! The ask door of a node, as an edge sees it.

use std::time::Duration;

use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{CommandDoor, EndParkingError, PortFuture};
use retailflow_engine::wire::admin::{ReleaseReport, ReleaseSchema};
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use tokio::time::Instant;

use crate::messages::{ReleaseCounts, ReleaseError};
use crate::node::NodeHandle;

/// Nothing was begun by a dry run, so nothing is left open.
const TIME_IS_UP: &str =
    "the time was up before it was known what would be decided; nothing was recorded, ask again";

impl CommandDoor for NodeHandle {
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome> {
        let code = self.admission().refusal(tenant)?;
        self.metrics().count_refused(code);
        let outcome = Outcome::unaddressed(code, code.meaning());
        Some(outcome.with_retry_after_ms(self.admission().retry_after_ms()))
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        let command = Command::from_event(command, actor);
        Box::pin(async move {
            // A caller that has gone, here or by dropping this future, is seen by the order before it decides.
            let (order, key) = (command.order.clone(), command.key.clone());
            let (begun, kind) = (Instant::now(), command.data.kind());
            // A timer is right to the millisecond only: what has no time at all is not begun within the first one either.
            let decided = match deadline.is_zero() {
                true => None,
                false => tokio::time::timeout(deadline, self.ask(command)).await.ok(),
            };
            match decided {
                Some(outcome) => outcome,
                None => {
                    let outcome = self.refuse_named(&order, &key, Code::OutcomeUnknown);
                    self.metrics().record_outcome(kind, &outcome, begun.elapsed());
                    outcome
                }
            }
        })
    }

    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        let command = Command::from_event(command, actor);
        Box::pin(async move {
            match tokio::time::timeout(deadline, self.decide_dry(&command)).await {
                Ok(outcome) => outcome,
                Err(_) => self.refuse_with(&command, Code::Unavailable, TIME_IS_UP).of_dry_run(),
            }
        })
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        Box::pin(async move {
            let ended = match discard {
                false => self.release_parked(order, operator).await,
                true => self.discard_parked(order, operator).await,
            };
            ended.map(report).map_err(failure)
        })
    }
}

fn report(released: ReleaseCounts) -> ReleaseReport {
    let ReleaseCounts { commands, applied, rejected, replayed, dead_lettered } = released;
    ReleaseReport { schema: ReleaseSchema, commands, applied, rejected, replayed, dead_lettered }
}

fn failure(error: ReleaseError) -> EndParkingError {
    let text = error.to_string();
    match error {
        ReleaseError::NotParked => EndParkingError::NotParked,
        ReleaseError::UnderWay => EndParkingError::UnderWay(text),
        ReleaseError::Crashed { .. } | ReleaseError::Unreadable { .. } | ReleaseError::Stuck { .. } => {
            EndParkingError::Stopped(text)
        }
        ReleaseError::Lost => EndParkingError::Unknown(text),
        ReleaseError::Unavailable(_) => EndParkingError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use retailflow_testkit::Subject;
    use retailflow_testkit::command_door::{DoorWithLog, suite};

    use super::*;
    use crate::batch_node::BatchNode;

    /// A node in memory, which does not outlive its process.
    struct Nodes;

    impl Subject for Nodes {
        type Port = DoorWithLog;

        fn fresh(&mut self) -> PortFuture<'_, DoorWithLog> {
            Box::pin(async {
                let BatchNode { node, log, .. } = BatchNode::start(None).await;
                DoorWithLog { door: Arc::new(node), log }
            })
        }

        fn reopen(&mut self, port: DoorWithLog) -> PortFuture<'_, DoorWithLog> {
            Box::pin(async { port })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_door_keeps_the_contract() {
        suite(&mut Nodes).await;
    }
}
