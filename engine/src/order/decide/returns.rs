//! Returns: which units come back, and what is paid for them.
//!
//! Units without an amount pay their own share: share(units returned after them) - share(before them), where share runs
//! over the units of their line and is rounded half to even. So the parts of a line add up to it however it comes back,
//! and what an earlier return was paid (a fee kept, goodwill) moves nothing. What a line's share is of stands in
//! [`Refundable`]. An explicit amount counts for its own units. No more is ever paid back than was captured: a share is
//! cut to what is left, and the caller is told; an explicit amount that is more is rejected.

use std::sync::Arc;

use super::super::beside::{LineTerms, ReturnTerms};
use super::super::event::Event;
use super::super::owed::{Refunds, Return, ReturnedLine, Returns, Split};
use super::super::policy::Context;
use super::super::return_terms::TERMS_MAX;
use super::super::shares::{Refundable, spread};
use super::super::{Order, OrderStatus, Placed};
use super::decision::{Decision, Denial, plainly, refused, rejected_at};
use super::due::{Due, Left, split};
use crate::wire::Code;
use crate::wire::command::{Restock, ReturnData};

/// Returns of one order that are not through, at most.
pub(super) const OPEN_MAX: usize = 64;

/// Units of one line that come back.
struct Part {
    /// Which line, in the order of the lines.
    at: usize,
    /// Of that line, units that came back before.
    before: u64,
    quantity: u64,
    explicit_minor: Option<i64>,
}

/// What a return pays, and would pay if enough was captured.
struct Paid {
    by_part: Vec<i64>,
    dues: Vec<Due>,
    paid_minor: i64,
    due_minor: i64,
}

/// A return as it is granted.
pub(super) struct Granted {
    pub(super) requested: Return,
    terms: Option<ReturnTerms>,
    split: Option<Arc<Split>>,
    /// What of its worth pays for other goods, in minor units.
    pub(super) credit_minor: i64,
    /// In what it is not as the caller would expect.
    pub(super) note: Option<Box<str>>,
}

impl Granted {
    /// What is recorded of it.
    pub(super) fn into_events(self) -> Vec<Event> {
        let return_id = self.requested.return_id.clone();
        let mut events = vec![Event::ReturnRequested(self.requested)];
        events.extend(self.terms.map(Event::ReturnTermsSet));
        events.extend(self.split.map(|split| Event::ReturnSplit { return_id, split }));
        events
    }
}

pub(super) fn ask(order: &Order, data: &ReturnData, context: &Context) -> Result<Decision, Denial> {
    let granted = grant(order, data, 0)?;
    let note = granted.note.clone();
    let mut decision = Decision::of(order, granted.into_events(), context);
    decision.note = note;
    Ok(decision)
}

/// What comes back, and what is paid back of it once other goods for `price_minor` are paid with it.
pub(super) fn grant(order: &Order, data: &ReturnData, price_minor: i64) -> Result<Granted, Denial> {
    let (OrderStatus::Completed, Some(placed)) = (order.status, &order.placed) else {
        return Err(plainly(Code::NothingToReturn));
    };
    let nothing = Returns::default();
    let returns = order.saga.returns.as_deref().unwrap_or(&nothing);
    if returns.open.iter().filter(|open| !open.is_through()).count() >= OPEN_MAX {
        return Err(refused(Code::Overloaded, "too many returns of this order are not through yet"));
    }
    let parts = parts(placed, returns, data)?;
    let captured_minor = order.saga.totals.captured_minor;
    let left_minor = order.saga.left_minor();
    let refundable = Refundable::of(placed, order.saga.return_rules);
    let none = Refunds::default();
    let refunds = order.saga.refunds.as_deref().unwrap_or(&none);
    let mut left = Left::new(placed, &refundable, refunds);
    let Paid { mut by_part, dues, paid_minor, due_minor } =
        pay(&mut left, placed, returns, &parts, left_minor).map_err(|at| {
            let left = format!("{left_minor} of {captured_minor} captured is left to pay back");
            rejected_at(format_args!("lines[{at}].amount_minor"), Code::OverRefund, left)
        })?;
    let fee_minor = keep(&mut by_part, data.fee_minor.map_or(0, |fee| fee.minor()));
    let credit_minor = keep(&mut by_part, price_minor);
    let lines = parts.iter().zip(by_part).map(|(part, amount_minor)| ReturnedLine {
        line_id: placed.lines[part.at].line_id.as_ref().into(),
        quantity: part.quantity,
        amount_minor,
    });
    let lines: Arc<[ReturnedLine]> = lines.collect::<Vec<_>>().into();
    let return_id: Arc<str> = format!("r{}", returns.count.saturating_add(1)).into();
    let split = split(&lines, &dues).map(Arc::new);
    let requested = Return { return_id, lines, reason: Arc::from(data.reason.as_str()) };
    let terms = terms(&requested, data, fee_minor);
    if terms.is_some() && returns.terms.len() >= TERMS_MAX {
        let text =
            format!("the order has had {TERMS_MAX} returns with a fee, a condition or units not restocked");
        return Err(refused(Code::OrderFull, text));
    }
    let capped = (paid_minor < due_minor).then(|| {
        format!(
            "The return was taken, and its refund capped: it pays {paid_minor}, not {due_minor}, because {left_minor} of \
             {captured_minor} captured was left to pay back."
        )
    });
    let asked_minor = data.fee_minor.map_or(0, |fee| fee.minor());
    let cut = (fee_minor < asked_minor).then(|| {
        format!("The return was taken, and its fee cut: it keeps {fee_minor}, not {asked_minor}, because it pays no more.")
    });
    let notes: Vec<String> = capped.into_iter().chain(cut).collect();
    let note = (!notes.is_empty()).then(|| notes.join(" ").into());
    Ok(Granted { requested, terms, split, credit_minor, note })
}

/// The units that a command names, where there are so many left.
fn parts(placed: &Placed, returns: &Returns, data: &ReturnData) -> Result<Vec<Part>, Denial> {
    let mut parts = Vec::with_capacity(data.lines.len());
    for (number, part) in data.lines.iter().enumerate() {
        let found = placed.lines.iter().enumerate().find(|(_, line)| *line.line_id == *part.line_id);
        let Some((at, line)) = found else {
            let text = format!("there is no line {:?}", part.line_id);
            return Err(rejected_at(format_args!("lines[{number}].line_id"), Code::UnknownLine, text));
        };
        let (before, _) = returns.by_line.get(at).copied().unwrap_or_default();
        let left = u64::from(line.quantity).saturating_sub(before);
        let quantity = u64::from(part.quantity);
        if quantity > left {
            let text = format!("line {:?} has {left} units left, {quantity} would come back", part.line_id);
            return Err(rejected_at(format_args!("lines[{number}].quantity"), Code::OverReturn, text));
        }
        let explicit_minor = part.amount_minor.map(|amount| amount.minor());
        parts.push(Part { at, before, quantity, explicit_minor });
    }
    Ok(parts)
}

/// Keeps up to `fee_minor` of what the parts are paid, by what each is paid; gives what is kept.
fn keep(by_part: &mut [i64], fee_minor: i64) -> i64 {
    let paid_minor = by_part.iter().fold(0, |sum: i64, minor| sum.saturating_add(*minor));
    let kept_minor = fee_minor.clamp(0, paid_minor.max(0));
    if kept_minor > 0 {
        let weights: Vec<i128> = by_part.iter().copied().map(i128::from).collect();
        for (minor, kept) in by_part.iter_mut().zip(spread(kept_minor, &weights)) {
            *minor = minor.saturating_sub(kept).max(0);
        }
    }
    kept_minor
}

/// What the return says beside its units and money; most say nothing.
fn terms(requested: &Return, data: &ReturnData, fee_minor: i64) -> Option<ReturnTerms> {
    let all = data.restock.unwrap_or(Restock::Yes);
    let lines = requested.lines.iter().zip(&data.lines).map(|(line, said)| LineTerms {
        line_id: line.line_id.clone(),
        quantity: line.quantity,
        restock: said.restock.unwrap_or(all) == Restock::Yes,
        condition: said.condition.as_deref().map(Into::into),
    });
    let lines: Arc<[LineTerms]> = lines.collect::<Vec<_>>().into();
    let says = fee_minor > 0 || lines.iter().any(|line| !line.restock || line.condition.is_some());
    says.then(|| ReturnTerms { return_id: requested.return_id.clone(), fee_minor, lines })
}

/// What each part is paid, of `left_minor`; the number of the part whose explicit amount is more than is left, if one's is.
fn pay(
    left: &mut Left<'_>,
    placed: &Placed,
    returns: &Returns,
    parts: &[Part],
    mut left_minor: i64,
) -> Result<Paid, usize> {
    // What was agreed on for some units goes before what follows from rules for others.
    for (number, part) in parts.iter().enumerate() {
        left_minor -= part.explicit_minor.unwrap_or(0);
        if left_minor < 0 {
            return Err(number);
        }
    }
    let mut dues: Vec<Due> =
        parts.iter().map(|part| left.units(part.at, part.before, part.quantity)).collect();
    let returned =
        returns.by_line.iter().map(|(units, _)| *units).chain(parts.iter().map(|part| part.quantity));
    if returned.fold(0, u64::saturating_add) == placed.units()
        && let Some(last) = parts.iter().rposition(|part| part.explicit_minor.is_none())
    {
        dues[last].components.extend(left.last_unit());
    }
    let due: Vec<i64> =
        parts.iter().zip(&dues).map(|(part, due)| part.explicit_minor.unwrap_or_else(|| due.sum())).collect();
    let mut by_part = due.clone();
    for (minor, _) in by_part.iter_mut().zip(parts).filter(|(_, part)| part.explicit_minor.is_none()) {
        *minor = (*minor).clamp(0, left_minor);
        left_minor -= *minor;
    }
    let sum = |parts: &[i64]| parts.iter().fold(0, |sum: i64, minor| sum.saturating_add(*minor));
    Ok(Paid { paid_minor: sum(&by_part), due_minor: sum(&due), by_part, dues })
}
