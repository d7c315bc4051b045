//! Two nodes on one log: partitions go to and fro, in good order and not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::memory::{MemoryInbox, MemoryLog, next_fence};
use retailflow_engine::order::Command;
use retailflow_engine::ports::{
    Body, CommandInbox, ControlEntry, Deadlines, DueOrder, EventLog, Group, KeyStanding, LogIdentity,
    Participant, PortFuture, Settlement, StepAnswer, StepRequest, StoreError,
};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, CommandEvent, Outcome, Status, content_hash};
use retailflow_invariants::{OutcomeBook, check_log};
use retailflow_testkit::author::{order, orders_in, place};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::interval;

use crate::batch_node::BatchNode;
use crate::world::OwnershipMode;
use crate::{Intake, NodeHandle};

const PARTITIONS: u16 = 4;
const TIME: Duration = Duration::from_secs(5);

struct Pair {
    log: Arc<MemoryLog>,
    nodes: [NodeHandle; 2],
}

fn all() -> impl Iterator<Item = PartitionId> {
    (0..PARTITIONS).map(PartitionId)
}

impl Pair {
    /// The first one runs everything.
    async fn new() -> Self {
        let identity = LogIdentity {
            log_id: [1; 16],
            cluster: "test".into(),
            partitions: PARTITIONS,
            shards: 1,
            created: TimestampMs(0),
        };
        let log = Arc::new(MemoryLog::new(identity));
        let one = BatchNode::on(log.clone(), "one", OwnershipMode::Assigned, None).await.node;
        let two = BatchNode::on(log.clone(), "two", OwnershipMode::Assigned, None).await.node;
        for partition in all() {
            assert!(one.take_over(partition, TIME).await);
        }
        Self { log, nodes: [one, two] }
    }

    /// Asks until there is an outcome, of whoever has one.
    async fn ask(&self, command: &Command) -> Outcome {
        let mut pace = interval(Duration::from_millis(1));
        for turn in 0..100_000 {
            pace.tick().await;
            let outcome = self.nodes[turn % 2].ask(command.clone()).await;
            if !matches!(outcome.code, Code::Unavailable | Code::OutcomeUnknown) {
                return outcome;
            }
        }
        panic!("{} has no outcome", command.order);
    }

    async fn ends(self, book: &OutcomeBook) {
        for node in self.nodes {
            node.stop(TIME).await;
        }
        let groups = self.log.groups();
        assert_eq!(book.check_log(&groups), []);
        assert_eq!(check_log(PARTITIONS, &groups).1, []);
    }
}

fn cancel(order: &OrderRef, id: &str) -> Command {
    let data =
        CommandData::Cancel(CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None });
    Command { content_hash: content_hash(&data), data: data.into(), ..place(order, id) }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_held_is_not_decided() {
    let pair = Pair::new().await;
    let order = order("shop", "o-1");
    let [one, two] = &pair.nodes;
    assert!(one.accepts(&order) && !two.accepts(&order));
    assert_eq!(one.owned_partitions().len(), usize::from(PARTITIONS));
    let elsewhere = two.ask(place(&order, "p")).await;
    assert_eq!((elsewhere.status, elsewhere.code), (Status::Refused, Code::Unavailable));
    assert_eq!(one.ask(place(&order, "p")).await.code, Code::Applied);
    pair.ends(&OutcomeBook::default()).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_handed_over_with_all_that_was_answered() {
    let pair = Pair::new().await;
    let [one, two] = &pair.nodes;
    let orders: Vec<OrderRef> = (0..40).map(|number| order("shop", &format!("o-{number}"))).collect();
    for order in &orders {
        assert_eq!(one.ask(place(order, "p")).await.code, Code::Applied);
    }
    for partition in all() {
        assert!(one.hand_over(partition, TIME).await.drained);
        assert!(two.take_over(partition, TIME).await);
    }
    assert_eq!((one.owned_partitions(), one.live_orders()), (Vec::new(), 0), "nothing of it stays in memory");
    for order in &orders {
        let again = two.ask(place(order, "p")).await;
        assert_eq!((again.code, again.replayed), (Code::Applied, true));
        assert_eq!(two.ask(cancel(order, "x")).await.code, Code::Applied);
    }
    // And back: the first one must not believe what it knew.
    for partition in all() {
        assert!(two.hand_over(partition, TIME).await.drained);
        assert!(one.take_over(partition, TIME).await);
    }
    for order in &orders {
        let again = one.ask(cancel(order, "x")).await;
        assert_eq!((again.code, again.replayed), (Code::Applied, true));
        assert_eq!(one.ask(cancel(order, "y")).await.code, Code::AlreadyCanceled);
    }
    pair.ends(&OutcomeBook::default()).await;
}

/// A node that does not know that it is no owner any more has its groups refused by the log, says so, and answers nothing.
#[tokio::test(start_paused = true)]
async fn a_zombie_is_fenced_and_does_not_take_back() {
    let pair = Pair::new().await;
    let [one, two] = &pair.nodes;
    let order = order("shop", "o-1");
    let partition = all().find(|partition| one.partition(&place(&order, "p")) == *partition).unwrap();
    assert!(two.take_over(partition, TIME).await);
    let zombie = one.ask(place(&order, "p")).await;
    assert!(matches!(zombie.code, Code::OutcomeUnknown | Code::Unavailable), "{zombie:?}");
    assert_eq!(one.next_fenced().await, partition);
    one.stop_partition(partition).await;
    assert!(!one.accepts(&order));
    let owner = two.ask(place(&order, "p")).await;
    assert_eq!((owner.code, owner.replayed), (Code::Applied, false), "nothing of the zombie's was recorded");
    pair.ends(&OutcomeBook::default()).await;
}

/// An inbox of a partition's own is read on from the floor that its last owner wrote.
#[tokio::test(start_paused = true)]
async fn intake_goes_on_from_the_floor_that_was_handed_over() {
    let pair = Pair::new().await;
    let [one, two] = &pair.nodes;
    let here = PartitionId(1);
    let bodies: Vec<Body> = orders_in(here, PARTITIONS, 20)
        .iter()
        .map(|order| {
            let Command { order, key, data, .. } = place(order, "p");
            Body::Bytes(CommandEvent::new(order, key, (*data).clone()).to_json())
        })
        .collect();
    let mut inbox = MemoryInbox::new("of one partition", bodies);
    let (_stop, never) = watch::channel(false);
    let intake = Intake::of_partition(one, &inbox, "test", here, Duration::ZERO);
    let summary = intake.run(&mut inbox, never, |event| assert_eq!(event.outcome.code, Code::Applied)).await;
    assert_eq!(summary.unwrap().received, 20);
    assert!(one.hand_over(here, TIME).await.drained);
    assert!(two.take_over(here, TIME).await);
    let fence = pair.log.head(here).await.unwrap().fence.unwrap();
    let floor = IntakeFloor { inbox: inbox.id(), position: 20 };
    assert_eq!((fence.node.as_str(), fence.intake), ("two", vec![floor]));
    let elsewhere = pair.log.head(PartitionId(0)).await.unwrap().fence.unwrap();
    assert_eq!(elsewhere.intake, []);
    pair.ends(&OutcomeBook::default()).await;
}

/// Partitions go to and fro under load: handed over, stopped, or taken away unasked. Every command has one outcome.
#[tokio::test(start_paused = true)]
async fn moves_under_load_lose_nothing_and_do_nothing_twice() {
    for seed in 0..40 {
        let pair = Arc::new(Pair::new().await);
        let book = Arc::new(parking_lot::Mutex::new(OutcomeBook::default()));
        let mut askers = Vec::new();
        for number in 0..60 {
            let (pair, book) = (Arc::clone(&pair), Arc::clone(&book));
            askers.push(tokio::spawn(async move {
                let order = order(["shop", "till"][number % 2], &format!("o-{number}"));
                let mut pace = interval(Duration::from_millis(3));
                for turn in 0..12 {
                    pace.tick().await;
                    let command = match turn {
                        0 => place(&order, "p"),
                        turn => cancel(&order, &format!("x-{}", turn / 2)),
                    };
                    let outcome = pair.ask(&command).await;
                    book.lock().given(&command.order, &command.key, &outcome).unwrap();
                }
            }));
        }
        let fenced = [0, 1].map(|which| {
            let node = pair.nodes[which].clone();
            tokio::spawn(async move {
                loop {
                    let partition = node.next_fenced().await;
                    node.stop_partition(partition).await;
                }
            })
        });
        let mut random = fastrand::Rng::with_seed(seed);
        let mut owners = [0; PARTITIONS as usize];
        let mut pace = interval(Duration::from_millis(1));
        while askers.iter().any(|asker| !asker.is_finished()) {
            let partition = PartitionId(random.u16(..PARTITIONS));
            let owner = &mut owners[usize::from(partition.0)];
            let (from, to) = (&pair.nodes[*owner], &pair.nodes[1 - *owner]);
            match random.u8(..3) {
                0 => drop(from.hand_over(partition, TIME).await),
                1 => from.stop_partition(partition).await,
                _ => {}
            }
            to.take_over(partition, TIME).await;
            *owner = 1 - *owner;
            for _ in 0..random.u8(1..8) {
                pace.tick().await;
            }
        }
        for asker in askers {
            asker.await.unwrap();
        }
        fenced.iter().for_each(tokio::task::JoinHandle::abort);
        for task in fenced {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        let book = Arc::into_inner(book).unwrap().into_inner();
        Arc::into_inner(pair).unwrap().ends(&book).await;
    }
}

/// Notes who is asked for; does nothing.
struct Notes {
    asked: Mutex<BTreeSet<OrderRef>>,
    changed: watch::Sender<()>,
}

impl Notes {
    fn new() -> Arc<Self> {
        Arc::new(Self { asked: Mutex::default(), changed: watch::Sender::new(()) })
    }

    fn note(&self, order: &OrderRef) {
        self.asked.lock().insert(order.clone());
        self.changed.send_replace(());
    }
}

impl Participant for Notes {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        self.note(&request.order);
        Box::pin(std::future::pending())
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        self.note(&request.order);
        Box::pin(std::future::pending())
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        self.note(&request.order);
        Box::pin(std::future::pending())
    }
}

/// Where another owner left orders on their way, they are driven at once, not with the next look; those that are parked are
/// not woken.
#[tokio::test(start_paused = true)]
async fn open_orders_are_driven_as_soon_as_their_partition_is_taken_over() {
    let Pair { log, nodes: [one, two] } = Pair::new().await;
    let orders = orders_in(PartitionId(2), PARTITIONS, 300);
    for order in &orders {
        assert_eq!(one.ask(place(order, "p")).await.code, Code::Applied);
    }
    one.kill().await;
    two.kill().await;
    let head = log.head(PartitionId(2)).await.unwrap();
    let fence = next_fence(&head, PartitionId(2), 9);
    let mut group = Group { fence, records: Vec::new(), controls: Vec::new() };
    let mark = Control::Park { order: orders[7].clone(), at: TimestampMs(1), reason: "poison".into() };
    group.controls.push(ControlEntry { order: orders[7].clone(), bytes: mark.encode().unwrap().into() });
    group.fence.entries = 1;
    group.fence.digest = MemoryLog::digest_of(&group);
    log.commit_now(&group).unwrap();

    let notes = Notes::new();
    let next = BatchNode::driving(log.clone(), log.clone(), "next", OwnershipMode::Assigned, notes.clone())
        .await
        .node;
    // Its own looks come by and find nothing. (The clock of these tests stands: nothing is waited for.)
    tokio::time::advance(Duration::from_millis(2_500)).await;
    let begun = tokio::time::Instant::now();
    assert!(next.take_over(PartitionId(2), TIME).await);
    let mut changed = notes.changed.subscribe();
    changed.wait_for(|()| notes.asked.lock().len() >= orders.len() - 1).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    // Until the next looks have been, too.
    let mut pace = interval(Duration::from_millis(500));
    for _ in 0..6 {
        pace.tick().await;
    }
    assert!(!notes.asked.lock().contains(&orders[7]), "it is parked");
    next.kill().await;
}

/// The deadlines of one partition cannot be read.
struct Unreadable(Arc<MemoryLog>, PartitionId);

impl Deadlines for Unreadable {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        if partition == self.1 {
            return Box::pin(async { Err(StoreError::Unavailable("no leader".into())) });
        }
        self.0.list(partition, after, until, limit)
    }
}

/// While the open orders of one partition cannot be read, those of others that were left behind are found all the same.
#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_read_keeps_no_other_waiting() {
    let Pair { log, nodes: [one, two] } = Pair::new().await;
    let (bad, good) = (PartitionId(1), PartitionId(2));
    let orders = orders_in(good, PARTITIONS, 3);
    for order in orders.iter().chain(&orders_in(bad, PARTITIONS, 3)) {
        assert_eq!(one.ask(place(order, "p")).await.code, Code::Applied);
    }
    one.kill().await;
    two.kill().await;
    let (notes, deadlines) = (Notes::new(), Arc::new(Unreadable(log.clone(), bad)));
    let next = BatchNode::driving(log, deadlines, "next", OwnershipMode::Assigned, notes.clone()).await.node;
    let mut changed = notes.changed.subscribe();
    assert!(next.take_over(bad, TIME).await && next.take_over(good, TIME).await);
    changed.wait_for(|()| notes.asked.lock().len() == orders.len()).await.unwrap();
    let mut pace = interval(Duration::from_millis(500));
    for _ in 0..6 {
        pace.tick().await;
    }
    notes.asked.lock().clear();
    let effects = &next.shared.orders.effects;
    effects.running.cancel(&orders[1]);
    effects.running.request_rescan();
    let found = changed.wait_for(|()| notes.asked.lock().contains(&orders[1]));
    tokio::time::timeout(Duration::from_secs(5), found).await.unwrap().unwrap();
    next.kill().await;
}
