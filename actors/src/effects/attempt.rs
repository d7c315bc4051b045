//! One effect, from its first call to its definite outcome.
//!
//! - A lost answer is asked for again under the same key, until it is known.
//! - "Not done" is said only when nothing can come any more: after `settle`, never after a failure alone, because an
//!   earlier request of the same key may still be on its way.
//! - Why a call brought no answer is remembered, so that whoever has to look at the step is told.
//! - After its expiry a request is never made again: what became of it is looked at, and settled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use retailflow_engine::fulfillment::steps::is_forward;
use retailflow_engine::fulfillment::{Effect, Mode};
use retailflow_engine::order::{StepOutcome, contradiction};
use retailflow_engine::ports::{
    KeyStanding, Participant, Performed, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout};

use super::runner::Effects;
use crate::mutant::Mutant;
use crate::node_metrics::CallResult;
use crate::resilience::breaker::Pass;
use crate::resilience::retry::{FullJitter, GrowingBackoff};
use crate::running_effects::EffectGuard;

/// Who waits longer for a place at its participant keeps its order in memory no more.
const PLACE_SOON: Duration = Duration::from_secs(1);

/// The wait before a call that a breaker refused is tried again, at least.
const BREAKER_WAIT_MIN: Duration = Duration::from_millis(1);

/// What a call came to.
enum CallOutcome {
    /// That is it.
    Outcome(StepOutcome),
    /// Nothing is known, or nothing was done: once more.
    Again,
    /// Not by performing it: look at it, and settle it.
    Settle,
    /// It contradicts itself still, as its order knows: once more, after a longer wait each time.
    Contradicted,
}

pub(crate) struct Attempt<'a> {
    effects: &'a Arc<Effects>,
    request: &'a StepRequest,
    participant: &'a dyn Participant,
    role: Role,
    mode: Mode,
    /// The order is held because of what was answered before.
    doubted: bool,
    /// Somebody says, on evidence, that it was not done.
    said_not_done: bool,
    retry: FullJitter,
    growing: GrowingBackoff,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(effects: &'a Arc<Effects>, effect: &'a Effect) -> Self {
        let role = Role::of(effect.request.step);
        Self {
            effects,
            request: &effect.request,
            participant: &**effects.ports.participants.of(role),
            role,
            mode: effect.mode,
            doubted: effect.doubted && !effects.settings.is(Mutant::AsksContradictedAtOnce),
            said_not_done: effect.said_not_done,
            retry: FullJitter::new(&effects.settings.config.effects, effects.ports.rng.clone()),
            growing: GrowingBackoff::new(
                effects.settings.config.effects.retry_min_ms,
                effects.settings.config.orders.step_deadline_ms,
                effects.ports.rng.clone(),
            ),
        }
    }

    pub(crate) async fn run(mut self, guard: &mut EffectGuard) -> StepOutcome {
        let mut mode = self.mode;
        if self.doubted {
            guard.slow_down();
            tokio::time::sleep(self.growing.delay()).await;
        }
        loop {
            if mode == Mode::Settle && self.effects.settings.is(Mutant::CompensatesUnsettled) {
                return not_done(guard);
            }
            if mode == Mode::Perform && self.is_expired() {
                mode = Mode::Look;
            }
            match self.call(mode, guard).await {
                CallOutcome::Outcome(outcome) => return outcome,
                CallOutcome::Settle => mode = Mode::Settle,
                CallOutcome::Contradicted => {
                    guard.slow_down();
                    tokio::time::sleep(self.growing.delay()).await;
                }
                CallOutcome::Again => {
                    self.effects.retries.fetch_add(1, Ordering::Relaxed);
                    if mode == Mode::Perform && self.effects.settings.is(Mutant::RaisesAfterUnknown) {
                        return not_done(guard);
                    }
                    guard.slow_down();
                    let wait = self.retry.delay();
                    if wait.is_none() && mode == Mode::Perform && is_forward(self.request.step) {
                        // Often enough: the order decides whether to try under another key, or to turn back.
                        mode = Mode::Settle;
                        continue;
                    }
                    tokio::time::sleep(wait.unwrap_or_else(|| self.longest_wait())).await;
                }
            }
        }
    }

    fn longest_wait(&self) -> Duration {
        let most_ms = self.effects.settings.config.effects.retry_max_ms.max(1);
        Duration::from_millis(most_ms / 2 + self.effects.ports.rng.below(most_ms / 2 + 1))
    }

    fn is_expired(&self) -> bool {
        self.effects.ports.clock.now() >= self.request.expires
    }

    /// So long after its expiry that the participant may have forgotten the key?
    fn is_forgotten(&self) -> bool {
        let until = self.request.expires.plus_ms(self.participant.remembers_ms());
        self.effects.ports.clock.now() >= until
    }

    async fn call(&self, mode: Mode, guard: &mut EffectGuard) -> CallOutcome {
        match mode {
            Mode::Perform => self.perform(guard).await,
            Mode::Look => self.query(guard).await,
            Mode::Settle => self.settle(guard).await,
        }
    }

    /// Places for a call: the participant's first, so that one that is slow fills its own and nobody else's; then one on
    /// the node; the breaker is asked last, about now and not about the time before the wait. Who is refused by it waits
    /// without a place. `None`: the node is no more.
    async fn places(
        &self,
        guard: &mut EffectGuard,
    ) -> Option<(SemaphorePermit<'a>, SemaphorePermit<'a>, Pass)> {
        let effects: &'a Effects = self.effects;
        let (bulkhead, breaker) = (effects.bulkhead(self.role), effects.breaker(self.role));
        loop {
            let passed = if effects.settings.is(Mutant::WidePlacesFirst) {
                match breaker.try_pass() {
                    Ok(pass) => {
                        let node = effects.node.acquire().await.ok()?;
                        Ok((bulkhead.acquire().await.ok()?, node, pass))
                    }
                    Err(after) => Err(after),
                }
            } else {
                let mut place = pin!(bulkhead.acquire());
                let of_participant = match timeout(PLACE_SOON, &mut place).await {
                    Ok(place) => place.ok()?,
                    Err(_) => {
                        // Its order has nothing to do meanwhile, and may leave memory. Its place in the queue stays.
                        guard.slow_down();
                        place.await.ok()?
                    }
                };
                let of_node = effects.node.acquire().await.ok()?;
                breaker.try_pass().map(|pass| (of_participant, of_node, pass))
            };
            match passed {
                Ok(places) => return Some(places),
                Err(after) => {
                    guard.slow_down();
                    tokio::time::sleep(after.0.max(BREAKER_WAIT_MIN)).await;
                }
            }
        }
    }

    /// Makes a call within bulkheads, breaker and time limit. `None`: nobody knows.
    async fn ask<T>(
        &self,
        guard: &mut EffectGuard,
        call: impl Fn() -> PortFuture<'a, T>,
        is_failure: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let (_bulkhead, _node, pass) = self.places(guard).await?;
        self.effects.calls.fetch_add(1, Ordering::Relaxed);
        guard.count_call();
        let limit = Duration::from_millis(self.effects.settings.config.effects.call_timeout_ms);
        let begun = Instant::now();
        let answer = timeout(limit, call()).await.ok();
        let result = match &answer {
            Some(answer) if !is_failure(answer) => CallResult::Ok,
            Some(_) => CallResult::Failure,
            None => {
                guard.note(format!("no answer within {} ms", limit.as_millis()));
                CallResult::Timeout
            }
        };
        match result {
            CallResult::Ok => pass.success(),
            CallResult::Failure | CallResult::Timeout => pass.failure(),
        }
        self.effects.record_call(self.role, result == CallResult::Ok);
        if answer.is_some() {
            self.effects.running.backlog.record_answer(self.role);
        }
        self.effects.metrics.record_call(self.role, result, begun.elapsed());
        answer
    }

    async fn perform(&self, guard: &mut EffectGuard) -> CallOutcome {
        let (participant, request) = (self.participant, self.request);
        let is_failure =
            |answer: &StepAnswer| matches!(answer, StepAnswer::Failed { .. } | StepAnswer::Unknown { .. });
        match self.ask(guard, || participant.perform(request), is_failure).await {
            Some(answer) => self.answered(answer, guard),
            None => CallOutcome::Again,
        }
    }

    /// An outcome that its order can take; of one that contradicts what was asked for, or is pending for too long, it
    /// hears once.
    fn outcome(&self, outcome: StepOutcome) -> CallOutcome {
        let request = self.request;
        let contradicts = matches!(outcome, StepOutcome::Unknown { .. } | StepOutcome::Pending { .. })
            || contradiction(request.step, request.amount_minor, &outcome).is_some();
        if contradicts && self.doubted { CallOutcome::Contradicted } else { CallOutcome::Outcome(outcome) }
    }

    fn answered(&self, answer: StepAnswer, guard: &EffectGuard) -> CallOutcome {
        self.outcome(match answer {
            StepAnswer::Done(performed) => done(performed),
            StepAnswer::Declined { code, reason, lines } => {
                StepOutcome::Declined { code: code.into(), reason: reason.into(), lines }
            }
            StepAnswer::Refused { code, reason } => {
                StepOutcome::Refused { code: code.into(), reason: reason.into() }
            }
            StepAnswer::Pending { reference, until } => StepOutcome::Pending { reference, until },
            StepAnswer::Settled => not_done(guard),
            StepAnswer::Expired => {
                guard.note("the request came after its expiry");
                return CallOutcome::Settle;
            }
            StepAnswer::Failed { reason } | StepAnswer::Unknown { reason } => {
                tracing::debug!(order = %self.request.order, step = self.request.step.as_str(), %reason, "again");
                guard.note(reason);
                return CallOutcome::Again;
            }
        })
    }

    async fn query(&self, guard: &mut EffectGuard) -> CallOutcome {
        let (participant, request) = (self.participant, self.request);
        let is_failure = |standing: &KeyStanding| matches!(standing, KeyStanding::Unknown { .. });
        match self.ask(guard, || participant.query(request), is_failure).await {
            Some(KeyStanding::Answered(answer)) => self.answered(answer, guard),
            // Where it may have forgotten, only somebody else can know that it was not done; and now it cannot be any more.
            Some(KeyStanding::NotSeen) if self.is_forgotten() && !self.said_not_done => {
                self.outcome(StepOutcome::Unknown {
                    reason: "it was asked for so long ago that its participant may have forgotten it".into(),
                })
            }
            Some(KeyStanding::NotSeen) => CallOutcome::Settle,
            Some(KeyStanding::Unknown { reason }) => {
                guard.note(reason);
                CallOutcome::Again
            }
            None => CallOutcome::Again,
        }
    }

    async fn settle(&self, guard: &mut EffectGuard) -> CallOutcome {
        let (participant, request) = (self.participant, self.request);
        let is_failure = |settlement: &Settlement| matches!(settlement, Settlement::Unknown { .. });
        match self.ask(guard, || participant.settle(request), is_failure).await {
            Some(Settlement::Done(performed)) => {
                self.effects.settled.fetch_add(1, Ordering::Relaxed);
                self.outcome(done(performed))
            }
            Some(Settlement::NotDone) => {
                self.effects.settled.fetch_add(1, Ordering::Relaxed);
                CallOutcome::Outcome(not_done(guard))
            }
            Some(Settlement::Unsupported) => self.wait_out(guard).await,
            Some(Settlement::Unknown { reason }) => {
                guard.note(reason);
                CallOutcome::Again
            }
            None => CallOutcome::Again,
        }
    }

    /// Without settlements only time helps: after its expiry a request does nothing any more.
    async fn wait_out(&self, guard: &mut EffectGuard) -> CallOutcome {
        if !self.is_expired() {
            return CallOutcome::Again;
        }
        match self.query(guard).await {
            CallOutcome::Settle => CallOutcome::Outcome(not_done(guard)),
            // That it is pending is known, and does not settle it.
            CallOutcome::Outcome(StepOutcome::Pending { .. }) => CallOutcome::Again,
            other => other,
        }
    }
}

fn done(performed: Performed) -> StepOutcome {
    let Performed { reference, amount_minor, expires, units } = performed;
    StepOutcome::Done { reference, amount_minor, expires, units }
}

fn not_done(guard: &EffectGuard) -> StepOutcome {
    let (reason, calls) = guard.last_words();
    StepOutcome::NotDone { reason, calls }
}

#[cfg(test)]
mod tests;
