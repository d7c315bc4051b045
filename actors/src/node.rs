//! The root of a node.
//!
//! ```text
//! Node
//! ├─ Partition p (one per partition held)      keeps its committer alive
//! │   └─ Committer                             group commit, fence, epoch
//! └─ Tenants
//!     └─ Tenant t (one per live tenant)        routes, passivates, parks
//!         └─ Order o (one per live order)      decides
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::Command;
use retailflow_engine::ports::InboxId;
use retailflow_engine::wire::{Code, Outcome};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::life::{RootGuard, RootLife};
use crate::admission::{Gate, share};
use crate::committer::CommitterMsg;
use crate::effects::Effects;
use crate::floor::{Floors, Following};
use crate::last_committed::Acknowledged;
use crate::mutant::Mutant;
use crate::newcomers::Newcomers;
use crate::node_metrics::Sight;
use crate::order::OrderShared;
use crate::outcome::refusal;
use crate::partition::{Committers, Partition, PartitionArgs, PartitionMsg};
use crate::partition_table::{Bounds, Held};
use crate::passivation::Residents;
use crate::reads::Reads;
use crate::release::{ReleaseError, Released, Request};
use crate::routes::TenantRoutes;
use crate::sweeper::{Sweeper, SweeperArgs};
use crate::tenants::{Tenants, TenantsArgs};
use crate::world::{Holds, Ports, Settings};

mod admit;
mod life;

/// Why nothing is done about an order here.
pub(crate) const NOT_HERE: &str =
    "the order's partition is run by another node, or on its way to one; ask again";
/// For actors to end that were told to.
const END_MAX: Duration = Duration::from_secs(5);
/// Also when all of a stop's time is over.
const END_MIN: Duration = Duration::from_millis(200);

/// What the root is told.
pub(crate) enum NodeMsg {
    /// Start the supervisor of the tenants (again).
    StartTenants,
    /// Start the one who looks for what is due (again).
    StartSweeper,
    /// Start the supervisor of a partition (again).
    StartPartition(PartitionId),
    /// See to it no more: whoever asked ends it. One that ends slowly must not keep the root from all others.
    LetGo(PartitionId, oneshot::Sender<Option<ActorRef<PartitionMsg>>>),
}

pub(crate) struct Shared {
    pub(crate) orders: Arc<OrderShared>,
    pub(crate) routes: Arc<TenantRoutes>,
    pub(crate) floors: Arc<Floors>,
    pub(crate) newcomers: Arc<Newcomers>,
}

struct NodeState {
    shared: Arc<Shared>,
    ready: watch::Sender<usize>,
    partitions: BTreeMap<PartitionId, ActorRef<PartitionMsg>>,
    /// What is known of partitions' logs beyond the life of their actors.
    acknowledged: BTreeMap<PartitionId, Arc<Acknowledged>>,
    tenants: Option<ractor::ActorId>,
    sweeper: Option<ractor::ActorId>,
    _guard: RootGuard,
}

/// The root actor.
struct Root;

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

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// Every command in flight was answered, and the floors are durable.
    pub drained: bool,
    /// Commands given up at the deadline. Their callers were told nothing; they may send the same id again.
    pub abandoned: usize,
}

/// Whether a command waits for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is refused where there is none.
    No,
    /// For as long as it takes: nobody else comes in.
    Alone,
    /// The same, with a part of the room only.
    BesideOthers,
}

/// A running node. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    pub(crate) root: ActorRef<NodeMsg>,
    pub(crate) shared: Arc<Shared>,
    life: Arc<RootLife>,
}

impl Actor for Root {
    type Msg = NodeMsg;
    type State = NodeState;
    type Arguments = (Arc<Shared>, watch::Sender<usize>, RootGuard);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (shared, ready, guard): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        for partition in (0..shared.orders.committers.partitions()).map(PartitionId) {
            if shared.orders.held.has(partition) {
                myself.cast(NodeMsg::StartPartition(partition))?;
            }
        }
        myself.cast(NodeMsg::StartTenants)?;
        myself.cast(NodeMsg::StartSweeper)?;
        Ok(NodeState {
            shared,
            ready,
            partitions: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
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
                shared.routes.supervised_by(Some(tenants));
                shared.orders.effects.leave_behind();
            }
            NodeMsg::StartSweeper => {
                let args = SweeperArgs {
                    effects: shared.orders.effects.clone(),
                    routes: shared.routes.clone(),
                    held: shared.orders.held.clone(),
                    partitions: shared.orders.committers.partitions(),
                };
                let (sweeper, _) = Actor::spawn_linked(None, Sweeper, args, myself.get_cell()).await?;
                state.sweeper = Some(sweeper.get_id());
            }
            NodeMsg::StartPartition(partition) => {
                // It may have been given up since this was asked for, or be there already.
                if !shared.orders.held.has(partition) || state.partitions.contains_key(&partition) {
                    return Ok(());
                }
                let acknowledged = match shared.orders.settings.is(Mutant::ForgetsEpochWithItsActor) {
                    true => Arc::default(),
                    false => state.acknowledged.entry(partition).or_default().clone(),
                };
                let args = PartitionArgs {
                    partition,
                    acknowledged,
                    ports: shared.orders.ports.clone(),
                    settings: shared.orders.settings.clone(),
                    floors: shared.floors.clone(),
                    committers: shared.orders.committers.clone(),
                    held: shared.orders.held.clone(),
                    gate: shared.orders.gate.clone(),
                    effects: shared.orders.effects.clone(),
                    sight: shared.orders.sight.clone(),
                    ready: state.ready.clone(),
                };
                let (actor, _) = Actor::spawn_linked(None, Partition, args, myself.get_cell()).await?;
                state.partitions.insert(partition, actor);
            }
            NodeMsg::LetGo(partition, reply) => {
                // When it comes back it is told to be ours, whoever has had it meanwhile. What was acknowledged stays known.
                if let Some(acknowledged) = state.acknowledged.get(&partition) {
                    acknowledged.set_epoch(None);
                }
                if let Err(Some(actor)) = reply.send(state.partitions.remove(&partition)) {
                    // Whoever asked waits no more.
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
        let (cell, why) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => (cell, reason.unwrap_or_default()),
            _ => return Ok(()),
        };
        if state.shared.orders.gate.is_closed() {
            return Ok(());
        }
        // Nothing below the root is ever given up: what was quarantined comes back after the longest delay.
        let delay = Duration::from_millis(state.shared.orders.settings.config.supervision.delay_max_ms);
        let ended = state.partitions.iter().find(|(_, actor)| actor.get_id() == cell.get_id());
        if let Some(partition) = ended.map(|(partition, _)| *partition) {
            state.partitions.remove(&partition);
            tracing::error!(%partition, %why, ?delay, "a partition ended and starts again");
            myself.send_after(delay, move || NodeMsg::StartPartition(partition));
        } else if state.tenants == Some(cell.get_id()) {
            tracing::error!(%why, ?delay, "the supervisor of the tenants ended and starts again");
            state.shared.routes.supervised_by(None);
            myself.send_after(delay, || NodeMsg::StartTenants);
        } else if state.sweeper == Some(cell.get_id()) {
            tracing::error!(%why, ?delay, "the sweeper ended and starts again");
            state.shared.orders.effects.leave_behind();
            myself.send_after(delay, || NodeMsg::StartSweeper);
        }
        Ok(())
    }
}

impl Node {
    /// Starts a node and waits until it holds all partitions of its log, if it is to hold them all.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, ports: Ports) -> Result<NodeHandle, StartError> {
        let partitions = ports.log.identity().partitions;
        let settings = Arc::new(settings);
        let waited_ms = settings.config.commit.timeout_ms.saturating_mul(3);
        let reads = Reads::new(ports.log.identity(), settings.config.orders.hydrate_concurrency_max);
        let residents = Residents::new(settings.config.orders.live_max);
        let admission = &settings.config.admission;
        let gate = Arc::new(Gate::new(admission, partitions));
        let bounds = Bounds {
            under_way_max: admission.partition_in_flight_max,
            permitted_max: share(admission.in_flight_max, partitions.into()),
            doubt_after: Duration::from_millis(admission.doubt_ms),
        };
        let committers = Arc::new(Committers::new(partitions));
        let held = Arc::new(Held::new(partitions, bounds));
        let all = settings.holds == Holds::All;
        // What is this node's alone is let in from the start, and waits for its committer.
        (0..partitions).map(PartitionId).filter(|_| all).for_each(|partition| {
            held.take(partition);
            held.open(partition);
        });
        let routes = Arc::<TenantRoutes>::default();
        let sight = Arc::new(Sight::new());
        let effects = Arc::new(Effects::new(ports.clone(), settings.clone(), routes.clone(), sight.clone()));
        let newcomers =
            Newcomers::new(ports.tenants.clone(), settings.config.tenants.created_max, gate.retry_after_ms());
        let shared = Arc::new(Shared {
            orders: Arc::new(OrderShared {
                ports,
                settings,
                committers,
                held,
                gate,
                reads,
                residents,
                effects,
                sight,
            }),
            routes,
            floors: Arc::default(),
            newcomers,
        });
        let (ready, mut is_ready) = watch::channel(0);
        let (guard, life) = RootLife::new(shared.orders.gate.clone());
        let spawned = Actor::spawn(None, Root, (shared.clone(), ready, guard)).await;
        let (root, task) = spawned.map_err(|error| StartError::Spawn(error.to_string()))?;
        life.runs_as(task);
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

impl NodeHandle {
    /// The ask door: lets the command in at once or refuses it, and waits for its outcome. `outcome_unknown` when the
    /// answer was lost on the way: the same id asked again gives the first outcome.
    pub async fn ask(&self, command: Command) -> Outcome {
        match self.reserved(&command) {
            Some(outcome) => *outcome,
            None => self.ask_any(command).await,
        }
    }

    pub(crate) async fn ask_any(&self, command: Command) -> Outcome {
        let (begun, kind) = (Instant::now(), command.data.kind());
        let outcome = self.answered(command).await;
        self.shared.orders.sight.answered(kind, &outcome, begun.elapsed());
        outcome
    }

    pub(crate) async fn answered(&self, command: Command) -> Outcome {
        let (order, key) = (command.order.clone(), command.key.clone());
        match self.let_in(command, Wait::No).await {
            Err(outcome) => *outcome,
            Ok(answer) => match answer.outcome().await {
                Some(outcome) => outcome,
                None => self.refuse_named(&order, &key, Code::OutcomeUnknown),
            },
        }
    }

    /// Decides the commands that wait behind a parked order, in order, and takes its mark away. When that is broken off
    /// the order stays parked and nothing is lost: asked again, what was decided is replayed. `operator` is recorded.
    ///
    /// # Errors
    /// [`ReleaseError`], which says what stopped it.
    pub async fn release_parked(&self, order: &OrderRef, operator: &str) -> Result<Released, ReleaseError> {
        self.end_parking(order, operator, false).await
    }

    /// As [`NodeHandle::release_parked`], but the commands are rejected as `discarded`. Where the order cannot record
    /// that, because it was never placed, they become dead letters.
    ///
    /// # Errors
    /// [`ReleaseError`], which says what stopped it.
    pub async fn discard_parked(&self, order: &OrderRef, operator: &str) -> Result<Released, ReleaseError> {
        self.end_parking(order, operator, true).await
    }

    async fn end_parking(
        &self,
        order: &OrderRef,
        operator: &str,
        discard: bool,
    ) -> Result<Released, ReleaseError> {
        if self.shared.orders.gate.is_closed() {
            return Err(ReleaseError::Unavailable("the node stops".into()));
        }
        if !self.holds(order) {
            return Err(ReleaseError::Unavailable(NOT_HERE.into()));
        }
        let (reply, answer) = oneshot::channel();
        self.shared.routes.release(Request {
            order: order.clone(),
            operator: operator.into(),
            discard,
            reply,
        });
        answer.await.unwrap_or(Err(ReleaseError::Lost))
    }

    pub(crate) fn refuse(&self, command: &Command, code: Code) -> Outcome {
        self.refuse_with(command, code, code.meaning())
    }

    pub(crate) fn refuse_named(&self, order: &OrderRef, key: &CommandKey, code: Code) -> Outcome {
        refusal(order, key, code, code.meaning(), self.shared.orders.gate.retry_after_ms())
    }

    fn refuse_with(&self, command: &Command, code: Code, message: impl Into<String>) -> Outcome {
        let retry_after_ms = self.shared.orders.gate.retry_after_ms();
        refusal(&command.order, &command.key, code, message, retry_after_ms)
    }

    pub(crate) fn sight(&self) -> &Sight {
        &self.shared.orders.sight
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.shared.orders.gate
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.shared.orders.ports
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.orders.settings
    }

    /// The floors, which follow this inbox from now on: one for all partitions, or that of one.
    pub(crate) fn floors(&self, inbox: InboxId, only: Option<PartitionId>) -> (&Floors, Following) {
        let following = self.shared.floors.follow(inbox, only);
        (&self.shared.floors, following)
    }

    pub(crate) fn partition(&self, command: &Command) -> PartitionId {
        partition_of(&command.order, self.shared.orders.committers.partitions())
    }

    /// From now on new commands are refused as `draining`.
    pub fn close(&self) {
        self.shared.orders.gate.close();
    }

    /// Stops: refuses what is new, finishes and answers what is in flight, writes the floors, ends the actors. At
    /// the deadline what is left is given up; nothing that was answered is lost by that.
    pub async fn stop(self, deadline: Duration) -> StopReport {
        self.close();
        // What does not end by itself is ended within the deadline, too.
        let ends_by = tokio::time::Instant::now() + deadline;
        let until = ends_by - (deadline / 4).min(END_MAX);
        let mut drained = tokio::time::timeout_at(until, self.shared.orders.gate.drained()).await.is_ok();
        for partition in self.held() {
            let empty = self.shared.orders.held.empty(partition);
            drained &= tokio::time::timeout_at(until, empty).await.is_ok();
        }
        drained &= tokio::time::timeout_at(until, self.shared.orders.effects.close()).await.is_ok();
        for partition in self.held() {
            drained &= tokio::time::timeout_at(until, self.seal(partition)).await == Ok(true);
        }
        let abandoned = self.shared.orders.held.under_way();
        drop(tokio::time::timeout_at(until, self.shared.newcomers.close()).await);
        self.shared.newcomers.kill();
        self.end(ends_by).await;
        StopReport { drained, abandoned }
    }

    pub(crate) async fn seal(&self, partition: PartitionId) -> bool {
        let Some(committer) = self.shared.orders.committers.get(partition) else { return false };
        let (reply, sealed) = oneshot::channel();
        committer.cast(CommitterMsg::Seal(reply)).is_ok() && sealed.await.is_ok()
    }

    /// Ends all actors at once, as a crash of the process would. Nothing that was answered is lost.
    pub async fn kill(self) {
        self.close();
        self.shared.newcomers.kill();
        self.root.kill();
        self.shared.orders.effects.close().await;
        self.join(END_MAX).await;
    }

    async fn end(&self, by: tokio::time::Instant) {
        let most = || by.saturating_duration_since(tokio::time::Instant::now()).clamp(END_MIN, END_MAX);
        // Orders before committers, and both before the root: nobody is killed while it may be appending.
        self.root.stop_children_and_wait(None, Some(most() / 2)).await;
        self.root.stop(None);
        self.join(most()).await;
    }
}
