//! The suites on the reference adapters.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use super::command_inbox::{Inbox, InboxSubject};
use super::deadlines::LogWithDeadlines;
use super::{
    Subject, command_inbox, dead_letters, deadlines, event_log, participants, rng, snapshots, tenants,
};
use crate::simulated::{MemoryJournal, SimOptions, SimParticipants};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::memory::{MemoryDeadLetters, MemoryInbox, MemoryLog, MemorySnapshots, MemoryTenants};
use retailflow_engine::ports::{Body, LogIdentity, PortFuture, Rng};

/// Runs a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a reference adapter waits for something"),
    }
}

fn log(partitions: u16) -> Arc<MemoryLog> {
    let (cluster, created) = ("test".into(), TimestampMs(1));
    Arc::new(MemoryLog::new(LogIdentity { log_id: [9; 16], cluster, partitions, shards: 1, created }))
}

/// A subject that makes its port with `make` and outlives no process.
struct InMemory<P>(Box<dyn Fn() -> P + Send>);

impl<P: Send + 'static> Subject for InMemory<P> {
    type Port = P;

    fn fresh(&mut self) -> PortFuture<'_, P> {
        let port = (self.0)();
        Box::pin(async move { port })
    }

    fn reopen(&mut self, port: P) -> PortFuture<'_, P> {
        Box::pin(async move { port })
    }
}

fn subject<P>(make: impl Fn() -> P + Send + 'static) -> InMemory<P> {
    InMemory(Box::new(make))
}

#[test]
fn the_memory_log_keeps_the_contract() {
    for partitions in [1, 4, 128] {
        ready(event_log::suite(&mut subject(move || -> event_log::Log { log(partitions) })));
    }
}

#[test]
fn its_deadlines_keep_the_contract() {
    for partitions in [1, 4] {
        ready(deadlines::suite(&mut subject(move || {
            let log = log(partitions);
            LogWithDeadlines { log: log.clone(), deadlines: log }
        })));
    }
}

#[test]
fn the_small_stores_keep_the_contract() {
    ready(dead_letters::suite(&mut subject(|| -> dead_letters::Letters {
        Arc::new(MemoryDeadLetters::default())
    })));
    ready(tenants::suite(&mut subject(|| -> tenants::Port { Arc::new(MemoryTenants::default()) })));
    ready(snapshots::suite(&mut subject(|| -> snapshots::Port { Arc::new(MemorySnapshots::default()) })));
}

/// Also when they are restored from their books each time.
#[test]
fn simulated_participants_keep_the_contract() {
    struct Restored(Option<(Arc<MemoryJournal>, Arc<participants::ManualClock>)>);

    impl Restored {
        fn world(&mut self, fresh: bool) -> participants::World {
            if fresh {
                let journal = Arc::new(MemoryJournal::of_entries());
                self.0 = Some((journal, participants::ManualClock::new(participants::START)));
            }
            let (journal, clock) = self.0.clone().unwrap();
            let all = SimParticipants::new(&SimOptions::default(), clock.clone(), journal.clone());
            let all = Arc::new(all);
            journal.entries().iter().for_each(|entry| all.restore(entry));
            participants::World { participants: all.ports(), clock }
        }
    }

    impl Subject for Restored {
        type Port = participants::World;

        fn fresh(&mut self) -> PortFuture<'_, participants::World> {
            Box::pin(async { self.world(true) })
        }

        fn reopen(&mut self, _: participants::World) -> PortFuture<'_, participants::World> {
            Box::pin(async { self.world(false) })
        }
    }

    ready(participants::suite(&mut Restored(None)));
    ready(participants::suite(&mut subject(|| Restored(None).world(true))));
}

struct Inboxes;

impl InboxSubject for Inboxes {
    fn open(&mut self, name: &str, bodies: &[Vec<u8>], body_max_bytes: usize) -> PortFuture<'_, Inbox> {
        let body = |bytes: &Vec<u8>| match bytes.len() {
            length if length <= body_max_bytes => Body::Bytes(bytes.clone()),
            length => Body::TooLong { prefix: bytes[..16].to_vec(), length_bytes: length as u64 },
        };
        let inbox: Inbox = Box::new(MemoryInbox::new(name, bodies.iter().map(body).collect()));
        Box::pin(async move { inbox })
    }
}

#[test]
fn the_memory_inbox_keeps_the_contract() {
    ready(command_inbox::suite(&mut Inboxes));
}

#[test]
fn the_suite_of_rngs_takes_a_seeded_one() {
    struct Counter(AtomicU64);
    impl Rng for Counter {
        fn next_u64(&self) -> u64 {
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).rotate_left(29)
        }
    }
    rng::suite(&|seed| Box::new(Counter(AtomicU64::new(seed))));
}
