//! What is seen of orders, of admission, of supervision and of commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::memory::MemorySnapshots;
use retailflow_engine::order::Command;
use retailflow_engine::ports::{EventLog as _, PortFuture, Snapshots, TenantSetting};
use retailflow_engine::wire::{Code, Outcome};
use retailflow_testkit::author::place;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::super::sizes::Poison;
use super::super::{SickLog, orders_of};
use super::effects::{Asked, Highest};
use crate::batch_node::BatchNode;
use crate::node::NodeHandle;
use crate::supervise::{AfterCrash, CrashWindow};
use crate::world::Settings;

const HERE: PartitionId = PartitionId(1);
const SOON: Duration = Duration::from_secs(5);
/// Before a log that does not answer is late.
const AT_ONCE: Duration = Duration::from_millis(50);

async fn node(config: Config) -> (NodeHandle, Arc<SickLog>) {
    let log = SickLog::new();
    let settings = Settings::new(config, "test");
    (BatchNode::undriven(settings, log.clone(), log.inner.clone()).await, log)
}

fn order(name: &str) -> OrderRef {
    orders_of("shop", HERE, name, 1).remove(0)
}

async fn applied(node: &NodeHandle, order: &OrderRef) {
    assert_eq!(node.ask(place(order, "p-0")).await.code, Code::Applied);
}

async fn pass(time: Duration) {
    let mut pace = interval(time);
    pace.tick().await;
    pace.tick().await;
}

/// All at once: who was answered by then, of those that the log keeps waiting.
async fn refused_of(
    node: &NodeHandle,
    log: &SickLog,
    commands: Vec<Command>,
) -> (Vec<Outcome>, JoinSet<Outcome>) {
    log.change(|sick| sick.commits.extend([HERE]));
    let mut asked = JoinSet::new();
    for command in commands {
        let node = node.clone();
        asked.spawn(async move { node.ask(command).await });
    }
    pass(AT_ONCE).await;
    let mut refused = Vec::new();
    while let Some(outcome) = asked.try_join_next() {
        refused.push(outcome.unwrap());
    }
    assert!(refused.iter().all(|outcome| outcome.code != Code::Applied));
    (refused, asked)
}

pub(super) fn live(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, _) = node(config).await;
        for order in orders_of("shop", HERE, "o", 40) {
            applied(&node, &order).await;
        }
        pass(AT_ONCE).await;
        node.live_orders() as u64
    })
}

pub(super) fn leaves_after_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, _) = node(config).await;
        applied(&node, &order("o")).await;
        let begun = Instant::now();
        let mut pace = interval(Duration::from_millis(10));
        while node.live_orders() > 0 {
            pace.tick().await;
        }
        begun.elapsed().as_millis() as u64
    })
}

pub(super) fn records(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let ((node, log), order) = (node(config).await, order("o"));
        applied(&node, &order).await;
        let commands = (1..40).map(|number| place(&order, &format!("p-{number}"))).collect();
        let (_, mut asked) = refused_of(&node, &log, commands).await;
        log.change(|sick| sick.commits.clear());
        while asked.join_next().await.is_some() {}
        log.inner.read_order(&order, 0).await.unwrap().len() as u64
    })
}

/// Of many orders that come while a group is on its way.
pub(super) fn groups(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        let commands = orders_of("shop", HERE, "o", 40).iter().map(|order| place(order, "p")).collect();
        let (_, mut asked) = refused_of(&node, &log, commands).await;
        log.change(|sick| sick.commits.clear());
        while asked.join_next().await.is_some() {}
        log.tried()
    })
}

pub(super) fn refused_by_an_order(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let ((node, log), order) = (node(config).await, order("o"));
        applied(&node, &order).await;
        let commands = (1..40).map(|number| place(&order, &format!("p-{number}"))).collect();
        refused_of(&node, &log, commands).await.0.len() as u64
    })
}

/// Of the ids of an order, those that nothing is read for when they come again.
pub(super) fn old_ids_known(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let ((node, log), order) = (node(config).await, order("o"));
        applied(&node, &order).await;
        for number in 1..20 {
            node.ask(place(&order, &format!("p-{number}"))).await;
        }
        log.change(|sick| sick.reads.extend([HERE]));
        let mut known = 0;
        for number in (0..20).rev() {
            let again = timeout(SOON, node.ask(place(&order, &format!("p-{number}")))).await;
            known += u64::from(again.is_ok_and(|outcome| outcome.replayed));
        }
        known
    })
}

pub(super) fn decisions(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let ((node, _), order) = (node(config).await, order("o"));
        let mut taken = 0;
        while node.ask(place(&order, &format!("p-{taken}"))).await.code != Code::OrderFull {
            taken += 1;
        }
        taken
    })
}

#[derive(Default)]
struct Saved(AtomicU64, MemorySnapshots);

impl Snapshots for Saved {
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        self.1.load(order)
    }

    fn save(&self, order: &OrderRef, bytes: Vec<u8>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.save(order, bytes);
    }
}

pub(super) fn snapshots(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (log, saved) = (SickLog::new().inner.clone(), Arc::<Saved>::default());
        let settings = Settings { drives_effects: false, ..Settings::new(config, "test") };
        let nobody = Arc::new(Asked::default());
        let batch = BatchNode::made_of(settings, log.clone(), log, saved.clone(), nobody).await;
        let order = order("o");
        for number in 0..40 {
            batch.node.ask(place(&order, &format!("p-{number}"))).await;
        }
        saved.0.load(Ordering::Relaxed)
    })
}

pub(super) fn rebuilt_at_once(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let log = SickLog::new();
        let settings = Settings::new(config, "test");
        let before = BatchNode::undriven(settings.clone(), log.clone(), log.inner.clone()).await;
        let orders = orders_of("shop", HERE, "o", 40);
        for order in &orders {
            applied(&before, order).await;
        }
        assert!(before.stop(SOON).await.drained);
        let node = BatchNode::undriven(settings, log.clone(), SickLog::new().inner.clone()).await;
        // The tenant knows what is parked before anything is slow.
        applied(&node, &order("first")).await;
        log.change(|sick| sick.reads.extend([HERE]));
        let mut asked = JoinSet::new();
        for order in orders {
            let node = node.clone();
            asked.spawn(async move { node.ask(place(&order, "p-0")).await });
        }
        pass(AT_ONCE).await;
        log.reading() as u64
    })
}

pub(super) fn let_in_of_many(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        let tenants = (0..40).map(|number| orders_of(&format!("shop-{number}"), HERE, "o", 1).remove(0));
        let commands = tenants.map(|order| place(&order, "p")).collect();
        refused_of(&node, &log, commands).await.1.len() as u64
    })
}

pub(super) fn let_in_of_one(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        let commands = orders_of("shop", HERE, "o", 40).iter().map(|order| place(order, "p")).collect();
        refused_of(&node, &log, commands).await.1.len() as u64
    })
}

/// `tenant set` on a node that runs: the next command is under the new limit, and so is the one after that is taken away.
#[tokio::test(start_paused = true)]
async fn a_tenants_limit_is_taken_over_live() {
    let (node, log) = node(Config::default()).await;
    let tenant = order("o").tenant;
    for (number, in_flight_max) in [None, Some(8), Some(24), None].into_iter().enumerate() {
        let setting = TenantSetting { in_flight_max, ..TenantSetting::new(tenant.clone()) };
        node.ports().tenants.put(setting).await.unwrap();
        let orders = orders_of("shop", HERE, &format!("o{number}"), 40);
        let commands = orders.iter().map(|order| place(order, "p")).collect();
        let (_, mut asked) = refused_of(&node, &log, commands).await;
        // What one partition may take of it.
        let most = in_flight_max.map_or(40, |max| max as usize - max as usize / 4);
        assert_eq!(asked.len(), most, "{in_flight_max:?}");
        log.change(|sick| sick.commits.clear());
        while asked.join_next().await.is_some() {}
    }
}

pub(super) fn in_doubt_after_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        let (_, _asked) = refused_of(&node, &log, vec![place(&order("o"), "p")]).await;
        let begun = Instant::now();
        let mut pace = interval(Duration::from_millis(100));
        for order in orders_of("shop", HERE, "q", 400) {
            pace.tick().await;
            let told = timeout(Duration::from_millis(1), node.ask(place(&order, "p"))).await;
            if told.is_ok_and(|outcome| outcome.code == Code::Unavailable) {
                break;
            }
        }
        begun.elapsed().as_millis() as u64
    })
}

pub(super) fn told_to_wait_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        let commands = orders_of("shop", HERE, "o", 4).iter().map(|order| place(order, "p")).collect();
        refused_of(&node, &log, commands).await.0[0].retry_after_ms.unwrap()
    })
}

/// One crash each half a second.
fn crashes(config: &Config) -> Vec<Duration> {
    let (mut window, mut now, mut delays) = (CrashWindow::default(), Instant::now(), Vec::new());
    while let AfterCrash::Restart(delay) = window.record_crash(now, &config.supervision, &Highest) {
        delays.push(delay);
        now += Duration::from_millis(500);
        if delays.len() >= 100 {
            break;
        }
    }
    delays
}

pub(super) fn crashes_until_quarantine(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async move { crashes(&config).len() as u64 })
}

pub(super) fn first_delay_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async move { crashes(&config)[0].as_millis() as u64 })
}

pub(super) fn greatest_delay_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async move { crashes(&config).into_iter().max().unwrap().as_millis() as u64 })
}

pub(super) fn queued_behind_a_parked_one(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let log = SickLog::new();
        let settings = Settings { probe: Some(Arc::new(Poison)), ..Settings::new(config, "test") };
        let node = BatchNode::undriven(settings, log.clone(), log.inner.clone()).await;
        let poison = order("poison");
        while node.ask(place(&poison, "p")).await.code != Code::Parked {
            pass(AT_ONCE).await;
        }
        let mut queued = 0;
        while node.ask(place(&poison, &format!("q-{queued}"))).await.code != Code::ParkedQueueFull {
            queued += 1;
        }
        queued
    })
}

pub(super) fn tried_against_a_competing_writer(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        log.change(|sick| sick.conflicts = true);
        assert_eq!(node.ask(place(&order("o"), "p")).await.code, Code::Unavailable);
        log.tried()
    })
}

pub(super) fn proposed_in_a_minute(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let (node, log) = node(config).await;
        let (_, _asked) = refused_of(&node, &log, vec![place(&order("o"), "p")]).await;
        pass(Duration::from_secs(60)).await;
        log.tried()
    })
}
