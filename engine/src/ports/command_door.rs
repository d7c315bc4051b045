//! The ask door: how an edge hands in a command and waits for its outcome, and what operators ask for beside commands.

use std::time::Duration;

use super::PortFuture;
use crate::ids::{OrderRef, TenantId};
use crate::order::Actor;
use crate::wire::admin::ReleaseReport;
use crate::wire::{CommandEvent, Outcome};

/// The commands' way into the engine.
///
/// - `ask` MUST give an outcome for every command, and an outcome that says "recorded" only when the record is durable.
/// - A command that has not begun to be decided when `deadline` has passed MUST NOT be begun.
/// - A command whose answer does not come in time is `outcome_unknown`: it may still be recorded, and the same id asked
///   again gives the first outcome.
/// - Dropping the future MUST NOT undo, lose or half-do anything.
/// - `dry_run` MUST say what `ask` would, to the same actor on the state that the log shows, and MUST record nothing: no decision, no
///   id, no tenant, no letter, and nothing that is counted as a command. What it says is marked (`Outcome::dry_run`).
/// - `dry_run` MUST answer also where `ask` is refused because the node stops, or does not run the order's partition.
pub trait CommandDoor: Send + Sync {
    /// Would any command of this tenant be refused now? Asked before a body is read and decoded, so that refusing stays
    /// cheap when there is most to refuse. `None` promises nothing.
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome>;

    /// Hands in a command, and waits for its outcome, `deadline` at most.
    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome>;

    /// What a command would come to, `deadline` at most. Nothing is recorded.
    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome>;

    /// Decides what waits behind a parked order, or has it all rejected as `discarded`, and takes the mark away.
    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>>;
}

/// Why an order was not released. It stays parked, with what waits behind it, unless it was not parked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndParkingError {
    /// There is nothing to do.
    #[error("the order is not parked")]
    NotParked,
    /// It goes on already: wait.
    #[error("{0}")]
    UnderWay(String),
    /// Something has to be mended first.
    #[error("{0}")]
    Stopped(String),
    /// Ask again.
    #[error("{0}")]
    Unavailable(String),
    /// The answer was lost: it may be done, or not. Look whether the order is still parked.
    #[error("{0}")]
    Unknown(String),
}
