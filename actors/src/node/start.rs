//! How a node starts.

use std::sync::Arc;
use std::time::Duration;

use ractor::Actor;
use retailflow_engine::ids::PartitionId;
use tokio::sync::watch;

use super::handle::NodeHandle;
use super::life::RootLife;
use super::root::Root;
use crate::admission::{AdmissionControl, share};
use crate::committers::Committers;
use crate::context::{NodeContext, OrderContext};
use crate::effects::Effects;
use crate::newcomers::Newcomers;
use crate::node_metrics::NodeMetrics;
use crate::partition_table::{Bounds, PartitionTable};
use crate::passivation::Residents;
use crate::reads::Reads;
use crate::routes::TenantRoutes;
use crate::world::{OwnershipMode, Ports, Settings};

/// A node: start one with [`Node::start`].
pub struct Node;

/// A node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The root actor did not come up.
    #[error("the node cannot start: {0}")]
    Spawn(String),
    /// Some partitions could not be taken over in time.
    #[error(
        "{ready} of {wanted} partitions were taken over within {waited_ms} ms; the log says why in the warnings above"
    )]
    TakeOver {
        /// How many are ours.
        ready: usize,
        /// How many there are.
        wanted: usize,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
}

/// So much less may be read for dry runs than for orders that come back to memory: they look, and can ask again.
const DRY_RUNS_SHARE: usize = 4;

impl Node {
    /// Starts a node and waits until it holds all partitions of its log, if it is to hold them all.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, ports: Ports) -> Result<NodeHandle, StartError> {
        let partitions = ports.log.identity().partitions;
        let settings = Arc::new(settings);
        let waited_ms = settings.config.commit.timeout_ms.saturating_mul(3);
        let reads_max = settings.config.orders.hydrate_concurrency_max;
        let reads = Reads::new(ports.log.identity(), reads_max);
        let dry_reads = Reads::new(ports.log.identity(), (reads_max / DRY_RUNS_SHARE).max(1));
        let residents = Residents::new(settings.config.orders.live_max);
        let limits = &settings.config.admission;
        let admission = Arc::new(AdmissionControl::new(limits, partitions));
        let bounds = Bounds {
            under_way_max: limits.partition_in_flight_max,
            permitted_max: share(limits.in_flight_max, partitions.into()),
            doubt_after: Duration::from_millis(limits.doubt_ms),
        };
        let committers = Arc::new(Committers::new(partitions));
        let table = Arc::new(PartitionTable::new(partitions, bounds));
        let all = settings.ownership == OwnershipMode::All;
        // What is this node's alone is let in from the start, and waits for its committer.
        (0..partitions).map(PartitionId).filter(|_| all).for_each(|partition| {
            table.acquire(partition);
            table.open(partition);
        });
        let routes = Arc::<TenantRoutes>::default();
        let metrics = Arc::new(NodeMetrics::new());
        let effects =
            Arc::new(Effects::new(ports.clone(), settings.clone(), routes.clone(), metrics.clone()));
        let newcomers = Newcomers::new(
            ports.tenants.clone(),
            settings.config.tenants.created_max,
            admission.retry_after_ms(),
        );
        let shared = Arc::new(NodeContext {
            orders: Arc::new(OrderContext {
                ports,
                settings,
                committers,
                table,
                admission,
                reads,
                dry_reads,
                residents,
                effects,
                metrics,
            }),
            routes,
            floors: Arc::default(),
            newcomers,
        });
        let (ready, mut is_ready) = watch::channel(0);
        let (guard, life) = RootLife::new(shared.orders.admission.clone());
        let spawned = Actor::spawn(None, Root, (shared.clone(), ready, guard)).await;
        let (root, task) = spawned.map_err(|error| StartError::Spawn(error.to_string()))?;
        life.set_task(task);
        let node = NodeHandle { root, shared, life: Arc::new(life) };
        let wanted = if all { usize::from(partitions) } else { 0 };
        let all = is_ready.wait_for(|ready| *ready >= wanted);
        let waited =
            tokio::time::timeout(Duration::from_millis(waited_ms), all).await.is_ok_and(|all| all.is_ok());
        if waited {
            return Ok(node);
        }
        let ready = *is_ready.borrow();
        node.kill().await;
        Err(StartError::TakeOver { ready, wanted, waited_ms })
    }
}
