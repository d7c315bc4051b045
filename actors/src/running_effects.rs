//! The effects that run, one an order, and what waits for its turn: what orders, tenants, the sweeper and the effects themselves ask
//! and say of them. Who calls participants is [`crate::effects`]'s matter.

mod backlog;
mod by_order;
mod guard;
mod list;
mod task;

pub(crate) use self::guard::EffectGuard;
pub(crate) use self::list::{DriveStatus, RunningEffects};
