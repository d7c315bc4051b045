//! One partition: takes it over, keeps its committer alive, and says to all where that is.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use retailflow_engine::metric;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::AdmissionControl;
use crate::committer::{Committer, CommitterArgs, is_fenced, is_regressed};
use crate::committers::Committers;
use crate::context::PartitionContext;
use crate::effects::Effects;
use crate::messages::PartitionMsg;
use crate::supervise::{AfterCrash, CrashWindow, ended};
use crate::world::OwnershipMode;

pub(crate) struct PartitionArgs {
    pub(crate) context: Arc<PartitionContext>,
    pub(crate) committers: Arc<Committers>,
    pub(crate) admission: Arc<AdmissionControl>,
    pub(crate) effects: Arc<Effects>,
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
                let context = &state.args.context;
                if !context.table.owns(context.partition) {
                    return Ok(());
                }
                let assigned = context.settings.ownership == OwnershipMode::Assigned;
                let committer = CommitterArgs {
                    context: context.clone(),
                    owner: myself.clone(),
                    was_epoch: context.last_committed.epoch().filter(|_| assigned),
                };
                Actor::spawn_linked(None, Committer, committer, myself.get_cell()).await?;
            }
            PartitionMsg::Ready(committer, epoch) => {
                let args = &state.args;
                let PartitionContext { partition, table, last_committed, .. } = &*args.context;
                last_committed.set_epoch(Some(epoch));
                args.committers.set(*partition, Some(committer));
                // The last owner may have left orders unfinished. Where the partition is not open yet, opening it starts the scan.
                if table.accepts(*partition) {
                    args.effects.partition_acquired(*partition);
                }
                tracing::info!(event = "partition_ready", %partition, epoch, "partition ready");
                if !std::mem::replace(&mut state.counted, true) {
                    args.ready.send_modify(|ready| *ready += 1);
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
        let Some((_, why)) = ended(event) else { return Ok(()) };
        let args = &state.args;
        let PartitionContext { partition, settings, table, ports, .. } = &*args.context;
        args.committers.set(*partition, None);
        if let Some(error) = why.error() {
            if is_regressed(error) {
                // Going on would decide again what was answered. An operator has to decide what to do.
                table.mark_stopped(*partition);
                tracing::error!(event = "partition_stopped", %partition, %error, "STOPPED: the log lost acknowledged data");
                return Ok(());
            }
            // The owner of partitions decides whether this node takes it over again: two nodes that fence each other would do
            // nothing else.
            if is_fenced(error) && settings.ownership == OwnershipMode::Assigned {
                tracing::warn!(event = "partition_fenced", %partition, %error, "another owner writes; stopping");
                metrics::counter!(metric::PARTITIONS_FENCED.name).increment(1);
                table.mark_fenced(*partition);
                return Ok(());
            }
        }
        // It was stopped because the partition was released.
        if !table.owns(*partition) {
            return Ok(());
        }
        args.admission.crashes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let supervision = &settings.config.supervision;
        match state.crashes.record_crash(Instant::now(), supervision, &*ports.rng) {
            AfterCrash::Restart(delay) => {
                tracing::warn!(event = "committer_restarted", %partition, %why, ?delay, "committer ended; taking over again");
                myself.send_after(delay, || PartitionMsg::Start);
                Ok(())
            }
            AfterCrash::Quarantine => {
                tracing::error!(event = "committer_quarantined", %partition, %why, "committer keeps ending");
                Err(format!("partition {partition}: {why}").into())
            }
        }
    }
}
