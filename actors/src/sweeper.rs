//! Looks for steps that have become due, and for open orders that nobody drives: after a start, a crash, an overflow.
//!
//! The index of deadlines *is* the index of open orders. Most overdue first; never more at once than may run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::order::EngineCommand;
use retailflow_engine::ports::DueOrder;

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
    args: SweeperArgs,
    /// Where a look through all open orders stands: partition, and the last one seen.
    walk: Option<(u16, Option<DueOrder>)>,
    due: Vec<Option<DueOrder>>,
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
        let due = vec![None; usize::from(args.partitions)];
        Ok(SweeperState { args, walk: None, due })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SweeperMsg::Sweep => {
                // All at once: one that cannot be read now keeps no other waiting.
                let SweeperState { args, due: slots, .. } = state;
                let held =
                    (0..).map(PartitionId).zip(slots).filter(|(partition, _)| args.held.has(*partition));
                join_all(held.map(|(partition, slot)| due(args, partition, slot))).await;
                if state.walk.is_none() && state.args.effects.take_left_behind() {
                    state.walk = Some((0, None));
                    myself.cast(SweeperMsg::GoOn)?;
                }
            }
            SweeperMsg::GoOn => {
                if state.args.effects.is_full() {
                    myself.send_after(FULL_WAIT, || SweeperMsg::GoOn);
                } else if state.walk_on().await {
                    myself.cast(SweeperMsg::GoOn)?;
                }
            }
        }
        Ok(())
    }
}

impl SweeperState {
    /// Wakes the next orders that nobody drives. `false` at the end.
    async fn walk_on(&mut self) -> bool {
        let Some((partition, after)) = self.walk.take() else { return false };
        if partition >= self.args.partitions {
            return false;
        }
        if !self.args.held.has(PartitionId(partition)) {
            self.walk = Some((partition + 1, None));
            return true;
        }
        let ports = &self.args.effects.ports;
        let ever = TimestampMs(i64::MAX);
        let page = match ports.deadlines.list(PartitionId(partition), after.as_ref(), ever, PAGE).await {
            Ok(page) => page,
            Err(why) => {
                // The others' are looked at all the same, and these again with the next look.
                tracing::warn!(partition, %why, "the open orders cannot be read now; looking again later");
                self.args.effects.leave_behind();
                self.walk = Some((partition + 1, None));
                return true;
            }
        };
        let ended = page.len() < PAGE;
        let last = page.last().cloned();
        for due in page {
            if !self.args.effects.is_driving(&due.order) {
                self.args.routes.to_order(due.order, ToOrder::Wake);
            }
        }
        self.walk = Some(if ended { (partition + 1, None) } else { (partition, last) });
        true
    }
}

/// Tells the orders whose deadline has passed.
async fn due(args: &SweeperArgs, partition: PartitionId, slot: &mut Option<DueOrder>) {
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
