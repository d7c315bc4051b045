//! One order: hydrate → decide → commit → evolve → reply.
//!
//! Invariant: every answer comes from committed state. Tentative state lives in a draft; what a draft led to is told
//! when its record is durable, its refusals too. One record is in flight; commands that come meanwhile wait
//! and are decided together (combining), so that a hot order runs at memory speed.

mod actor;
mod ask_log;
mod decide;
mod end;
mod in_flight;
mod record;
mod state;

pub(crate) use self::actor::OrderActor;
pub(crate) use self::end::is_transient;
pub(crate) use self::state::OrderArgs;

#[cfg(test)]
mod tests;
