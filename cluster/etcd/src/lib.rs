//! Who owns what, over etcd.
//!
//! Invariants:
//! - **Safety hangs on none of this.** Two nodes that both believe they own a partition are told apart by the fence in its log.
//! - What is wanted follows from what stands in etcd (`coordinator`, pure); what is done about it is idempotent.
//! - etcd that cannot be reached takes nothing away: owners go on while the fence holds. What each of its answers means stands in
//!   `answers`, and nowhere else.

mod admin;
mod answers;
mod coordinator;
mod keys;
mod locks;
mod membership;
mod ownership;
mod probe;
mod session;
mod store;
mod values;

pub use admin::{ClusterAdmin, ClusterStatus, DrainStatus, NodeStatus, PartitionStatus};
pub use answers::{EtcdError, Meaning};
pub use locks::{Lock, Locks};
pub use membership::Membership;
pub use ownership::{EtcdOptions, EtcdOwnership};
pub use probe::{EndpointProbe, probe_endpoint};
pub use values::ValueError;
