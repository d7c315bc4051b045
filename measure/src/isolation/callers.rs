//! Callers: each places one new order after the other, and asks again, under the same id, until there is an outcome.

use std::collections::BTreeSet;
use std::time::Duration;

use hdrhistogram::Histogram;
use retailflow_actors::NodeHandle;
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::wire::{Status, decode_command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Callers share so many tenants.
const TENANTS: usize = 4;
/// Who has no answer for so long asks again.
const PATIENCE: Duration = Duration::from_secs(2);
/// Before who was refused asks again, where the refusal does not say.
const PAUSE_MS: u64 = 10;

/// Which orders a caller places.
#[derive(Clone)]
pub(super) struct Whose {
    pub(super) caller: usize,
    pub(super) partitions: u16,
    pub(super) sick: BTreeSet<PartitionId>,
    pub(super) is_sick: bool,
}

/// What callers got in one of the times.
pub(super) struct CallerStats {
    pub(super) latency_us: Histogram<u64>,
    pub(super) refused: u64,
}

impl CallerStats {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { latency_us: Histogram::new_with_bounds(1, 600_000_000, 2)?, refused: 0 })
    }

    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency_us.add(&other.latency_us)?;
        self.refused += other.refused;
        Ok(())
    }
}

impl Whose {
    fn order(&self, number: &mut u64) -> anyhow::Result<OrderRef> {
        let tenant = TenantId::parse(&format!("t{}", self.caller % TENANTS))?;
        loop {
            let order = OrderId::parse(&format!("{}-{}-{number}", self.caller, u8::from(self.is_sick)))?;
            *number += 1;
            let order = OrderRef { tenant: tenant.clone(), order };
            if self.sick.contains(&partition_of(&order, self.partitions)) == self.is_sick {
                return Ok(order);
            }
        }
    }
}

/// Places until the times are over; the last order to its outcome.
pub(super) async fn call(
    node: NodeHandle,
    whose: Whose,
    now: watch::Receiver<Option<usize>>,
) -> anyhow::Result<[CallerStats; 3]> {
    let mut stats = [CallerStats::new()?, CallerStats::new()?, CallerStats::new()?];
    let mut number = 0;
    loop {
        let Some(time) = *now.borrow() else { return Ok(stats) };
        let order = whose.order(&mut number)?;
        let command = Command::from_event(decode_command(place(&order, number).as_bytes())?, Actor::Tenant);
        let sent = Instant::now();
        loop {
            let pause_ms = match timeout(PATIENCE, node.ask(command.clone())).await {
                Ok(outcome) if matches!(outcome.status, Status::Applied | Status::Rejected) => break,
                Ok(outcome) => outcome.retry_after_ms.unwrap_or(PAUSE_MS),
                Err(_) => 0,
            };
            // It belongs to the time in which it was said.
            stats[now.borrow().unwrap_or(2)].refused += 1;
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        stats[time].latency_us.saturating_record(sent.elapsed().as_micros() as u64);
    }
}

fn place(order: &OrderRef, number: u64) -> String {
    let (tenant, order) = (&order.tenant, &order.order);
    format!(
        r#"{{"specversion":"1.0","id":"place-{order}","source":"/bench","type":"retailflow.order.place.v1","tenant":"{tenant}","subject":"{order}","data":{{"customer":"{:05}","currency":"USD","lines":[{{"line_id":"1","sku":"cd","quantity":{},"amount_minor":{}}}]}}}}"#,
        number % 23_570,
        1 + number % 5,
        100 + number % 5_000
    )
}

/// A cancel of what was never placed.
pub(super) fn cancel(number: u64) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"cancel-{number}","source":"/bench","type":"retailflow.order.cancel.v1","tenant":"loud","subject":"none-{number}","data":{{"reason":"never placed"}}}}"#
    )
}
