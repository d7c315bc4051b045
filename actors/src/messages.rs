//! What the actors say to each other: the message of each, and what travels in them.
//!
//! The ground floor of the tree: an actor knows the messages of others, and no other actor.

mod committer;
mod node;
mod order;
mod partition;
mod passivation;
mod release;
mod sweeper;
mod tenant;
mod tenants;

pub(crate) use self::committer::{CommitterMsg, ControlProposal, ControlTicket, Proposal, Ticket};
pub(crate) use self::node::NodeMsg;
pub(crate) use self::order::{EngineDelivery, OrderMsg, OrderNotice, ProposalResult, ScanHit};
pub(crate) use self::partition::PartitionMsg;
pub(crate) use self::passivation::{EvictionRequest, EvictionTicket};
pub(crate) use self::release::{Crash, DrainCommand, ReleaseRequest};
pub use self::release::{ReleaseCounts, ReleaseError};
pub(crate) use self::sweeper::SweeperMsg;
pub(crate) use self::tenant::{TenantMsg, WriteResult};
pub(crate) use self::tenants::TenantsMsg;
