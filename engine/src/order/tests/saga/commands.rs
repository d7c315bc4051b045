//! Commands and answers, as tests of orders give them.

use serde_json::{Value, json};

use crate::ids::TimestampMs;
use crate::order::StepOutcome;
use crate::wire::CommandData;
use crate::wire::command::Step;

/// Two lines: `a` of 3 units for 10.00, `b` of one for 5.00.
pub(in super::super) fn basket() -> Value {
    json!({ "customer": "c", "currency": "EUR", "lines": [
        { "line_id": "a", "sku": "s", "quantity": 3, "amount_minor": 1000 },
        { "line_id": "b", "sku": "t", "quantity": 1, "amount_minor": 500 },
    ] })
}

pub(in super::super) fn place_of(data: Value) -> CommandData {
    CommandData::Place(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn cancel() -> CommandData {
    CommandData::Cancel(serde_json::from_value(json!({ "reason": "changed my mind" })).unwrap())
}

pub(in super::super) fn returning(lines: Value) -> CommandData {
    CommandData::Return(serde_json::from_value(json!({ "lines": lines, "reason": "too small" })).unwrap())
}

/// A return that says more than its lines.
pub(in super::super) fn returning_with(data: Value) -> CommandData {
    let mut data = data;
    data["reason"] = json!("too small");
    CommandData::Return(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn refund(data: Value) -> CommandData {
    let mut data = data;
    data["reason"] = json!("goodwill");
    CommandData::Refund(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn pay(payments: Value) -> CommandData {
    CommandData::Pay(serde_json::from_value(json!({ "payments": payments })).unwrap())
}

pub(in super::super) fn hold(name: &str, until: Option<TimestampMs>) -> CommandData {
    let mut data = json!({ "name": name, "reason": "a new address" });
    if let Some(until) = until {
        data["until"] = json!(crate::wire::time::format_time(until));
    }
    CommandData::Hold(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn release_hold(name: &str) -> CommandData {
    CommandData::ReleaseHold(serde_json::from_value(json!({ "name": name })).unwrap())
}

pub(in super::super) fn record(
    kind: &str,
    reference: &str,
    amount: i64,
    payment: Option<&str>,
) -> CommandData {
    let mut data = json!({ "kind": kind, "reference": reference, "amount_minor": amount });
    if let Some(payment_id) = payment {
        data["payment_id"] = json!(payment_id);
    }
    CommandData::Record(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn amend(mut data: Value) -> CommandData {
    data["reason"] = json!("the customer rang");
    CommandData::Amend(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn cancel_units(lines: Value) -> CommandData {
    let data = json!({ "lines": lines, "reason": "too many" });
    CommandData::Cancel(serde_json::from_value(data).unwrap())
}

/// As [`basket`], paid in parts of these amounts: `p1`, `p2` and so on.
pub(in super::super) fn paid_by(parts: &[i64]) -> Value {
    let mut data = basket();
    let part = |(number, minor): (usize, &i64)| json!({ "payment_id": format!("p{number}"), "token_ref": format!("t{number}"), "amount_minor": minor });
    data["payments"] = (1..).zip(parts).map(part).collect();
    data
}

pub(in super::super) fn report(step: Step, reference: &str, outcome: &str) -> CommandData {
    let data = json!({ "step": step.as_str(), "reference": reference, "outcome": outcome });
    CommandData::Report(serde_json::from_value(data).unwrap())
}

pub(in super::super) fn resolve(step: Step, done: bool) -> CommandData {
    let says = if done { "done" } else { "not_done" };
    let data = json!({ "step": step.as_str(), "as": says, "evidence": "by phone" });
    CommandData::ResolveStep(serde_json::from_value(data).unwrap())
}

/// Of one of several.
pub(in super::super) fn resolve_part(step: Step, part: &str, done: bool) -> CommandData {
    let mut data = resolve(step, done);
    if let CommandData::ResolveStep(said) = &mut data {
        said.part = Some(part.into());
    }
    data
}

pub(in super::super) fn resume() -> CommandData {
    CommandData::Resume(Default::default())
}

pub(in super::super) fn compensate() -> CommandData {
    CommandData::Compensate(Default::default())
}

pub(in super::super) fn archive() -> CommandData {
    CommandData::Archive(Default::default())
}

pub(in super::super) fn restore() -> CommandData {
    CommandData::Restore(Default::default())
}

pub(in super::super) fn done() -> StepOutcome {
    StepOutcome::Done { reference: "ref".into(), amount_minor: None, expires: None, units: None }
}

pub(in super::super) fn declined(code: &str) -> StepOutcome {
    StepOutcome::Declined { code: code.into(), reason: "no".into(), lines: Vec::new() }
}

pub(in super::super) fn refused(code: &str) -> StepOutcome {
    StepOutcome::Refused { code: code.into(), reason: "no".into() }
}

pub(in super::super) fn failed() -> StepOutcome {
    StepOutcome::Failed { reason: "not today".into() }
}

pub(in super::super) fn unknown() -> StepOutcome {
    StepOutcome::Unknown { reason: "no answer".into() }
}

/// As settled, after these words.
pub(in super::super) fn not_done(reason: &str) -> StepOutcome {
    StepOutcome::NotDone { reason: Some(reason.into()), calls: 3 }
}

pub(in super::super) fn settled(done: bool) -> StepOutcome {
    StepOutcome::Settled { done, reference: done.then(|| "settled".into()) }
}

pub(in super::super) fn pending(reference: &str, until: Option<TimestampMs>) -> StepOutcome {
    StepOutcome::Pending { reference: reference.into(), until }
}
