//! One order: hydrate → decide → commit → evolve → reply.
//!
//! Invariant: every answer comes from committed state. Tentative state lives in a draft; what a draft led to is told
//! when its record is durable, its refusals too. One record is in flight; commands that come meanwhile wait
//! and are decided together (combining), so that a hot order runs at memory speed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::codec::CodecError;
use retailflow_engine::fulfillment::next;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{
    Aggregate, Context, Draft, Drafted, EngineCommand, FoldError, Order, OrderStatus, RecordedOutcome,
    SealedDraft, Verdict,
};
use retailflow_engine::ports::{OrderEntry, ReadError};
use retailflow_engine::wire::{Code, Durability, Outcome};

use crate::admission::Gate;
use crate::committer::{CommitterMsg, Proposal, Proposed, Ticket};
use crate::effects::Effects;
use crate::held::Held;
use crate::hydrate::{HydrateError, hydrate};
use crate::mutant::Mutant;
use crate::outcome::{Work, recorded, refusal};
use crate::partition::Committers;
use crate::reads::Reads;
use crate::sight::Sight;
use crate::tenant::TenantMsg;
use crate::world::{Ports, ProbePoint, Settings};

mod ask_log;

/// The reason with which an order stops that had nothing to do; any other end is a crash.
pub(crate) const PASSIVATED: &str = "passivated";

/// Commands of the engine's own that wait at one order, at most: further ones come again.
const ENGINE_QUEUE_MAX: usize = 8;

/// What an order is told.
pub(crate) enum OrderMsg {
    /// Decide a command.
    Submit(Work),
    /// What became of proposal `number`.
    Resolved {
        /// Which proposal.
        number: u64,
        /// What became of it.
        proposed: Proposed,
    },
    /// Decide a command of the engine's own.
    Engine(EngineCommand),
    /// See to it that what the order asks for is driven.
    Wake,
    /// Leave memory if there is nothing to do.
    Passivate,
}

/// What all orders of a node share.
pub(crate) struct OrderShared {
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<Settings>,
    pub(crate) committers: Arc<Committers>,
    pub(crate) held: Arc<Held>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) reads: Reads,
    pub(crate) effects: Arc<Effects>,
    pub(crate) sight: Arc<Sight>,
}

pub(crate) struct OrderArgs {
    pub(crate) order: OrderRef,
    pub(crate) shared: Arc<OrderShared>,
    pub(crate) tenant: ActorRef<TenantMsg>,
}

/// Why an order ends other than by passivation.
#[derive(Debug, thiserror::Error)]
enum OrderEnd {
    #[error("the outcome of a record is not known; the log will tell")]
    Lost,
}

/// Did an order end because of trouble that is not its own? It starts again, and is never parked for that.
pub(crate) fn is_passing(error: &ActorProcessingErr) -> bool {
    // A record of a newer version is whole: an upgrade reads it, and a park mark would outlive the upgrade.
    let unreadable = matches!(
        error.downcast_ref(),
        Some(
            HydrateError::Read(ReadError::Unavailable(_))
                | HydrateError::Fold(FoldError::Codec(CodecError::Unsupported { .. }))
        )
    );
    unreadable || matches!(error.downcast_ref(), Some(OrderEnd::Lost))
}

struct InFlight {
    number: u64,
    sealed: SealedDraft,
    /// By decision: who asked first, then who joined.
    waiters: Vec<Vec<Work>>,
    /// Refusals that rest on tentative state: told when it has become the committed one.
    deferred: Vec<(Work, Outcome)>,
}

pub(crate) struct OrderState {
    args: OrderArgs,
    partition: PartitionId,
    aggregate: Aggregate,
    snapshot_at: u64,
    queue: VecDeque<Work>,
    /// The engine's own commands. At most one step and one deadline are open, so a handful at most wait here.
    engine: Vec<EngineCommand>,
    in_flight: Option<Box<InFlight>>,
    proposals: u64,
    /// Outcomes that have left the aggregate's memory, once someone asked for one.
    recalled: Option<HashMap<CommandKey, RecordedOutcome>>,
}

/// The actor of one order.
pub(crate) struct OrderActor;

impl Actor for OrderActor {
    type Msg = OrderMsg;
    type State = OrderState;
    type Arguments = OrderArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let aggregate = Aggregate::new(args.order.clone());
        Ok(OrderState {
            partition: partition_of(&args.order, args.shared.committers.partitions()),
            args,
            aggregate,
            snapshot_at: 0,
            queue: VecDeque::new(),
            engine: Vec::new(),
            in_flight: None,
            proposals: 0,
            recalled: None,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        Box::pin(state.rebuild()).await?;
        state.drive(&myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // Rare waits are boxed: what is not boxed here is memory that every live order holds.
        match message {
            OrderMsg::Submit(work) => {
                if !work.discarded {
                    state.probe(ProbePoint::OrderDecide)?;
                }
                state.take(work);
            }
            OrderMsg::Resolved { number, proposed } => {
                if let Some(lost) = state.resolved(&myself, number, proposed)? {
                    if !state.args.shared.settings.is(Mutant::KeepsStateAfterConflict) {
                        Box::pin(state.rebuild()).await?;
                    }
                    // What the engine itself had decided is asked for again, if it is still asked for.
                    state.drive(&myself);
                    state.again(*lost);
                }
            }
            OrderMsg::Engine(command) => {
                if state.engine.len() < ENGINE_QUEUE_MAX {
                    state.engine.push(command);
                }
            }
            OrderMsg::Wake => state.drive(&myself),
            OrderMsg::Passivate => return state.passivate(&myself),
        }
        while let Some(work) = state.advance(&myself)? {
            Box::pin(state.ask_log(work)).await?;
        }
        if state.queue.is_empty() && state.engine.is_empty() {
            // An idle order keeps no room for work.
            state.queue = VecDeque::new();
            state.engine = Vec::new();
        }
        Ok(())
    }
}

impl OrderState {
    fn probe(&self, point: ProbePoint) -> Result<(), ActorProcessingErr> {
        Ok(self.args.shared.settings.probe(point, || self.args.order.to_string())?)
    }

    fn take(&mut self, work: Work) {
        let shared = &self.args.shared;
        if self.queue.len() >= shared.settings.config.orders.queue_max {
            let retry_after_ms = shared.gate.retry_after_ms();
            return work.refuse(Code::Overloaded, "too many commands wait for this order", retry_after_ms);
        }
        self.queue.push_back(work);
    }

    async fn rebuild(&mut self) -> Result<(), ActorProcessingErr> {
        self.probe(ProbePoint::OrderHydrate)?;
        let shared = &self.args.shared;
        let recent_max = shared.settings.config.orders.recent_ids_max;
        let mutant = shared.settings.is(Mutant::ReadPermitsOfTheNode);
        let (aggregate, unaided) = match shared.ports.log.seems_new(&self.args.order) && !mutant {
            // Nothing is read for it: it waits for nobody who reads.
            true => (Aggregate::new(self.args.order.clone()), 0),
            false => {
                let of = if mutant { PartitionId(0) } else { self.partition };
                let _permit = shared.reads.permit(of).await;
                hydrate(&shared.ports, &self.args.order, recent_max).await?
            }
        };
        self.aggregate = aggregate;
        // What took long to fold is folded once.
        self.snapshot_at = self.aggregate.revision.saturating_sub(unaided);
        self.snapshot_if_due();
        self.snapshot_at = self.aggregate.revision;
        self.recalled = None;
        Ok(())
    }

    /// Decides what waits and proposes one record, unless one is in flight. Gives back a command on which the log must be
    /// asked before anything else is decided.
    fn advance(&mut self, myself: &ActorRef<OrderMsg>) -> Result<Option<Work>, ActorProcessingErr> {
        while self.in_flight.is_none() && !(self.queue.is_empty() && self.engine.is_empty()) {
            let orders = &self.args.shared.settings.config.orders;
            let (max_commands, max_bytes) = (orders.record_max_commands, orders.record_max_bytes);
            let context =
                Context { now: self.args.shared.ports.clock.now(), policy: self.args.shared.settings.policy };
            let mut draft = Draft::new(&self.aggregate);
            let mut waiters: Vec<Vec<Work>> = Vec::new();
            let mut deferred = Vec::new();
            let mut asks = None;
            let mut stale = false;
            for command in self.engine.drain(..) {
                stale |= !draft.decide_engine(&command, &context);
            }
            while draft.len() < max_commands
                && let Some(next) = self.queue.front()
                && (draft.is_empty() || draft.weight_bytes() + next.command.weight_bytes() <= max_bytes)
                && let Some(work) = self.queue.pop_front()
            {
                if work.reply.is_closed() {
                    // Nobody waits any more: what has not begun is not begun. The id may come again.
                    continue;
                }
                let (base, command, certainly_new) = (&self.aggregate, &work.command, work.certainly_new);
                let drafted = match work.discarded {
                    false => draft.decide(base, command, &context, certainly_new),
                    true => draft.reject(base, command, Code::Discarded, &context, certainly_new),
                };
                match drafted {
                    Drafted::Decided(_) => {
                        work.came_to("decided");
                        waiters.push(vec![work]);
                    }
                    Drafted::Joined(index) => waiters[index].push(work),
                    Drafted::Replayed(verdict) => self.replay(work, &verdict),
                    Drafted::AskLog => {
                        asks = Some(work);
                        break;
                    }
                    Drafted::Refused(code, message) => {
                        let retry_after_ms = self.args.shared.gate.retry_after_ms();
                        let command = &work.command;
                        let outcome = refusal(&command.order, &command.key, code, message, retry_after_ms);
                        if draft.is_empty() { work.answer(outcome) } else { deferred.push((work, outcome)) }
                    }
                }
            }
            if stale {
                // News of something that is over, or was before its time: what the order really asks for is driven.
                self.drive(myself);
            }
            if !draft.is_empty() {
                self.propose(myself, draft, waiters, deferred)?;
            }
            if asks.is_some() {
                return Ok(asks);
            }
        }
        Ok(None)
    }

    fn propose(
        &mut self,
        myself: &ActorRef<OrderMsg>,
        draft: Draft,
        waiters: Vec<Vec<Work>>,
        deferred: Vec<(Work, Outcome)>,
    ) -> Result<(), ActorProcessingErr> {
        let retry_after_ms = self.args.shared.gate.retry_after_ms();
        let all = |waiters: Vec<Vec<Work>>, deferred: Vec<(Work, Outcome)>| {
            waiters.into_iter().flatten().chain(deferred.into_iter().map(|(work, _)| work))
        };
        let sealed = match draft.seal(&self.aggregate) {
            Ok(sealed) => sealed,
            Err(error) => {
                all(waiters, deferred)
                    .for_each(|work| work.refuse(Code::TooLarge, error.to_string(), retry_after_ms));
                return Ok(());
            }
        };
        let Some(committer) = self.args.shared.committers.get(self.partition) else {
            let why = "the order's partition is being taken over";
            self.wake_later(myself);
            all(waiters, deferred).for_each(|work| work.refuse(Code::Unavailable, why, retry_after_ms));
            return Ok(());
        };
        if self.args.shared.settings.is(Mutant::EffectBeforeCommit)
            && let Some(effect) = next(&self.args.order, sealed.tentative())
        {
            self.args.shared.effects.drive(effect, myself);
        }
        let waiters = if self.args.shared.settings.is(Mutant::AnswersTentative) {
            answer(waiters, &sealed.outcomes, self.args.shared.ports.durability.get());
            Vec::new()
        } else {
            waiters
        };
        self.proposals += 1;
        let number = self.proposals;
        let entry = OrderEntry {
            order: self.args.order.clone(),
            expected_revision: sealed.expected_revision,
            next_revision: sealed.next_revision,
            deadline: sealed.deadline,
            bytes: sealed.bytes.clone(),
        };
        self.in_flight = Some(Box::new(InFlight { number, sealed, waiters, deferred }));
        // If the committer has gone, the ticket comes back as lost.
        let ticket = Ticket::new(myself.clone(), number);
        drop(committer.cast(CommitterMsg::Propose(Proposal { entry, ticket })));
        self.probe(ProbePoint::OrderProposed)
    }

    /// Gives back what lost a race: the order has to be rebuilt before it is decided again.
    fn resolved(
        &mut self,
        myself: &ActorRef<OrderMsg>,
        number: u64,
        proposed: Proposed,
    ) -> Result<Option<Box<InFlight>>, ActorProcessingErr> {
        let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.number == number) else {
            return Ok(None);
        };
        match proposed {
            Proposed::Committed => {
                self.probe(ProbePoint::OrderCommitted)?;
                self.committed(*in_flight);
                self.drive(myself);
                self.probe(ProbePoint::OrderAnswered)?;
                Ok(None)
            }
            Proposed::Conflict => Ok(Some(in_flight)),
            Proposed::Unavailable(why) => {
                let retry_after_ms = self.args.shared.gate.retry_after_ms();
                let works = in_flight.waiters.into_iter().flatten();
                let works = works.chain(in_flight.deferred.into_iter().map(|(work, _)| work));
                works.for_each(|work| work.refuse(Code::StorageFull, why.clone(), retry_after_ms));
                self.wake_later(myself);
                Ok(None)
            }
            // Neither yes nor no may be said. The supervisor starts the order again from what the log has.
            Proposed::Lost => Err(OrderEnd::Lost.into()),
        }
    }

    /// The record is durable: only now is the tentative state the committed one, and only now is anyone told.
    fn committed(&mut self, in_flight: InFlight) {
        let shared = self.args.shared.clone();
        let durability = shared.ports.durability.get();
        let InFlight { sealed, waiters, deferred, .. } = in_flight;
        // What was recalled must stay all there is: these will leave the aggregate's memory, too.
        if let Some(recalled) = &mut self.recalled {
            recalled.extend(sealed.outcomes.iter().map(|outcome| (outcome.key.clone(), outcome.clone())));
        }
        answer(waiters, &sealed.outcomes, durability);
        let ends = |order: &Order| matches!(order.status, OrderStatus::Completed | OrderStatus::Canceled);
        if ends(sealed.tentative()) && !ends(&self.aggregate.order) {
            shared.effects.order_ended();
        }
        sealed.commit_to(&mut self.aggregate, shared.settings.config.orders.recent_ids_max);
        deferred.into_iter().for_each(|(work, outcome)| work.answer(outcome));
        self.snapshot_if_due();
    }

    /// Commands that lost a race come first again, a bounded number of times.
    fn again(&mut self, in_flight: InFlight) {
        let max = self.args.shared.settings.config.commit.conflict_retries_max;
        let retry_after_ms = self.args.shared.gate.retry_after_ms();
        let works = in_flight.waiters.into_iter().flatten();
        let works: Vec<Work> = works.chain(in_flight.deferred.into_iter().map(|(work, _)| work)).collect();
        for mut work in works.into_iter().rev() {
            work.attempts += 1;
            work.certainly_new = false;
            if work.attempts > max {
                work.refuse(Code::Unavailable, "others keep writing this order", retry_after_ms);
            } else {
                self.queue.push_front(work);
            }
        }
    }

    /// Sees to it that what the committed state asks for, and nothing else, is driven.
    fn drive(&self, myself: &ActorRef<OrderMsg>) {
        if !self.engine.is_empty() || self.in_flight.is_some() {
            // The outcome of what was asked for may be here, or in the record under way: driven when that is known.
            return;
        }
        let effects = &self.args.shared.effects;
        if effects.is_closed() {
            return;
        }
        match next(&self.args.order, &self.aggregate.order) {
            Some(effect) => effects.drive(effect, myself),
            None => effects.rest(&self.args.order),
        }
    }

    /// An outcome could not be recorded now: its effect is driven again, under the same key.
    fn wake_later(&self, myself: &ActorRef<OrderMsg>) {
        let delay = Duration::from_millis(self.args.shared.gate.retry_after_ms());
        myself.send_after(delay, || OrderMsg::Wake);
    }

    fn replay(&self, work: Work, verdict: &Verdict) {
        let durability = self.args.shared.ports.durability.get();
        let outcome = recorded(&work.command.order, &work.command.key, verdict, durability, true);
        work.answer(outcome);
    }

    fn snapshot_if_due(&mut self) {
        let shared = &self.args.shared;
        if self.aggregate.revision - self.snapshot_at < shared.settings.config.orders.snapshot_every {
            return;
        }
        self.snapshot_at = self.aggregate.revision;
        if let Ok(bytes) = self.aggregate.to_snapshot(shared.ports.log.identity().log_id) {
            shared.ports.snapshots.save(&self.args.order, bytes);
        }
    }

    fn passivate(&mut self, myself: &ActorRef<OrderMsg>) -> Result<(), ActorProcessingErr> {
        let busy = self.in_flight.is_some() || !self.queue.is_empty() || !self.engine.is_empty();
        if busy || self.args.shared.effects.is_attempting(&self.args.order) {
            let order = self.args.order.order.clone();
            self.args.tenant.cast(TenantMsg::Busy(order, myself.get_id()))?;
        } else {
            // The tenant sends nothing after `Passivate` until it hears from us: no message is left behind.
            myself.stop(Some(PASSIVATED.into()));
        }
        Ok(())
    }
}

/// Tells each waiter the outcome of its decision; who joined another's record gets it as a replay.
fn answer(waiters: Vec<Vec<Work>>, outcomes: &[RecordedOutcome], durability: Durability) {
    for (works, outcome) in waiters.into_iter().zip(outcomes) {
        for (place, work) in works.into_iter().enumerate() {
            let command = &work.command;
            let told = recorded(&command.order, &command.key, &outcome.verdict, durability, place > 0);
            work.came_to("durable");
            work.answer(told);
        }
    }
}
