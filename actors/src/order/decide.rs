//! Deciding what waits, and what became of the record that came of it.

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::order::{Draft, Drafted};
use retailflow_engine::wire::Code;

use super::end::OrderEnd;
use super::in_flight::{DeferredRefusal, InFlightRecord};
use super::state::OrderState;
use crate::messages::{OrderMsg, ProposalResult};
use crate::outcome::refusal;
use crate::work::Work;
use crate::world::ProbePoint;

impl OrderState {
    /// Decides what waits and proposes one record, unless one is in flight. Gives back a command on which the log must be
    /// asked before anything else is decided.
    pub(super) fn advance(
        &mut self,
        myself: &ActorRef<OrderMsg>,
    ) -> Result<Option<Work>, ActorProcessingErr> {
        while self.in_flight.is_none() && !(self.queue.is_empty() && self.engine.is_empty()) {
            let orders = &self.args.shared.settings.config.orders;
            let max_commands = self.combine_max.unwrap_or(orders.record_max_commands);
            let max_bytes = orders.record_max_bytes;
            let context = self.args.shared.decision_context(&self.aggregate);
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
                    // The caller has gone: a command that was not begun is not begun. Its id may come again.
                    continue;
                }
                let (base, command, certainly_new) = (&self.aggregate, &work.command, work.certainly_new);
                let drafted = match work.discarded {
                    false => draft.decide(base, command, &context, certainly_new),
                    true => draft.reject(base, command, Code::Discarded, &context, certainly_new),
                };
                match drafted {
                    Drafted::Decided(_) => {
                        work.trace_point("decided");
                        waiters.push(vec![work]);
                    }
                    Drafted::Joined(index) => waiters[index].push(work),
                    Drafted::Replayed(verdict) => self.replay(work, &verdict),
                    Drafted::AskLog => {
                        asks = Some(work);
                        break;
                    }
                    Drafted::Refused(code, message) => {
                        let retry_after_ms = self.args.shared.admission.retry_after_ms();
                        let command = &work.command;
                        let outcome = refusal(&command.order, &command.key, code, message, retry_after_ms);
                        match draft.is_empty() {
                            true => work.answer(outcome),
                            false => deferred.push(DeferredRefusal { work, outcome, after: waiters.len() }),
                        }
                    }
                }
            }
            if !draft.is_empty() {
                self.propose(myself, draft, waiters, deferred)?;
            } else if stale {
                // A stale or early engine command: drive what the order really asks for.
                self.drive(myself);
            }
            if asks.is_some() {
                return Ok(asks);
            }
        }
        Ok(None)
    }

    /// Returns a record that lost a race: the order has to be rebuilt before its commands are decided again.
    pub(super) fn resolve(
        &mut self,
        myself: &ActorRef<OrderMsg>,
        number: u64,
        proposed: ProposalResult,
    ) -> Result<Option<Box<InFlightRecord>>, ActorProcessingErr> {
        let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.number == number) else {
            return Ok(None);
        };
        match proposed {
            ProposalResult::Committed => {
                self.probe(ProbePoint::OrderCommitted)?;
                self.apply_committed(*in_flight);
                self.drive(myself);
                self.probe(ProbePoint::OrderAnswered)?;
                Ok(None)
            }
            ProposalResult::Conflict => Ok(Some(in_flight)),
            ProposalResult::TooLarge(why) => {
                let InFlightRecord { sealed, waiters, deferred, engine, .. } = *in_flight;
                let decisions = sealed.next_revision - sealed.expected_revision;
                self.split_or_refuse(usize::try_from(decisions)?, &why, engine, waiters, deferred)?;
                self.drive(myself);
                Ok(None)
            }
            ProposalResult::Unavailable(code, why) => {
                let retry_after_ms = self.args.shared.admission.retry_after_ms();
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
            ProposalResult::Lost => Err(OrderEnd::Lost.into()),
        }
    }
}
