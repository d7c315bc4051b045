//! A partition whose log takes nothing is named for as long as that is so, and no command has to come for the end to be seen.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::time::{interval, timeout};

use super::{SickLog, orders_of};
use crate::batch_node::BatchNode;
use crate::node::NodeHandle;
use crate::world::Settings;

const TIME: Duration = Duration::from_secs(60);
const HERE: PartitionId = PartitionId(1);

fn refusing(node: &NodeHandle) -> Vec<(PartitionId, Code)> {
    node.refusing_partitions().into_iter().map(|(partition, code, _)| (partition, code)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_room_is_named_until_there_is_room_though_no_command_comes() {
    let log = SickLog::new();
    let settings = Settings::new(Config::default(), "test");
    let node = BatchNode::undriven(settings, log.clone(), log.inner.clone()).await;
    assert_eq!(refusing(&node), []);
    let order = orders_of("shop", HERE, "o", 1).remove(0);
    assert_eq!(node.ask(place(&order, "p")).await.code, Code::Applied);
    log.change(|sick| sick.no_room = usize::MAX);
    let other = orders_of("shop", HERE, "q", 1).remove(0);
    assert_eq!(node.ask(place(&other, "p")).await.code, Code::StorageFull);
    assert_eq!(refusing(&node), [(HERE, Code::StorageFull)]);
    let mut pace = interval(Duration::from_millis(100));
    for _ in 0..100 {
        pace.tick().await;
        assert_eq!(refusing(&node), [(HERE, Code::StorageFull)], "nothing has changed");
    }
    assert!(node.refusing_partitions()[0].2 >= Duration::from_secs(9), "since the first refusal");
    log.change(|sick| sick.no_room = 0);
    let healed = async {
        while !refusing(&node).is_empty() {
            pace.tick().await;
        }
    };
    timeout(TIME, healed).await.unwrap();
    assert_eq!(node.ask(place(&other, "p")).await.code, Code::Applied);
}
