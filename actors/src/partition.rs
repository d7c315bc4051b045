//! One partition: takes it over, keeps its committer alive, and says to all where that is.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::metric;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::Gate;
use crate::committer::{Committer, CommitterArgs, CommitterMsg, is_fenced, is_regressed};
use crate::effects::Effects;
use crate::floor::Floors;
use crate::last_committed::Acknowledged;
use crate::node_metrics::Sight;
use crate::partition_table::Held;
use crate::supervise::{AfterCrash, CrashWindow};
use crate::world::{Holds, Ports, Settings};

/// Where the committers of a node's partitions are. Empty slots: not ours at the moment.
pub(crate) struct Committers {
    slots: Vec<RwLock<(Option<ActorRef<CommitterMsg>>, Instant)>>,
    changed: watch::Sender<()>,
}

impl Committers {
    pub(crate) fn new(partitions: u16) -> Self {
        let slots = (0..partitions.max(1)).map(|_| RwLock::new((None, Instant::now()))).collect();
        Self { slots, changed: watch::Sender::default() }
    }

    pub(crate) fn partitions(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    pub(crate) fn get(&self, partition: PartitionId) -> Option<ActorRef<CommitterMsg>> {
        self.slots.get(usize::from(partition.0)).and_then(|slot| slot.read().0.clone())
    }

    pub(crate) fn set(&self, partition: PartitionId, committer: Option<ActorRef<CommitterMsg>>) {
        if let Some(slot) = self.slots.get(usize::from(partition.0)) {
            let mut slot = slot.write();
            // For how long there has been none goes on when nobody comes.
            let since = if slot.0.is_none() && committer.is_none() { slot.1 } else { Instant::now() };
            *slot = (committer, since);
            drop(slot);
            self.changed.send_modify(|()| ());
        }
    }

    /// For how long a partition has had none.
    pub(crate) fn absent_for(&self, partition: PartitionId) -> Option<Duration> {
        let slot = self.slots.get(usize::from(partition.0))?.read();
        slot.0.is_none().then(|| slot.1.elapsed())
    }

    /// Waits until there is one: the partition's fence is written.
    pub(crate) async fn present(&self, partition: PartitionId) {
        let mut changed = self.changed.subscribe();
        // The sender is ours: it does not go before us.
        let _ = changed.wait_for(|()| self.get(partition).is_some()).await;
    }
}

/// What a partition is told.
pub(crate) enum PartitionMsg {
    /// Start the committer (again).
    Start,
    /// The committer has taken over in this epoch.
    Ready(ActorRef<CommitterMsg>, u64),
}

pub(crate) struct PartitionArgs {
    pub(crate) partition: PartitionId,
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<Settings>,
    pub(crate) floors: Arc<Floors>,
    pub(crate) committers: Arc<Committers>,
    pub(crate) held: Arc<Held>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) sight: Arc<Sight>,
    /// What outlives this actor.
    pub(crate) acknowledged: Arc<Acknowledged>,
    /// Counts the partitions that are ready.
    pub(crate) ready: watch::Sender<usize>,
}

pub(crate) struct PartitionState {
    args: PartitionArgs,
    crashes: CrashWindow,
    counted: bool,
}

/// Supervisor of one partition's committer.
pub(crate) struct Partition;

impl Actor for Partition {
    type Msg = PartitionMsg;
    type State = PartitionState;
    type Arguments = PartitionArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(PartitionMsg::Start)?;
        Ok(PartitionState { args, crashes: CrashWindow::default(), counted: false })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PartitionMsg::Start => {
                let args = &state.args;
                if !args.held.has(args.partition) {
                    return Ok(());
                }
                let committer = CommitterArgs {
                    partition: args.partition,
                    ports: args.ports.clone(),
                    settings: args.settings.clone(),
                    floors: args.floors.clone(),
                    held: args.held.clone(),
                    sight: args.sight.clone(),
                    acknowledged: args.acknowledged.clone(),
                    owner: myself.clone(),
                    was_epoch: args.acknowledged.epoch().filter(|_| args.settings.holds == Holds::AsTold),
                };
                Actor::spawn_linked(None, Committer, committer, myself.get_cell()).await?;
            }
            PartitionMsg::Ready(committer, epoch) => {
                state.args.acknowledged.set_epoch(Some(epoch));
                state.args.committers.set(state.args.partition, Some(committer));
                // Another owner may have left orders on their way. Where commands are not let in yet, this comes with that.
                if state.args.held.lets_in(state.args.partition) {
                    state.args.effects.taken(state.args.partition);
                }
                tracing::info!(partition = %state.args.partition, epoch, "partition ready");
                if !std::mem::replace(&mut state.counted, true) {
                    state.args.ready.send_modify(|ready| *ready += 1);
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
        let why = match event {
            SupervisionEvent::ActorFailed(_, error) if is_regressed(&error) => {
                // Going on would decide again what was answered. Only people can say what to do.
                state.args.committers.set(state.args.partition, None);
                state.args.held.stop_for_good(state.args.partition);
                tracing::error!(event = "partition_stopped", partition = %state.args.partition, %error, "STOPPED: the log lost acknowledged data");
                return Ok(());
            }
            // Whether it is ours all the same, whoever gives out partitions says: two who take it back from each other
            // would do nothing else.
            SupervisionEvent::ActorFailed(_, error)
                if is_fenced(&error) && state.args.settings.holds == Holds::AsTold =>
            {
                state.args.committers.set(state.args.partition, None);
                tracing::warn!(partition = %state.args.partition, %error, "another owner writes; stopping");
                metrics::counter!(metric::PARTITIONS_FENCED.name).increment(1);
                state.args.held.fenced(state.args.partition);
                return Ok(());
            }
            SupervisionEvent::ActorFailed(_, error) => error.to_string(),
            SupervisionEvent::ActorTerminated(_, _, reason) => reason.unwrap_or_else(|| "stopped".into()),
            _ => return Ok(()),
        };
        let args = &state.args;
        args.committers.set(args.partition, None);
        // It was ended because the partition has been given up.
        if !args.held.has(args.partition) {
            return Ok(());
        }
        args.gate.crashes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let supervision = &args.settings.config.supervision;
        match state.crashes.crashed(Instant::now(), supervision, &*args.ports.rng) {
            AfterCrash::Restart(delay) => {
                tracing::warn!(partition = %args.partition, %why, ?delay, "committer ended; taking over again");
                myself.send_after(delay, || PartitionMsg::Start);
                Ok(())
            }
            AfterCrash::Quarantine => {
                tracing::error!(partition = %args.partition, %why, "committer keeps ending");
                Err(format!("partition {}: {why}", args.partition).into())
            }
        }
    }
}
