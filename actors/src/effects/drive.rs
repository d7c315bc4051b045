//! From what a committed state asks for to the outcome on its way to the order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ractor::{ActorRef, MessagingErr};
use retailflow_engine::fulfillment::Effect;

use super::attempt::Attempt;
use super::runner::Effects;
use crate::messages::{EngineDelivery, OrderMsg, OrderNotice};
use crate::mutant::Mutant;
use crate::running_effects::EffectGuard;
use crate::world::ProbePoint;

impl Effects {
    /// Sees to it that `effect`, and no other, runs for its order. `order`: who asks, and hears of the outcome.
    pub(crate) fn drive(self: &Arc<Self>, effect: Effect, order: &ActorRef<OrderMsg>) {
        let (new, other) = self.running.list(&effect);
        // Tasks are canceled and spawned without the list's lock: a runtime that shuts down drops them at once, and their guards take
        // that lock.
        if let Some(other) = other {
            other.cancel();
        }
        let Some(new) = new else { return };
        let of = (effect.request.order.clone(), new.role);
        let guard = EffectGuard::new(self.running.clone(), of, new.number, new.task.clone());
        let abort = self.tasks.spawn(run(self.clone(), guard, effect, order.clone())).abort_handle();
        new.task.set_abort(abort);
    }
}

/// Runs an effect to its end, and sends its outcome to `order`, or to its tenant where the order may have left memory.
async fn run(effects: Arc<Effects>, mut guard: EffectGuard, effect: Effect, order: ActorRef<OrderMsg>) {
    let name = || effect.request.order.to_string();
    if effects.settings.probe(ProbePoint::EffectBefore, name).is_err() {
        return;
    }
    let outcome = Attempt::new(&effects, &effect).run(&mut guard).await;
    if effects.settings.probe(ProbePoint::EffectAfter, name).is_err() {
        return;
    }
    effects.metrics.record_effect(effect.request.step, &outcome);
    effects.outcomes.fetch_add(1, Ordering::Relaxed);
    guard.release_backlog_slot();
    let reference = effect.request.order;
    // The order may have left memory: its outcome waits for a permit, so that callers do not wait in their tenant's mailbox behind
    // all outcomes that came back at once.
    let is_slow = guard.is_slow();
    if is_slow {
        guard.hold_permit(effects.return_permit(&reference).await);
    }
    let forgets = effects.settings.is(Mutant::ForgetsOutcomes);
    if forgets {
        guard.mark_received();
    }
    let news = EngineDelivery::outcome(effect.at, outcome, Some(guard).filter(|_| !forgets));
    if is_slow {
        effects.notify_order(reference, OrderNotice::Engine(news));
    } else if let Err(MessagingErr::SendErr(OrderMsg::Engine(news))) = order.cast(OrderMsg::Engine(news)) {
        effects.notify_order(reference, OrderNotice::Engine(news));
    }
}
