//! A command's way into a node: its permits, its place in its partition.

use retailflow_engine::order::Command;
use retailflow_engine::wire::{Code, CommandType, Outcome};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::handle::{NOT_HERE, NodeHandle};
use crate::mutant::Mutant;
use crate::partition_table::EntryRefusal;
use crate::work::{Answer, Work};

/// Whether a command waits for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is refused where there is none.
    FailFast,
    /// For as long as it takes: nobody else comes in.
    Block,
    /// The same, with a part of the room only.
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
        match self.reserved(&command) {
            Some(outcome) => *outcome,
            None => self.ask_any(command).await,
        }
    }

    pub(crate) async fn ask_any(&self, command: Command) -> Outcome {
        let (begun, kind) = (Instant::now(), command.data.kind());
        let outcome = self.answered(command).await;
        self.shared.orders.metrics.answered(kind, &outcome, begun.elapsed());
        outcome
    }

    pub(crate) async fn answered(&self, command: Command) -> Outcome {
        let (order, key) = (command.order.clone(), command.key.clone());
        match self.let_in(command, Admission::FailFast).await {
            Err(outcome) => *outcome,
            Ok(answer) => match answer.outcome().await {
                Some(outcome) => outcome,
                None => self.refuse_named(&order, &key, Code::OutcomeUnknown),
            },
        }
    }

    /// Sends a command in. It waits for room, or is refused for want of it.
    pub(crate) async fn send(&self, command: Command, wait: Admission) -> Result<Answer, Box<Outcome>> {
        match self.reserved(&command) {
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
        // The engine's own order is driven by nobody.
        let is_place = command.data.kind() == CommandType::Place && !tenant.is_reserved();
        if is_place && !effects.running.try_enter(tenant) {
            if wait == Admission::FailFast {
                return Err(Box::new(self.refuse(&command, Code::Overloaded)));
            }
            // More new orders than can be brought on their way help nobody.
            effects.running.backlog.enter().await;
        }
        let (within, claim) = loop {
            if wait != Admission::FailFast {
                table.room(partition).await;
            }
            let permit = match wait {
                _ if table.is_late(partition) && admission.is_closed() => Err(Code::Draining),
                // Its partition bounds what waits for a log that is late.
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
        self.shared.routes.submit(Work::new(command, within, reply).by(newcomer));
        if shared.settings.is(Mutant::PermitsUntilAnswered) {
            claim.over();
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
