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

use super::decide::{IntakeContext, dead_letter, decide};
use super::event::{IntakeEvent, IntakeSummary, PendingCommand};
use super::progress::{IntakeProgress, PendingCommands};
use super::window::{RereadRange, Window};
use crate::floor::InboxRegistration;
use crate::mutant::Mutant;
use crate::node::NodeHandle;

/// Deliveries read at once.
const BATCH: usize = 256;

/// What came of reading.
enum ReadResult {
    Deliveries(Result<Vec<Delivery>, InboxError>),
    Stopped,
    /// A tenant that was set aside has places again, and is read first. The interrupted read is repeated after that.
    Preempted,
}

/// Reads one inbox into a node.
pub struct Intake<'a> {
    pending: PendingCommands<'a>,
    progress: IntakeProgress<'a>,
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
        let (floors, registration) = node.floors(inbox.id(), only);
        let settings = node.settings();
        let in_flight_max = settings.config.admission.in_flight_max;
        // There is one for each partition.
        let max = if patience.is_some() { in_flight_max.min(BATCH) } else { in_flight_max };
        let looks_ahead =
            patience.is_some() && inbox.reads_again() && !settings.is(Mutant::WindowWithoutShares);
        let window = Window::new(max, looks_ahead);
        let progress = IntakeProgress {
            context: IntakeContext { node, inbox: inbox.id(), name: name.into().into(), patience },
            registration,
            floors,
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            window,
        };
        Self { pending: FuturesUnordered::new(), progress, received: 0 }
    }

    /// Who it is among the readers of its inbox, for [`NodeHandle::report_idle_floor`].
    #[must_use]
    pub fn registration(&self) -> InboxRegistration {
        self.progress.registration
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
        while (self.progress.window.is_behind() || !finished) && failed.is_none() && !*stop.borrow() {
            if let Some(range) = self.progress.window.next_reread() {
                let read = inbox.again(range.after, range.last, range.room);
                match self.beside(read, &mut stop, false, &mut on_event).await {
                    ReadResult::Deliveries(Ok(deliveries)) => self.accept_range(&range, deliveries),
                    ReadResult::Deliveries(Err(error)) => failed = Some(error),
                    ReadResult::Stopped | ReadResult::Preempted => {}
                }
                continue;
            }
            let room = if finished { 0 } else { self.progress.window.room() };
            if room == 0 {
                self.one_done_or_late(&mut on_event).await;
                continue;
            }
            let read = inbox.next(room.min(BATCH));
            match self.beside(read, &mut stop, true, &mut on_event).await {
                ReadResult::Deliveries(Ok(deliveries)) if deliveries.is_empty() => finished = true,
                ReadResult::Deliveries(Ok(deliveries)) => {
                    deliveries.into_iter().for_each(|delivery| self.accept(delivery));
                }
                ReadResult::Deliveries(Err(error)) => failed = Some(error),
                ReadResult::Stopped | ReadResult::Preempted => {}
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
    ) -> ReadResult {
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return ReadResult::Stopped,
                Some(done) = self.pending.next(), if !self.pending.is_empty() => {
                    self.progress.record_result(done, &self.pending);
                    self.progress.emit(on_event);
                    if gives_way && self.progress.window.next_reread().is_some() {
                        return ReadResult::Preempted;
                    }
                }
                given = &mut read => return ReadResult::Deliveries(given),
            }
        }
    }

    /// Waits for an outcome, or until others may be read past those that are open.
    async fn one_done_or_late(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        match self.progress.window.late_at().filter(|at| *at > Instant::now()) {
            // An outcome that comes is not lost with the wait: it is taken in or still to come.
            Some(at) => drop(tokio::time::timeout_at(at, self.one_done(on_event)).await),
            None => self.one_done(on_event).await,
        }
    }

    async fn one_done(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        if let Some(done) = self.pending.next().await {
            self.progress.record_result(done, &self.pending);
            self.progress.emit(on_event);
        }
    }

    fn accept(&mut self, delivery: Delivery) {
        let position = delivery.position;
        self.received += 1;
        let progress = &mut self.progress;
        progress.floors.mark_read(progress.registration, position);
        match decode(&delivery.body) {
            Ok(command) if progress.window.sets_aside(position, &command.order.tenant) => {
                // Held first: the floor must not pass it in between.
                progress.floors.set_hold(progress.registration, progress.window.first_behind());
                progress.floors.mark_done(progress.registration, position, None);
            }
            Ok(command) => self.admit(position, command),
            Err(error) => {
                progress.window.open(position, None);
                let context = progress.context.clone();
                let letter = context.undecodable(position, delivery.body, &error);
                self.pending.push(dead_letter(
                    context,
                    position,
                    letter,
                    Outcome::from(&error),
                    Instant::now(),
                ));
            }
        }
    }

    /// Accepts a tenant's commands that were set aside; the others of that range were accepted before.
    fn accept_range(&mut self, range: &RereadRange, deliveries: Vec<Delivery>) {
        let (mut room, mut read_up_to) = (range.room, None);
        for delivery in deliveries {
            if let Ok(command) = decode(&delivery.body)
                && command.order.tenant == range.tenant
            {
                let Some(left) = room.checked_sub(1) else { break };
                room = left;
                self.progress.floors.mark_read(self.progress.registration, delivery.position);
                self.admit(delivery.position, command);
            }
            read_up_to = Some(delivery.position);
        }
        let progress = &mut self.progress;
        progress.window.caught_up(&range.tenant, read_up_to);
        // Held until now: what was taken in has a place of its own by now.
        progress.floors.set_hold(progress.registration, progress.window.first_behind());
    }

    /// Has a command decided, behind those of its order.
    fn admit(&mut self, position: u64, command: Command) {
        let (progress, since) = (&mut self.progress, Instant::now());
        let context = progress.context.clone();
        progress.window.open(position, Some(command.order.tenant.clone()));
        match context.node.settings().is(Mutant::FloorRunsAhead) {
            true => progress.floors.mark_done(progress.registration, position, None),
            false => {
                progress.floors.assign(progress.registration, position, context.node.partition(&command))
            }
        }
        let waiting = PendingCommand { position, command, since };
        match progress.lanes.get_mut(&waiting.command.order) {
            Some(lane) => lane.push_back(waiting),
            None => {
                progress.lanes.insert(waiting.command.order.clone(), VecDeque::new());
                self.pending.push(decide(context, waiting));
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
