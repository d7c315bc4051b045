//! What a fence costs, and what outlives the actor that wrote it.

use std::time::Duration;

use futures_util::future::join_all;
use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::EventLog;
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::time::{interval, timeout};

use super::{SickLog, orders_of};
use crate::batch_node::BatchNode;
use crate::world::{OwnershipMode, Settings};

const HERE: PartitionId = PartitionId(1);
const TIME: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn one_fence_answers_all_who_wait_for_one() {
    let log = SickLog::new();
    let settings = Settings::new(Config::default(), "test");
    let node = BatchNode::undriven(settings, log.clone(), log.inner.clone()).await;
    let before = log.inner.groups().len();
    let release_barriers = join_all((0..255).map(|_| node.confirm_ownership(HERE))).await;
    assert!(release_barriers.into_iter().all(|release_barriers| release_barriers));
    let fences = log.inner.groups().len() - before;
    assert!(fences <= 3, "{fences} fences for 255 who asked at once");
}

/// A committer that keeps ending is set apart and started anew: it must not drive out who came meanwhile.
#[tokio::test(start_paused = true)]
async fn a_partition_that_was_set_apart_does_not_fence_out_a_healthy_new_owner() {
    let log = SickLog::new();
    let mut config = Config::default();
    config.supervision.restarts_max = 2;
    let told =
        |name: &str| Settings { ownership: OwnershipMode::Assigned, ..Settings::new(config.clone(), name) };
    let one = BatchNode::undriven(told("one"), log.clone(), log.inner.clone()).await;
    let two = BatchNode::undriven(told("two"), log.clone(), log.inner.clone()).await;
    assert!(one.take_over(HERE, TIME).await);
    log.change(|sick| sick.broken = Some("one".into()));
    let order = orders_of("shop", HERE, "o", 2);
    drop(one.ask(place(&order[0], "p")).await);
    // Until it is set apart: five ends and more.
    let mut pace = interval(Duration::from_millis(100));
    let before = one.crashes();
    for _ in 0..100 {
        pace.tick().await;
        if one.crashes() >= before + 2 {
            break;
        }
    }
    assert!(two.take_over(HERE, TIME).await);
    let epoch = log.inner.head(HERE).await.unwrap().fence.unwrap().epoch;
    log.change(|sick| sick.broken = None);
    assert_eq!(timeout(Duration::from_secs(30), one.next_fenced()).await, Ok(HERE));
    assert_eq!(log.inner.head(HERE).await.unwrap().fence.unwrap().epoch, epoch, "nobody drove the owner out");
    assert_eq!(two.ask(place(&order[1], "p")).await.code, Code::Applied);
}
