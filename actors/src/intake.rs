//! Intake: from an inbox, by position, into the actors; outcomes come out in the order of the commands.
//!
//! - Commands of one order go in one after another: a lost answer is asked for again before the next goes in, so
//!   that no crash can turn their order round.
//! - What can't be decoded is dead-lettered and blocks nobody.
//! - At most `in_flight_max` positions are open between the oldest unanswered command and the newest read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::sha256;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{Body, CommandInbox, DeadLetter, Delivery, InboxError, InboxId, PortFuture};
use retailflow_engine::wire::{Code, DecodeError, Outcome, decode_command};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::floor::Floors;
use crate::mutant::Mutant;
use crate::node::NodeHandle;

/// How often a command whose answer was lost, or that a retry can help, is sent again.
const ATTEMPTS_MAX: u32 = 100;
/// The wait between two of these grows to so many times what the refusal asked for.
const BACKOFF_MAX: u32 = 16;
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

type Pending<'a> = FuturesUnordered<PortFuture<'a, Done>>;

/// Reads one inbox into a node.
pub struct Intake<'a> {
    node: &'a NodeHandle,
    name: String,
    inbox: InboxId,
    floors: &'a Floors,
    pending: Pending<'a>,
    /// Commands waiting behind an open one of the same order.
    lanes: HashMap<OrderRef, VecDeque<(u64, Command, Instant)>>,
    /// Outcomes that wait for those of earlier positions.
    ready: BTreeMap<u64, Done>,
    /// Positions read and not given out, in order. They rise, but may leave some out.
    open: VecDeque<u64>,
    received: u64,
}

impl<'a> Intake<'a> {
    /// An intake of `inbox` into `node`; `name` says in dead letters where they came from.
    #[must_use]
    pub fn new(node: &'a NodeHandle, inbox: &dyn CommandInbox, name: impl Into<String>) -> Self {
        Self::of(node, inbox, name, None)
    }

    /// The same of an inbox that holds the commands of one partition, which the node has taken over.
    #[must_use]
    pub fn of_partition(
        node: &'a NodeHandle,
        inbox: &dyn CommandInbox,
        name: impl Into<String>,
        partition: PartitionId,
    ) -> Self {
        Self::of(node, inbox, name, Some(partition))
    }

    fn of(
        node: &'a NodeHandle,
        inbox: &dyn CommandInbox,
        name: impl Into<String>,
        only: Option<PartitionId>,
    ) -> Self {
        Self {
            node,
            name: name.into(),
            inbox: inbox.id(),
            floors: node.floors(inbox.id(), only),
            pending: FuturesUnordered::new(),
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            open: VecDeque::new(),
            received: 0,
        }
    }

    /// Reads to the end of the inbox, or until `stop` says so; then finishes what is in flight. `on_event` gets each
    /// outcome, in the order of the commands.
    ///
    /// # Errors
    /// [`InboxError`] when reading fails, after what was in flight is finished.
    pub async fn run(
        mut self,
        inbox: &mut dyn CommandInbox,
        mut stop: watch::Receiver<bool>,
        mut on_event: impl FnMut(IntakeEvent),
    ) -> Result<IntakeSummary, InboxError> {
        let window = self.node.settings().config.admission.in_flight_max;
        let mut finished = false;
        let mut failed = None;
        while !finished && failed.is_none() && !*stop.borrow() {
            let room = window.saturating_sub(self.open.len());
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
                            Self::settle(&mut self.lanes, &mut self.ready, &mut self.pending, self.node, done);
                            Self::emit(&mut self.ready, &mut self.open, (self.floors, self.inbox), &mut on_event);
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
            Self::settle(&mut self.lanes, &mut self.ready, &mut self.pending, self.node, done);
            Self::emit(&mut self.ready, &mut self.open, (self.floors, self.inbox), on_event);
        }
    }

    fn settle(
        lanes: &mut HashMap<OrderRef, VecDeque<(u64, Command, Instant)>>,
        ready: &mut BTreeMap<u64, Done>,
        pending: &mut Pending<'a>,
        node: &'a NodeHandle,
        done: Done,
    ) {
        if let Some(order) = done.event.order.as_ref().filter(|_| done.partition.is_some()) {
            match lanes.get_mut(order).and_then(VecDeque::pop_front) {
                // What is given up takes its followers along: none of them may go ahead of it.
                Some((position, command, since)) if !done.settled => {
                    let why = done.event.outcome.clone();
                    pending.push(Box::pin(async move { give_up(node, position, &command, why, since) }));
                }
                Some((position, command, since)) => pending.push(decide(node, position, command, since)),
                None => drop(lanes.remove(order)),
            }
        }
        ready.insert(done.event.position, done);
    }

    fn emit(
        ready: &mut BTreeMap<u64, Done>,
        open: &mut VecDeque<u64>,
        (floors, inbox): (&Floors, InboxId),
        on_event: &mut impl FnMut(IntakeEvent),
    ) {
        while let Some(done) = open.front().and_then(|position| ready.remove(position)) {
            open.pop_front();
            let Done { event, partition, settled } = done;
            let position = event.position;
            on_event(event);
            // Not before: the floor must not pass a refusal that nobody was told.
            if settled {
                floors.done(inbox, position, partition);
            }
        }
    }

    fn accept(&mut self, delivery: Delivery) {
        let since = Instant::now();
        let position = delivery.position;
        self.received += 1;
        self.open.push_back(position);
        self.floors.read(self.inbox, position);
        match decode(&delivery.body) {
            Ok(command) => {
                match self.node.settings().is(Mutant::FloorRunsAhead) {
                    true => self.floors.done(self.inbox, position, None),
                    false => self.floors.belongs(self.inbox, position, self.node.partition(&command)),
                }
                match self.lanes.get_mut(&command.order) {
                    Some(lane) => lane.push_back((position, command, since)),
                    None => {
                        self.lanes.insert(command.order.clone(), VecDeque::new());
                        self.pending.push(decide(self.node, position, command, since));
                    }
                }
            }
            Err(error) => {
                let letter = self.letter(position, delivery.body, &error);
                self.pending.push(put_away(self.node, position, letter, error, since));
            }
        }
    }

    fn letter(&self, position: u64, body: Body, error: &DecodeError) -> DeadLetter {
        let (mut kept, length_bytes) = match body {
            Body::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (bytes, length)
            }
            Body::TooLong { prefix, length_bytes } => (prefix, length_bytes),
        };
        kept.truncate(DEAD_LETTER_MAX_BYTES);
        // The same message at the same place of the same inbox is the same letter, however often it is read.
        let mut named = self.inbox.to_vec();
        named.extend_from_slice(&position.to_le_bytes());
        named.extend_from_slice(&length_bytes.to_le_bytes());
        named.extend_from_slice(&kept);
        let mut key = [0; 16];
        key.copy_from_slice(&sha256(&named)[..16]);
        DeadLetter {
            key,
            tenant: error.address.tenant.as_ref().map(ToString::to_string),
            origin: format!("{}, line {position}", self.name),
            code: error.code.as_str().to_owned(),
            reason: error.to_string(),
            body: kept,
            length_bytes,
            at: self.node.ports().clock.now(),
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

/// Asks until there is an outcome that asking again can't change.
fn decide(node: &NodeHandle, position: u64, command: Command, since: Instant) -> PortFuture<'_, Done> {
    Box::pin(async move {
        let partition = node.partition(&command);
        let order = command.order.clone();
        let mut attempt = 0;
        let outcome = loop {
            attempt += 1;
            let outcome = match node.send(command.clone(), true).await {
                Ok(answer) => answer.await.ok(),
                Err(outcome) => Some(*outcome),
            };
            let final_one = match &outcome {
                None => false,
                Some(outcome) => {
                    !outcome.code.retry_helps()
                        || matches!(
                            outcome.code,
                            Code::OrderNotFound | Code::Draining | Code::ParkedQueueFull
                        )
                }
            };
            match outcome {
                Some(outcome) if final_one || attempt >= ATTEMPTS_MAX => break outcome,
                None if attempt >= ATTEMPTS_MAX => {
                    let code = Code::OutcomeUnknown;
                    break Outcome::refused(&order, &command.key, code, code.meaning());
                }
                Some(outcome) => {
                    let delay_ms =
                        outcome.retry_after_ms.unwrap_or(1).saturating_mul(attempt.min(BACKOFF_MAX).into());
                    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                }
                None => tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(50)))).await,
            }
        };
        let told = matches!(outcome.code, Code::OrderNotFound | Code::ParkedQueueFull);
        let settled = told || !outcome.code.retry_helps();
        let event = IntakeEvent {
            position,
            order: Some(order),
            outcome,
            dead_lettered: false,
            given_up: !settled,
            latency: since.elapsed(),
        };
        Done { event, partition: Some(partition), settled }
    })
}

/// The outcome of a command whose forerunner on the same order was given up.
fn give_up(node: &NodeHandle, position: u64, command: &Command, why: Outcome, since: Instant) -> Done {
    let outcome =
        Outcome { command_id: Some(command.key.id.clone()), source: Some(command.key.source.clone()), ..why };
    let (order, partition) = (Some(command.order.clone()), Some(node.partition(command)));
    let latency = since.elapsed();
    let event = IntakeEvent { position, order, outcome, dead_lettered: false, given_up: true, latency };
    Done { event, partition, settled: false }
}

/// Stores what can't be decoded; it is given up to the log file only when even that fails.
fn put_away(
    node: &NodeHandle,
    position: u64,
    letter: DeadLetter,
    error: DecodeError,
    since: Instant,
) -> PortFuture<'_, Done> {
    Box::pin(async move {
        let mut stored = false;
        for attempt in 0..ATTEMPTS_MAX.min(10) {
            match node.ports().dead_letters.put(letter.clone()).await {
                Ok(()) => {
                    stored = true;
                    break;
                }
                Err(why) => {
                    tracing::warn!(position, %why, "a dead letter could not be stored");
                    tokio::time::sleep(Duration::from_millis(10 << attempt.min(6))).await;
                }
            }
        }
        let outcome = Outcome::from(&error);
        let event = IntakeEvent {
            position,
            order: None,
            outcome,
            dead_lettered: stored,
            given_up: !stored,
            latency: since.elapsed(),
        };
        Done { event, partition: None, settled: stored }
    })
}
