//! Other lines, or other units of them, before the goods are booked: what the order is from now on, and how it is paid.
//!
//! A price that rises is paid first of what is authorized and not wanted any more, then by the last payment where its
//! provider was not asked yet, otherwise by a further payment of the same means, or by those that the command names. A price
//! that falls is taken off the last payment first. What is authorized beyond that is given up: a whole payment is voided,
//! and of one that is captured in part the rest goes with its capture, because providers void authorizations whole.

use super::super::amended::{Amended, LineChange};
use super::super::convert::{line_from_wire, payment_from_wire};
use super::super::goods::LOTS_MAX;
use super::super::owed::sum_of;
use super::super::parts::further_payment;
use super::super::payments::PaymentState;
use super::super::placed::{Component, Line, Payment, Placed};
use super::super::shares::share;
use super::super::{Order, Saga};
use super::decision::{Denial, refused, rejected_at};
use crate::money::Amount;
use crate::wire::Code;
use crate::wire::command::{self as wire, AmendLine, Step};
use crate::wire::limits::{LINES_MAX, PAYMENTS_OF_ORDER_MAX};

/// Gives `amended` the lines and the money of an order that is changed so; and says how much of a price that falls is
/// captured already, in minor units.
pub(super) fn change(
    order: &Order,
    placed: &Placed,
    (lines, add_lines): (&[AmendLine], &[wire::Line]),
    payments: &[wire::Payment],
    amended: &mut Amended,
) -> Result<i64, Denial> {
    let mut changes = Vec::with_capacity(lines.len());
    for (number, asked) in lines.iter().enumerate() {
        changes.extend(changed(placed, number, asked)?);
    }
    amended.lines = changes.into();
    amended.added = added(placed, add_lines)?;
    amended.total_minor = total_minor(placed, amended)?;
    let units = placed.lines.iter().map(|line| {
        let change = amended.lines.iter().find(|change| *change.line_id == *line.line_id);
        u64::from(change.map_or(line.quantity, |change| change.quantity))
    });
    if units.sum::<u64>() == 0 && amended.added.is_empty() {
        let text = "the order would have no unit left: cancel it instead";
        return Err(rejected_at("lines", Code::NotAmendable, text));
    }
    if amended.moves_goods() {
        goods_are_at_rest(&order.saga)?;
    }
    pay(&order.saga, placed, payments, amended)
}

/// No units are moved now, and the order may have further reservations.
fn goods_are_at_rest(saga: &Saga) -> Result<(), Denial> {
    let reserves = saga.active.as_ref().is_some_and(|active| active.at.step == Step::Reserve);
    if reserves {
        let text =
            "stock is being reserved for the order as it is: send the same command again once that is over";
        return Err(refused(Code::StepInFlight, text));
    }
    if saga.goods.as_ref().is_some_and(|goods| goods.reservations.len() >= LOTS_MAX) {
        let text = format!("the order has had {LOTS_MAX} reservations, and takes no more of them");
        return Err(refused(Code::OrderFull, text));
    }
    Ok(())
}

/// A line as it is from now on; `None` where it stays as it is.
fn changed(placed: &Placed, number: usize, asked: &AmendLine) -> Result<Option<LineChange>, Denial> {
    let Some(line) = placed.lines.iter().find(|line| *line.line_id == *asked.line_id) else {
        let text = format!("there is no line {:?}", asked.line_id);
        return Err(rejected_at(format_args!("lines[{number}].line_id"), Code::UnknownLine, text));
    };
    let at = format!("lines[{number}].amount_minor");
    let (was, quantity) = (line.quantity, asked.quantity);
    let by_unit_minor = share(line.amount_minor, quantity.into(), was.into());
    let amount_minor = match asked.amount_minor.map(Amount::minor) {
        Some(minor) if quantity == 0 && minor != 0 => {
            let text = format!("{minor} for no units: leave the amount out, or keep a unit");
            return Err(rejected_at(at, Code::NotAmendable, text));
        }
        Some(minor) => minor,
        None if was == 0 && quantity > 0 => {
            let text =
                format!("line {:?} was taken out and has no price by unit: give its amount", asked.line_id);
            return Err(rejected_at(at, Code::NotAmendable, text));
        }
        None if quantity == was => line.amount_minor,
        None => by_unit_minor,
    };
    Amount::new(amount_minor)
        .map_err(|error| refused(Code::AmountOverflow, format!("data.{at}: {error}")))?;
    if (quantity, amount_minor) == (was, line.amount_minor) {
        return Ok(None);
    }
    Ok(Some(LineChange {
        line_id: line.line_id.as_ref().into(),
        was_quantity: was,
        quantity,
        was_amount_minor: line.amount_minor,
        amount_minor,
        components: if amount_minor == by_unit_minor {
            scaled(line, quantity, amount_minor)
        } else {
            Box::default()
        },
    }))
}

/// What a line's amount is made of, by unit as before: what is lost by rounding is the first component's. Nothing where
/// that would turn its sign.
fn scaled(line: &Line, quantity: u32, amount_minor: i64) -> Box<[Component]> {
    let part = |part: &Component| {
        let amount_minor = share(part.amount_minor, quantity.into(), line.quantity.into());
        Component { kind: part.kind, amount_minor }
    };
    let mut parts: Vec<Component> = line.components.iter().map(part).collect();
    let rest_minor = amount_minor.saturating_sub(sum_of(parts.iter().map(|part| part.amount_minor)));
    if let (Some(first), Some(was)) = (parts.first_mut(), line.components.first()) {
        first.amount_minor = first.amount_minor.saturating_add(rest_minor);
        if first.amount_minor != 0 && first.amount_minor.signum() != was.amount_minor.signum() {
            return Box::default();
        }
    }
    parts.into()
}

fn added(placed: &Placed, add_lines: &[wire::Line]) -> Result<Box<[Line]>, Denial> {
    for (number, line) in add_lines.iter().enumerate() {
        if placed.lines.iter().any(|known| *known.line_id == *line.line_id) {
            let text = format!("the order has had a line {:?}: give this one an id of its own", line.line_id);
            return Err(rejected_at(format_args!("add_lines[{number}].line_id"), Code::NotAmendable, text));
        }
    }
    if placed.lines.len().saturating_add(add_lines.len()) > LINES_MAX {
        let text = format!("an order has at most {LINES_MAX} lines over its whole life");
        return Err(rejected_at("add_lines", Code::NotAmendable, text));
    }
    Ok(add_lines.iter().map(line_from_wire).collect())
}

/// What the order costs from now on.
fn total_minor(placed: &Placed, amended: &Amended) -> Result<i64, Denial> {
    let more = amended.added.iter().map(|line| i128::from(line.amount_minor));
    let differences =
        amended.lines.iter().map(|line| i128::from(line.amount_minor) - i128::from(line.was_amount_minor));
    let total = i128::from(placed.total_minor) + more.chain(differences).sum::<i128>();
    if total < 0 {
        let text = format!("the order's total would be {total}: what it has beside its lines stays as it is");
        return Err(rejected_at("lines", Code::NotAmendable, text));
    }
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    let amount = Amount::new(total)
        .map_err(|error| refused(Code::AmountOverflow, format!("data.lines: the order's total: {error}")))?;
    Ok(amount.minor())
}

/// How the order is paid from now on.
fn pay(saga: &Saga, placed: &Placed, given: &[wire::Payment], amended: &mut Amended) -> Result<i64, Denial> {
    let price_minor = amended.total_minor.saturating_sub(amended.was_total_minor);
    let more_minor = price_minor.saturating_sub(amended.settled_minor);
    let given_minor = sum_of(given.iter().map(|payment| payment.amount_minor.minor()));
    if !given.is_empty() && given_minor != more_minor {
        let text = format!("the payments are {given_minor} together, and {more_minor} more is to be paid");
        return Err(rejected_at("payments", Code::WrongPayment, text));
    }
    let mut planned: Vec<i64> = saga.payments.iter().map(|payment| payment.planned_minor).collect();
    let mut payments = Vec::with_capacity(given.len());
    let mut paid_minor = 0;
    match more_minor {
        0 => return Ok(0),
        ..0 => paid_minor = lower(saga, more_minor.saturating_neg(), &mut planned)?,
        _ if !given.is_empty() => {
            for (number, payment) in given.iter().enumerate() {
                if placed.payment_number(&payment.payment_id).is_some() {
                    let path = format_args!("payments[{number}].payment_id").to_string();
                    let text = format!(
                        "the order has had a payment {:?}: give this one an id of its own",
                        payment.payment_id
                    );
                    return Err(rejected_at(path, Code::WrongPayment, text));
                }
                payments.push(payment_from_wire(payment));
            }
        }
        _ => payments.extend(raise(saga, placed, more_minor, &mut planned)),
    }
    planned.extend(payments.iter().map(|payment| payment.amount_minor));
    if planned.len() > PAYMENTS_OF_ORDER_MAX {
        let text = format!("an order has at most {PAYMENTS_OF_ORDER_MAX} payments over its whole life");
        return Err(rejected_at("payments", Code::WrongPayment, text));
    }
    (amended.planned_minor, amended.payments) = (planned.into(), payments.into());
    Ok(paid_minor)
}

/// Which payment, from 0, is being moved now.
fn active_payment(saga: &Saga) -> Option<usize> {
    saga.active.as_ref().filter(|active| active.at.step.is_of_payment()).map(|active| active.at.number())
}

/// So much less is paid, from the last payment on; gives what of it is captured.
fn lower(saga: &Saga, mut less_minor: i64, planned: &mut [i64]) -> Result<i64, Denial> {
    let active = active_payment(saga);
    for (number, planned) in planned.iter_mut().enumerate().rev() {
        let open_minor = saga.payments.get(number).map_or(0, PaymentState::open_minor);
        let by_minor = less_minor.min(open_minor);
        if by_minor <= 0 {
            continue;
        }
        if active == Some(number) {
            let text = "the payment that would become less is being asked for: send the same command again once that is over";
            return Err(refused(Code::StepInFlight, text));
        }
        *planned = planned.saturating_sub(by_minor);
        less_minor = less_minor.saturating_sub(by_minor);
    }
    Ok(less_minor)
}

/// So much more is paid; by a further payment, where those that are there cannot be made larger.
fn raise(saga: &Saga, placed: &Placed, mut more_minor: i64, planned: &mut [i64]) -> Option<Payment> {
    let active = active_payment(saga);
    for (number, (planned, state)) in planned.iter_mut().zip(saga.payments.iter()).enumerate() {
        let by_minor = if active == Some(number) { 0 } else { more_minor.min(state.surplus_minor()) };
        *planned = planned.saturating_add(by_minor);
        more_minor = more_minor.saturating_sub(by_minor);
    }
    let is_new = |state: &PaymentState| state.entered == 0 && state.authorized_minor == 0 && !state.declined;
    match (planned.last_mut(), saga.payments.iter().next_back()) {
        _ if more_minor == 0 => return None,
        (Some(planned), Some(state)) if is_new(state) => {
            *planned = planned.saturating_add(more_minor);
            return None;
        }
        _ => {}
    }
    let last = saga.payments.last_where(|payment| !payment.declined).unwrap_or(saga.payments.count() - 1);
    let means = placed.payments.get(last).map_or("", |payment| &*payment.token_ref);
    Some(further_payment(placed, saga.payments.count(), means, more_minor))
}
