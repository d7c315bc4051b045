//! Reads an inbox, and has what it reads decided.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{Body, CommandInbox, Delivery, InboxError, PortFuture};
use retailflow_engine::wire::{Code, DecodeError, Outcome, decode_command};
use tokio::sync::watch;
use tokio::time::Instant;

use super::decide::{Line, decide, put_away};
use super::event::{IntakeEvent, IntakeSummary, Waiting};
use super::progress::{Books, Pending};
use super::window::{Again, Window};
use crate::floor::Following;
use crate::mutant::Mutant;
use crate::node::NodeHandle;

/// Deliveries read at once.
const BATCH: usize = 256;

/// What came of reading.
enum Read {
    Given(Result<Vec<Delivery>, InboxError>),
    Stopped,
    /// Somebody who was set aside has places, and is read first. What was being read is read after that.
    GaveWay,
}

/// Reads one inbox into a node.
pub struct Intake<'a> {
    pending: Pending<'a>,
    books: Books<'a>,
    received: u64,
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
