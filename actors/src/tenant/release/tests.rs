//! Orders that crash are parked, and released or discarded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryLog};
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{DeadLetters, EventLog};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, Outcome, Status, content_hash};
use retailflow_invariants::{OutcomeBook, check_log};
use retailflow_testkit::author::{order, place};

use crate::NodeHandle;
use crate::batch_node::BatchNode;
use crate::messages::{ReleaseCounts, ReleaseError};
use crate::world::{Probe, ProbePoint, ProbeVerdict};

const CALM: u64 = u64::MAX;

/// Lets so many decisions through and crashes at all that follow.
struct Crashing(AtomicU64);

impl Probe for Crashing {
    fn at(&self, point: ProbePoint, _subject: &str) -> ProbeVerdict {
        if point != ProbePoint::OrderDecide || self.0.load(Ordering::Relaxed) == CALM {
            return ProbeVerdict::Pass;
        }
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { ProbeVerdict::Pass } else { ProbeVerdict::Crash }
    }
}

struct World {
    node: NodeHandle,
    log: Arc<MemoryLog>,
    letters: Arc<MemoryDeadLetters>,
    probe: Arc<Crashing>,
    order: OrderRef,
    book: OutcomeBook,
}

impl World {
    async fn new() -> Self {
        let probe = Arc::new(Crashing(AtomicU64::new(CALM)));
        let BatchNode { node, log, letters } = BatchNode::start(Some(probe.clone())).await;
        Self { node, log, letters, probe, order: order("shop", "o-1"), book: OutcomeBook::default() }
    }

    fn lets_through(&self, decisions: u64) {
        self.probe.0.store(decisions, Ordering::Relaxed);
    }

    fn place(&self, id: &str) -> Command {
        place(&self.order, id)
    }

    fn cancel(&self, id: &str) -> Command {
        let data = CommandData::Cancel(CancelData {
            reason: "no".into(),
            lines: Vec::new(),
            expected_version: None,
        });
        Command { content_hash: content_hash(&data), data: data.into(), ..self.place(id) }
    }

    async fn ask(&mut self, command: &Command) -> (Code, bool) {
        let outcome = self.node.ask(command.clone()).await;
        self.note(&outcome, command)
    }

    fn note(&mut self, outcome: &Outcome, command: &Command) -> (Code, bool) {
        self.book.given(&command.order, &command.key, outcome).unwrap();
        (outcome.code, outcome.replayed)
    }

    /// Asks until the order is parked.
    async fn park(&mut self, command: &Command) {
        self.lets_through(0);
        for _ in 0..100 {
            if self.ask(command).await.0 == Code::Parked {
                return;
            }
        }
        panic!("the order is not parked after 100 crashes");
    }

    async fn release(&self) -> Result<ReleaseCounts, ReleaseError> {
        self.node.release_parked(&self.order, "ann").await
    }

    /// Stops; nothing is parked any more, all invariants hold, and the books have so many applied and rejected.
    async fn ends(self, applied: u64, rejected: u64) {
        assert_eq!(self.log.parked(PartitionId(0)).await.unwrap(), []);
        self.node.stop(std::time::Duration::from_secs(5)).await;
        let groups = self.log.groups();
        assert_eq!(self.book.check_log(&groups), []);
        let (ledger, violations) = check_log(1, &groups);
        assert_eq!(violations, []);
        let counts = &ledger[&self.order.tenant];
        assert_eq!((counts.applied, counts.rejected, counts.parked), (applied, rejected, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_decides_what_waits_in_order_and_goes_on_where_it_was_broken_off() {
    let mut world = World::new().await;
    let commands = [world.place("p"), world.place("q"), world.cancel("x")];
    world.park(&commands[0]).await;
    for command in [&commands[1], &commands[0], &commands[2]] {
        assert_eq!(world.ask(command).await.0, Code::Parked);
    }
    world.lets_through(1);
    let why = "crashed on purpose at OrderDecide".to_owned();
    assert_eq!(world.release().await, Err(ReleaseError::Crashed { sequence: 2, why }));
    assert_eq!(world.log.parked(PartitionId(0)).await.unwrap()[0].queued, 3, "mark and queue stay");
    world.lets_through(CALM);
    let released = ReleaseCounts { commands: 3, applied: 1, rejected: 1, replayed: 1, dead_lettered: 0 };
    assert_eq!(world.release().await, Ok(released));
    assert_eq!(world.release().await, Err(ReleaseError::NotParked));
    assert_eq!(world.ask(&commands[0]).await, (Code::Applied, true));
    assert_eq!(world.ask(&commands[1]).await, (Code::OrderExists, true));
    assert_eq!(world.ask(&commands[2]).await, (Code::Applied, true));
    let late = world.cancel("y");
    assert_eq!(world.ask(&late).await, (Code::AlreadyCanceled, false));
    world.ends(2, 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_a_release_is_not_lost() {
    let mut world = World::new().await;
    let first = world.place("p");
    world.park(&first).await;
    let queued: Vec<Command> = (0..40).map(|n| world.place(&format!("q-{n}"))).collect();
    for command in &queued {
        assert_eq!(world.ask(command).await.0, Code::Parked);
    }
    world.lets_through(CALM);
    let meanwhile: Vec<Command> = (0..200).map(|n| world.place(&format!("m-{n}"))).collect();
    let node = world.node.clone();
    let asked = meanwhile.iter().enumerate().map(|(n, command)| {
        let node = &node;
        async move {
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
            node.ask(command.clone()).await
        }
    });
    let (released, second, outcomes) = tokio::join!(world.release(), world.release(), join_all(asked));
    assert_eq!(second, Err(ReleaseError::UnderWay));
    let waited = outcomes.iter().filter(|outcome| outcome.status == Status::Parked).count();
    assert!(waited > 0 && waited < meanwhile.len(), "{waited} of {} came in time to wait", meanwhile.len());
    assert_eq!(released.unwrap().commands, 41 + waited as u64);
    for (outcome, command) in outcomes.iter().zip(&meanwhile) {
        world.note(outcome, command);
    }
    for command in queued.iter().chain(&meanwhile) {
        assert_eq!(world.ask(command).await, (Code::OrderExists, true));
    }
    assert_eq!(world.ask(&first).await, (Code::Applied, true));
    world.ends(1, 240).await;
}

#[tokio::test(start_paused = true)]
async fn a_discard_is_recorded_as_rejections() {
    let mut world = World::new().await;
    let commands = [world.place("p"), world.cancel("x"), world.place("q")];
    assert_eq!(world.ask(&commands[0]).await, (Code::Applied, false));
    world.park(&commands[1]).await;
    // An operator's stays an operator's, and what was applied before is not rejected now.
    let by_operator = Command { actor: Actor::Operator("ann".into()), ..commands[2].clone() };
    for command in [&by_operator, &commands[0]] {
        assert_eq!(world.ask(command).await.0, Code::Parked);
    }
    let discarded = world.node.discard_parked(&world.order, "ann").await;
    assert_eq!(
        discarded,
        Ok(ReleaseCounts { commands: 3, applied: 0, rejected: 2, replayed: 1, dead_lettered: 0 })
    );
    world.lets_through(CALM);
    assert_eq!(world.ask(&commands[1]).await, (Code::Discarded, true));
    assert_eq!(world.ask(&commands[2]).await, (Code::Discarded, true));
    let again = world.cancel("y");
    assert_eq!(world.ask(&again).await, (Code::Applied, false));
    assert_eq!(world.letters.list(0, 9).await.unwrap(), []);
    world.ends(2, 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_no_order_can_record_becomes_a_dead_letter() {
    let mut world = World::new().await;
    let commands = [world.place("p"), world.cancel("x")];
    world.park(&commands[0]).await;
    assert_eq!(world.ask(&commands[1]).await.0, Code::Parked);
    let discarded = world.node.discard_parked(&world.order, "ann").await;
    assert_eq!(
        discarded,
        Ok(ReleaseCounts { commands: 2, applied: 0, rejected: 0, replayed: 0, dead_lettered: 2 })
    );
    let letters = world.letters.list(0, 9).await.unwrap();
    let told = letters.iter().map(|stored| (stored.letter.code.as_str(), stored.letter.origin.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [("discarded", "parked queue of shop/o-1"); 2]);
    world.lets_through(CALM);
    assert_eq!(world.ask(&commands[0]).await, (Code::Applied, false), "nothing was decided before");
    world.ends(1, 0).await;
}
