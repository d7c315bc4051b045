//! What is larger than the log takes is refused alone, and by name: whoever is in its group is written.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef, PartitionId, Source};
use retailflow_engine::order::{Actor as By, Command};
use retailflow_engine::wire::{Code, CommandData, CommandEvent};
use retailflow_testkit::author::{CONTEXT, place};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::{SickLog, orders_of};
use crate::NodeHandle;
use crate::batch_node::BatchNode;
use crate::world::{Probe, ProbePoint, ProbeVerdict, Settings};

const HERE: PartitionId = PartitionId(1);
const TIME: Duration = Duration::from_secs(60);
/// Small commands' records are smaller, large ones' larger.
const ENTRY_MAX: usize = 4096;

/// Crashes whatever is named so.
pub(super) struct Poison;

impl Probe for Poison {
    fn at(&self, point: ProbePoint, subject: &str) -> ProbeVerdict {
        match point == ProbePoint::OrderDecide && subject.contains("poison") {
            true => ProbeVerdict::Crash,
            false => ProbeVerdict::Pass,
        }
    }
}

fn large(order: &OrderRef, id: &str) -> Command {
    let line = |number: u32| json!({ "line_id": format!("{number:0>100}"), "sku": "s", "quantity": 1, "amount_minor": 0 });
    let lines: Vec<_> = (0..100).map(line).collect();
    let data = json!({ "customer": "c", "currency": "EUR", "lines": lines });
    let data = CommandData::Place(serde_json::from_value(data).unwrap());
    let key = CommandKey { source: Source::parse("/test").unwrap(), id: CommandId::parse(id).unwrap() };
    let event = CommandEvent::new(order.clone(), key, data);
    Command { time: Some(CONTEXT.now), ..Command::from_event(event, By::Tenant) }
}

async fn node(log: &Arc<SickLog>) -> NodeHandle {
    let settings = Settings { probe: Some(Arc::new(Poison)), ..Settings::new(Config::default(), "test") };
    BatchNode::undriven(settings, log.clone(), log.inner.clone()).await
}

/// Some orders' commands in one group: what became of each.
async fn in_one_group(
    node: &NodeHandle,
    log: &Arc<SickLog>,
    commands: Vec<Command>,
) -> Vec<(OrderRef, Code, String)> {
    // The first one's group does not end before all others wait.
    log.change(|sick| sick.commits.extend([HERE]));
    let mut asked = JoinSet::new();
    for command in commands {
        let node = node.clone();
        asked.spawn(async move {
            let order = command.order.clone();
            let outcome = timeout(TIME, node.ask(command)).await.unwrap();
            (order, outcome.code, outcome.message)
        });
    }
    let mut pace = interval(Duration::from_millis(20));
    pace.tick().await;
    pace.tick().await;
    log.change(|sick| sick.commits.clear());
    asked.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_refused_alone() {
    for unnamed in [false, true] {
        let log = SickLog::new();
        let node = node(&log).await;
        log.change(|sick| sick.entry_max = Some((ENTRY_MAX, unnamed)));
        let orders = orders_of("shop", HERE, "o", 41);
        let big = orders_of("shop", HERE, "big", 2);
        let small = orders.iter().map(|order| place(order, "p"));
        let mut commands: Vec<Command> = small.collect();
        commands.insert(21, large(&big[0], "p"));
        commands.insert(7, large(&big[1], "p"));
        for (order, code, message) in in_one_group(&node, &log, commands).await {
            let wanted = if big.contains(&order) { Code::TooLarge } else { Code::Applied };
            assert_eq!(code, wanted, "{order}: {message} (unnamed: {unnamed})");
            assert!(code == Code::Applied || message.contains("at most 4096"), "{message}");
        }
        // Nothing of it is left behind: the order takes what is smaller, and the partition was never ended.
        assert_eq!(node.ask(place(&big[0], "p2")).await.code, Code::Applied);
        assert_eq!(node.crashes(), 0);
        let groups = log.inner.groups().len();
        assert!(groups < 25, "{groups} groups for two records that are too large");
    }
}

/// Two commands of one order fit into a record by themselves, and not together.
#[tokio::test(start_paused = true)]
async fn commands_that_are_too_large_together_are_written_one_after_the_other() {
    let log = SickLog::new();
    let node = node(&log).await;
    let order = orders_of("shop", HERE, "o", 1).remove(0);
    // Rejections of commands that are there twice: each is recorded.
    let commands: Vec<Command> = (0..30).map(|number| place(&order, &format!("p-{number}"))).collect();
    log.change(|sick| sick.entry_max = Some((1024, false)));
    let outcomes = in_one_group(&node, &log, commands).await;
    let applied = outcomes.iter().filter(|(_, code, _)| *code == Code::Applied).count();
    let exists = outcomes.iter().filter(|(_, code, _)| *code == Code::OrderExists).count();
    assert_eq!((applied, exists), (1, 29), "{outcomes:?}");
}

/// What is to be queued behind a parked order, too large or while the log has no room, is refused, not left unanswered.
#[tokio::test(start_paused = true)]
async fn a_parked_command_that_cannot_be_written_is_refused_with_the_reason() {
    let log = SickLog::new();
    let node = node(&log).await;
    let poison = orders_of("shop", HERE, "poison", 1).remove(0);
    let mut tries = 0;
    while node.ask(place(&poison, "p")).await.code != Code::Parked {
        tries += 1;
        assert!(tries < 100, "it is never parked");
    }
    log.change(|sick| sick.entry_max = Some((ENTRY_MAX, true)));
    let other = orders_of("shop", HERE, "o", 1).remove(0);
    let commands =
        vec![place(&poison, "q-1"), large(&poison, "q-2"), place(&poison, "q-3"), place(&other, "p")];
    let mut codes: Vec<Code> =
        in_one_group(&node, &log, commands).await.into_iter().map(|(_, code, _)| code).collect();
    codes.sort_by_key(|code| code.as_str());
    assert_eq!(codes, [Code::Applied, Code::Parked, Code::Parked, Code::TooLarge]);
    log.change(|sick| sick.no_room = 1);
    let refused = timeout(TIME, node.ask(place(&poison, "q-4"))).await.unwrap();
    assert_eq!(refused.code, Code::StorageFull, "{}", refused.message);
    assert_eq!(node.ask(place(&poison, "q-4")).await.code, Code::Parked, "the id may come again");
}

/// The log's limit became smaller while a group was in doubt: it can neither be sent again nor replaced. The partition is taken over
/// anew, which ends the doubt.
#[tokio::test(start_paused = true)]
async fn a_group_in_doubt_that_became_too_large_stops_nobody() {
    let log = SickLog::new();
    let node = node(&log).await;
    let big = orders_of("shop", HERE, "big", 1).remove(0);
    log.change(|sick| sick.unknown.extend([HERE]));
    let asked = tokio::spawn({
        let (node, command) = (node.clone(), large(&big, "p"));
        async move { node.ask(command).await }
    });
    let mut pace = interval(Duration::from_millis(500));
    pace.tick().await;
    pace.tick().await;
    log.change(|sick| {
        sick.entry_max = Some((ENTRY_MAX, true));
        sick.unknown.clear();
    });
    let told = timeout(TIME, asked).await.unwrap().unwrap();
    assert_ne!(told.code, Code::Applied);
    let other = orders_of("shop", HERE, "o", 1).remove(0);
    let written = async {
        let mut pace = interval(Duration::from_millis(100));
        while node.ask(place(&other, "p")).await.code != Code::Applied {
            pace.tick().await;
        }
    };
    timeout(TIME, written).await.unwrap();
    assert_eq!(node.ask(large(&big, "p")).await.code, Code::TooLarge);
}
