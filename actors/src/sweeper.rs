//! Looks for steps that have become due, and for open orders that nobody drives: after a start, a crash, an overflow.
//!
//! The index of deadlines *is* the index of open orders. Most overdue first; never more at once than may run. Only partitions are
//! looked at into which commands are let: before, it is not known which of their orders are parked.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::order::EngineCommand;
use retailflow_engine::ports::DueOrder;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::effects::Effects;
use crate::held::Held;
use crate::tenant::ToOrder;
use crate::tenants_route::TenantRoutes;

/// Deadlines read at once.
const PAGE: usize = 256;
/// Pages read in one look at what is due; the next look goes on behind them.
const DUE_PAGES_MAX: usize = 16;
/// The wait when as many effects run as may.
const FULL_WAIT: Duration = Duration::from_millis(10);

/// What the sweeper is told.
pub(crate) enum SweeperMsg {
    /// Look for what is due.
    Sweep,
    /// This partition is ours from now on: another owner may have left orders on their way.
    Taken(PartitionId),
    /// Go on looking through all open orders.
    GoOn,
}

pub(crate) struct SweeperArgs {
    pub(crate) effects: Arc<Effects>,
    pub(crate) routes: Arc<TenantRoutes>,
    pub(crate) held: Arc<Held>,
    pub(crate) partitions: u16,
}

pub(crate) struct SweeperState {
    args: Arc<SweeperArgs>,
    /// Partitions whose open orders are to be looked through, each once, and the last one seen.
    walks: VecDeque<(PartitionId, Option<DueOrder>)>,
    /// Told to go on.
    walking: bool,
    /// Partitions that could not be read: again with the next look.
    unread: BTreeSet<PartitionId>,
    /// Of each partition how far a look at what is due has come; locked while one is under way.
    due: Vec<Arc<Mutex<Option<DueOrder>>>>,
}

/// The actor that looks.
pub(crate) struct Sweeper;

impl Actor for Sweeper {
    type Msg = SweeperMsg;
    type State = SweeperState;
    type Arguments = SweeperArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let interval = Duration::from_millis(args.effects.settings.config.effects.sweep_ms.max(1));
        myself.cast(SweeperMsg::Sweep)?;
        myself.send_interval(interval, || SweeperMsg::Sweep);
        args.effects.swept_by(myself);
        let due = (0..args.partitions).map(|_| Arc::default()).collect();
        let args = Arc::new(args);
        Ok(SweeperState { args, walks: VecDeque::new(), walking: false, unread: BTreeSet::new(), due })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SweeperMsg::Sweep => {
                // One that cannot be read now, or takes long, keeps no other waiting; nor is it asked twice at once.
                for (partition, slot) in (0..).map(PartitionId).zip(&state.due) {
                    if state.args.held.lets_in(partition)
                        && let Ok(slot) = slot.clone().try_lock_owned()
                    {
                        let args = state.args.clone();
                        state.args.effects.spawn(async move { due(&args, partition, slot).await });
                    }
                }
                for partition in std::mem::take(&mut state.unread) {
                    state.take_up(partition);
                }
                if state.walks.is_empty() && state.args.effects.take_left_behind() {
                    let all = (0..state.args.partitions).map(PartitionId);
                    let held = all.filter(|partition| state.args.held.lets_in(*partition));
                    state.walks = held.map(|partition| (partition, None)).collect();
                }
            }
            SweeperMsg::Taken(partition) => {
                state.take_up(partition);
            }
            SweeperMsg::GoOn => {
                state.walking = false;
                if state.args.effects.is_full() {
                    state.walking = true;
                    myself.send_after(FULL_WAIT, || SweeperMsg::GoOn);
                } else {
                    state.walk_on().await;
                }
            }
        }
        if !state.walking && !state.walks.is_empty() {
            state.walking = true;
            myself.cast(SweeperMsg::GoOn)?;
        }
        Ok(())
    }
}

impl SweeperState {
    /// Looks through all open orders of a partition, from the first one.
    fn take_up(&mut self, partition: PartitionId) {
        self.walks.retain(|(other, _)| *other != partition);
        self.walks.push_back((partition, None));
    }

    /// Wakes the next orders that nobody drives.
    async fn walk_on(&mut self) {
        let Some((partition, after)) = self.walks.pop_front() else { return };
        if !self.args.held.lets_in(partition) {
            return;
        }
        let ports = &self.args.effects.ports;
        let ever = TimestampMs(i64::MAX);
        let page = match ports.deadlines.list(partition, after.as_ref(), ever, PAGE).await {
            Ok(page) => page,
            Err(why) => {
                // The others' are looked at all the same, and these again with the next look.
                tracing::warn!(%partition, %why, "the open orders cannot be read now; looking again later");
                self.unread.insert(partition);
                return;
            }
        };
        let last = page.last().cloned().filter(|_| page.len() == PAGE);
        for due in page {
            if !self.args.effects.is_driving(&due.order) {
                self.args.routes.to_order(due.order, ToOrder::Wake);
            }
        }
        if last.is_some() {
            self.walks.push_back((partition, last));
        }
    }
}

/// Tells the orders whose deadline has passed.
async fn due(args: &SweeperArgs, partition: PartitionId, mut slot: OwnedMutexGuard<Option<DueOrder>>) {
    let ports = &args.effects.ports;
    for _ in 0..DUE_PAGES_MAX {
        let now = ports.clock.now();
        let page = match ports.deadlines.list(partition, slot.as_ref(), now, PAGE).await {
            Ok(page) => page,
            Err(why) => {
                tracing::warn!(%partition, %why, "the deadlines cannot be read now");
                return;
            }
        };
        let ended = page.len() < PAGE;
        *slot = page.last().cloned().filter(|_| !ended);
        for due in page {
            let message = ToOrder::Engine(EngineCommand::DeadlinePassed);
            args.routes.to_order(due.order, message);
        }
        if ended {
            return;
        }
    }
}
