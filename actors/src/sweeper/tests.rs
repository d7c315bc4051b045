//! Orders that were found while their partition cannot be read.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::keys::partition_of;
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    KeyStanding, LogIdentity, Participant, PortFuture, Settlement, Snapshots, StepAnswer, StepRequest,
};
use retailflow_engine::wire::Code;
use retailflow_testkit::author::{orders_in, place};
use tokio::sync::watch;
use tokio::time::interval;

use super::FOUND_MAX;
use crate::batch_node::BatchNode;
use crate::world::OwnershipMode;

const PARTITIONS: u16 = 4;
const BAD: PartitionId = PartitionId(1);
const GOOD: PartitionId = PartitionId(2);
const TIME: Duration = Duration::from_secs(5);

/// Snapshots of one partition's orders do not come.
struct Hanging;

impl Snapshots for Hanging {
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        let hangs = partition_of(order, PARTITIONS) == BAD;
        Box::pin(async move { if hangs { std::future::pending().await } else { None } })
    }

    fn save(&self, _order: &OrderRef, _bytes: Vec<u8>) {}
}

/// Notes which orders it is asked for, and does not answer.
struct Silent {
    asked: Mutex<Vec<OrderRef>>,
    changed: watch::Sender<usize>,
}

impl Participant for Silent {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        let mut asked = self.asked.lock();
        if !asked.contains(&request.order) {
            asked.push(request.order.clone());
            self.changed.send_replace(asked.len());
        }
        Box::pin(std::future::pending())
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(std::future::pending())
    }

    fn settle<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(std::future::pending())
    }
}

/// Before, all of them were woken, whatever became of those that were: 10 GB for 3,000,000 orders that could not be read
/// as fast as they were found.
#[tokio::test(start_paused = true)]
async fn orders_that_cannot_be_read_fill_no_memory_and_keep_no_others_waiting() {
    let identity = LogIdentity {
        log_id: [1; 16],
        cluster: "test".into(),
        partitions: PARTITIONS,
        shards: 1,
        created: TimestampMs(0),
    };
    let log = Arc::new(MemoryLog::new(identity));
    let one = BatchNode::on(log.clone(), "one", OwnershipMode::Assigned, None).await.node;
    let good = orders_in(GOOD, PARTITIONS, 20);
    let bad = orders_in(BAD, PARTITIONS, 20 * FOUND_MAX);
    assert!(one.take_over(BAD, TIME).await && one.take_over(GOOD, TIME).await);
    for order in good.iter().chain(&bad) {
        assert_eq!(one.ask(place(order, "p")).await.code, Code::Applied);
    }
    one.kill().await;
    let silent = Arc::new(Silent { asked: Mutex::default(), changed: watch::Sender::new(0) });
    let (deadlines, snapshots) = (log.clone(), Arc::new(Hanging));
    let next =
        BatchNode::remembering(log, deadlines, snapshots, "next", OwnershipMode::Assigned, silent.clone())
            .await
            .node;
    assert!(next.take_over(BAD, TIME).await && next.take_over(GOOD, TIME).await);
    let mut changed = silent.changed.subscribe();
    changed.wait_for(|asked| *asked == good.len()).await.unwrap();
    let mut pace = interval(Duration::from_secs(1));
    for _ in 0..20 {
        pace.tick().await;
        let live = next.live_orders();
        assert!(live <= FOUND_MAX + good.len(), "{live} orders are in memory");
    }
    next.kill().await;
}
