//! Who leaves memory when there are more orders than may be there: whoever was used longest ago, whoever's it is, and no more
//! than that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use retailflow_config::Config;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::task::JoinSet;
use tokio::time::{advance, timeout};

use super::{SickLog, orders_of};
use crate::NodeHandle;
use crate::batch_node::BatchNode;
use crate::world::{Probe, ProbePoint, ProbeVerdict, Settings};

const HERE: PartitionId = PartitionId(1);

/// How often each order came into memory.
#[derive(Default)]
struct Rebuilt(Mutex<BTreeMap<String, usize>>);

impl Probe for Rebuilt {
    fn at(&self, point: ProbePoint, subject: &str) -> ProbeVerdict {
        if point == ProbePoint::OrderHydrate {
            *self.0.lock().entry(subject.to_owned()).or_default() += 1;
        }
        ProbeVerdict::Pass
    }
}

impl Rebuilt {
    fn times(&self, order: &OrderRef) -> usize {
        self.0.lock().get(&order.to_string()).copied().unwrap_or_default()
    }
}

/// No order is idle for long enough to leave for that.
async fn node(log: &Arc<SickLog>, live_max: usize) -> (NodeHandle, Arc<Rebuilt>) {
    let mut config = Config::default();
    config.orders.live_max = live_max;
    config.orders.idle_ms = 3_600_000;
    config.orders.hydrate_concurrency_max = 1_000;
    config.admission.tenant_in_flight_max = 4_000;
    config.admission.in_flight_max = 8_000;
    let rebuilt = Arc::<Rebuilt>::default();
    let settings = Settings { probe: Some(rebuilt.clone()), ..Settings::new(config, "test") };
    (BatchNode::undriven(settings, log.clone(), log.inner.clone()).await, rebuilt)
}

async fn ask(node: &NodeHandle, order: &OrderRef) {
    let outcome = node.ask(place(order, "p")).await;
    assert_eq!(outcome.code, Code::Applied, "{order}");
}

/// Whoever was told something has done it, and those who were told something by these.
async fn tick() {
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    for _ in 0..20 {
        pace.tick().await;
    }
}

/// A tenant that wakes sends other tenants' idle orders away, and none of its own that are in use.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_wakes_does_not_send_its_own_busy_orders_away_for_anothers_idle_ones() {
    let log = SickLog::new();
    let (node, rebuilt) = node(&log, 60).await;
    let idle = orders_of("idle", HERE, "i", 40);
    let (busy, more) = (orders_of("busy", HERE, "b", 20), orders_of("busy", PartitionId(2), "m", 30));
    for order in idle.iter().chain(&busy) {
        ask(&node, order).await;
    }
    advance(Duration::from_millis(500)).await;
    for order in &more {
        ask(&node, order).await;
        for order in &busy[..4] {
            ask(&node, order).await;
        }
    }
    for order in busy.iter().chain(&more) {
        assert_eq!(rebuilt.times(order), 1, "{order} was sent away");
    }
    tick().await;
    assert_eq!(node.live_orders(), 60);
    for order in &idle[30..] {
        ask(&node, order).await;
        assert_eq!(rebuilt.times(order), 1, "{order} was not among the thirty that were used longest ago");
    }
}

/// As many leave as come, however many come at once.
#[tokio::test(start_paused = true)]
async fn a_burst_sends_no_more_away_than_come() {
    for tenant in ["shop", "other"] {
        let log = SickLog::new();
        let (node, _) = node(&log, 200).await;
        for order in orders_of(tenant, HERE, "i", 200) {
            ask(&node, &order).await;
        }
        let burst = orders_of("shop", PartitionId(2), "n", 40);
        join_all(burst.iter().map(|order| ask(&node, order))).await;
        tick().await;
        assert_eq!(node.live_orders(), 200, "while all of the {tenant}'s were idle");
    }
}

/// Hundreds that were asked to leave and cannot answer yet, because their shard cannot be read, keep no other in memory.
#[tokio::test(start_paused = true)]
async fn those_that_cannot_leave_yet_are_no_reason_to_keep_all_others() {
    let (sick, max) = (PartitionId(0), 700);
    let log = SickLog::new();
    let (before, _) = node(&log, 10_000).await;
    let stuck = orders_of("shop", sick, "s", 600);
    for order in &stuck {
        ask(&before, order).await;
    }
    assert!(before.stop(Duration::from_secs(5)).await.drained);
    let (node, _) = node(&log, max).await;
    ask(&node, &orders_of("shop", sick, "first", 1)[0]).await;
    log.change(|now| now.reads.extend([sick]));
    let mut waiting = JoinSet::new();
    for order in stuck {
        let node = node.clone();
        waiting.spawn(async move { node.ask(place(&order, "p")).await.code });
    }
    timeout(Duration::from_secs(1), log.reads_wait(100)).await.expect("reads that wait");
    for round in 0..40 {
        let orders = orders_of("shop", HERE, &format!("r{round}"), 40);
        join_all(orders.iter().map(|order| ask(&node, order))).await;
        advance(Duration::from_millis(500)).await;
    }
    let live = node.live_orders();
    assert!(live <= max + 40, "{live} orders are in memory where {max} may be");
    log.change(|now| now.reads.clear());
    while let Some(code) = waiting.join_next().await {
        assert_eq!(code.unwrap(), Code::Applied);
    }
}
