//! One tenant: routes to its orders, keeps them alive, passivates them, parks the ones that keep crashing.
//!
//! A poisoned order stops alone (promise 6): what it does to itself is its own slot's matter here.

mod actor;
mod ends;
mod release;
mod routing;
mod state;

pub(crate) use self::actor::TenantActor;
pub(crate) use self::state::TenantArgs;
