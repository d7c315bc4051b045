//! A dry run on a node in memory: what it says, and that nothing is left of it.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::ports::{CommandDoor, EventLog, LogPosition};
use retailflow_engine::wire::command::{CancelData, ResumeData};
use retailflow_engine::wire::{CommandData, CommandEvent, Status};
use retailflow_testkit::author::{order, place};

use super::*;
use crate::batch_node::BatchNode;
use crate::world::{OwnershipMode, Probe, ProbePoint, ProbeVerdict, Settings};
use retailflow_engine::order::Actor;

const TIME: Duration = Duration::from_secs(5);

fn placing(order: &OrderRef, id: &str) -> CommandEvent {
    let command = place(order, id);
    CommandEvent::new(command.order, command.key, (*command.data).clone())
}

fn canceling(order: &OrderRef, id: &str) -> CommandEvent {
    let data = CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None };
    CommandEvent { data: CommandData::Cancel(data), ..placing(order, id) }
}

async fn dry(node: &NodeHandle, event: &CommandEvent) -> Outcome {
    let outcome = node.dry_run(event.clone(), Actor::Tenant, TIME).await;
    assert!(outcome.dry_run && outcome.is_consistent(), "{outcome:?}");
    outcome
}

async fn ask(node: &NodeHandle, event: &CommandEvent) -> Outcome {
    CommandDoor::ask(node, event.clone(), Actor::Tenant, TIME).await
}

/// All that a node wrote: its groups, its tenants and its letters.
async fn written(batch: &BatchNode) -> (usize, usize, usize) {
    let groups = batch.log.scan(LogPosition(0), 1 << 20).await.unwrap().len();
    let letters = batch.node.ports().dead_letters.list(0, 100).await.unwrap().len();
    (groups, batch.node.ports().tenants.count(), letters)
}

#[tokio::test(start_paused = true)]
async fn what_would_be_decided_is_told_and_nothing_is_left_of_it() {
    let batch = BatchNode::start(None).await;
    let (node, first) = (&batch.node, order("shop", "o-1"));
    let before = written(&batch).await;
    for _ in 0..3 {
        let told = dry(node, &placing(&first, "p")).await;
        assert_eq!((told.code, told.version, told.durability), (Code::Applied, Some(1), None));
        assert!(!told.replayed && told.message.contains("nothing was recorded"), "{told:?}");
        let preview = told.preview.unwrap();
        assert_eq!(preview.events[0].data.kind(), "retailflow.order.placed.v1");
        assert_eq!(dry(node, &canceling(&first, "x")).await.code, Code::OrderNotFound);
    }
    assert_eq!(written(&batch).await, before, "no record, no tenant, no letter");

    let placed = ask(node, &placing(&first, "p")).await;
    assert_eq!((placed.code, placed.version, placed.replayed), (Code::Applied, Some(1), false));
    let before = written(&batch).await;
    let again = dry(node, &placing(&first, "p")).await;
    assert_eq!((again.code, again.replayed, again.message), (Code::Applied, true, placed.message));
    assert_eq!(dry(node, &canceling(&first, "p")).await.code, Code::IdReused);
    let exists = dry(node, &placing(&first, "q")).await;
    assert_eq!((exists.status, exists.code, exists.version), (Status::Rejected, Code::OrderExists, Some(1)));
    let canceling = canceling(&first, "c");
    let told = dry(node, &canceling).await;
    assert_eq!(written(&batch).await, before);
    let canceled = ask(node, &canceling).await;
    assert_eq!((told.code, told.version), (canceled.code, canceled.version), "it was told so");
    assert!(!canceled.replayed, "the id was not used up");
}

#[tokio::test(start_paused = true)]
async fn it_passes_the_checks_of_a_command() {
    let batch = BatchNode::start(None).await;
    let verb = |order: &OrderRef| CommandEvent {
        data: CommandData::Resume(ResumeData::default()),
        ..placing(order, "v")
    };
    let shop = order("shop", "o-1");
    assert_eq!(dry(&batch.node, &verb(&shop)).await.code, Code::OperatorOnly);
    assert_eq!(dry(&batch.node, &placing(&order("probe", "o"), "p")).await.code, Code::ReservedName);
    let operator = Actor::Operator("ann".into());
    let told = batch.node.dry_run(verb(&shop), operator, TIME).await;
    assert_eq!((told.code, told.dry_run), (Code::OrderNotFound, true));

    let mut config = Config::default();
    config.tenants.created_max = 1;
    (config.admission.in_flight_max, config.admission.tenant_in_flight_max) = (4, 2);
    let batch = BatchNode::with(config).await;
    assert_eq!(ask(&batch.node, &placing(&shop, "p")).await.code, Code::Applied);
    assert_eq!(dry(&batch.node, &placing(&order("b", "o"), "p")).await.code, Code::TenantLimit);
    let admission = batch.node.admission();
    let entered = |_| admission.try_enter(&shop.tenant, None, PartitionId(0)).unwrap();
    let under_way: Vec<_> = (0..2).map(entered).collect();
    assert_eq!(dry(&batch.node, &canceling(&shop, "c")).await.code, Code::Throttled);
    drop(under_way);
    assert_eq!(dry(&batch.node, &canceling(&shop, "c")).await.code, Code::Applied);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_left_memory_is_found_in_the_log() {
    let mut config = Config::default();
    config.orders.recent_ids_max = 1;
    let batch = BatchNode::with(config).await;
    let shop = order("shop", "o-1");
    for id in ["p", "q", "r"] {
        ask(&batch.node, &placing(&shop, id)).await;
    }
    let again = dry(&batch.node, &placing(&shop, "p")).await;
    assert_eq!((again.code, again.replayed), (Code::Applied, true));
    assert_eq!(dry(&batch.node, &canceling(&shop, "q")).await.code, Code::IdReused);
}

/// A node that stops takes no commands, and one that does not run the partition neither; both can read.
#[tokio::test(start_paused = true)]
async fn a_node_that_decides_nothing_still_tells() {
    let batch = BatchNode::start(None).await;
    let shop = order("shop", "o-1");
    assert_eq!(ask(&batch.node, &placing(&shop, "p")).await.code, Code::Applied);
    let (node, log) = (batch.node.clone(), batch.log.clone());
    batch.node.stop(TIME).await;
    assert_eq!(ask(&node, &canceling(&shop, "c")).await.code, Code::Draining);
    assert_eq!(dry(&node, &canceling(&shop, "c")).await.code, Code::Applied);

    let other = BatchNode::on(log, "other", OwnershipMode::Assigned, None).await;
    assert_eq!(ask(&other.node, &canceling(&shop, "c")).await.code, Code::Unavailable);
    let told = dry(&other.node, &canceling(&shop, "c")).await;
    assert_eq!((told.code, told.version), (Code::Applied, Some(2)));
}

/// Crashes every order that decides.
struct Poison;

impl Probe for Poison {
    fn at(&self, point: ProbePoint, _: &str) -> ProbeVerdict {
        if point == ProbePoint::OrderDecide { ProbeVerdict::Crash } else { ProbeVerdict::Pass }
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_wait_behind_a_parked_order_is_told_so() {
    let mut settings = Settings::new(Config::default(), "test");
    settings.probe = Some(Arc::new(Poison));
    settings.config.supervision.parked_queue_max = 2;
    let log =
        Arc::new(retailflow_engine::memory::MemoryLog::new(BatchNode::start(None).await.log.identity()));
    let node = BatchNode::undriven(settings, log.clone(), log.clone()).await;
    let poison = order("shop", "poison");
    while ask(&node, &placing(&poison, "p")).await.code != Code::Parked {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    let told = dry(&node, &placing(&poison, "q")).await;
    assert_eq!((told.status, told.code, told.version), (Status::Parked, Code::Parked, None));
    assert!(told.message.contains("behind 1 others"), "{}", told.message);
    assert_eq!(ask(&node, &placing(&poison, "q")).await.code, Code::Parked, "nothing was queued before");
    assert_eq!(dry(&node, &placing(&poison, "r")).await.code, Code::ParkedQueueFull);
}
