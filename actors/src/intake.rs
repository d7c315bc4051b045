//! Intake: from an inbox, by position, into the actors; outcomes come out in the order of the commands.
//!
//! - Commands of one order go in one after another: a lost answer is asked for again before the next goes in, so
//!   that no crash can turn their order round.
//! - What can't be decoded is dead-lettered and blocks nobody.
//! - At most `in_flight_max` commands are open that were read.
//!
//! An inbox that holds one partition's commands is one whose callers have gone: nobody is there to be refused. Of such a
//! one nothing is given up ([`Intake::of_partition`]): what can be tried again is tried for as long as the partition is
//! run here; a command of an order that is not known waits a moment, and lets those that came after it go first, because
//! its order may be on its way; and what is refused for good becomes a dead letter. Outcomes come out as they come.

mod decide;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{Body, CommandInbox, Delivery, InboxError, PortFuture};
use retailflow_engine::wire::{Code, CommandType, DecodeError, Outcome, decode_command};
use tokio::sync::watch;
use tokio::time::Instant;

use self::decide::{Answered, Line, again, decide, give_up, put_away};
use crate::floor::{Floors, Following};
use crate::mutant::Mutant;
use crate::node::NodeHandle;

/// Of a dead letter's body at most this much is kept, in bytes.
pub(crate) const DEAD_LETTER_MAX_BYTES: usize = 16 * 1024;
/// Deliveries read at once.
const BATCH: usize = 256;

/// What became of one command.
#[derive(Debug, Clone, PartialEq)]
pub struct IntakeEvent {
    /// Its position in the inbox.
    pub position: u64,
    /// The order it was for, when it could be told.
    pub order: Option<OrderRef>,
    /// Its outcome.
    pub outcome: Outcome,
    /// It was put into the dead-letter store.
    pub dead_lettered: bool,
    /// Sending it again later may end otherwise: it was given up.
    pub given_up: bool,
    /// From its being read to its outcome.
    pub latency: Duration,
}

/// How an intake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeSummary {
    /// Commands read.
    pub received: u64,
    /// The inbox was read to its end; otherwise the intake was stopped.
    pub finished: bool,
}

struct Done {
    event: IntakeEvent,
    partition: Option<PartitionId>,
    /// It is recorded, parked, dead-lettered, or refused for good. Otherwise the floor stays below it, and whoever reads
    /// the inbox again tries again.
    settled: bool,
}

type Pending<'a> = FuturesUnordered<PortFuture<'a, Answered>>;

/// Reads one inbox into a node.
pub struct Intake<'a> {
    pending: Pending<'a>,
    books: Books<'a>,
    received: u64,
}

/// What is open.
struct Books<'a> {
    line: Line<'a>,
    following: Following,
    floors: &'a Floors,
    /// Commands waiting behind an open one of the same order.
    lanes: HashMap<OrderRef, VecDeque<Waiting>>,
    /// Outcomes that wait for those of earlier positions.
    ready: BTreeMap<u64, Done>,
    /// Positions read and not given out.
    open: BTreeSet<u64>,
}

/// A command and where it stands.
struct Waiting {
    position: u64,
    command: Command,
    since: Instant,
}

impl<'a> Intake<'a> {
    /// An intake of `inbox` into `node`; `name` says in dead letters where they came from.
    #[must_use]
    pub fn new(node: &'a NodeHandle, inbox: &dyn CommandInbox, name: impl Into<String>) -> Self {
        Self::of(node, inbox, name, None, None)
    }

    /// The same of an inbox that holds the commands of one partition, which the node has taken over. A command of an order
    /// that is not known waits so long for it. Nothing is given up: the caller drops the intake with the partition.
    #[must_use]
    pub fn of_partition(
        node: &'a NodeHandle,
        inbox: &dyn CommandInbox,
        name: impl Into<String>,
        partition: PartitionId,
        patience: Duration,
    ) -> Self {
        Self::of(node, inbox, name, Some(partition), Some(patience))
    }

    fn of(
        node: &'a NodeHandle,
        inbox: &dyn CommandInbox,
        name: impl Into<String>,
        only: Option<PartitionId>,
        patience: Option<Duration>,
    ) -> Self {
        let (floors, following) = node.floors(inbox.id(), only);
        let books = Books {
            line: Line { node, inbox: inbox.id(), name: name.into().into(), patience },
            following,
            floors,
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            open: BTreeSet::new(),
        };
        Self { pending: FuturesUnordered::new(), books, received: 0 }
    }

    /// Who it is among the readers of its inbox, for [`NodeHandle::nothing_up_to`].
    #[must_use]
    pub fn following(&self) -> Following {
        self.books.following
    }

    /// Reads to the end of the inbox, or until `stop` says so; then finishes what is in flight. `on_event` gets each
    /// outcome, in the order of the commands, unless it is an inbox of one partition.
    ///
    /// # Errors
    /// [`InboxError`] when reading fails, after what was in flight is finished.
    pub async fn run(
        mut self,
        inbox: &mut dyn CommandInbox,
        mut stop: watch::Receiver<bool>,
        mut on_event: impl FnMut(IntakeEvent),
    ) -> Result<IntakeSummary, InboxError> {
        let in_flight_max = self.books.line.node.settings().config.admission.in_flight_max;
        // There is one for each partition.
        let window =
            if self.books.line.patience.is_some() { in_flight_max.min(BATCH) } else { in_flight_max };
        let mut finished = false;
        let mut failed = None;
        while !finished && failed.is_none() && !*stop.borrow() {
            let room = window.saturating_sub(self.books.open.len());
            if room == 0 {
                self.one_done(&mut on_event).await;
                continue;
            }
            let batch = room.min(BATCH);
            let read = {
                let mut next = inbox.next(batch);
                loop {
                    // Reading may wait for someone to write: what is answered meanwhile goes out, and a stop is heard.
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => break Ok(Vec::new()),
                        Some(done) = self.pending.next(), if !self.pending.is_empty() => {
                            self.books.settle(done, &self.pending);
                            self.books.emit(&mut on_event);
                        }
                        read = &mut next => break read,
                    }
                }
            };
            match read {
                Ok(deliveries) if deliveries.is_empty() => finished = !*stop.borrow(),
                Ok(deliveries) => deliveries.into_iter().for_each(|delivery| self.accept(delivery)),
                Err(error) => failed = Some(error),
            }
        }
        while !self.pending.is_empty() {
            self.one_done(&mut on_event).await;
        }
        failed.map_or(Ok(IntakeSummary { received: self.received, finished }), Err)
    }

    async fn one_done(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        if let Some(done) = self.pending.next().await {
            self.books.settle(done, &self.pending);
            self.books.emit(on_event);
        }
    }

    fn accept(&mut self, delivery: Delivery) {
        let since = Instant::now();
        let position = delivery.position;
        let line = self.books.line.clone();
        self.received += 1;
        self.books.open.insert(position);
        self.books.floors.read(self.books.following, position);
        match decode(&delivery.body) {
            Ok(command) => {
                match line.node.settings().is(Mutant::FloorRunsAhead) {
                    true => self.books.floors.done(self.books.following, position, None),
                    false => self.books.floors.belongs(
                        self.books.following,
                        position,
                        line.node.partition(&command),
                    ),
                }
                let waiting = Waiting { position, command, since };
                match self.books.lanes.get_mut(&waiting.command.order) {
                    Some(lane) => lane.push_back(waiting),
                    None => {
                        self.books.lanes.insert(waiting.command.order.clone(), VecDeque::new());
                        self.pending.push(decide(line, waiting));
                    }
                }
            }
            Err(error) => {
                let letter = line.undecodable(position, delivery.body, &error);
                self.pending.push(put_away(line, position, letter, Outcome::from(&error), since));
            }
        }
    }
}

fn decode(body: &Body) -> Result<Command, DecodeError> {
    match body {
        Body::Bytes(bytes) => Ok(Command::from_event(decode_command(bytes)?, Actor::Tenant)),
        Body::TooLong { length_bytes, .. } => {
            let message =
                format!("the command is {length_bytes} bytes long; {}", Code::TooLarge.what_to_do());
            Err(DecodeError::new(Code::TooLarge, "", message))
        }
    }
}

impl<'a> Books<'a> {
    /// Takes in what became of a command, and lets the next one of its order go.
    fn settle(&mut self, answered: Answered, pending: &Pending<'a>) {
        let done = match answered {
            Answered::Done(done) => done,
            Answered::Unknown(waiting) => {
                // Who came later may be the one who makes its order known.
                let lane = self.lanes.entry(waiting.command.order.clone()).or_default();
                let place = lane.iter().position(|later| later.command.data.kind() == CommandType::Place);
                match place.and_then(|at| lane.remove(at)) {
                    Some(place) => {
                        lane.push_front(waiting);
                        pending.push(decide(self.line.clone(), place));
                    }
                    None => pending.push(again(self.line.clone(), waiting)),
                }
                return;
            }
        };
        if let Some(order) = done.event.order.as_ref().filter(|_| done.partition.is_some()) {
            match self.lanes.get_mut(order).and_then(VecDeque::pop_front) {
                // What is given up takes its followers along: none of them may go ahead of it.
                Some(waiting) if !done.settled => {
                    let (line, why) = (self.line.clone(), done.event.outcome.clone());
                    pending.push(Box::pin(async move { give_up(&line, &waiting, why) }));
                }
                Some(waiting) => pending.push(decide(self.line.clone(), waiting)),
                None => drop(self.lanes.remove(order)),
            }
        }
        self.ready.insert(done.event.position, done);
    }

    fn emit(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        let in_order = self.line.patience.is_none();
        loop {
            let next = if in_order { self.open.first() } else { self.ready.keys().next() };
            let Some(done) = next.copied().and_then(|position| self.ready.remove(&position)) else { return };
            let Done { event, partition, settled } = done;
            let position = event.position;
            self.open.remove(&position);
            on_event(event);
            // Not before: the floor must not pass a refusal that nobody was told.
            if settled {
                self.floors.done(self.following, position, partition);
            }
        }
    }
}

#[cfg(test)]
mod tests;
