//! Does what the owner of partitions says: takes over, hands over, stops, and tells when a partition is run no more.
//!
//! One task a partition, which does one thing after the other: a hand-over that takes its time holds up no other partition, and
//! nothing of one partition overtakes anything else of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{Ownership, OwnershipEvent};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::NodeHandle;

/// Tasks that wait for one partition: a take-over, a hand-over, a stop and a fence seen in between.
const WAITING_MAX: usize = 8;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StewardTimes {
    /// One try of a take-over; it is tried on.
    pub take_over: Duration,
    /// A hand-over; what is not finished then is given up.
    pub hand_over: Duration,
}

enum Task {
    TakeOver,
    HandOver,
    Stop,
    /// The log has refused us: another one writes.
    Fenced,
}

/// Runs the partitions of `node` as `ownership` says, until `end`; then hands over all that it has. The caller ends the
/// membership afterwards, so that others claim at once what was handed over.
pub async fn steward(
    node: NodeHandle,
    ownership: Arc<dyn Ownership>,
    times: StewardTimes,
    end: CancellationToken,
) {
    let mut partitions: BTreeMap<PartitionId, mpsc::Sender<Task>> = BTreeMap::new();
    let mut workers = JoinSet::new();
    loop {
        let (partition, task) = tokio::select! {
            () = end.cancelled() => break,
            partition = node.fenced() => (partition, Task::Fenced),
            event = ownership.next() => match event {
                None => break,
                Some(OwnershipEvent::TakeOver(partition)) => (partition, Task::TakeOver),
                Some(OwnershipEvent::HandOver(partition)) => (partition, Task::HandOver),
                Some(OwnershipEvent::Stop(partition)) => (partition, Task::Stop),
            },
        };
        let mut begin = |ours| {
            let (sender, tasks) = mpsc::channel(WAITING_MAX);
            let (node, ownership) = (node.clone(), ownership.clone());
            workers.spawn(Worker { partition, node, ownership, times, tasks, ours }.run());
            sender
        };
        let worker = partitions.entry(partition).or_insert_with(|| begin(false));
        if let Err(mpsc::error::SendError(task)) = worker.send(task).await {
            // It panicked, which is told when it is joined; whether the partition was run nobody knows.
            *worker = begin(true);
            let _ = worker.send(task).await;
        }
    }
    for (_, worker) in std::mem::take(&mut partitions) {
        let _ = worker.send(Task::HandOver).await;
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "what runs a partition ended badly");
        }
    }
}

struct Worker {
    partition: PartitionId,
    node: NodeHandle,
    ownership: Arc<dyn Ownership>,
    times: StewardTimes,
    tasks: mpsc::Receiver<Task>,
    /// It is run here, or about to be: each take-over is released once.
    ours: bool,
}

impl Worker {
    async fn run(mut self) {
        let mut taking_over = false;
        loop {
            let task = if taking_over {
                // Tried until it is done, or something else is to be.
                tokio::select! {
                    biased;
                    task = self.tasks.recv() => task,
                    done = self.node.take_over(self.partition, self.times.take_over) => {
                        taking_over = !done;
                        if taking_over {
                            tracing::warn!(partition = %self.partition, "not taken over yet; trying on");
                        }
                        continue;
                    }
                }
            } else {
                self.tasks.recv().await
            };
            let Some(task) = task else { return };
            taking_over = matches!(task, Task::TakeOver);
            match task {
                Task::TakeOver => {
                    self.ours = true;
                    continue;
                }
                // What a fence has ended may be told to end once more.
                _ if !self.ours => continue,
                Task::HandOver => {
                    let handed = self.node.hand_over(self.partition, self.times.hand_over).await;
                    tracing::info!(partition = %self.partition, drained = handed.drained, "handed over");
                }
                Task::Stop | Task::Fenced => {
                    self.node.stop_partition(self.partition).await;
                    tracing::warn!(partition = %self.partition, "stopped: another owner has it");
                }
            }
            self.ours = false;
            self.ownership.released(self.partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use parking_lot::Mutex;
    use retailflow_engine::contract::author::{order, place};
    use retailflow_engine::ids::TimestampMs;
    use retailflow_engine::memory::MemoryLog;
    use retailflow_engine::ports::{LogIdentity, PortFuture};
    use retailflow_engine::wire::Code;

    use super::*;
    use crate::quiet::Quiet;
    use crate::world::Holds;

    const HERE: PartitionId = PartitionId(0);
    const TIMES: StewardTimes =
        StewardTimes { take_over: Duration::from_secs(5), hand_over: Duration::from_secs(5) };

    /// An owner that says what the test says.
    struct Told {
        events: tokio::sync::Mutex<mpsc::Receiver<OwnershipEvent>>,
        released: Mutex<Vec<PartitionId>>,
    }

    impl Ownership for Told {
        fn next(&self) -> PortFuture<'_, Option<OwnershipEvent>> {
            Box::pin(async { self.events.lock().await.recv().await })
        }

        fn released(&self, partition: PartitionId) {
            self.released.lock().push(partition);
        }

        fn is_sure(&self) -> bool {
            true
        }
    }

    struct Node {
        node: NodeHandle,
        told: Arc<Told>,
        say: mpsc::Sender<OwnershipEvent>,
        end: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    impl Node {
        async fn new(log: &Arc<MemoryLog>, name: &str) -> Self {
            let node = Quiet::on(log.clone(), name, Holds::AsTold, None).await.node;
            let (say, events) = mpsc::channel(8);
            let told = Arc::new(Told { events: tokio::sync::Mutex::new(events), released: Mutex::default() });
            let end = CancellationToken::new();
            let task = tokio::spawn(steward(node.clone(), told.clone(), TIMES, end.clone()));
            Self { node, told, say, end, task }
        }

        async fn says(&self, event: OwnershipEvent) {
            self.say.send(event).await.unwrap();
        }

        async fn holds(&self, holds: bool) {
            while self.node.holds(&order("shop", "o-1")) != holds {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }

        async fn released(&self, times: usize) {
            while self.told.released.lock().len() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let released: BTreeSet<PartitionId> = self.told.released.lock().iter().copied().collect();
            assert_eq!(released, BTreeSet::from([HERE]));
        }
    }

    fn log() -> Arc<MemoryLog> {
        let (cluster, created) = ("test".into(), TimestampMs(0));
        Arc::new(MemoryLog::new(LogIdentity { log_id: [1; 16], cluster, partitions: 1, shards: 1, created }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_partition_goes_from_one_node_to_the_other_and_is_given_up_only_when_it_is_run_no_more() {
        let log = log();
        let (one, two) = (Node::new(&log, "one").await, Node::new(&log, "two").await);
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        let order = order("shop", "o-1");
        assert_eq!(one.node.ask(place(&order, "p")).await.code, Code::Applied);
        one.says(OwnershipEvent::HandOver(HERE)).await;
        one.released(1).await;
        assert!(!one.node.holds(&order) && one.node.held().is_empty());
        two.says(OwnershipEvent::TakeOver(HERE)).await;
        two.holds(true).await;
        assert!(two.node.ask(place(&order, "p")).await.replayed);
        two.says(OwnershipEvent::Stop(HERE)).await;
        two.released(1).await;
        assert!(two.node.held().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_fenced_lets_go_and_may_be_told_to_take_over_again() {
        let log = log();
        let (one, two) = (Node::new(&log, "one").await, Node::new(&log, "two").await);
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        two.says(OwnershipEvent::TakeOver(HERE)).await;
        two.holds(true).await;
        let order = order("shop", "o-1");
        assert_ne!(one.node.ask(place(&order, "p")).await.code, Code::Applied);
        one.released(1).await;
        one.holds(false).await;
        assert_eq!(two.node.ask(place(&order, "p")).await.code, Code::Applied);
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        assert!(one.node.ask(place(&order, "p")).await.replayed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_fence_has_ended_is_released_once_however_often_it_is_told_to_end() {
        let log = log();
        let (one, two) = (Node::new(&log, "one").await, Node::new(&log, "two").await);
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        two.says(OwnershipEvent::TakeOver(HERE)).await;
        two.holds(true).await;
        assert_ne!(one.node.ask(place(&order("shop", "o-1"), "p")).await.code, Code::Applied);
        one.released(1).await;
        for late in [OwnershipEvent::Stop(HERE), OwnershipEvent::HandOver(HERE)] {
            one.says(late).await;
        }
        // A word on the last time must not be taken for one on this time.
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        assert_eq!(one.told.released.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_all_is_handed_over() {
        let log = log();
        let one = Node::new(&log, "one").await;
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        one.end.cancel();
        one.task.await.unwrap();
        assert!(one.node.held().is_empty());
        assert_eq!(*one.told.released.lock(), [HERE]);
    }
}
