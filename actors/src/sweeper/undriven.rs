//! Scans for open orders that ask for a step and are undriven: a message that was lost on its way to an order shows here, is logged with the
//! order's name, and the order is driven again.
//!
//! An order that stands in the index of deadlines is driven by an effect, or waits for a person or a report, as it said
//! itself when it was last asked. One that is neither for longer than `effects.undriven_max_ms` is a fault of ours. While
//! there are more orders than may be driven at once, or a partition's are being looked through for the first time,
//! nothing is judged.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::ports::DueOrder;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::context::{PAGE, SweeperArgs};
use crate::effects::Effects;
use crate::messages::OrderNotice;
use crate::running_effects::DriveStatus;

/// Suspects of one partition at one time.
const SUSPECTS_MAX: usize = 10_000;

struct Suspect {
    deadline: TimestampMs,
    since: Instant,
    /// The pass in which it was seen last.
    pass: u64,
}

/// How far the look through one partition's open orders has come.
#[derive(Default)]
pub(crate) struct UndrivenScan {
    after: Option<DueOrder>,
    pass: u64,
    suspects: HashMap<OrderRef, Suspect>,
}

/// Looks at the next page of a partition's open orders.
pub(crate) async fn scan_undriven(
    args: &SweeperArgs,
    partition: PartitionId,
    mut scan: OwnedMutexGuard<UndrivenScan>,
) {
    let (effects, ever) = (&args.effects, TimestampMs(i64::MAX));
    // An unreadable partition is scanned again; the scan of open orders logs it.
    let Ok(page) = effects.ports.deadlines.list(partition, scan.after.as_ref(), ever, PAGE).await else {
        scan.suspects.clear();
        return;
    };
    if !args.table.accepts(partition) || !effects.running.is_conclusive() {
        *scan = UndrivenScan::default();
        return;
    }
    let max = Duration::from_millis(effects.settings.config.effects.undriven_max_ms);
    let is_last = page.len() < PAGE;
    scan.after = page.last().cloned().filter(|_| !is_last);
    for due in page {
        if let Some(undriven) = scan.judge(effects, &due, max) {
            effects.report_undriven(&due.order, undriven);
            effects.notify_order(due.order, OrderNotice::Wake);
        }
    }
    if is_last {
        let pass = scan.pass;
        scan.suspects.retain(|_, suspect| suspect.pass == pass);
        scan.pass += 1;
    }
}

impl UndrivenScan {
    /// For how long it has been undriven, if that is too long. Reported once in that time.
    fn judge(&mut self, effects: &Effects, due: &DueOrder, max: Duration) -> Option<Duration> {
        if effects.running.drive_status(&due.order) != DriveStatus::Undriven {
            self.suspects.remove(&due.order);
            return None;
        }
        let now = Instant::now();
        let suspect = match self.suspects.get_mut(&due.order) {
            Some(suspect) if suspect.deadline == due.at => suspect,
            _ => {
                if self.suspects.len() < SUSPECTS_MAX {
                    let suspect = Suspect { deadline: due.at, since: now, pass: self.pass };
                    self.suspects.insert(due.order.clone(), suspect);
                }
                return None;
            }
        };
        suspect.pass = self.pass;
        let undriven = now.duration_since(suspect.since);
        (undriven >= max).then(|| {
            suspect.since = now;
            undriven
        })
    }
}

impl Effects {
    /// Counts and logs an undriven order.
    fn report_undriven(&self, order: &OrderRef, undriven: Duration) {
        self.undriven.fetch_add(1, Ordering::Relaxed);
        self.metrics.orders_undriven.increment(1);
        tracing::error!(
            event = "order_undriven", %order,
            undriven_ms = u64::try_from(undriven.as_millis()).unwrap_or(u64::MAX),
            "an open order asks for a step, and nobody drives it: a fault of RetailFlow; it is driven now"
        );
    }
}
