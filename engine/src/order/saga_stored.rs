//! The saga as a snapshot holds it, and back.

use std::sync::Arc;

use super::convert::{
    at_from_stored, attention_from_stored, attention_to_stored, command_kind, command_type,
    returned_from_stored, returned_to_stored, step_from_stored, step_to_stored, units_from_stored,
    units_to_stored,
};
use super::owed::{OpenReturn, Paid, Return, Returns};
use super::saga::{Active, AttentionState, Cell, Earlier, STEPS, Saga, StepState, Waiting, Word};
use super::totals::Totals;
use super::{OperatorAct, Times};
use crate::codec::CodecError;
use crate::codec::snapshot::{ActiveV2, EarlierV4, ReturnsV2, SagaV2, StepStateV2, WordsV4};
use crate::ids::TimestampMs;
use crate::wire::command::Step;

pub(super) fn saga_to_stored(saga: &Saga) -> SagaV2 {
    let totals = &saga.totals;
    SagaV2 {
        active: saga.active.as_ref().map(active_to_stored),
        cells: Step::ALL
            .into_iter()
            .map(|step| saga.cell(step))
            .map(|cell| (cell.instance, step_state_to_stored(cell.standing)))
            .collect(),
        references: Step::ALL
            .into_iter()
            .map(|step| {
                let reference = match step {
                    Step::Reserve => saga.references[0].as_ref(),
                    Step::Book => saga.references[1].as_ref(),
                    _ => None,
                };
                reference.map(|reference| reference.to_string())
            })
            .collect(),
        authorization_expires_ms: None,
        units: [
            totals.reserved_units,
            totals.released_units,
            totals.restocked_units,
            totals.booked_units,
            totals.canceled_units,
        ],
        amounts_minor: [
            totals.authorized_minor,
            totals.voided_minor,
            totals.captured_minor,
            totals.refunded_minor,
        ],
        attention: saga
            .attention
            .reason()
            .map(|reason| (attention_to_stored(saga.attention.kind()), reason.to_string())),
        cancel_reason: saga.cancel_reason.as_deref().map(Into::into),
        cancel_asked: saga.cancel_asked,
        cancel_refused: saga.cancel_refused,
        archived: saga.archived,
        returns: saga.returns.as_deref().map(returns_to_stored),
    }
}

/// What [`SagaV2`] does not hold of a saga.
pub(super) fn words_to_stored(saga: &Saga, times: &Times) -> WordsV4 {
    let word = |word: &Word| (word.operator.as_deref().map(Into::into), word.reason.to_string());
    let contradiction = saga.contradiction.as_ref();
    WordsV4 {
        settling: saga.active.as_ref().and_then(|active| active.settling.as_ref()).map(word),
        contradiction: contradiction.map(|(step, reason)| (step_to_stored(*step), reason.to_string())),
        earlier: saga.earlier.iter().map(earlier_to_stored).collect(),
        last_ended: saga
            .last_ended
            .map(|(step, standing)| (step_to_stored(step), step_state_to_stored(standing))),
        pending_since_ms: times.pending_since.map(|at| at.0),
        operator: times.operator.as_deref().map(|act| {
            let reason = act.reason.as_deref().map(Into::into);
            (command_kind(act.kind), act.operator.to_string(), reason, act.at.0)
        }),
    }
}

/// Gives a saga, and its times, what [`SagaV2`] does not hold.
pub(super) fn words_from_stored(stored: WordsV4, saga: &mut Saga, times: &mut Times) {
    if let Some(active) = &mut saga.active {
        active.settling = stored
            .settling
            .map(|(operator, reason)| Word { operator: operator.map(Into::into), reason: reason.into() });
    }
    saga.contradiction = stored.contradiction.map(|(step, reason)| (step_from_stored(step), reason.into()));
    saga.earlier = stored.earlier.into_iter().map(earlier_from_stored).collect();
    saga.last_ended =
        stored.last_ended.map(|(step, standing)| (step_from_stored(step), step_state_from_stored(standing)));
    times.pending_since = stored.pending_since_ms.map(TimestampMs);
    times.operator = stored.operator.and_then(|(kind, operator, reason, at_ms)| {
        let (operator, reason) = (operator.into(), reason.map(Into::into));
        Some(Arc::new(OperatorAct { kind: command_type(kind)?, operator, reason, at: TimestampMs(at_ms) }))
    });
}

fn earlier_to_stored(earlier: &Earlier) -> EarlierV4 {
    EarlierV4 {
        step: step_to_stored(earlier.at.step),
        instance: earlier.at.instance,
        generation: earlier.at.generation,
        part: earlier.at.part.as_deref().map(Into::into),
        reference: earlier.reference.as_deref().map(Into::into),
        standing: step_state_to_stored(earlier.standing),
        told: earlier.told,
    }
}

fn earlier_from_stored(stored: EarlierV4) -> Earlier {
    Earlier {
        at: at_from_stored(stored.step, stored.instance, stored.generation, stored.part.as_deref()),
        reference: stored.reference.map(Into::into),
        standing: step_state_from_stored(stored.standing),
        told: stored.told,
    }
}

pub(super) fn saga_from_stored(stored: &SagaV2) -> Result<Saga, CodecError> {
    if stored.cells.len() > STEPS || stored.references.len() > STEPS {
        return Err(CodecError::Corrupt("a snapshot of more steps than there are".into()));
    }
    let [reserved_units, released_units, restocked_units, booked_units, canceled_units] = stored.units;
    let [authorized_minor, voided_minor, captured_minor, refunded_minor] = stored.amounts_minor;
    let mut saga = Saga {
        active: stored.active.as_ref().map(active_from_stored),
        totals: Totals {
            reserved_units,
            released_units,
            restocked_units,
            authorized_minor,
            voided_minor,
            captured_minor,
            refunded_minor,
            booked_units,
            canceled_units,
        },
        attention: stored.attention.as_ref().map_or_else(AttentionState::default, |(kind, reason)| {
            AttentionState::new(attention_from_stored(*kind), reason.as_str().into())
        }),
        cancel_reason: stored.cancel_reason.as_deref().map(Into::into),
        cancel_asked: stored.cancel_asked,
        cancel_refused: stored.cancel_refused,
        archived: stored.archived,
        returns: stored.returns.as_ref().map(|returns| Arc::new(returns_from_stored(returns))),
        ..Saga::default()
    };
    for (step, (instance, standing)) in Step::ALL.into_iter().zip(&stored.cells) {
        *saga.cell_mut(step) = Cell { instance: *instance, standing: step_state_from_stored(*standing) };
    }
    for (step, reference) in Step::ALL.into_iter().zip(&stored.references) {
        if let Some(reference) = reference {
            saga.set_reference(step, 0, reference.as_str().into());
        }
    }
    Ok(saga)
}

fn active_to_stored(active: &Active) -> ActiveV2 {
    ActiveV2 {
        step: step_to_stored(active.at.step),
        instance: active.at.instance,
        generation: active.at.generation,
        part: active.at.part.as_deref().map(Into::into),
        amount_minor: active.amount_minor,
        lines: active.units.as_ref().map(|units| units.iter().map(units_to_stored).collect()),
        expires_ms: active.expires.0,
        pending: match &active.waiting {
            Waiting::Asked => None,
            Waiting::Pending { reference, until } => Some((reference.to_string(), until.map(|at| at.0))),
        },
        asked_again: active.asked_again,
    }
}

fn active_from_stored(stored: &ActiveV2) -> Active {
    Active {
        at: at_from_stored(stored.step, stored.instance, stored.generation, stored.part.as_deref()),
        amount_minor: stored.amount_minor,
        units: stored.lines.as_ref().map(|lines| lines.iter().map(units_from_stored).collect()),
        expires: TimestampMs(stored.expires_ms),
        waiting: match &stored.pending {
            None => Waiting::Asked,
            Some((reference, until_ms)) => {
                Waiting::Pending { reference: reference.as_str().into(), until: until_ms.map(TimestampMs) }
            }
        },
        asked_again: stored.asked_again,
        settling: None,
    }
}

fn returns_to_stored(returns: &Returns) -> ReturnsV2 {
    let open = |open: &OpenReturn| {
        let request = &open.request;
        let lines = request.lines.iter().map(returned_to_stored).collect();
        (request.return_id.to_string(), lines, request.reason.to_string(), open.left_minor() == 0)
    };
    ReturnsV2 {
        count: returns.count,
        by_line: returns.by_line.clone(),
        open: returns.open.iter().map(open).collect(),
    }
}

fn returns_from_stored(stored: &ReturnsV2) -> Returns {
    let open = stored.open.iter().map(|(return_id, lines, reason, _)| OpenReturn {
        request: Return {
            return_id: return_id.as_str().into(),
            lines: lines.iter().map(returned_from_stored).collect(),
            reason: reason.as_str().into(),
        },
        split: None,
        paid: Paid::default(),
        terms: None,
    });
    let open = open.collect();
    Returns { count: stored.count, by_line: stored.by_line.clone(), open, terms: Vec::new() }
}

macro_rules! same_step_states {
    ($($name:ident)*) => {
        const fn step_state_to_stored(standing: StepState) -> StepStateV2 {
            match standing { $(StepState::$name => StepStateV2::$name),* }
        }

        const fn step_state_from_stored(standing: StepStateV2) -> StepState {
            match standing { $(StepStateV2::$name => StepState::$name),* }
        }
    };
}

same_step_states!(Open Done Undone Declined NotDone Refused);
