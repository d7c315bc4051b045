//! Intake: from an inbox, by position, into the actors; outcomes come out in the order of the commands.
//!
//! - Commands of one order go in one after another: a lost answer is asked for again before the next goes in, so
//!   that no crash can turn their order round.
//! - What can't be decoded is dead-lettered and blocks nobody.
//! - At most `in_flight_max` commands are open that were read. A tenant at its limit does not keep those that others published
//!   behind it from being read, where the inbox can be read again (`window`).
//!
//! An inbox that holds one partition's commands is one whose callers have gone: nobody is there to be refused. Of such a
//! one nothing is given up ([`Intake::of_partition`]): what can be tried again is tried for as long as the partition is
//! run here; a command of an order that is not known waits a moment, and lets those that came after it go first, because
//! its order may be on its way; and what is refused for good becomes a dead letter. Outcomes come out as they come.

mod decide;
mod window;

use std::collections::{BTreeMap, HashMap, VecDeque};
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
use self::window::{Again, Window};
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

/// What came of reading.
enum Read {
    Given(Result<Vec<Delivery>, InboxError>),
    Stopped,
    /// Somebody who was set aside has places, and is read first. What was being read is read after that.
    GaveWay,
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
    window: Window,
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
        let settings = node.settings();
        let in_flight_max = settings.config.admission.in_flight_max;
        // There is one for each partition.
        let max = if patience.is_some() { in_flight_max.min(BATCH) } else { in_flight_max };
        let looks_ahead =
            patience.is_some() && inbox.reads_again() && !settings.is(Mutant::WindowWithoutShares);
        let window = Window::new(max, looks_ahead);
        let books = Books {
            line: Line { node, inbox: inbox.id(), name: name.into().into(), patience },
            following,
            floors,
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            window,
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
        let mut finished = false;
        let mut failed = None;
        while (self.books.window.is_behind() || !finished) && failed.is_none() && !*stop.borrow() {
            if let Some(again) = self.books.window.again() {
                let read = inbox.again(again.after, again.last, again.room);
                match self.beside(read, &mut stop, false, &mut on_event).await {
                    Read::Given(Ok(deliveries)) => self.accept_again(&again, deliveries),
                    Read::Given(Err(error)) => failed = Some(error),
                    Read::Stopped | Read::GaveWay => {}
                }
                continue;
            }
            let room = if finished { 0 } else { self.books.window.room() };
            if room == 0 {
                self.one_done_or_late(&mut on_event).await;
                continue;
            }
            let read = inbox.next(room.min(BATCH));
            match self.beside(read, &mut stop, true, &mut on_event).await {
                Read::Given(Ok(deliveries)) if deliveries.is_empty() => finished = true,
                Read::Given(Ok(deliveries)) => {
                    deliveries.into_iter().for_each(|delivery| self.accept(delivery));
                }
                Read::Given(Err(error)) => failed = Some(error),
                Read::Stopped | Read::GaveWay => {}
            }
        }
        while !self.pending.is_empty() {
            self.one_done(&mut on_event).await;
        }
        failed.map_or(Ok(IntakeSummary { received: self.received, finished }), Err)
    }

    /// Reading may wait for someone to write: what is answered meanwhile goes out, a stop is heard, and, if it `gives_way`, somebody
    /// who was set aside is read again before that.
    async fn beside(
        &mut self,
        mut read: PortFuture<'_, Result<Vec<Delivery>, InboxError>>,
        stop: &mut watch::Receiver<bool>,
        gives_way: bool,
        on_event: &mut impl FnMut(IntakeEvent),
    ) -> Read {
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Read::Stopped,
                Some(done) = self.pending.next(), if !self.pending.is_empty() => {
                    self.books.settle(done, &self.pending);
                    self.books.emit(on_event);
                    if gives_way && self.books.window.again().is_some() {
                        return Read::GaveWay;
                    }
                }
                given = &mut read => return Read::Given(given),
            }
        }
    }

    /// Waits for an outcome, or until others may be read past those that are open.
    async fn one_done_or_late(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        match self.books.window.late_at().filter(|at| *at > Instant::now()) {
            // An outcome that comes is not lost with the wait: it is taken in or still to come.
            Some(at) => drop(tokio::time::timeout_at(at, self.one_done(on_event)).await),
            None => self.one_done(on_event).await,
        }
    }

    async fn one_done(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        if let Some(done) = self.pending.next().await {
            self.books.settle(done, &self.pending);
            self.books.emit(on_event);
        }
    }

    fn accept(&mut self, delivery: Delivery) {
        let position = delivery.position;
        self.received += 1;
        let books = &mut self.books;
        books.floors.read(books.following, position);
        match decode(&delivery.body) {
            Ok(command) if books.window.sets_aside(position, &command.order.tenant) => {
                // Held first: the floor must not pass it in between.
                books.floors.hold(books.following, books.window.first_behind());
                books.floors.done(books.following, position, None);
            }
            Ok(command) => self.admit(position, command),
            Err(error) => {
                books.window.open(position, None);
                let line = books.line.clone();
                let letter = line.undecodable(position, delivery.body, &error);
                self.pending.push(put_away(line, position, letter, Outcome::from(&error), Instant::now()));
            }
        }
    }

    /// Takes in a tenant's commands that were set aside; the others there were seen to before.
    fn accept_again(&mut self, again: &Again, deliveries: Vec<Delivery>) {
        let (mut room, mut read_up_to) = (again.room, None);
        for delivery in deliveries {
            if let Ok(command) = decode(&delivery.body)
                && command.order.tenant == again.tenant
            {
                let Some(left) = room.checked_sub(1) else { break };
                room = left;
                self.books.floors.read(self.books.following, delivery.position);
                self.admit(delivery.position, command);
            }
            read_up_to = Some(delivery.position);
        }
        let books = &mut self.books;
        books.window.caught_up(&again.tenant, read_up_to);
        // Held until now: what was taken in has a place of its own by now.
        books.floors.hold(books.following, books.window.first_behind());
    }

    /// Has a command decided, behind those of its order.
    fn admit(&mut self, position: u64, command: Command) {
        let (books, since) = (&mut self.books, Instant::now());
        let line = books.line.clone();
        books.window.open(position, Some(command.order.tenant.clone()));
        match line.node.settings().is(Mutant::FloorRunsAhead) {
            true => books.floors.done(books.following, position, None),
            false => books.floors.belongs(books.following, position, line.node.partition(&command)),
        }
        let waiting = Waiting { position, command, since };
        match books.lanes.get_mut(&waiting.command.order) {
            Some(lane) => lane.push_back(waiting),
            None => {
                books.lanes.insert(waiting.command.order.clone(), VecDeque::new());
                self.pending.push(decide(line, waiting));
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
            let next = if in_order { self.window.first() } else { self.ready.keys().next().copied() };
            let Some(done) = next.and_then(|position| self.ready.remove(&position)) else { return };
            let Done { event, partition, settled } = done;
            let position = event.position;
            self.window.close(position);
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
