//! Parked orders of a tenant: a durable mark, a durable, bounded queue behind it, and the end of both.
//!
//! The mark is a control record of its own: setting and seeing it needs no history of the order, which may be what
//! makes it crash. Release and discard of parked orders is a task of the tenant's, which gives the order what waits behind its mark, one
//! command after another; the tenant takes the mark away at the end.
//!
//! Invariants:
//! - While a release goes on the order stays parked: what comes meanwhile is queued behind, and read in its turn.
//! - Nothing is queued from before the last look at the queue's end until the mark is gone: what comes meanwhile waits at the
//!   tenant, who alone queues. Nothing slips between, and the tenant waits for nothing.
//! - Broken off at any point nothing is lost: asked again, what was decided is replayed.

mod drainer;
mod end;
mod marks;
mod queue;
mod reading;
mod releases;
mod state;
mod unread;

pub(crate) use self::queue::ReleasedMark;
pub(crate) use self::releases::Releases;
pub(crate) use self::state::Parking;
