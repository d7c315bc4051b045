//! Who owns what, over etcd.
//!
//! Invariants:
//! - **Safety hangs on none of this.** Two nodes that both believe they own a partition are told apart by the fence in its log.
//! - What is wanted follows from what stands in etcd (`coordinator`, pure); what is done about it is idempotent.
//! - etcd that cannot be reached takes nothing away: owners go on while the fence holds.

#[allow(dead_code, reason = "the session, which comes next, is its user")]
mod coordinator;
#[allow(dead_code, reason = "the session, which comes next, is its user")]
mod keys;
#[allow(dead_code, reason = "the session, which comes next, is its user")]
mod values;

pub use values::ValueError;
