//! Between the public contract's words, the domain's and the frozen stored ones.

mod amended;
mod events;
pub(super) mod placed;

pub(super) use amended::*;
pub(super) use events::*;
pub(super) use placed::*;

use crate::codec::v1::{ActorV1, CommandKindV1};
use crate::wire::CommandType;
use crate::wire::order::{Giver, GiverKind};

use super::command::Actor;

/// Who gave a command, as the public hears of it.
pub(super) fn giver_from_stored(actor: &ActorV1) -> Giver {
    let (kind, name) = match actor {
        ActorV1::Tenant => (GiverKind::Tenant, None),
        ActorV1::Operator(name) => (GiverKind::Operator, Some(name)),
        ActorV1::Participant(name) => (GiverKind::Participant, Some(name)),
        ActorV1::Engine => (GiverKind::Engine, None),
    };
    Giver { kind, name: name.cloned() }
}

pub(super) const fn command_kind(kind: CommandType) -> CommandKindV1 {
    match kind {
        CommandType::Place => CommandKindV1::Place,
        CommandType::Cancel => CommandKindV1::Cancel,
        CommandType::Return => CommandKindV1::Return,
        CommandType::Report => CommandKindV1::Report,
        CommandType::Resume => CommandKindV1::Resume,
        CommandType::ResolveStep => CommandKindV1::ResolveStep,
        CommandType::Compensate => CommandKindV1::Compensate,
        CommandType::Archive => CommandKindV1::Archive,
        CommandType::Restore => CommandKindV1::Restore,
        CommandType::Refund => CommandKindV1::Refund,
        CommandType::Hold => CommandKindV1::Hold,
        CommandType::ReleaseHold => CommandKindV1::ReleaseHold,
        CommandType::Pay => CommandKindV1::Pay,
        CommandType::Amend => CommandKindV1::Amend,
        CommandType::Exchange => CommandKindV1::Exchange,
        CommandType::Record => CommandKindV1::Record,
    }
}

/// The type of a stored command; `None` for the engine's own.
pub(super) const fn command_type(kind: CommandKindV1) -> Option<CommandType> {
    Some(match kind {
        CommandKindV1::Place => CommandType::Place,
        CommandKindV1::Cancel => CommandType::Cancel,
        CommandKindV1::Return => CommandType::Return,
        CommandKindV1::Report => CommandType::Report,
        CommandKindV1::Resume => CommandType::Resume,
        CommandKindV1::ResolveStep => CommandType::ResolveStep,
        CommandKindV1::Compensate => CommandType::Compensate,
        CommandKindV1::Archive => CommandType::Archive,
        CommandKindV1::Restore => CommandType::Restore,
        CommandKindV1::Refund => CommandType::Refund,
        CommandKindV1::Hold => CommandType::Hold,
        CommandKindV1::ReleaseHold => CommandType::ReleaseHold,
        CommandKindV1::Pay => CommandType::Pay,
        CommandKindV1::Amend => CommandType::Amend,
        CommandKindV1::Exchange => CommandType::Exchange,
        CommandKindV1::Record => CommandType::Record,
        CommandKindV1::StepOutcome | CommandKindV1::DeadlinePassed | CommandKindV1::Contradiction => {
            return None;
        }
    })
}

pub(super) fn actor_to_stored(actor: &Actor) -> ActorV1 {
    match actor {
        Actor::Tenant => ActorV1::Tenant,
        Actor::Operator(name) => ActorV1::Operator(name.to_string()),
    }
}
