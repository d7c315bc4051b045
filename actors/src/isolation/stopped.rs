//! A partition whose log lost data says so for as long as it stands still.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::time::timeout;

use super::{PARTITIONS, SickLog, orders_of};
use crate::batch_node::BatchNode;
use crate::world::{OwnershipMode, Settings};

const SICK: PartitionId = PartitionId(1);
const TIME: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_partition_whose_log_lost_data_is_named_until_it_is_taken_over_again() {
    let log = SickLog::new();
    let settings =
        Settings { ownership: OwnershipMode::Assigned, ..Settings::new(Config::default(), "test") };
    let node = BatchNode::undriven(settings, log.clone(), log.inner.clone()).await;
    for partition in (0..PARTITIONS).map(PartitionId) {
        assert!(node.take_over(partition, TIME).await);
    }
    assert_eq!(node.stopped_partitions(), []);
    log.change(|sick| sick.regressed.extend([SICK]));
    let order = |partition, prefix: &str| orders_of("shop", partition, prefix, 1).remove(0);
    let refused = timeout(TIME, node.ask(place(&order(SICK, "a"), "p"))).await;
    assert_ne!(refused.map(|outcome| outcome.code), Ok(Code::Applied));
    assert_eq!(node.stopped_partitions(), [SICK]);
    assert_eq!(node.ask(place(&order(PartitionId(0), "b"), "p")).await.code, Code::Applied);
    log.change(|sick| sick.regressed.clear());
    node.hand_over(SICK, TIME).await;
    assert_eq!(node.stopped_partitions(), [], "whose it is now says so");
    assert!(node.take_over(SICK, TIME).await);
    assert_eq!(node.stopped_partitions(), []);
    assert_eq!(node.ask(place(&order(SICK, "c"), "p")).await.code, Code::Applied);
}
