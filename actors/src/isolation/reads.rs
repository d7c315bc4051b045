//! Reads that do not answer hold up what needs none, and other partitions', not at all.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{SickLog, orders_of};
use crate::batch_node::BatchNode;
use crate::world::Settings;

const SICK: PartitionId = PartitionId(0);

#[tokio::test(start_paused = true)]
async fn a_slow_shard_keeps_no_order_of_another_from_being_rebuilt_nor_a_new_one_of_its_own() {
    let log = SickLog::new();
    let mut config = Config::default();
    config.orders.hydrate_concurrency_max = 4;
    let settings = Settings::new(config, "test");
    let before = BatchNode::undriven(settings.clone(), log.clone(), log.inner.clone()).await;
    let (sick, well) = (orders_of("shop", SICK, "s", 40), orders_of("shop", PartitionId(1), "w", 40));
    for order in sick.iter().chain(&well) {
        assert_eq!(before.ask(place(order, "p")).await.code, Code::Applied);
    }
    assert!(before.stop(Duration::from_secs(5)).await.drained);

    // Its sweeper finds nothing: no order is in memory before it is asked.
    let node = BatchNode::undriven(settings, log.clone(), SickLog::new().inner.clone()).await;
    // The tenant knows what is parked before anything is slow.
    let first = orders_of("shop", SICK, "first", 1).remove(0);
    assert_eq!(node.ask(place(&first, "p")).await.code, Code::Applied);
    log.change(|now| now.reads.extend([SICK]));
    let mut waiting = JoinSet::new();
    for order in sick {
        let node = node.clone();
        waiting.spawn(async move { node.ask(place(&order, "p")).await });
    }
    timeout(Duration::from_secs(1), log.reads_wait(4)).await.expect("reads that wait");
    let promptly = Duration::from_millis(100);
    for order in well.iter().chain(&orders_of("shop", SICK, "new", 40)) {
        let outcome = timeout(promptly, node.ask(place(order, "p"))).await;
        assert_eq!(outcome.map(|outcome| outcome.code), Ok(Code::Applied), "{order}");
    }
    log.change(|now| now.reads.clear());
    while let Some(outcome) = waiting.join_next().await {
        assert!(outcome.unwrap().replayed);
    }
}
