//! What the actors of a node share: the node's own, that of all orders, and that of one partition.

use std::sync::Arc;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::order::{Aggregate, Context};

use crate::admission::AdmissionControl;
use crate::committers::Committers;
use crate::effects::Effects;
use crate::floor::Floors;
use crate::last_committed::LastCommitted;
use crate::newcomers::Newcomers;
use crate::node_metrics::NodeMetrics;
use crate::partition_table::PartitionTable;
use crate::passivation::Residents;
use crate::reads::Reads;
use crate::routes::TenantRoutes;
use crate::world::{Ports, Settings};

/// What a node's handles and its root share.
pub(crate) struct NodeContext {
    pub(crate) orders: Arc<OrderContext>,
    pub(crate) routes: Arc<TenantRoutes>,
    pub(crate) floors: Arc<Floors>,
    pub(crate) newcomers: Arc<Newcomers>,
}

/// What all orders of a node share.
pub(crate) struct OrderContext {
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<Settings>,
    pub(crate) committers: Arc<Committers>,
    pub(crate) table: Arc<PartitionTable>,
    pub(crate) admission: Arc<AdmissionControl>,
    pub(crate) reads: Reads,
    /// The permits of dry runs.
    pub(crate) dry_reads: Reads,
    pub(crate) residents: Arc<Residents>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) metrics: Arc<NodeMetrics>,
}

impl OrderContext {
    /// What decisions on an order are made with: the rules in force, and those that it gets with its placement.
    pub(crate) fn decision_context(&self, aggregate: &Aggregate) -> Context {
        let mut policy = self.settings.policy;
        if aggregate.order.placed.is_none()
            && let Some(setting) = self.ports.tenants.get(&aggregate.reference.tenant)
        {
            policy.returns = setting.returns;
            policy.payments = setting.payments;
            policy.flow = setting.flow;
        }
        Context { now: self.ports.clock.now(), policy }
    }
}

/// What the supervisor of a partition and its committer share.
pub(crate) struct PartitionContext {
    pub(crate) partition: PartitionId,
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<Settings>,
    pub(crate) floors: Arc<Floors>,
    /// Marked when the log is late.
    pub(crate) table: Arc<PartitionTable>,
    pub(crate) metrics: Arc<NodeMetrics>,
    /// The last group that this node saw acknowledged: a log that lacks it lost data. It outlives the partition's actors.
    pub(crate) last_committed: Arc<LastCommitted>,
}
