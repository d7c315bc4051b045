//! What operators see of a cluster, and what they may change: drains and pins.

use std::collections::BTreeMap;

use retailflow_engine::ids::{NodeId, PartitionId, TimestampMs};
use retailflow_placement::Policy;

use super::answers::{EtcdError, Meaning};
use super::coordinator::Coordinator;
use super::keys::{Key, Keys};
use super::store::Store;
use super::values::{DrainV1, PinV1, write};

/// A node as etcd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub node: NodeId,
    /// Which process of this name it is.
    pub incarnation: String,
    /// Its share against the others'.
    pub weight: u32,
    /// What operators say of it.
    pub labels: BTreeMap<String, String>,
    /// The program's version.
    pub build: String,
    /// Where operators reach it.
    pub admin: Option<String>,
    /// It is being emptied.
    pub draining: bool,
    /// It makes the plans.
    pub leads: bool,
}

/// A partition as etcd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Which one.
    pub partition: PartitionId,
    /// Who is to own it.
    pub placed: Option<String>,
    /// Who has claimed it.
    pub claimed: Option<String>,
    /// Which process of that name.
    pub claimed_by: Option<String>,
    /// Where an operator has put it.
    pub pinned: Option<NodeId>,
}

/// A node that is to be emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainStatus {
    /// Its name; it need not be there.
    pub node: NodeId,
    /// Who wants it.
    pub by: String,
    /// Since when.
    pub at: TimestampMs,
}

/// A cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The nodes that are there, by name.
    pub nodes: Vec<NodeStatus>,
    /// All partitions.
    pub partitions: Vec<PartitionStatus>,
    /// The nodes that are to be emptied, also those that are not there.
    pub drains: Vec<DrainStatus>,
    /// The nodes that were there and have not left in good order, with when they came.
    pub lost: Vec<(NodeId, TimestampMs)>,
    /// What in etcd cannot be read, and why.
    pub unreadable: Vec<(String, String)>,
}

/// The operators' way to a cluster's etcd.
pub struct ClusterAdmin {
    store: Store,
    keys: Keys,
    partitions: u16,
}

impl ClusterAdmin {
    /// Connects to the etcd of the cluster of this name. `partitions` counts only until there is a plan, which says how many there are.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn connect(endpoints: &[String], cluster: &str, partitions: u16) -> Result<Self, EtcdError> {
        Ok(Self { store: Store::connect(endpoints).await?, keys: Keys::new(cluster), partitions })
    }

    /// Who is there, and who owns what.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn status(&self) -> Result<ClusterStatus, EtcdError> {
        let (entries, _) = self.store.list(self.keys.prefix()).await?;
        // Nobody joins under this name: it only reads.
        let nobody = NodeId::parse("0").map_err(|error| EtcdError::new(Meaning::Fault, error.to_string()))?;
        let policy = Policy { partitions: self.partitions, ..Policy::default() };
        let mut seen = Coordinator::new(self.keys.clone(), nobody, "", &policy);
        for entry in entries {
            seen.put(&entry.key, &entry.value, entry.created, entry.modified);
        }
        let nodes = seen.nodes().map(|(node, entry, draining)| NodeStatus {
            node: node.clone(),
            incarnation: entry.holder.incarnation.clone(),
            weight: entry.weight,
            labels: entry.labels.clone(),
            build: entry.build.clone(),
            admin: entry.admin.clone(),
            draining,
            leads: seen.leader() == Some(&entry.holder),
        });
        let count = seen.planned_partitions().unwrap_or(self.partitions);
        let partitions = (0..count).map(PartitionId).map(|partition| PartitionStatus {
            partition,
            placed: seen.placed(partition).map(str::to_owned),
            claimed: seen.claimed(partition).map(|holder| holder.node.clone()),
            claimed_by: seen.claimed(partition).map(|holder| holder.incarnation.clone()),
            pinned: seen.pinned(partition).cloned(),
        });
        let drains = seen.drains().map(|(node, drain)| DrainStatus {
            node: node.clone(),
            by: drain.by.clone(),
            at: TimestampMs(drain.at_ms),
        });
        let lost = seen.lost().map(|(node, at)| (node.clone(), at));
        let unreadable = seen.unreadable().map(|(key, error)| (key.to_owned(), error.to_string()));
        Ok(ClusterStatus {
            nodes: nodes.collect(),
            partitions: partitions.collect(),
            drains: drains.collect(),
            lost: lost.collect(),
            unreadable: unreadable.collect(),
        })
    }

    /// Has a node emptied. It stays so, also through restarts, until [`Self::undrain`].
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn drain(&self, node: &NodeId, by: &str, at: TimestampMs) -> Result<(), EtcdError> {
        let drain = DrainV1 { by: by.to_owned(), at_ms: at.0 };
        self.store.put(&self.keys.of(&Key::Drain(node.clone())), write(&drain)).await
    }

    /// Lets a node have partitions again. Whether it was draining.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn undrain(&self, node: &NodeId) -> Result<bool, EtcdError> {
        self.store.delete(&self.keys.of(&Key::Drain(node.clone()))).await
    }

    /// Misses a node no more that is not coming back. Whether it was missed.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn forget(&self, node: &NodeId) -> Result<bool, EtcdError> {
        self.store.delete(&self.keys.of(&Key::Seen(node.clone()))).await
    }

    /// Puts a partition with a node, as long as that one may have any.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn pin(
        &self,
        partition: PartitionId,
        node: &NodeId,
        by: &str,
        at: TimestampMs,
    ) -> Result<(), EtcdError> {
        let pin = PinV1 { node: node.to_string(), by: by.to_owned(), at_ms: at.0 };
        self.store.put(&self.keys.of(&Key::Pin(partition)), write(&pin)).await
    }

    /// Lets plans decide about a partition again. Whether it was pinned.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn unpin(&self, partition: PartitionId) -> Result<bool, EtcdError> {
        self.store.delete(&self.keys.of(&Key::Pin(partition))).await
    }
}
