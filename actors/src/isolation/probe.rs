//! The engine's own order goes the way of all others and leaves nothing; and it shows what is silent while nobody asks.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{PROBE_TENANT, PartitionId};
use retailflow_engine::ports::EventLog as _;
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use retailflow_testkit::author::place;
use tokio::time::{Instant, interval};

use super::{Sick, SickLog, orders_of};
use crate::NodeHandle;
use crate::batch_node::BatchNode;
use crate::health::PartitionFault;
use crate::world::Settings;

const HERE: PartitionId = PartitionId(2);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Probes come every ten seconds, and a silent log is looked at again every second.
const SEEN_MAX: Duration = Duration::from_secs(60);

async fn probe(node: &NodeHandle, number: usize) -> Outcome {
    let order = orders_of(PROBE_TENANT, HERE, "day", 1).remove(0);
    let command = place(&order, &format!("probe-{number}"));
    let event = CommandEvent::new(command.order, command.key, (*command.data).clone());
    node.probe(event, ANSWER_MAX).await
}

async fn node(log: &Arc<SickLog>) -> NodeHandle {
    BatchNode::undriven(Settings::new(Config::default(), "test"), log.clone(), log.inner.clone()).await
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_recorded_nowhere_however_often_it_comes() {
    let log = SickLog::new();
    let node = node(&log).await;
    let before = (log.inner.groups().len(), log.head(HERE).await.unwrap());
    for number in 0..50 {
        assert_eq!(probe(&node, number).await.code, Code::Applied);
    }
    assert_eq!((log.inner.groups().len(), log.head(HERE).await.unwrap()), before);
    assert!(log.inner.orders(HERE).is_empty(), "nor is there an order of its");
    // Others go on as if there had been none.
    let order = orders_of("shop", HERE, "a", 1).remove(0);
    assert_eq!(node.ask(place(&order, "p")).await.code, Code::Applied);
    assert_eq!(node.partition_faults(), []);
}

async fn until(what: &str, is: impl Fn() -> bool) -> Duration {
    let (begun, mut looks) = (Instant::now(), interval(Duration::from_millis(100)));
    while !is() {
        looks.tick().await;
        assert!(begun.elapsed() < SEEN_MAX, "{what}");
    }
    begun.elapsed()
}

/// Nobody sends anything while the log is sick, nor afterwards.
async fn is_seen_and_passes(
    sickness: impl FnOnce(&mut Sick),
    cure: impl FnOnce(&mut Sick),
    is: impl Fn(&PartitionFault) -> bool,
) {
    let log = SickLog::new();
    let node = node(&log).await;
    assert_eq!(probe(&node, 0).await.code, Code::Applied);
    log.change(sickness);
    assert_ne!(probe(&node, 1).await.code, Code::Applied);
    let trouble = || node.partition_faults().into_iter().find(|(partition, ..)| *partition == HERE);
    assert!(trouble().is_some_and(|(_, trouble, _)| is(&trouble)), "{:?}", trouble());
    let mut looks = interval(Duration::from_secs(1));
    for _ in 0..30 {
        looks.tick().await;
    }
    let (_, _, since) = trouble().unwrap();
    assert!(since >= Duration::from_secs(25), "it counts from when it began: {since:?}");
    log.change(cure);
    let again = node.clone();
    let probes = tokio::spawn(async move {
        let mut pace = interval(Duration::from_secs(10));
        for number in 2.. {
            pace.tick().await;
            probe(&again, number).await;
        }
    });
    until("it is well again", || node.partition_faults().is_empty()).await;
    probes.abort();
    let order = orders_of("shop", HERE, "a", 1).remove(0);
    assert_eq!(node.ask(place(&order, "p")).await.code, Code::Applied);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_hangs_is_seen_while_nobody_sends() {
    let is = |trouble: &PartitionFault| *trouble == PartitionFault::LogSilent;
    is_seen_and_passes(|sick| sick.commits.extend([HERE]), |sick| sick.commits.clear(), is).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_without_a_leader_is_seen_while_nobody_sends() {
    let is = |trouble: &PartitionFault| *trouble == PartitionFault::LogSilent;
    is_seen_and_passes(|sick| sick.unknown.extend([HERE]), |sick| sick.unknown.clear(), is).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_without_room_is_seen_while_nobody_sends() {
    let is = |trouble: &PartitionFault| matches!(trouble, PartitionFault::LogRefuses(_));
    is_seen_and_passes(|sick| sick.no_room = usize::MAX, |sick| sick.no_room = 0, is).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_log_is_well_again_by_itself_once_it_answers() {
    let log = SickLog::new();
    let node = node(&log).await;
    log.change(|sick| sick.unknown.extend([HERE]));
    assert_ne!(probe(&node, 0).await.code, Code::Applied);
    log.change(|sick| sick.unknown.clear());
    let took = until("nobody probes any more", || node.partition_faults().is_empty()).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}
