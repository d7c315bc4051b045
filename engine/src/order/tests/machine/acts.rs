//! Commands of random lives that look at the order first: what they come to is what they must.

use serde_json::json;

use crate::order::Line;
use crate::order::tests::saga::world::*;
use crate::ports::LineUnits;

/// An amount in so many parts that differ.
pub(super) fn parts_of(minor: i64, parts: usize) -> Vec<i64> {
    let mut left = minor;
    let part = |number: usize| {
        let part = if number + 1 == parts { left } else { left / 3 };
        left -= part;
        part
    };
    (0..parts).map(part).collect()
}

/// Another means for what was declined; wrong by a cent.
pub(super) fn pays(world: &mut World, parts: usize, right: bool) -> Code {
    let saga = &world.order().saga;
    let open: i64 =
        saga.payments.iter().filter(|one| one.declined).map(|one| one.not_authorized_minor()).sum();
    let held =
        world.attention() == Attention::Held && crate::fulfillment::has_gone(world.order(), Step::Authorize);
    let (waits, count) = (saga.waiting_until.is_some() || held, saga.payments.count());
    let minors = parts_of(open + i64::from(!right), parts);
    let payments: Vec<_> = minors
        .iter()
        .enumerate()
        .map(|(at, minor)| json!({ "payment_id": format!("x{}", count + at), "token_ref": "t", "amount_minor": minor }))
        .collect();
    let code = world.ask(pay(json!(payments)));
    assert!(code != Code::Applied || (waits && right));
    code
}

/// Line `line_id` is changed, or a line comes in addition: what is paid follows the price.
pub(super) fn amends(
    world: &mut World,
    line_id: &str,
    (quantity, amount): (u32, Option<i64>),
    adds: bool,
    pays: bool,
) {
    let placed = world.order().placed.clone().unwrap();
    let count = placed.lines.len();
    let mut data = if adds {
        json!({ "add_lines": [{ "line_id": format!("l{count}"), "sku": "s", "quantity": quantity.max(1), "amount_minor": amount.unwrap_or(250) }] })
    } else {
        let mut line = json!({ "line_id": line_id, "quantity": quantity });
        if let Some(minor) = amount.filter(|_| quantity > 0) {
            line["amount_minor"] = json!(minor);
        }
        json!({ "lines": [line] })
    };
    if pays && adds {
        let number = world.order().saga.payments.count();
        let minor = amount.unwrap_or(250);
        data["payments"] =
            json!([{ "payment_id": format!("y{number}"), "token_ref": "t", "amount_minor": minor }]);
    }
    let before = world.aggregate.clone();
    let booked = world.order().saga.cell(Step::Book).instance > 0;
    let code = world.ask(amend(data));
    let may = world.order().status == OrderStatus::Open && !booked;
    assert!(code != Code::Applied || may, "{code:?} of {before:#?}");
    if code == Code::Applied {
        // What is asked for now is what was asked for.
        let now = world.active().cloned();
        assert!(before.order.saga.active.is_none() || before.order.saga.active == now);
    }
}

/// Of what is asked for, so many units, or all but so many.
pub(super) fn part_of(world: &World, count: u64, all_but: bool) -> StepOutcome {
    let (Some(active), Some(placed)) = (world.active(), &world.order().placed) else { return done() };
    let line =
        |line: &Line| LineUnits { line_id: line.line_id.as_ref().into(), quantity: line.quantity.into() };
    let all = placed.lines.iter().map(line).collect::<Vec<_>>();
    let asked = active.units.as_deref().unwrap_or(&all);
    let sum = asked.iter().map(|part| part.quantity).sum::<u64>();
    let mut left = if all_but { sum.saturating_sub(count) } else { count };
    let part = |part: &LineUnits| {
        let quantity = part.quantity.min(left);
        left -= quantity;
        LineUnits { line_id: part.line_id.clone(), quantity }
    };
    let units: Vec<LineUnits> = asked.iter().map(part).filter(|part| part.quantity > 0).collect();
    StepOutcome::Done {
        reference: "ref".into(),
        amount_minor: None,
        expires: None,
        units: Some(units.into()),
    }
}

/// Units come back, and a line is ordered in their place.
pub(super) fn exchanges(world: &mut World, line_id: &str, quantity: u32, amount: Option<i64>, pays: bool) {
    let placed = world.order().placed.clone().unwrap();
    let (count, minor) = (placed.lines.len(), amount.unwrap_or(450));
    let mut data = json!({ "reason": "too small", "lines": [{ "line_id": line_id, "quantity": quantity }],
        "add_lines": [{ "line_id": format!("l{count}"), "sku": "s", "quantity": 1, "amount_minor": minor }] });
    if pays {
        let number = world.order().saga.payments.count();
        data["payments"] =
            json!([{ "payment_id": format!("z{number}"), "token_ref": "t", "amount_minor": minor / 2 }]);
    }
    let (status, before) = (world.status(), world.totals());
    let code = world.ask(CommandData::Exchange(serde_json::from_value(data).unwrap()));
    assert!(code != Code::Applied || status == OrderStatus::Completed);
    assert!(code == Code::Applied || world.status() == status);
    assert_eq!(before, world.totals(), "nothing moves by a command alone");
}
