//! Money: authorize, capture, void, refund.
//!
//! An authorization is captured once, in full or in part, or voided; a capture is paid back in as many parts as one likes.

use super::keys::{AuthorizationState, Effect, Entry, Keys, key_hash};
use retailflow_books::key_of;
use retailflow_books::{BookEntry, Why};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::wire::command::Step;

pub(super) struct Till {
    /// How long an authorization stands; `None` for ever.
    pub(super) authorization_ms: Option<u64>,
}

/// What the reference to a `step` stands for.
fn effect(keys: &Keys, step: Step, reference: Option<&str>) -> Effect {
    let known = key_of(step, reference).and_then(|key| keys.get(key_hash(key)));
    known.map_or(Effect::None, |entry| entry.effect)
}

fn effect_mut<'a>(keys: &'a mut Keys, step: Step, reference: Option<&str>) -> Option<&'a mut Effect> {
    let known: Option<&mut Entry> = keys.get_mut(key_hash(key_of(step, reference)?));
    known.map(|entry| &mut entry.effect)
}

impl Till {
    pub(super) fn decide(&self, keys: &Keys, draft: BookEntry, now: TimestampMs) -> BookEntry {
        use AuthorizationState::{Captured, Open};
        let asked = draft.amount_minor;
        if asked < 0 {
            return draft.not_done(Why::InvalidAmount);
        }
        let target = draft.target.as_deref();
        match draft.step {
            Step::Authorize => {
                let until = self.authorization_ms.map(|ms| now.plus_ms(ms));
                BookEntry { until, ..draft.done() }
            }
            Step::Capture => match effect(keys, Step::Authorize, target) {
                Effect::Authorization { state: Captured, .. } => draft.not_done(Why::AlreadyCaptured),
                Effect::Authorization { state: Open, until, .. } if now.0 > until => {
                    draft.not_done(Why::AuthorizationExpired)
                }
                Effect::Authorization { state: Open, amount, .. } if asked > amount => {
                    draft.not_done(Why::OverCapture)
                }
                Effect::Authorization { state: Open, .. } => draft.done(),
                _ => draft.not_done(Why::NotAuthorized),
            },
            Step::Void => match effect(keys, Step::Authorize, target) {
                Effect::Authorization { state: Captured, .. } => draft.not_done(Why::AlreadyCaptured),
                // An expired one too: what is void is void.
                Effect::Authorization { state: Open, amount, .. } => {
                    BookEntry { amount_minor: amount, ..draft.done() }
                }
                _ => draft.not_done(Why::NotAuthorized),
            },
            _ => match effect(keys, Step::Capture, target) {
                Effect::Captured { amount, refunded } if asked <= amount - refunded => draft.done(),
                Effect::Captured { .. } => draft.not_done(Why::OverRefund),
                _ => draft.not_done(Why::NotCaptured),
            },
        }
    }

    /// Carries out what was decided, under the number of its key.
    pub(super) fn done(keys: &mut Keys, number: u32, entry: &BookEntry) {
        let target = entry.target.as_deref();
        let amount = entry.amount_minor;
        let close = |keys: &mut Keys, to: AuthorizationState| {
            if let Some(Effect::Authorization { state, .. }) = effect_mut(keys, Step::Authorize, target) {
                *state = to;
            }
        };
        let own = match entry.step {
            Step::Authorize => {
                let until = entry.until.map_or(i64::MAX, |until| until.0);
                Effect::Authorization { state: AuthorizationState::Open, amount, until }
            }
            Step::Capture => {
                close(keys, AuthorizationState::Captured);
                Effect::Captured { amount, refunded: 0 }
            }
            Step::Void => {
                close(keys, AuthorizationState::Voided);
                Effect::None
            }
            _ => {
                if let Some(Effect::Captured { amount: whole, refunded }) =
                    effect_mut(keys, Step::Capture, target)
                {
                    *refunded = refunded.saturating_add(amount).min(*whole);
                }
                Effect::None
            }
        };
        if let Some(known) = keys.at_mut(number) {
            known.effect = own;
        }
    }
}
