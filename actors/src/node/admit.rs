//! A command's way into a node: its permits, its place in its partition.

use retailflow_engine::order::Command;
use retailflow_engine::wire::{Code, CommandType, Outcome};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::handle::{NOT_HERE, NodeHandle};
use crate::mutant::Mutant;
use crate::partition_table::EntryRefusal;
use crate::work::{Answer, Work};

/// What happens to a command for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is refused at once.
    FailFast,
    /// It waits, and may take all of the room.
    Block,
    /// It waits, and takes half of the room at most: other commands get in beside it.
    BlockShared,
}

/// Why nothing more is let into a partition.
const PARTITION_FULL: &str =
    "as many commands are under way in the order's partition as may be; ask again later";
/// The same, while its log does not answer.
const LOG_SILENT: &str = "the log of the order's partition does not answer, and nothing was begun; ask again later with the same id";

impl NodeHandle {
    /// The ask door: lets the command in at once or refuses it, and waits for its outcome. `outcome_unknown` when the
    /// answer was lost on the way: the same id asked again gives the first outcome.
    pub async fn ask(&self, command: Command) -> Outcome {
        match self.refuse_reserved(&command) {
            Some(outcome) => *outcome,
            None => self.ask_unchecked(command).await,
        }
    }

    pub(crate) async fn ask_unchecked(&self, command: Command) -> Outcome {
        let (begun, kind) = (Instant::now(), command.data.kind());
        let outcome = self.submit_and_wait(command).await;
        self.shared.orders.metrics.record_outcome(kind, &outcome, begun.elapsed());
        outcome
    }

    pub(crate) async fn submit_and_wait(&self, command: Command) -> Outcome {
        let (order, key) = (command.order.clone(), command.key.clone());
        match self.let_in(command, Admission::FailFast).await {
            Err(outcome) => *outcome,
            Ok(answer) => match answer.outcome().await {
                Some(outcome) => outcome,
                None => self.refuse_named(&order, &key, Code::OutcomeUnknown),
            },
        }
    }

    /// Sends a command in.
    pub(crate) async fn send(&self, command: Command, wait: Admission) -> Result<Answer, Box<Outcome>> {
        match self.refuse_reserved(&command) {
            Some(outcome) => Err(outcome),
            None => self.let_in(command, wait).await,
        }
    }

    async fn let_in(&self, command: Command, wait: Admission) -> Result<Answer, Box<Outcome>> {
        let (setting, newcomer) = self.tenant(&command)?;
        let shared = &self.shared.orders;
        let (partition, table, admission) = (self.partition(&command), &shared.table, &shared.admission);
        let tenant = &command.order.tenant;
        let effects = &shared.effects;
        // The engine's own order has no effects.
        let is_place = command.data.kind() == CommandType::Place && !tenant.is_reserved();
        if is_place && !effects.running.try_enter(tenant) {
            if wait == Admission::FailFast {
                return Err(Box::new(self.refuse(&command, Code::Overloaded)));
            }
            // More new orders than the node can drive would only wait.
            effects.running.backlog.enter().await;
        }
        let (within, claim) = loop {
            if wait != Admission::FailFast {
                table.wait_for_room(partition).await;
            }
            let permit = match wait {
                _ if table.is_late(partition) && admission.is_closed() => Err(Code::Draining),
                // The partition itself bounds what waits for a late log.
                _ if table.is_late(partition) => Ok(None),
                Admission::FailFast => {
                    admission.try_enter(tenant, setting.in_flight_max, partition).map(Some)
                }
                wait => {
                    let shares = wait == Admission::BlockShared;
                    admission.enter(tenant, setting.in_flight_max, partition, shares).await.map(Some)
                }
            };
            let permit = permit.map_err(|code| Box::new(self.refuse(&command, code)))?;
            match table.enter(partition, permit) {
                Ok(entered) => break entered,
                Err(EntryRefusal::Full | EntryRefusal::InDoubt) if wait != Admission::FailFast => {}
                Err(why) => return Err(Box::new(self.no_entry(&command, why))),
            }
        };
        let (reply, outcome) = oneshot::channel();
        self.shared.routes.submit(Work::new(command, within, reply).with_newcomer(newcomer));
        if shared.settings.is(Mutant::PermitsUntilAnswered) {
            claim.forget();
            return Ok(Answer::new(outcome, None));
        }
        Ok(Answer::new(outcome, Some(claim)))
    }

    fn no_entry(&self, command: &Command, why: EntryRefusal) -> Outcome {
        match why {
            EntryRefusal::NotOwned => self.refuse_with(command, Code::Unavailable, NOT_HERE),
            EntryRefusal::Full => self.refuse_with(command, Code::Overloaded, PARTITION_FULL),
            EntryRefusal::InDoubt => self.refuse_with(command, Code::Unavailable, LOG_SILENT),
        }
    }
}
