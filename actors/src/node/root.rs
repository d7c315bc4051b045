//! The actor at the root of a node: starts what stands below it, and starts it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use retailflow_engine::ids::PartitionId;
use tokio::sync::watch;

use super::life::RootGuard;
use crate::context::{NodeContext, PartitionContext};
use crate::last_committed::LastCommitted;
use crate::messages::{NodeMsg, PartitionMsg};
use crate::mutant::Mutant;
use crate::partition::{Partition, PartitionArgs};
use crate::supervise::ended;
use crate::sweeper::{Sweeper, SweeperArgs};
use crate::tenants::{Tenants, TenantsArgs};

pub(super) struct NodeState {
    shared: Arc<NodeContext>,
    ready: watch::Sender<usize>,
    partitions: BTreeMap<PartitionId, ActorRef<PartitionMsg>>,
    /// What is known of partitions' logs beyond the life of their actors.
    last_committed: BTreeMap<PartitionId, Arc<LastCommitted>>,
    tenants: Option<ractor::ActorId>,
    sweeper: Option<ractor::ActorId>,
    _guard: RootGuard,
}

/// The root actor.
pub(super) struct Root;

impl Actor for Root {
    type Msg = NodeMsg;
    type State = NodeState;
    type Arguments = (Arc<NodeContext>, watch::Sender<usize>, RootGuard);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (shared, ready, guard): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        for partition in (0..shared.orders.committers.partitions()).map(PartitionId) {
            if shared.orders.table.owns(partition) {
                myself.cast(NodeMsg::StartPartition(partition))?;
            }
        }
        myself.cast(NodeMsg::StartTenants)?;
        myself.cast(NodeMsg::StartSweeper)?;
        Ok(NodeState {
            shared,
            ready,
            partitions: BTreeMap::new(),
            last_committed: BTreeMap::new(),
            tenants: None,
            sweeper: None,
            _guard: guard,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let shared = &state.shared;
        match message {
            NodeMsg::StartTenants => {
                let args = TenantsArgs { shared: shared.orders.clone(), routes: shared.routes.clone() };
                let (tenants, _) = Actor::spawn_linked(None, Tenants, args, myself.get_cell()).await?;
                state.tenants = Some(tenants.get_id());
                shared.routes.set_supervisor(Some(tenants));
                shared.orders.effects.running.request_rescan();
            }
            NodeMsg::StartSweeper => {
                let args = SweeperArgs {
                    effects: shared.orders.effects.clone(),
                    routes: shared.routes.clone(),
                    table: shared.orders.table.clone(),
                    partitions: shared.orders.committers.partitions(),
                };
                let (sweeper, _) = Actor::spawn_linked(None, Sweeper, args, myself.get_cell()).await?;
                state.sweeper = Some(sweeper.get_id());
            }
            NodeMsg::StartPartition(partition) => {
                // It may have been released since, or run already.
                if !shared.orders.table.owns(partition) || state.partitions.contains_key(&partition) {
                    return Ok(());
                }
                let last_committed = match shared.orders.settings.is(Mutant::ForgetsEpochWithItsActor) {
                    true => Arc::default(),
                    false => state.last_committed.entry(partition).or_default().clone(),
                };
                let context = PartitionContext {
                    partition,
                    ports: shared.orders.ports.clone(),
                    settings: shared.orders.settings.clone(),
                    floors: shared.floors.clone(),
                    table: shared.orders.table.clone(),
                    metrics: shared.orders.metrics.clone(),
                    last_committed,
                };
                let args = PartitionArgs {
                    context: Arc::new(context),
                    committers: shared.orders.committers.clone(),
                    admission: shared.orders.admission.clone(),
                    effects: shared.orders.effects.clone(),
                    ready: state.ready.clone(),
                };
                let (actor, _) = Actor::spawn_linked(None, Partition, args, myself.get_cell()).await?;
                state.partitions.insert(partition, actor);
            }
            NodeMsg::ReleasePartition(partition, reply) => {
                // A later take-over fences any owner in between. The last acknowledged group stays known.
                if let Some(last_committed) = state.last_committed.get(&partition) {
                    last_committed.set_epoch(None);
                }
                if let Err(Some(actor)) = reply.send(state.partitions.remove(&partition)) {
                    // The caller does not wait any more.
                    actor.stop_children(None);
                    actor.stop(None);
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some((ended, why)) = ended(event) else { return Ok(()) };
        if state.shared.orders.admission.is_closed() {
            return Ok(());
        }
        // The root never gives a child up: a quarantined one restarts after the longest delay.
        let delay = Duration::from_millis(state.shared.orders.settings.config.supervision.delay_max_ms);
        let partition = state.partitions.iter().find(|(_, actor)| actor.get_id() == ended);
        if let Some(partition) = partition.map(|(partition, _)| *partition) {
            state.partitions.remove(&partition);
            tracing::error!(event = "partition_restarted", %partition, %why, ?delay, "a partition ended and starts again");
            myself.send_after(delay, move || NodeMsg::StartPartition(partition));
        } else if state.tenants == Some(ended) {
            tracing::error!(event = "tenants_restarted", %why, ?delay, "the supervisor of the tenants ended and starts again");
            state.shared.routes.set_supervisor(None);
            myself.send_after(delay, || NodeMsg::StartTenants);
        } else if state.sweeper == Some(ended) {
            tracing::error!(event = "sweeper_restarted", %why, ?delay, "the sweeper ended and starts again");
            state.shared.orders.effects.running.request_rescan();
            myself.send_after(delay, || NodeMsg::StartSweeper);
        }
        Ok(())
    }
}
