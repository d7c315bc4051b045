//! An order as it stands, for people: money, parts, steps, and what comes next.

use std::fmt::Write as _;

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::wire::command::Restock;
use retailflow_engine::wire::order::{
    Attention, HistoryEntry, OperatorAct, OrderFact, OrderHold, OrderLine, OrderPayment, OrderRefund,
    OrderStatus, OrderView, PaymentSummary, PendingStep, ReturnTermsView, StepRecord, StepResult, TermLine,
};
use retailflow_engine::wire::time::format_time;
use retailflow_server::words::{count, one_line};

/// Room for the names of rows.
const NAME: usize = 10;

/// The order, and the steps that its history tells.
pub(crate) fn show(order: &OrderView, entries: &[HistoryEntry]) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Names and reasons are strangers' words. Writing into memory does not fail.
        let _ = writeln!(text, "{name:<NAME$} {}", one_line(value));
    };
    let head = &order.head;
    row("order", &format!("{}/{}", head.tenant, head.order));
    let step = head.step.map(|step| format!(", next step {}", step.as_str())).unwrap_or_default();
    row("status", &format!("{}{step}", head.status.as_str()));
    let why = head.attention_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    row("attention", &format!("{}{why}", head.attention.as_str()));
    row("next act", &next_act(order));
    if let Some(PendingStep { step, reference, since, until }) = &order.pending {
        let until = until.map(|until| format!(", until {}", format_time(until))).unwrap_or_default();
        row("pending", &format!("{} as {reference}, since {}{until}", step.as_str(), format_time(*since)));
    }
    for hold in &order.holds {
        row("hold", &held(hold));
    }
    if let Some(reason) = &order.cancel_reason {
        row("canceled", reason);
    }
    if let Some(OperatorAct { kind, name, reason, at }) = &order.operator {
        let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        row("operator", &format!("{name} {kind} at {}{why}", format_time(*at)));
    }
    row("version", &head.version.to_string());
    row("customer", &order.customer);
    row("total", &money(order.total_minor, order.currency));
    row("money", &paid(order));
    for payment in &order.payments {
        row("payment", &means(payment, order.currency));
    }
    if let Some(until) = order.payment.waiting_until {
        row("waits", &format!("for another payment, until {}", format_time(until)));
    }
    if let Some(until) = order.fulfillment.waiting_until {
        row("waits", &format!("for its goods, until {}", format_time(until)));
    }
    if let Some(flow) = &order.flow {
        let (first, capture) = (flow.begins_with.as_str(), flow.capture.as_str().replace('_', " "));
        let review = if flow.review { ", reviewed" } else { "" };
        row("flow", &format!("{}: begins with {first}, captured {capture}{review}", flow.version));
    }
    for shipment in &order.shipments {
        let state = shipment.state.as_str().replace('_', " ");
        let since = shipment.since.map(|at| format!(" since {}", format_time(at))).unwrap_or_default();
        let reference =
            shipment.reference.as_ref().map(|reference| format!(", as {reference}")).unwrap_or_default();
        row("shipment", &format!("{}: {state}{since}{reference}", shipment.shipment_id));
    }
    for refund in &order.refunds {
        row("refund", &given_back(refund, order.currency));
    }
    for terms in &order.return_terms {
        row("return", &said(terms, order.currency));
    }
    for fact in &order.facts {
        let OrderFact { kind, amount_minor, reference, .. } = fact;
        row("fact", &format!("{} {reference}: {}", kind.as_str(), money(*amount_minor, order.currency)));
    }
    for line in &order.lines {
        row("line", &one_of(line, order.currency));
    }
    for component in &order.components {
        row(
            "beside",
            &format!("{}: {}", component.kind.as_str(), money(component.amount_minor, order.currency)),
        );
    }
    row("goods", &goods(order));
    if let Some(delivery) = &order.delivery {
        row("delivery", &delivery.method);
    }
    if let Some(note) = &order.note {
        row("note", note);
    }
    for (step, at) in steps(entries) {
        row("step", &format!("{} at {}", told(step), format_time(at)));
    }
    let times = [
        ("placed", order.placed_at),
        ("recorded", Some(order.created_at)),
        ("changed", Some(order.updated_at)),
        ("archived", order.archived_at),
        ("look again", order.next_deadline),
    ];
    for (what, time) in times.into_iter().filter_map(|(what, time)| Some((what, time?))) {
        row(what, &format_time(time));
    }
    text
}

fn money(amount: Amount, currency: Currency) -> String {
    format!("{} {}", amount.to_major(currency), currency.code())
}

/// What was paid, and what is left to be paid back: captured, and neither paid back nor promised.
fn paid(order: &OrderView) -> String {
    let PaymentSummary { authorized_minor, captured_minor, refunded_minor, charged_back_minor, .. } =
        order.payment;
    let of = |amount| money(amount, order.currency);
    let refunds = order.refunds.iter().map(|refund| refund.amount_minor.minor());
    let promised = refunds.fold(order.returns.amount_minor.minor(), i64::saturating_add);
    let promised = promised.max(refunded_minor.minor());
    let turns_back = matches!(order.head.status, OrderStatus::Canceling | OrderStatus::Canceled);
    let back = charged_back_minor.map_or(0, |back| back.minor());
    let kept = captured_minor.minor().saturating_sub(back);
    let left = if turns_back { 0 } else { kept.saturating_sub(promised).max(0) };
    let left = Amount::new(left).map_or_else(|_| left.to_string(), of);
    let charged_back =
        charged_back_minor.map(|back| format!(", charged back {}", of(back))).unwrap_or_default();
    format!(
        "authorized {}, captured {}, refunded {}{charged_back}, left to refund {left}",
        of(authorized_minor),
        of(captured_minor),
        of(refunded_minor)
    )
}

fn means(payment: &OrderPayment, currency: Currency) -> String {
    let of = |amount| money(amount, currency);
    let by = payment.token_ref.as_ref().map(|token| format!(" by {token}")).unwrap_or_default();
    let reference =
        payment.reference.as_ref().map(|reference| format!(", as {reference}")).unwrap_or_default();
    let sum = |what: &str, amount: Amount| {
        if amount == Amount::ZERO { String::new() } else { format!(", {what} {}", of(amount)) }
    };
    let sums = sum("captured", payment.captured_minor) + &sum("refunded", payment.refunded_minor);
    let state = payment.state.as_str();
    let amount = of(payment.amount_minor);
    format!("{}: {amount}{by}, {state}{sums}{reference}", payment.payment_id)
}

fn given_back(refund: &OrderRefund, currency: Currency) -> String {
    let OrderRefund { refund_id, amount_minor, state, reason, .. } = refund;
    format!("{refund_id}: {}, {}: {reason}", money(*amount_minor, currency), state.as_str())
}

fn said(terms: &ReturnTermsView, currency: Currency) -> String {
    let fee = terms.fee_minor.map(|fee| format!(", fee {}", money(fee, currency))).unwrap_or_default();
    let line = |line: &TermLine| {
        let condition = line.condition.as_ref().map(|word| format!(" {word}")).unwrap_or_default();
        let restock = if line.restock == Restock::No { ", not restocked" } else { "" };
        format!("; {} of {}{condition}{restock}", line.quantity, line.line_id)
    };
    format!("{}{fee}{}", terms.return_id, terms.lines.iter().map(line).collect::<String>())
}

fn held(hold: &OrderHold) -> String {
    let by = hold.operator.as_deref().unwrap_or("the tenant");
    let until = hold.until.map(|until| format!(", until {}", format_time(until))).unwrap_or_default();
    let overdue = if hold.overdue { ", which is over" } else { "" };
    format!("{} by {by} since {}{until}{overdue}: {}", hold.name, format_time(hold.since), hold.reason)
}

fn one_of(line: &OrderLine, currency: Currency) -> String {
    let OrderLine { line_id, sku, quantity, amount_minor, allocated_minor, .. } = line;
    let mut text = format!("{line_id}: {quantity} x {sku}, {}", money(*amount_minor, currency));
    if *quantity == 0 {
        text += ", taken out";
    }
    for (units, what) in [(line.reserved_units, "reserved"), (line.booked_units, "booked")] {
        if let Some(units) = units.filter(|units| *units > 0) {
            text += &format!(", {units} {what}");
        }
    }
    if let Some(allocated) = allocated_minor {
        text += &format!(", allocated {}", money(*allocated, currency));
    }
    if let Some(units) = line.returned_units {
        let pays = line.returned_minor.map(|minor| format!(" for {}", money(minor, currency)));
        text += &format!(", returned {units}{}", pays.unwrap_or_default());
    }
    text
}

fn goods(order: &OrderView) -> String {
    let goods = &order.fulfillment;
    let parts = [
        ("reserved", goods.reserved_units),
        ("booked", goods.booked_units),
        ("short", goods.short_units),
        ("returned", order.returns.returned_units),
    ];
    let mut text = format!("{} ordered", count(goods.ordered_units, "unit"));
    for (what, units) in parts.into_iter().filter(|(_, units)| *units > 0) {
        text += &format!(", {units} {what}");
    }
    text
}

/// How each step stands, in the order of their first asking, and since when. Steps of returns stand for themselves.
fn steps(entries: &[HistoryEntry]) -> Vec<(&StepRecord, TimestampMs)> {
    let mut shown: Vec<(&StepRecord, TimestampMs)> = Vec::new();
    for entry in entries {
        for record in &entry.steps {
            let same = |other: &StepRecord| (other.step, &other.part) == (record.step, &record.part);
            match shown.iter_mut().find(|(other, _)| same(other)) {
                Some(one) => *one = (record, entry.at),
                None => shown.push((record, entry.at)),
            }
        }
    }
    shown
}

fn told(record: &StepRecord) -> String {
    let StepRecord { step, part, result, reference } = record;
    let part = part.as_ref().map(|part| format!(" of {part}")).unwrap_or_default();
    let reference = reference.as_ref().map(|reference| format!(" as {reference}")).unwrap_or_default();
    let result = match result {
        StepResult::AskedFor => "asked for".to_owned(),
        result => result.as_str().replace('_', " "),
    };
    format!("{}{part} {result}{reference}", step.as_str())
}

/// What the order waits for until when, or which command an operator would use.
fn next_act(order: &OrderView) -> String {
    let head = &order.head;
    let name = format!("{} {}", head.tenant, head.order);
    let by = order.next_deadline.map(|at| format!(" until {}", format_time(at))).unwrap_or_default();
    let step = head.step.map(|step| step.as_str());
    let part = order.part.as_ref().map(|part| format!(" --part {part}")).unwrap_or_default();
    let resolve = step.map(|step| {
        format!(
            "`retailflow order resolve-step {name} --step {step}{part} --as done|not-done --evidence TEXT`"
        )
    });
    let resume = format!("`retailflow order resume {name}`");
    if order.archived_at.is_some() {
        return format!("none: it is in the archive; `retailflow order restore {name}` takes it back");
    }
    let waits = head.status == OrderStatus::Open && head.attention != Attention::Parked;
    if let Some(hold) = order.holds.first().filter(|_| waits && step.is_none()) {
        let release = format!("`retailflow order release-hold {name} --name '{}'`", hold.name);
        let others = order.holds.len() - 1;
        let others = if others > 0 { format!(", and {others} more") } else { String::new() };
        return format!("the end of a hold: {release}{others}");
    }
    match (head.attention, &order.pending) {
        (Attention::Parked, _) => {
            format!("an operator's: `retailflow parked show {name}`, then `retailflow parked release {name}`")
        }
        (Attention::Held, _) => {
            let or = resolve.map(|resolve| format!(", or {resolve}")).unwrap_or_default();
            format!("an operator's: {resume}{or}")
        }
        (Attention::Stalled, _) => {
            let or = resolve.map(|resolve| format!("; or an operator's: {resolve}, or {resume}"));
            format!("{}'s answer, which is overdue{}", step.unwrap_or("a step"), or.unwrap_or_default())
        }
        (Attention::None, Some(pending)) => {
            let until = pending.until.map(|until| format!(" until {}", format_time(until)));
            let until = until.unwrap_or(by);
            format!("a report on {} as {}{until}", pending.step.as_str(), pending.reference)
        }
        (Attention::None, None) => match (step, head.status) {
            (Some(step), _) => format!("{step}'s answer{by}"),
            (None, OrderStatus::Completed) => "none: it is completed, and may be returned".to_owned(),
            (None, OrderStatus::Canceled) => "none: it is canceled".to_owned(),
            (None, OrderStatus::Open) if order.fulfillment.waiting_until.is_some() => {
                format!("none: its goods are asked for later{by}")
            }
            (None, OrderStatus::Open | OrderStatus::Canceling) => format!("the engine's{by}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An open order at `capture`, changed so.
    fn order(change: &[(&str, Value)]) -> OrderView {
        let mut view = json!({
            "schema": "retailflow.order.v1", "tenant": "t", "order": "o", "version": 4, "status": "open", "step": "capture",
            "attention": "none",
            "payment": { "authorized_minor": 1000, "captured_minor": 0, "refunded_minor": 0 },
            "fulfillment": { "ordered_units": 1, "reserved_units": 1, "booked_units": 1, "short_units": 0 },
            "returns": { "returned_units": 0, "amount_minor": 0 },
            "customer": "c", "currency": "USD", "total_minor": 1000,
            "lines": [{ "line_id": "1", "sku": "cd", "quantity": 1, "amount_minor": 1000 }],
            "created_at": "2026-12-01T00:00:00.000Z", "updated_at": "2026-12-01T00:00:01.000Z",
            "next_deadline": "2026-12-01T00:05:00.000Z",
        });
        for (name, value) in change {
            view[*name] = value.clone();
        }
        serde_json::from_value(view).unwrap()
    }

    fn says(change: &[(&str, Value)]) -> String {
        next_act(&order(change))
    }

    #[test]
    fn the_next_act_names_who_is_waited_for_and_what_an_operator_would_do() {
        assert_eq!(says(&[]), "capture's answer until 2026-12-01T00:05:00.000Z");
        let pending = json!({ "step": "capture", "reference": "p-1", "since": "2026-12-01T00:00:00.000Z", "until": "2026-12-02T00:00:00.000Z" });
        assert_eq!(
            says(&[("pending", pending)]),
            "a report on capture as p-1 until 2026-12-02T00:00:00.000Z"
        );
        let resolve = "`retailflow order resolve-step t o --step capture --as done|not-done --evidence TEXT`";
        assert_eq!(
            says(&[("attention", json!("held"))]),
            format!("an operator's: `retailflow order resume t o`, or {resolve}")
        );
        assert_eq!(
            says(&[("attention", json!("stalled"))]),
            format!(
                "capture's answer, which is overdue; or an operator's: {resolve}, or `retailflow order resume t o`"
            )
        );
        let hold = json!({ "name": "fraud", "reason": "new", "since": "2026-12-01T00:00:00.000Z" });
        let held = [("holds", json!([hold])), ("step", Value::Null)];
        assert_eq!(says(&held), "the end of a hold: `retailflow order release-hold t o --name 'fraud'`");
        let row = "hold       fraud by the tenant since 2026-12-01T00:00:00.000Z: new\n";
        assert!(show(&order(&held), &[]).contains(row));
        assert!(says(&[("attention", json!("parked"))]).contains("`retailflow parked release t o`"));
        let ended = [("status", json!("completed")), ("step", Value::Null), ("next_deadline", Value::Null)];
        assert_eq!(says(&ended), "none: it is completed, and may be returned");
        let archived = [&ended[..], &[("archived_at", json!("2026-12-03T00:00:00.000Z"))]].concat();
        assert!(says(&archived).contains("`retailflow order restore t o`"));
    }

    #[test]
    fn what_is_promised_to_returns_is_not_left_to_refund() {
        let payment = json!({ "authorized_minor": 0, "captured_minor": 1000, "refunded_minor": 300 });
        let returns = json!({ "returned_units": 1, "amount_minor": 800 });
        let view = order(&[("payment", payment), ("returns", returns), ("status", json!("completed"))]);
        let left = "authorized 0.00 USD, captured 10.00 USD, refunded 3.00 USD, left to refund 2.00 USD";
        assert_eq!(paid(&view), left);
    }

    #[test]
    fn a_step_is_shown_as_it_stands_last() {
        let entry = |at: u64, steps: Value| -> HistoryEntry {
            serde_json::from_value(json!({
                "decision": at, "version": at, "at": format!("2026-12-01T00:00:0{at}.000Z"), "type": "x", "status": "applied",
                "code": "applied", "message": "", "events": [], "steps": steps,
            }))
            .unwrap()
        };
        let asked = |step: &str| json!({ "step": step, "result": "asked_for" });
        let entries = [
            entry(1, json!([asked("reserve")])),
            entry(
                2,
                json!([{ "step": "reserve", "result": "done", "reference": "r-1" }, asked("authorize")]),
            ),
            entry(3, json!([{ "step": "authorize", "result": "not_done" }, asked("authorize")])),
        ];
        let shown = show(&order(&[]), &entries);
        assert!(shown.contains("step       reserve done as r-1 at 2026-12-01T00:00:02.000Z\n"), "{shown}");
        assert!(shown.contains("step       authorize asked for at 2026-12-01T00:00:03.000Z\n"), "{shown}");
    }
}
