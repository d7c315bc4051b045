//! Callers of a cluster, all the while that things happen to it: some ask and wait, some publish and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef};
use retailflow_engine::order::Command;
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, CommandEvent};
use retailflow_invariants::OutcomeBook;
use retailflow_nats::{
    AskClient, AskError, CommandPublisher, EdgeConnection, NatsOptions, PublishOutcome, PublisherOptions,
    Receipt,
};
use retailflow_testkit::author::{order, place};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::cluster::Many;

/// Callers that ask, each with orders of its own.
const ASKERS: usize = 48;
/// Between two commands of one caller.
const PAUSE: Duration = Duration::from_millis(40);
/// No command waits for its outcome any longer.
const BOUND: Duration = Duration::from_secs(180);
/// For one attempt.
const ATTEMPT: Duration = Duration::from_secs(2);

fn event(command: &Command) -> CommandEvent {
    CommandEvent::new(command.order.clone(), command.key.clone(), (*command.data).clone())
}

fn cancel(order: &OrderRef, id: &str) -> CommandEvent {
    let key = CommandKey { id: CommandId::parse(id).unwrap(), ..place(order, "x").key };
    let data =
        CommandData::Cancel(CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None });
    CommandEvent::new(order.clone(), key, data)
}

/// The longest time that one command waited for its outcome, and how often a caller was told to come again.
#[derive(Default)]
pub(super) struct Gap {
    longest_us: AtomicU64,
    again: AtomicU64,
}

impl Gap {
    fn note(&self, waited: Duration, attempts: u64) {
        self.longest_us.fetch_max(waited.as_micros() as u64, Ordering::Relaxed);
        self.again.fetch_add(attempts.saturating_sub(1), Ordering::Relaxed);
    }

    /// Since the last time that this was asked.
    pub(super) fn take(&self) -> (Duration, u64) {
        let longest = Duration::from_micros(self.longest_us.swap(0, Ordering::Relaxed));
        (longest, self.again.swap(0, Ordering::Relaxed))
    }
}

pub(super) struct Load {
    runtime: Runtime,
    calm: Arc<AtomicBool>,
    pub(super) book: Arc<Mutex<OutcomeBook>>,
    pub(super) gap: Arc<Gap>,
    askers: Vec<JoinHandle<u64>>,
    publishers: Vec<JoinHandle<Vec<Named>>>,
}

/// A command that was published.
pub(super) type Named = (OrderRef, CommandKey);

impl Load {
    /// Nobody asks and nobody publishes yet.
    pub(super) fn idle() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (calm, book, gap) = (Arc::default(), Arc::default(), Arc::default());
        Self { runtime, calm, book, gap, askers: Vec::new(), publishers: Vec::new() }
    }

    /// Begins, over connections that know all servers.
    pub(super) fn begin(many: &Many) -> Self {
        let mut load = Self::idle();
        let client = AskClient::new(load.connect(many, "asks"));
        let publishes = load.connect(many, "publishes");
        let asker = |number| {
            let (calm, gap) = (load.calm.clone(), load.gap.clone());
            let asker = Asker { client: client.clone(), calm, book: Arc::clone(&load.book), gap };
            load.runtime.spawn(asker.run(number))
        };
        load.askers = (0..ASKERS).map(asker).collect();
        load.publishers.push(load.runtime.spawn(publish(publishes, load.calm.clone())));
        load
    }

    fn connect(&self, many: &Many, purpose: &'static str) -> EdgeConnection {
        let options =
            NatsOptions { servers: many.nats_urls(), name: "load".into(), ..NatsOptions::default() };
        self.runtime.block_on(EdgeConnection::open(&options, purpose)).unwrap()
    }

    /// Publishes so many places, as fast as they are taken.
    pub(super) fn flood(&mut self, many: &Many, orders: usize) {
        self.publishers.push(self.runtime.spawn(flood(self.connect(many, "flood"), orders)));
    }

    /// Lets the callers end; gives how many commands were answered, and what was published.
    pub(super) fn end(&mut self) -> (u64, Vec<Named>) {
        self.calm.store(true, Ordering::Relaxed);
        let (askers, publishers) = (std::mem::take(&mut self.askers), std::mem::take(&mut self.publishers));
        self.runtime.block_on(async {
            let (mut answered, mut published) = (0, Vec::new());
            for asker in askers {
                answered += asker.await.unwrap();
            }
            for publisher in publishers {
                published.extend(publisher.await.unwrap());
            }
            (answered, published)
        })
    }

    /// Whether all publishers have.
    pub(super) fn has_ended(&self) -> bool {
        self.publishers.iter().all(JoinHandle::is_finished)
    }

    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

struct Asker {
    client: AskClient,
    calm: Arc<AtomicBool>,
    book: Arc<Mutex<OutcomeBook>>,
    gap: Arc<Gap>,
}

impl Asker {
    /// One command after another; of each third order a cancel, and now and then a command again.
    async fn run(self, number: usize) -> u64 {
        let mut pace = tokio::time::interval(PAUSE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut answered = 0;
        for turn in 0_usize.. {
            pace.tick().await;
            if self.calm.load(Ordering::Relaxed) {
                break;
            }
            let order = order(["shop", "till"][number % 2], &format!("a-{number}-{}", turn / 3));
            let command = match turn % 3 {
                1 if number.is_multiple_of(3) => cancel(&order, "c"),
                _ => event(&place(&order, "p")),
            };
            self.ask(&command).await;
            answered += 1;
        }
        answered
    }

    async fn ask(&self, command: &CommandEvent) {
        let begun = Instant::now();
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        for attempt in 1.. {
            pause.tick().await;
            match self.client.ask(command, ATTEMPT).await {
                Ok(outcome) if !outcome.code.retry_helps() => {
                    self.gap.note(begun.elapsed(), attempt);
                    assert!(
                        matches!(
                            outcome.code,
                            Code::Applied
                                | Code::AlreadyCanceled
                                | Code::NotCancelable
                                | Code::OrderExists
                                | Code::OrderTerminal
                                | Code::CancellationRefused
                        ),
                        "{outcome:?}"
                    );
                    self.book.lock().given(&command.order, &command.key, &outcome).unwrap();
                    return;
                }
                Ok(_) | Err(AskError::Nobody | AskError::Silent(_)) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(begun.elapsed() < BOUND, "{} {} has no outcome", command.order, command.key.id);
        }
    }
}

fn publisher(connection: &EdgeConnection) -> CommandPublisher {
    let give_up_after_ms = BOUND.as_millis() as u64;
    CommandPublisher::new(connection, &PublisherOptions { give_up_after_ms, ..PublisherOptions::default() })
}

async fn acknowledged(receipt: Receipt) {
    let sent = receipt.sent().await;
    assert!(matches!(sent, PublishOutcome::Stored { .. }), "{sent:?}");
}

/// A place and at once a cancel of the same order, again and again. None of these may overtake the other.
async fn publish(connection: EdgeConnection, calm: Arc<AtomicBool>) -> Vec<Named> {
    let publisher = publisher(&connection);
    let mut pace = tokio::time::interval(PAUSE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut published = Vec::new();
    while !calm.load(Ordering::Relaxed) {
        pace.tick().await;
        let order = order("market", &format!("m-{}", published.len()));
        let commands = [event(&place(&order, "p")), cancel(&order, "c")];
        let mut receipts = Vec::new();
        for command in &commands {
            receipts.push(publisher.publish(command.into()).await);
        }
        for (receipt, command) in receipts.into_iter().zip(commands) {
            acknowledged(receipt).await;
            published.push((command.order, command.key));
        }
    }
    assert!(publisher.close(BOUND).await);
    published
}

async fn flood(connection: EdgeConnection, orders: usize) -> Vec<Named> {
    let publisher = publisher(&connection);
    let (mut receipts, mut published) = (Vec::new(), Vec::new());
    for number in 0..orders {
        let command = event(&place(&order("flood", &format!("f-{number}")), "p"));
        receipts.push(publisher.publish((&command).into()).await);
        published.push((command.order, command.key));
    }
    for receipt in receipts {
        acknowledged(receipt).await;
    }
    assert!(publisher.close(BOUND).await);
    published
}
