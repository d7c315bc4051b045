//! What is seen of the steps of orders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_config::Config;
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    Deadlines, DueOrder, KeyStanding, Participant, Performed, PortFuture, Rng, Role, Settlement, StepAnswer,
    StepRequest, StoreError,
};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::command::Step;
use retailflow_testkit::author::{CONTEXT, place};
use tokio::time::{Instant, interval, sleep};

use super::super::{SickLog, orders_of};
use crate::batch_node::BatchNode;
use crate::node::NodeHandle;
use crate::resilience::retry::FullJitter;
use crate::world::Settings;

const HERE: PartitionId = PartitionId(1);

/// What a participant does when it is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// It never answers.
    #[default]
    Silent,
    /// Of every other order it takes the stock at once; it never answers to anything else.
    SilentAtTwo,
    /// It answers after a while.
    Slow,
    /// It cannot, now.
    Fails,
    /// It does not know, and has done nothing when it is asked to settle.
    Unsure,
}

/// A participant that counts.
#[derive(Default)]
pub(super) struct Asked {
    manner: Manner,
    calls: Mutex<BTreeMap<Arc<str>, u64>>,
    running: AtomicU64,
    first_call: Mutex<Option<(Instant, TimestampMs)>>,
    /// When it was turned to, in whatever way.
    turned_to: Mutex<Vec<Instant>>,
}

impl Asked {
    fn calls(&self) -> u64 {
        self.calls.lock().values().sum()
    }
}

impl Participant for Asked {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        *self.calls.lock().entry(request.key.clone()).or_default() += 1;
        self.turned_to.lock().push(Instant::now());
        self.first_call.lock().get_or_insert((Instant::now(), request.expires));
        let done =
            Performed { reference: request.key.clone(), amount_minor: None, expires: None, units: None };
        let is_even = request.order.order.as_str().bytes().last().is_some_and(|digit| digit % 2 == 0);
        Box::pin(async move {
            match self.manner {
                Manner::SilentAtTwo if is_even && request.step == Step::Reserve => StepAnswer::Done(done),
                Manner::Silent | Manner::SilentAtTwo => {
                    self.running.fetch_add(1, Ordering::Relaxed);
                    std::future::pending().await
                }
                Manner::Slow => {
                    sleep(Duration::from_millis(50)).await;
                    StepAnswer::Done(done)
                }
                Manner::Fails => StepAnswer::Failed { reason: "not now".into() },
                Manner::Unsure => StepAnswer::Unknown { reason: "nobody knows".into() },
            }
        })
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        self.turned_to.lock().push(Instant::now());
        Box::pin(std::future::ready(KeyStanding::NotSeen))
    }

    fn settle<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        self.turned_to.lock().push(Instant::now());
        Box::pin(std::future::ready(Settlement::NotDone))
    }
}

/// The deadlines of a log: how often they are read, and whether anything is seen of them.
struct HideableDeadlines {
    log: Arc<MemoryLog>,
    looks: AtomicU64,
    hidden: AtomicBool,
}

impl Deadlines for HideableDeadlines {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        match self.hidden.load(Ordering::Relaxed) {
            true => Box::pin(std::future::ready(Ok(Vec::new()))),
            false => self.log.list(partition, after, until, limit),
        }
    }
}

struct World {
    node: NodeHandle,
    asked: Arc<Asked>,
    deadlines: Arc<HideableDeadlines>,
}

impl World {
    async fn new(config: Config, manner: Manner) -> Self {
        let log = SickLog::new().inner.clone();
        let deadlines =
            HideableDeadlines { log: log.clone(), looks: AtomicU64::new(0), hidden: AtomicBool::new(false) };
        let (asked, deadlines) = (Arc::new(Asked { manner, ..Asked::default() }), Arc::new(deadlines));
        let batch = BatchNode::of(Settings::new(config, "test"), log, deadlines.clone(), asked.clone()).await;
        Self { node: batch.node, asked, deadlines }
    }

    /// How many of so many orders are taken.
    async fn place(&self, count: usize) -> u64 {
        self.place_more("o", count).await
    }

    async fn place_more(&self, prefix: &str, count: usize) -> u64 {
        let mut taken = 0;
        for order in orders_of("shop", HERE, prefix, count) {
            taken += u64::from(self.node.ask(place(&order, "p")).await.code == Code::Applied);
        }
        taken
    }

    /// One order, and some time.
    async fn one(config: Config, manner: Manner, time: Duration) -> Self {
        let world = Self::new(config, manner).await;
        assert_eq!(world.place(1).await, 1);
        sleep(time).await;
        world
    }
}

pub(super) fn expires_after_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let world = World::one(config, Manner::Silent, Duration::from_secs(1)).await;
        let (_, expires) = world.asked.first_call.lock().unwrap();
        u64::try_from(expires.0 - CONTEXT.now.0).unwrap()
    })
}

fn running(config: Config, manner: Manner) -> PortFuture<'static, u64> {
    Box::pin(async move {
        let world = World::new(config, manner).await;
        world.place(60).await;
        // Less than a call has for its answer.
        sleep(Duration::from_secs(1)).await;
        world.asked.running.load(Ordering::Relaxed)
    })
}

pub(super) fn running_at_one(config: Config) -> PortFuture<'static, u64> {
    running(config, Manner::Silent)
}

pub(super) fn running_at_two(config: Config) -> PortFuture<'static, u64> {
    running(config, Manner::SilentAtTwo)
}

/// They come to participants that answer, at a pace that is known by then, and faster than these can be asked.
pub(super) fn let_in_while_slow(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let world = World::new(config, Manner::Slow).await;
        world.place(20).await;
        sleep(Duration::from_secs(1)).await;
        world.place_more("q", 60).await
    })
}

pub(super) fn remembered(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let world = World::new(config, Manner::Silent).await;
        world.place(60).await;
        sleep(Duration::from_secs(1)).await;
        world.node.effects_running() as u64
    })
}

pub(super) fn looked_up_after_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let world = World::one(config, Manner::Silent, Duration::from_secs(60)).await;
        let turned_to = world.asked.turned_to.lock();
        turned_to[1].duration_since(turned_to[0]).as_millis() as u64
    })
}

fn waits(config: &Config) -> Vec<u64> {
    let mut waits = FullJitter::new(&config.effects, Arc::new(Highest));
    std::iter::from_fn(|| waits.delay()).map(|wait| wait.as_millis() as u64).collect()
}

pub(super) fn first_wait_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async move { waits(&config)[0] })
}

pub(super) fn greatest_wait_ms(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async move { waits(&config).into_iter().max().unwrap() })
}

async fn calls_by_key(config: Config) -> BTreeMap<Arc<str>, u64> {
    let world = World::new(config, Manner::Unsure).await;
    assert_eq!(world.place(1).await, 1);
    world.node.wait_orders_ended(1).await;
    let calls = world.asked.calls.lock().clone();
    world.node.kill().await;
    calls
}

pub(super) fn calls_under_a_key(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async { calls_by_key(config).await.into_values().max().unwrap() })
}

pub(super) fn keys_of_a_step(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async { calls_by_key(config).await.len() as u64 })
}

pub(super) fn calls_until_left_alone(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let world = World::new(config, Manner::Fails).await;
        world.place(1).await;
        let mut pace = interval(Duration::from_millis(1));
        while !world.node.unavailable_participants().contains(&Role::Inventory) {
            pace.tick().await;
        }
        world.asked.calls()
    })
}

pub(super) fn calls_in_half_a_minute(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async { World::one(config, Manner::Fails, Duration::from_secs(30)).await.asked.calls() })
}

pub(super) fn looks(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let world = World::one(config, Manner::Silent, Duration::from_secs(20)).await;
        world.deadlines.looks.load(Ordering::Relaxed)
    })
}

/// An order that another node left in the log, and that this one has not been told of.
pub(super) fn undriven_found_after_s(config: Config) -> PortFuture<'static, u64> {
    Box::pin(async {
        let log = SickLog::new().inner.clone();
        let settings = Settings::new(config, "test");
        let undriven = Settings { drives_effects: false, ..settings.clone() };
        let nobody = Arc::new(Asked::default());
        let before = BatchNode::of(undriven, log.clone(), log.clone(), nobody.clone()).await.node;
        let order = orders_of("shop", HERE, "o", 1).remove(0);
        assert_eq!(before.ask(place(&order, "p")).await.code, Code::Applied);
        assert!(before.stop(Duration::from_secs(5)).await.drained);
        let deadlines =
            HideableDeadlines { log: log.clone(), looks: AtomicU64::new(0), hidden: AtomicBool::new(true) };
        let deadlines = Arc::new(deadlines);
        let node = BatchNode::of(settings, log, deadlines.clone(), nobody).await.node;
        sleep(Duration::from_secs(3)).await;
        deadlines.hidden.store(false, Ordering::Relaxed);
        let begun = Instant::now();
        let mut pace = interval(Duration::from_millis(500));
        while node.undriven_found() == 0 {
            pace.tick().await;
        }
        begun.elapsed().as_secs()
    })
}

pub(super) struct Highest;

impl Rng for Highest {
    fn next_u64(&self) -> u64 {
        u64::MAX
    }
}
