//! Who a node is among the others.

use std::collections::BTreeMap;

use retailflow_engine::ids::NodeId;

/// Who this node is among the others.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name; no other one has it.
    pub node: NodeId,
    /// Its share of the partitions against the others'.
    pub weight: u32,
    /// What is said of it, for `cluster.required_labels`.
    pub labels: BTreeMap<String, String>,
    /// Start also where the log gives less than is asked for.
    pub accept_weaker_durability: bool,
}
