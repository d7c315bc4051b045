//! Units come back, and others are ordered in their place, with one settlement: what comes back pays for what goes out, as far
//! as it is worth; only the difference is paid, or paid back.

use std::sync::Arc;

use super::super::amended::Amended;
use super::super::event::Event;
use super::super::policy::Context;
use super::super::{Order, OrderStatus};
use super::amend_goods;
use super::decision::{Decision, Denial, plainly};
use super::returns::grant;
use crate::wire::Code;
use crate::wire::command::{ExchangeData, ReturnData};

pub(super) fn exchange(order: &Order, data: &ExchangeData, context: &Context) -> Result<Decision, Denial> {
    let (OrderStatus::Completed, Some(placed)) = (order.status, &order.placed) else {
        return Err(plainly(Code::NothingToReturn));
    };
    let price_minor =
        data.add_lines.iter().fold(0, |sum: i64, line| sum.saturating_add(line.amount_minor.minor()));
    let asked = ReturnData {
        lines: data.lines.clone(),
        restock: None,
        fee_minor: None,
        reason: data.reason.clone(),
        expected_version: None,
    };
    let granted = grant(order, &asked, price_minor)?;
    let mut amended = Amended { settled_minor: granted.credit_minor, ..Amended::new(placed, &data.reason) };
    amend_goods::change(order, placed, (&[], &data.add_lines), &data.payments, &mut amended)?;
    let note = granted.note.clone();
    let mut events = granted.into_events();
    events.push(Event::Amended(Arc::new(amended)));
    events.push(Event::StatusChanged { status: OrderStatus::Open, reason: None });
    let mut decision = Decision::of(order, events, context);
    decision.note = note;
    Ok(decision)
}
