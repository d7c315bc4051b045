//! Dry runs: a command is decided as the log stands, its caller is told what came of it, and nothing is kept (ADR 52).
//!
//! Invariants:
//! - No actor hears of a dry run, and nothing is written: no record, no tenant, no id, no number of a command.
//! - It passes the checks of a real command, and takes a real one's permits while it is read. What it reads has permits of its own, so
//!   that orders which come back to memory never wait for it.
//! - It is read as readers read: also on a node that stops, and on one that does not run the order's partition.

use retailflow_engine::order::{Command, DryRun, dry_run};
use retailflow_engine::ports::ReadError;
use retailflow_engine::wire::{Code, CommandType, Outcome};

use crate::node::NodeHandle;
use crate::outcome::recorded;
use crate::passivation::{HydrateError, LogLookup, find, hydrate, recall};

/// What is said where the plain outcome would say that a record is durable.
const WOULD_APPLY: &str = "The command would be applied; nothing was recorded.";
const CANNOT_READ: &str =
    "the order's log cannot be read now, so nobody knows what would be decided; ask again";
const DAMAGED: &str = "what is stored of the order cannot be read; tell the operators";

impl NodeHandle {
    /// What the command would come to.
    pub(crate) async fn decide_dry(&self, command: &Command) -> Outcome {
        let told = match self.let_in_dry(command).await {
            Ok(outcome) => outcome,
            Err(refused) => *refused,
        };
        told.of_dry_run()
    }

    /// The way of `NodeHandle::ask`, for what only looks.
    async fn let_in_dry(&self, command: &Command) -> Result<Outcome, Box<Outcome>> {
        if let Some(outcome) = self.refuse_reserved(command) {
            return Err(outcome);
        }
        // Who would be a new tenant is none by this.
        let (setting, _) = self.tenant(command)?;
        let shared = &self.shared.orders;
        let (tenant, partition) = (&command.order.tenant, self.partition(command));
        let refused = |code| Box::new(self.refuse(command, code));
        if command.data.kind() == CommandType::Place && !shared.effects.running.lets_in(tenant) {
            return Err(refused(Code::Overloaded));
        }
        let _permit = match shared.admission.try_enter(tenant, setting.in_flight_max, partition) {
            // A node that stops takes no commands, and answers readers.
            Err(Code::Draining) => None,
            entered => Some(entered.map_err(refused)?),
        };
        let _turn = shared.dry_reads.permit(partition).await;
        self.decide_copy(command).await.map_err(|error| Box::new(self.unreadable(command, &error)))
    }

    async fn decide_copy(&self, command: &Command) -> Result<Outcome, HydrateError> {
        let shared = &self.shared.orders;
        let (ports, order) = (&shared.ports, &command.order);
        let marks = ports.log.parked(self.partition(command)).await?;
        if let Some(mark) = marks.iter().find(|mark| mark.order == *order) {
            return Ok(self.behind(command, mark.queued, &mark.reason));
        }
        let (aggregate, _) = hydrate(ports, order, shared.settings.config.orders.recent_ids_max).await?;
        let context = shared.decision_context(&aggregate);
        let told = match dry_run(aggregate, command, &context, false)? {
            DryRun::AskLog => self.after_asking_the_log(command).await?,
            told => told,
        };
        Ok(self.told(command, told))
    }

    /// The id may have left the order's memory.
    async fn after_asking_the_log(&self, command: &Command) -> Result<DryRun, HydrateError> {
        let shared = &self.shared.orders;
        let (ports, order) = (&shared.ports, &command.order);
        let found = match find(ports, order, &command.key).await? {
            LogLookup::Known(found) => found,
            LogLookup::NotIndexed => recall(ports, order).await?.remove(&command.key),
        };
        if let Some(outcome) = found {
            return Ok(match outcome.content_hash == command.content_hash {
                true => DryRun::Replayed(outcome.verdict),
                false => DryRun::Refused(Code::IdReused, Code::IdReused.meaning().to_owned()),
            });
        }
        let (aggregate, _) = hydrate(ports, order, shared.settings.config.orders.recent_ids_max).await?;
        let context = shared.decision_context(&aggregate);
        Ok(dry_run(aggregate, command, &context, true)?)
    }

    /// The order is parked: nobody decides the command before an operator has looked.
    fn behind(&self, command: &Command, queued: u64, reason: &str) -> Outcome {
        if queued >= self.settings().config.supervision.parked_queue_max as u64 {
            return self.refuse(command, Code::ParkedQueueFull);
        }
        let text = format!(
            "The order is parked ({reason}): the command would wait behind {queued} others, and be decided when an \
             operator releases the order; nothing was recorded."
        );
        Outcome::refused(&command.order, &command.key, Code::Parked, text)
    }

    fn told(&self, command: &Command, told: DryRun) -> Outcome {
        let (order, key) = (&command.order, &command.key);
        match told {
            DryRun::Decided(verdict, preview) => {
                let message = match &verdict.remark {
                    Some(remark) => remark.message.to_string(),
                    None => WOULD_APPLY.to_owned(),
                };
                Outcome {
                    version: Some(verdict.version),
                    path: verdict.path().map(str::to_owned),
                    preview: Some(preview),
                    ..Outcome::refused(order, key, verdict.code(), message)
                }
            }
            DryRun::Replayed(verdict) => recorded(order, key, &verdict, self.ports().durability.get(), true),
            DryRun::Refused(code, message) => self.refuse_with(command, code, message),
            // It was asked.
            DryRun::AskLog => self.refuse_with(command, Code::Unavailable, CANNOT_READ),
        }
    }

    fn unreadable(&self, command: &Command, error: &HydrateError) -> Outcome {
        match error {
            HydrateError::Read(ReadError::Unavailable(_)) => {
                self.refuse_with(command, Code::Unavailable, CANNOT_READ)
            }
            HydrateError::Read(ReadError::Damaged(_)) | HydrateError::Fold(_) => {
                // Where the damage is, operators read in `verify`; which order it is stays out of the log lines.
                tracing::error!(
                    event = "order_unreadable",
                    "stored records of an order cannot be read; run `retailflow verify`"
                );
                self.refuse_with(command, Code::Internal, DAMAGED)
            }
        }
    }
}

#[cfg(test)]
mod tests;
