//! An order's record on its way: proposed, durable or lost, and who waits for it.

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::fulfillment::next;
use retailflow_engine::order::{Draft, Order, OrderStatus, RecordedOutcome};
use retailflow_engine::ports::OrderEntry;
use retailflow_engine::wire::{Code, Durability};

use super::end::OrderEnd;
use super::in_flight::{DeferredRefusal, InFlightRecord, in_order};
use super::state::OrderState;
use crate::messages::{CommitterMsg, EngineDelivery, OrderMsg, Proposal, Ticket};
use crate::mutant::Mutant;
use crate::outcome::recorded;
use crate::work::Work;
use crate::world::ProbePoint;

impl OrderState {
    pub(super) fn propose(
        &mut self,
        myself: &ActorRef<OrderMsg>,
        draft: Draft,
        waiters: Vec<Vec<Work>>,
        deferred: Vec<DeferredRefusal>,
    ) -> Result<(), ActorProcessingErr> {
        let (decisions, engine) = (draft.len(), std::mem::take(&mut self.engine));
        let sealed = match draft.seal(&self.aggregate) {
            Ok(sealed) => sealed,
            Err(error) => {
                return self.split_or_refuse(decisions, &error.to_string(), engine, waiters, deferred);
            }
        };
        self.combine_max = None;
        let Some(committer) = self.args.shared.committers.get(self.partition) else {
            let why = "the order's partition is being taken over";
            let retry_after_ms = self.args.shared.admission.retry_after_ms();
            // A caller is refused, and asks again: there is nothing to drive.
            if !engine.is_empty() {
                self.wake_later();
            }
            drop(engine);
            in_order(waiters, deferred)
                .into_iter()
                .for_each(|work| work.refuse(Code::Unavailable, why, retry_after_ms));
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
        let is_asked = !deferred.is_empty() || waiters.iter().any(|waiting| !waiting.is_empty());
        self.in_flight = Some(Box::new(InFlightRecord { number, sealed, waiters, deferred, engine }));
        // If the committer has ended, the ticket reports the record lost.
        let ticket = Ticket::new(myself.clone(), number);
        drop(committer.cast(match self.is_probe() {
            // The same way, to the log and back; what it would record is of no use to anybody.
            true => CommitterMsg::Probe(ticket),
            false => CommitterMsg::Propose(Proposal { entry, ticket, is_asked }),
        }));
        self.probe(ProbePoint::OrderProposed)
    }

    /// The engine's own order, with which it is tried whether commands come through.
    fn is_probe(&self) -> bool {
        self.args.order.tenant.is_reserved()
    }

    /// A record of so many decisions came out too large: fewer are decided at a time, down to the one that is at fault.
    /// No other caller's is refused, and nothing of the engine's is lost.
    pub(super) fn split_or_refuse(
        &mut self,
        decisions: usize,
        why: &str,
        engine: Vec<EngineDelivery>,
        mut waiters: Vec<Vec<Work>>,
        deferred: Vec<DeferredRefusal>,
    ) -> Result<(), ActorProcessingErr> {
        let retry_after_ms = self.args.shared.admission.retry_after_ms();
        let callers = waiters.iter().any(|works| !works.is_empty());
        if decisions > 1 && callers {
            self.combine_max = Some(decisions / 2);
            // Those that have come since stand behind them.
            let since = std::mem::replace(&mut self.engine, engine);
            self.engine.extend(since);
        } else if engine.is_empty() {
            let at_fault = std::mem::take(&mut waiters);
            let at_fault = at_fault.into_iter().flatten();
            at_fault.for_each(|work| work.refuse(Code::TooLarge, why, retry_after_ms));
        } else {
            // Its texts are bounded: this is a mistake of ours, or of whoever made the log's limit smaller. The step is driven again when
            // the order has begun anew, under the same key; if that does not help, the order is parked, with this reason.
            tracing::error!(event = "outcome_too_large", order = %self.args.order, %why, "the outcome of a step cannot be recorded");
            drop(engine);
            return Err(OrderEnd::TooLarge(why.to_owned()).into());
        }
        in_order(waiters, deferred).into_iter().rev().for_each(|work| self.queue.push_front(work));
        Ok(())
    }

    /// The record is durable: only now is the tentative state the committed one, and only now are callers answered.
    pub(super) fn apply_committed(&mut self, in_flight: InFlightRecord) {
        let shared = self.args.shared.clone();
        let durability = shared.ports.durability.get();
        let InFlightRecord { sealed, waiters, deferred, engine, .. } = in_flight;
        drop(engine);
        if self.is_probe() {
            // Nothing was recorded: the order is as it was.
            return answer(waiters, &sealed.outcomes, durability);
        }
        self.unrecorded = 0;
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
        deferred.into_iter().for_each(|DeferredRefusal { work, outcome, .. }| work.answer(outcome));
        self.save_snapshot_if_due();
    }

    /// Queues commands that lost a race first again, a bounded number of times.
    pub(super) fn requeue(&mut self, in_flight: InFlightRecord) {
        let max = self.args.shared.settings.config.commit.conflict_retries_max;
        let retry_after_ms = self.args.shared.admission.retry_after_ms();
        for mut work in in_flight.into_works().into_iter().rev() {
            work.attempts += 1;
            work.certainly_new = false;
            if work.attempts > max {
                work.refuse(Code::Unavailable, "others keep writing this order", retry_after_ms);
            } else {
                self.queue.push_front(work);
            }
        }
    }
}

/// Sends each caller the outcome of its decision; a caller that joined another's record gets it as a replay.
fn answer(waiters: Vec<Vec<Work>>, outcomes: &[RecordedOutcome], durability: Durability) {
    for (works, outcome) in waiters.into_iter().zip(outcomes) {
        for (place, work) in works.into_iter().enumerate() {
            let command = &work.command;
            let answer = recorded(&command.order, &command.key, &outcome.verdict, durability, place > 0);
            work.trace_point("durable");
            work.answer(answer);
        }
    }
}
