//! A partition whose log does not answer uses up nobody's permits but its own.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::CommandDoor;
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use retailflow_testkit::author::place;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::{Sick, SickLog, orders_of};
use crate::NodeHandle;
use crate::batch_node::BatchNode;
use crate::world::Settings;

const SICK: PartitionId = PartitionId(0);
const TENANTS: [&str; 3] = ["shop", "till", "market"];

async fn node(log: &Arc<SickLog>) -> NodeHandle {
    let mut config = Config::default();
    config.admission.in_flight_max = 96;
    config.admission.tenant_in_flight_max = 48;
    BatchNode::undriven(Settings::new(config, "test"), log.clone(), log.inner.clone()).await
}

async fn ask(node: &NodeHandle, command: retailflow_engine::order::Command, time: Duration) -> Outcome {
    let retailflow_engine::order::Command { order, key, data, .. } = command;
    CommandDoor::ask(node, CommandEvent::new(order, key, (*data).clone()), Actor::Tenant, time).await
}

/// Callers of one partition go on asking for a minute while its log does not answer; those of others feel nothing of it, and
/// when it answers again all have their outcome.
#[tokio::test(start_paused = true)]
async fn a_silent_partition_uses_up_neither_its_tenants_nor_the_nodes_permits() {
    others_are_well_beside(|sick| sick.commits.extend([SICK])).await;
}

/// The same where the log says at once, again and again, that nobody knows.
#[tokio::test(start_paused = true)]
async fn a_partition_in_doubt_uses_up_neither_its_tenants_nor_the_nodes_permits() {
    others_are_well_beside(|sick| sick.unknown.extend([SICK])).await;
}

async fn others_are_well_beside(sickness: impl FnOnce(&mut Sick)) {
    let log = SickLog::new();
    let node = node(&log).await;
    log.change(sickness);
    let mut callers = JoinSet::new();
    // A few come at each moment: what counts is how long each stays.
    for tenant in TENANTS {
        for (number, order) in orders_of(tenant, SICK, "s", 60).into_iter().enumerate() {
            let node = node.clone();
            callers.spawn(async move {
                let mut pace = interval(Duration::from_millis(50 + 10 * number as u64));
                loop {
                    pace.tick().await;
                    let outcome = ask(&node, place(&order, "p"), Duration::from_secs(10)).await;
                    if !outcome.code.retry_helps() {
                        return outcome.code;
                    }
                }
            });
        }
    }
    let begun = Instant::now();
    let mut pace = interval(Duration::from_millis(100));
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(60) {
        pace.tick().await;
        number += 1;
        for tenant in TENANTS {
            for partition in 1..super::PARTITIONS {
                let order = orders_of(tenant, PartitionId(partition), &format!("h{number}"), 1).remove(0);
                let asked = Instant::now();
                let outcome = ask(&node, place(&order, "p"), Duration::from_secs(10)).await;
                let told = (outcome.code, asked.elapsed() < Duration::from_millis(50));
                assert_eq!(told, (Code::Applied, true), "{order} after {:?}", begun.elapsed());
            }
        }
    }
    log.change(|sick| *sick = Sick::default());
    while let Some(code) = callers.join_next().await {
        assert_eq!(code.unwrap(), Code::Applied);
    }
    assert_eq!(node.in_flight(), 0, "every permit is back");
    assert!(node.stop(Duration::from_secs(5)).await.drained);
}

/// A caller that has gone holds nothing, whatever became of its command.
#[tokio::test(start_paused = true)]
async fn a_permit_ends_with_its_callers_wait() {
    let log = SickLog::new();
    let node = node(&log).await;
    log.change(|sick| sick.commits.extend([SICK]));
    for order in orders_of("shop", SICK, "s", 40) {
        let outcome = ask(&node, place(&order, "p"), Duration::from_millis(1)).await;
        assert_eq!(outcome.code, Code::OutcomeUnknown);
    }
    assert_eq!(node.in_flight(), 0);
}
