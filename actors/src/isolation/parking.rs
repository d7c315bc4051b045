//! What is parked in a partition whose log does not answer holds up nobody else of its tenant.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::ports::EventLog;
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{PARTITIONS, SickLog, orders_of};
use crate::NodeHandle;
use crate::batch_node::BatchNode;
use crate::world::{OwnershipMode, Probe, ProbePoint, ProbeVerdict, Settings};

const SICK: PartitionId = PartitionId(0);
const TIME: Duration = Duration::from_secs(60);
const PROMPTLY: Duration = Duration::from_millis(100);

/// Crashes whatever is named so.
struct Poison;

impl Probe for Poison {
    fn at(&self, point: ProbePoint, subject: &str) -> ProbeVerdict {
        match point == ProbePoint::OrderDecide && subject.contains("poison") {
            true => ProbeVerdict::Crash,
            false => ProbeVerdict::Pass,
        }
    }
}

async fn node(log: &Arc<SickLog>) -> NodeHandle {
    let mut settings = Settings::new(Config::default(), "test");
    settings.ownership = OwnershipMode::Assigned;
    settings.probe = Some(Arc::new(Poison));
    let node = BatchNode::undriven(settings, log.clone(), log.inner.clone()).await;
    for partition in (0..PARTITIONS).map(PartitionId) {
        assert!(node.take_over(partition, TIME).await);
    }
    node
}

async fn is_parked(node: &NodeHandle, order: &OrderRef) {
    for _ in 0..100 {
        if node.ask(place(order, "p")).await.code == Code::Parked {
            return;
        }
    }
    panic!("{order} is not parked");
}

async fn others_are_well(node: &NodeHandle, round: usize) {
    for partition in 1..PARTITIONS {
        let order = orders_of("shop", PartitionId(partition), &format!("r{round}"), 1).remove(0);
        let outcome = timeout(PROMPTLY, node.ask(place(&order, "p"))).await;
        assert_eq!(outcome.map(|outcome| outcome.code), Ok(Code::Applied), "{order}");
    }
    let moved = PartitionId(2);
    let handed = timeout(PROMPTLY, node.hand_over(moved, TIME)).await;
    assert_eq!(handed.map(|handed| handed.drained), Ok(true));
    assert_eq!(timeout(PROMPTLY, node.take_over(moved, TIME)).await, Ok(true));
}

/// One hot parked order in a partition in doubt: the others of the tenant go on, and partitions move.
#[tokio::test(start_paused = true)]
async fn a_parked_order_in_a_partition_in_doubt_stops_no_other() {
    let log = SickLog::new();
    let node = node(&log).await;
    let poison = orders_of("shop", SICK, "poison", 2);
    is_parked(&node, &poison[0]).await;
    log.change(|sick| sick.commits.extend([SICK]));
    let mut callers = JoinSet::new();
    for number in 0..50 {
        let (node, command) = (node.clone(), place(&poison[0], &format!("q-{number}")));
        callers.spawn(async move { node.ask(command).await.code });
    }
    // And one that is to be parked only now.
    let (asked, late) = (node.clone(), place(&poison[1], "p"));
    callers.spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            let code = asked.ask(late.clone()).await.code;
            if !matches!(code, Code::OutcomeUnknown | Code::Unavailable) {
                return code;
            }
        }
    });
    for round in 0..20 {
        tokio::time::advance(Duration::from_millis(700)).await;
        others_are_well(&node, round).await;
    }
    log.change(|sick| sick.commits.clear());
    while let Some(code) = callers.join_next().await {
        assert_eq!(code.unwrap(), Code::Parked);
    }
    let parked = retailflow_engine::ports::EventLog::parked(&*log.inner, SICK).await.unwrap();
    let queued = parked.iter().find(|parked| parked.order == poison[0]).map(|parked| parked.queued);
    assert_eq!((parked.len(), queued), (2, Some(51)));
}

/// Writes of an earlier actor come to the log after the next one has looked at the queue: each command is queued under a number of its
/// own, and none is acknowledged and lost.
#[tokio::test(start_paused = true)]
async fn a_number_that_is_taken_already_is_passed_over() {
    let log = SickLog::new();
    let first = node(&log).await;
    let poison = orders_of("shop", SICK, "poison", 1).remove(0);
    is_parked(&first, &poison).await;
    for id in ["q-0", "q-1"] {
        assert_eq!(first.ask(place(&poison, id)).await.code, Code::Parked);
    }
    let waiting = async || EventLog::parked_commands(&*log.inner, &poison, 0, usize::MAX).await.unwrap();
    let before = waiting().await;
    log.change(|sick| sick.stale_marks = true);
    let second = node(&log).await;
    for id in ["q-2", "q-3"] {
        let asked = timeout(TIME, second.ask(place(&poison, id))).await;
        assert_eq!(asked.map(|outcome| outcome.code), Ok(Code::Parked));
    }
    let after = waiting().await;
    assert_eq!(after.len(), before.len() + 2, "an acknowledged command is not in the queue");
    assert_eq!(after[..before.len()], before[..]);
}

/// The park marks of one partition cannot be read: whose command lives elsewhere feels nothing of it.
#[tokio::test(start_paused = true)]
async fn marks_that_cannot_be_read_hold_up_their_own_partition_alone() {
    let log = SickLog::new();
    let node = node(&log).await;
    log.change(|sick| sick.reads.extend([SICK]));
    let waiting = {
        let (node, order) = (node.clone(), orders_of("shop", SICK, "o", 1).remove(0));
        tokio::spawn(async move { node.ask(place(&order, "p")).await.code })
    };
    for round in 0..20 {
        others_are_well(&node, round).await;
    }
    log.change(|sick| sick.reads.clear());
    assert_eq!(waiting.await.unwrap(), Code::Applied);
}
