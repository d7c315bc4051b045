//! Runs the partitions that the owner of partitions assigns: takes over, hands over, stops, and reports each release.
//!
//! One task a partition, which does one thing after the other: a hand-over that takes its time holds up no other partition, and
//! nothing of one partition overtakes anything else of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{Ownership, OwnershipEvent};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::NodeHandle;

/// Tasks queued for one partition. An owner assigns a partition again only after its release, so there are never more than a
/// take-over and an end, and those before them.
const WAITING_MAX: usize = 8;

/// Limits on take-over and hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnershipTimeouts {
    /// One attempt of a take-over; it is retried.
    pub take_over: Duration,
    /// A hand-over; what is not finished then is given up.
    pub hand_over: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    TakeOver,
    HandOver,
    Stop,
    /// The log has fenced this node: another owner writes.
    Fenced,
}

/// The tasks of one partition. Pushing one never waits: a partition whose worker is slow holds no other one up.
#[derive(Default)]
struct Tasks {
    waiting: Mutex<VecDeque<Task>>,
    changed: Notify,
    closed: AtomicBool,
}

impl Tasks {
    /// An end that waits already stands for another one, and a take-over for another one. `false`: there is no room, which only an
    /// owner brings about that gives out what was not released.
    fn push(&self, task: Task) -> bool {
        let mut waiting = self.waiting.lock();
        let has_room = waiting.len() < WAITING_MAX;
        match (waiting.back_mut(), task) {
            (Some(Task::TakeOver), Task::TakeOver) => return true,
            (Some(Task::TakeOver) | None, _) | (Some(_), Task::TakeOver) if has_room => {
                waiting.push_back(task);
            }
            (Some(Task::TakeOver) | None, _) | (Some(_), Task::TakeOver) => return false,
            // A stop replaces a hand-over.
            (Some(last @ Task::HandOver), Task::Stop | Task::Fenced) => *last = task,
            (Some(_), _) => return true,
        }
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// No more comes: what waits is still done.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// The next one; may be dropped while it waits.
    async fn next(&self) -> Option<Task> {
        loop {
            // Asked before the look, so that nothing comes in between.
            let closed = self.closed.load(Ordering::Acquire);
            if let Some(task) = self.waiting.lock().pop_front() {
                return Some(task);
            }
            if closed {
                return None;
            }
            self.changed.notified().await;
        }
    }
}

/// Runs the partitions of `node` as `ownership` says, until `end`; then hands over all that it has. The caller ends the
/// membership afterwards, so that others claim at once what was handed over.
pub async fn run_ownership_loop(
    node: NodeHandle,
    ownership: Arc<dyn Ownership>,
    times: OwnershipTimeouts,
    end: CancellationToken,
) {
    let mut partitions: BTreeMap<PartitionId, Arc<Tasks>> = BTreeMap::new();
    let mut workers = JoinSet::new();
    let mut running = HashMap::new();
    loop {
        let (partition, task) = tokio::select! {
            () = end.cancelled() => break,
            partition = node.next_fenced() => (partition, Some(Task::Fenced)),
            event = ownership.next() => match event {
                None => break,
                Some(OwnershipEvent::TakeOver(partition)) => (partition, Some(Task::TakeOver)),
                Some(OwnershipEvent::HandOver(partition)) => (partition, Some(Task::HandOver)),
                Some(OwnershipEvent::Stop(partition)) => (partition, Some(Task::Stop)),
            },
            // Before the end only a panic ends a worker. Whether its partition ran is unknown: a new worker goes on.
            Some(ended) = workers.join_next(), if !workers.is_empty() => match ended {
                Ok(()) => continue,
                Err(error) => {
                    tracing::error!(event = "partition_worker_restarted", %error, "what runs a partition ended badly; it begins again");
                    let Some(partition) = running.remove(&error.id()) else { continue };
                    (partition, None)
                }
            },
        };
        let (is_owned, known) = (task.is_none(), partitions.contains_key(&partition));
        let tasks = partitions.entry(partition).or_default();
        if is_owned || !known {
            let (node, ownership, tasks) = (node.clone(), ownership.clone(), tasks.clone());
            let worker = workers.spawn(Worker { partition, node, ownership, times, tasks, is_owned }.run());
            running.insert(worker.id(), partition);
        }
        if let Some(task) = task
            && !tasks.push(task)
        {
            tracing::error!(event = "ownership_runs_ahead", %partition, ?task, "dropped: it was given out again before it was released");
        }
    }
    for tasks in partitions.values() {
        tasks.push(Task::HandOver);
        tasks.close();
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(event = "partition_worker_failed", %error, "what runs a partition ended badly");
        }
    }
}

struct Worker {
    partition: PartitionId,
    node: NodeHandle,
    ownership: Arc<dyn Ownership>,
    times: OwnershipTimeouts,
    tasks: Arc<Tasks>,
    /// It is run here, or about to be: each take-over is released once.
    is_owned: bool,
}

impl Worker {
    async fn run(mut self) {
        let mut taking_over = false;
        loop {
            let task = if taking_over {
                // Tried until it is done, or something else is to be.
                tokio::select! {
                    biased;
                    task = self.tasks.next() => task,
                    done = self.node.take_over(self.partition, self.times.take_over) => {
                        taking_over = !done;
                        if taking_over {
                            tracing::warn!(event = "take_over_delayed", partition = %self.partition, "not taken over yet; trying on");
                        }
                        continue;
                    }
                }
            } else {
                self.tasks.next().await
            };
            let Some(task) = task else { return };
            taking_over = matches!(task, Task::TakeOver);
            match task {
                Task::TakeOver => {
                    self.is_owned = true;
                    continue;
                }
                // A partition that a fence has ended may be stopped once more.
                _ if !self.is_owned => continue,
                Task::HandOver => {
                    let handed = self.node.hand_over(self.partition, self.times.hand_over).await;
                    tracing::info!(event = "partition_handed_over", partition = %self.partition, drained = handed.drained, "handed over");
                }
                Task::Stop | Task::Fenced => {
                    self.node.stop_partition(self.partition).await;
                    tracing::warn!(event = "partition_lost", partition = %self.partition, "stopped: another owner has it");
                }
            }
            self.is_owned = false;
            self.ownership.released(self.partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use retailflow_engine::ids::TimestampMs;
    use retailflow_engine::memory::MemoryLog;
    use retailflow_engine::ports::{LogIdentity, PortFuture};
    use retailflow_engine::wire::Code;
    use retailflow_testkit::author::{order, place};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::batch_node::BatchNode;
    use crate::isolation::{SickLog, orders_of};
    use crate::world::OwnershipMode;
    use crate::world::Settings;

    const HERE: PartitionId = PartitionId(0);
    const TIMES: OwnershipTimeouts =
        OwnershipTimeouts { take_over: Duration::from_secs(5), hand_over: Duration::from_secs(5) };

    /// An owner that says what the test says.
    struct ScriptedOwnership {
        events: tokio::sync::Mutex<mpsc::Receiver<OwnershipEvent>>,
        released: Mutex<Vec<PartitionId>>,
    }

    impl Ownership for ScriptedOwnership {
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
        scripted: Arc<ScriptedOwnership>,
        events: mpsc::Sender<OwnershipEvent>,
        end: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    impl Node {
        async fn new(log: &Arc<MemoryLog>, name: &str) -> Self {
            let node = BatchNode::on(log.clone(), name, OwnershipMode::Assigned, None).await.node;
            let (events, receiver) = mpsc::channel(8);
            let scripted = Arc::new(ScriptedOwnership {
                events: tokio::sync::Mutex::new(receiver),
                released: Mutex::default(),
            });
            let end = CancellationToken::new();
            let task = tokio::spawn(run_ownership_loop(node.clone(), scripted.clone(), TIMES, end.clone()));
            Self { node, scripted, events, end, task }
        }

        async fn says(&self, event: OwnershipEvent) {
            self.events.send(event).await.unwrap();
        }

        async fn holds(&self, holds: bool) {
            while self.node.accepts(&order("shop", "o-1")) != holds {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }

        async fn released(&self, times: usize) {
            while self.scripted.released.lock().len() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let released: BTreeSet<PartitionId> = self.scripted.released.lock().iter().copied().collect();
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
        assert!(!one.node.accepts(&order) && one.node.owned_partitions().is_empty());
        two.says(OwnershipEvent::TakeOver(HERE)).await;
        two.holds(true).await;
        assert!(two.node.ask(place(&order, "p")).await.replayed);
        two.says(OwnershipEvent::Stop(HERE)).await;
        two.released(1).await;
        assert!(two.node.owned_partitions().is_empty());
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
        assert_eq!(one.scripted.released.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_all_is_handed_over() {
        let log = log();
        let one = Node::new(&log, "one").await;
        one.says(OwnershipEvent::TakeOver(HERE)).await;
        one.holds(true).await;
        one.end.cancel();
        one.task.await.unwrap();
        assert!(one.node.owned_partitions().is_empty());
        assert_eq!(*one.scripted.released.lock(), [HERE]);
    }

    /// One partition's hand-over hangs, and is asked for again and again: the others are taken over all the same.
    #[tokio::test(start_paused = true)]
    async fn a_partition_that_is_slow_keeps_no_other_one_waiting() {
        const SLOW: PartitionId = PartitionId(1);
        const OTHER: PartitionId = PartitionId(2);
        let log = SickLog::new();
        let settings = Settings {
            ownership: OwnershipMode::Assigned,
            ..Settings::new(retailflow_config::Config::default(), "one")
        };
        let node = BatchNode::undriven(settings, log.clone(), log.inner.clone()).await;
        let (events, receiver) = mpsc::channel(64);
        let scripted = Arc::new(ScriptedOwnership {
            events: tokio::sync::Mutex::new(receiver),
            released: Mutex::default(),
        });
        let times = OwnershipTimeouts { hand_over: Duration::from_secs(600), ..TIMES };
        let end = CancellationToken::new();
        let task = tokio::spawn(run_ownership_loop(node.clone(), scripted.clone(), times, end.clone()));
        events.send(OwnershipEvent::TakeOver(SLOW)).await.unwrap();
        let holds = |order| async {
            let order = order;
            while !node.accepts(&order) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let mut slow = orders_of("shop", SLOW, "o", 2);
        holds(slow.remove(0)).await;
        log.change(|sick| sick.commits.extend([SLOW]));
        // What is under way is waited for.
        let asked = tokio::spawn({
            let (node, command) = (node.clone(), place(&slow[0], "p"));
            async move { node.ask(command).await }
        });
        for _ in 0..20 {
            for event in
                [OwnershipEvent::HandOver(SLOW), OwnershipEvent::Stop(SLOW), OwnershipEvent::TakeOver(SLOW)]
            {
                events.send(event).await.unwrap();
            }
        }
        events.send(OwnershipEvent::TakeOver(OTHER)).await.unwrap();
        let other = orders_of("shop", OTHER, "o", 1).remove(0);
        timeout(Duration::from_millis(200), holds(other.clone()))
            .await
            .expect("the other one is taken over at once");
        assert_eq!(node.ask(place(&other, "p")).await.code, Code::Applied);
        log.change(|sick| sick.commits.clear());
        end.cancel();
        timeout(Duration::from_secs(1_200), task).await.unwrap().unwrap();
        assert!(node.owned_partitions().is_empty());
        drop(asked.await);
    }

    #[test]
    fn ends_that_wait_are_one_and_a_stop_is_the_stronger_one() {
        let tasks = Tasks::default();
        for task in [Task::TakeOver, Task::TakeOver, Task::HandOver, Task::HandOver, Task::Stop, Task::Fenced]
        {
            assert!(tasks.push(task));
        }
        assert_eq!(*tasks.waiting.lock(), [Task::TakeOver, Task::Stop]);
        for _ in 0..3 {
            assert!(tasks.push(Task::TakeOver) && tasks.push(Task::HandOver));
        }
        assert!(!tasks.push(Task::TakeOver), "it has a bound");
        assert_eq!(tasks.waiting.lock().len(), WAITING_MAX);
    }
}
