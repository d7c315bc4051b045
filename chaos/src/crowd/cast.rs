//! The nodes of a crowd: one, or two of which one takes over what the other cannot write.

use std::time::Duration;

use retailflow_actors::{Node, NodeHandle, OwnershipMode, Ports, Settings};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::order::Command;
use retailflow_engine::wire::Outcome;
use tokio::task::JoinSet;

use super::plan::{CrowdPlan, Sickness};
use crate::time::WorldClock;

/// The node that is there from the beginning.
pub(super) const FIRST: &str = "crowd";
/// The one that comes after it.
pub(super) const HEIR: &str = "heir";
/// For a take-over or a stop.
const MOVE_MAX: Duration = Duration::from_secs(10);

/// All nodes, the last one first asked.
pub(super) struct Cast {
    pub(super) nodes: Vec<NodeHandle>,
}

impl Cast {
    /// Starts whoever the plan asks for; they hold all partitions together.
    pub(super) async fn start(plan: &CrowdPlan, settings: Settings, ports: &Ports) -> Result<Self, String> {
        let of =
            async |settings| Node::start(settings, ports.clone()).await.map_err(|error| error.to_string());
        if !matches!(plan.sickness, Sickness::Replaced(_)) {
            return Ok(Self { nodes: vec![of(settings).await?] });
        }
        let told = |name: &str| Settings {
            node: name.into(),
            ownership: OwnershipMode::Assigned,
            ..settings.clone()
        };
        let (first, heir) = (of(told(FIRST)).await?, of(told(HEIR)).await?);
        for partition in (0..plan.config.log.partitions).map(PartitionId) {
            if !first.take_over(partition, MOVE_MAX).await {
                return Err(format!("partition {partition} is not taken over"));
            }
        }
        Ok(Self { nodes: vec![first, heir] })
    }

    /// The node that has been there from the beginning.
    pub(super) fn first(&self) -> &NodeHandle {
        &self.nodes[0]
    }

    /// Asks whoever holds the order: who came last, if two do.
    pub(super) async fn ask(&self, command: Command) -> Outcome {
        let held = self.nodes.iter().rev().find(|node| node.accepts(&command.order));
        held.unwrap_or(self.first()).ask(command).await
    }

    /// What a coordinator would do: one that was seen to write no more stops, and the heir takes over in time.
    pub(super) fn attend(&self, plan: &CrowdPlan, clock: WorldClock) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let (Sickness::Replaced(partition), [_, heir]) = (plan.sickness, &self.nodes[..]) else {
            return tasks;
        };
        for node in self.nodes.clone() {
            tasks.spawn(async move {
                loop {
                    let partition = node.next_fenced().await;
                    node.stop_partition(partition).await;
                }
            });
        }
        let (heir, at_ms) = (heir.clone(), plan.replaced_at_ms());
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(clock.elapsed_ms()))).await;
            heir.take_over(partition, MOVE_MAX).await;
        });
        tasks
    }

    /// Orders in memory.
    pub(super) fn live_orders(&self) -> usize {
        self.nodes.iter().map(NodeHandle::live_orders).sum()
    }

    /// Effects that run.
    pub(super) fn effects_running(&self) -> usize {
        self.nodes.iter().map(NodeHandle::effects_running).sum()
    }

    /// Commands in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.nodes.iter().map(NodeHandle::in_flight).sum()
    }
}
