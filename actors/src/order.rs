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
use retailflow_engine::order::{Aggregate, Context, Draft, Drafted, FoldError, RecordedOutcome, Verdict};
use retailflow_engine::ports::ReadError;
use retailflow_engine::wire::Code;

use crate::admission::Gate;
use crate::committer::Proposed;
use crate::deliveries::EngineNews;
use crate::effects::Effects;
use crate::mutant::Mutant;
use crate::node_metrics::Sight;
use crate::outcome::{recorded, refusal};
use crate::partition::Committers;
use crate::partition_table::Held;
use crate::passivation::Residents;
use crate::passivation::{HydrateError, hydrate};
use crate::reads::Reads;
use crate::sweeper::Found;
use crate::tenant::TenantMsg;
use crate::work::Work;
use crate::world::{Ports, ProbePoint, Settings};

mod ask_log;
mod record;

use record::{Deferred, InFlight};

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
    Engine(EngineNews),
    /// See to it that what the order asks for is driven.
    Wake,
    /// It was found by looking through the index of open orders.
    Found(Found),
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
    pub(crate) residents: Arc<Residents>,
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
    #[error("the outcome of a step is too large to be recorded: {0}")]
    TooLarge(String),
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

pub(crate) struct OrderState {
    args: OrderArgs,
    partition: PartitionId,
    aggregate: Aggregate,
    snapshot_at: u64,
    queue: VecDeque<Work>,
    /// The engine's own commands. At most one step and one deadline are open, so a handful at most wait here.
    engine: Vec<EngineNews>,
    /// Decisions in the next record, while the last one came out too large.
    combine_max: Option<usize>,
    in_flight: Option<Box<InFlight>>,
    proposals: u64,
    /// How often, one after another, an outcome could not be recorded.
    unrecorded: u32,
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
            combine_max: None,
            in_flight: None,
            proposals: 0,
            unrecorded: 0,
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
                if let Some(mut lost) = state.resolved(&myself, number, proposed)? {
                    if !state.args.shared.settings.is(Mutant::KeepsStateAfterConflict) {
                        Box::pin(state.rebuild()).await?;
                    }
                    // What the engine itself had decided is asked for again, if it is still asked for.
                    lost.engine.clear();
                    state.drive(&myself);
                    state.again(*lost);
                }
            }
            OrderMsg::Engine(news) => state.take_in(news),
            OrderMsg::Wake => state.drive(&myself),
            OrderMsg::Found(found) => match found.is_due {
                true => state.take_in(EngineNews::deadline_passed()),
                false => state.drive(&myself),
            },
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
            let max_commands = self.combine_max.unwrap_or(orders.record_max_commands);
            let max_bytes = orders.record_max_bytes;
            let context =
                Context { now: self.args.shared.ports.clock.now(), policy: self.args.shared.settings.policy };
            let mut draft = Draft::new(&self.aggregate);
            let mut waiters: Vec<Vec<Work>> = Vec::new();
            let mut deferred = Vec::new();
            let mut asks = None;
            let waited = self.engine.len();
            self.engine.retain(|news| draft.decide_engine(&news.command, &context));
            let stale = self.engine.len() < waited;
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
                        match draft.is_empty() {
                            true => work.answer(outcome),
                            false => deferred.push(Deferred { work, outcome, after: waiters.len() }),
                        }
                    }
                }
            }
            if !draft.is_empty() {
                self.propose(myself, draft, waiters, deferred)?;
            } else if stale {
                // News of something that is over, or was before its time: what the order really asks for is driven.
                self.drive(myself);
            }
            if asks.is_some() {
                return Ok(asks);
            }
        }
        Ok(None)
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
            Proposed::TooLarge(why) => {
                let InFlight { sealed, waiters, deferred, engine, .. } = *in_flight;
                let decisions = sealed.next_revision - sealed.expected_revision;
                self.too_large(usize::try_from(decisions)?, &why, engine, waiters, deferred)?;
                self.drive(myself);
                Ok(None)
            }
            Proposed::Unavailable(code, why) => {
                let retry_after_ms = self.args.shared.gate.retry_after_ms();
                if !in_flight.engine.is_empty() {
                    self.wake_later();
                }
                in_flight
                    .into_works()
                    .into_iter()
                    .for_each(|work| work.refuse(code, why.clone(), retry_after_ms));
                Ok(None)
            }
            // Neither yes nor no may be said. The supervisor starts the order again from what the log has.
            Proposed::Lost => Err(OrderEnd::Lost.into()),
        }
    }

    /// News of the engine's own that wait to be decided.
    fn take_in(&mut self, mut news: EngineNews) {
        if self.engine.len() < ENGINE_QUEUE_MAX {
            news.received();
            self.engine.push(news);
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
            None if self.aggregate.order.deadline.is_some() => effects.waits(&self.args.order),
            None => effects.rest(&self.args.order),
        }
    }

    /// An outcome could not be recorded now: its effect is driven again, under the same key, after a wait that grows: its
    /// participant is not to be asked again and again for what nobody can write down.
    fn wake_later(&mut self) {
        let (shared, doubled) = (&self.args.shared, 1 << self.unrecorded.min(16));
        let (first_ms, max_ms) = (shared.gate.retry_after_ms(), shared.settings.config.effects.retry_max_ms);
        let delay_ms = first_ms.saturating_mul(doubled).min(max_ms.max(first_ms));
        self.unrecorded = self.unrecorded.saturating_add(1);
        shared.effects.wake_later(self.args.order.clone(), Duration::from_millis(delay_ms));
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
            // The tenant sends nothing after `Passivate` until it hears from us, and what an effect sends counts as an
            // attempt until it is recorded: no message is left behind.
            myself.stop(Some(PASSIVATED.into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
