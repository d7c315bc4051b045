//! What else becomes of an order: money back without goods, a hold, a change, units canceled, a fact for the books, another payment.

use retailflow_engine::money::{Amount, MoneyError};
use retailflow_engine::wire::CommandData;
use retailflow_engine::wire::command::{
    AmendData, AmendLine, CancelData, CancelLine, Delivery, DeliveryPart, ExchangeData, FactKind, HoldData,
    Line, PayData, Payment, PlaceData, RecordData, RefundData, RefundLine, ReleaseHoldData, ReturnLine,
};

use super::order::made_at;
use super::rng::{Rng, Stream};
use super::shares::Shares;

/// Most payments of an order that is paid in parts.
const PARTS_MAX: u64 = 4;
const HOUR_MS: u64 = 3_600_000;
/// A hold's name, and why.
const HOLDS: [(&str, &str); 2] = [("fraud", "the address is new"), ("address", "the street is unknown")];

/// What else becomes of an order; one thing at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extra {
    Refund,
    Hold,
    Amend,
    CancelUnits,
    Record,
    Exchange,
}

/// What becomes of this order, if anything. Draws of its own: without these shares, every order is what it was.
pub(super) fn of(seed: u64, order: u64, shares: Shares) -> Option<Extra> {
    let drawn = draws(seed, order).below(1000);
    let ends = [
        (Extra::Refund, shares.refund_permille),
        (Extra::Hold, shares.hold_permille),
        (Extra::Amend, shares.amend_permille),
        (Extra::CancelUnits, shares.cancel_units_permille),
        (Extra::Record, shares.record_permille),
        (Extra::Exchange, shares.exchange_permille),
    ];
    let mut end = 0;
    ends.into_iter().find_map(|(extra, permille)| {
        end += permille;
        (drawn < end).then_some(extra)
    })
}

/// This order's draws, always the same.
pub(super) fn draws(seed: u64, order: u64) -> Rng {
    Rng::new(seed, order, Stream::Extra)
}

/// Pays the order in parts, some of which are a gift card's.
///
/// # Errors
/// Never for the amounts of an order that was made up.
pub(super) fn split(rng: &mut Rng, place: &mut PlaceData) -> Result<(), MoneyError> {
    let total = place.total_minor()?.minor();
    let parts = rng.between(2, PARTS_MAX) as i64;
    if total < parts {
        return Ok(());
    }
    let mut left = total;
    let mut payments = Vec::new();
    for number in 1..=parts {
        let minor = if number == parts { left } else { 1 + left / parts / 2 };
        left -= minor;
        let kind = rng.one_of(["tok_card", "tok_card", "gift", "credit"]);
        let token_ref = format!("{kind}_{:08x}", rng.below(1 << 32));
        payments.push(Payment {
            payment_id: format!("p{number}"),
            token_ref,
            amount_minor: Amount::new(minor)?,
        });
    }
    place.payments = payments;
    Ok(())
}

/// Has the order's goods go in parts: half of a line is there, or the last line goes by itself, now or an hour later.
pub(super) fn in_parts(rng: &mut Rng, order: u64, place: &mut PlaceData) {
    let Some(last) = place.lines.last_mut() else { return };
    if rng.chance(500) {
        last.sku = "sim-half-in-stock".into();
    } else if place.lines.len() > 1 {
        let line_ids = place.lines.last().map(|line| line.line_id.clone()).into_iter().collect();
        let available_from = rng.chance(300).then(|| made_at(order).plus_ms(HOUR_MS));
        place.deliveries.push(DeliveryPart { line_ids, method: None, address_ref: None, available_from });
    }
}

/// A unit of the first line comes back, and another thing is ordered in its place: for as much, for more, or for less.
pub(super) fn exchange(rng: &mut Rng, place: &PlaceData) -> Result<CommandData, MoneyError> {
    let line = &place.lines[0];
    let unit_minor = line.amount_minor.minor() / i64::from(line.quantity.max(1));
    let price_minor = unit_minor * rng.one_of([80, 100, 100, 130]) / 100;
    let back = ReturnLine {
        line_id: line.line_id.clone(),
        quantity: 1,
        amount_minor: None,
        restock: None,
        condition: None,
    };
    let other = Line {
        line_id: "e1".into(),
        sku: format!("sku-{:03}", rng.below(500)),
        quantity: 1,
        amount_minor: Amount::new(price_minor)?,
        components: Vec::new(),
    };
    Ok(CommandData::Exchange(ExchangeData {
        lines: vec![back],
        add_lines: vec![other],
        payments: Vec::new(),
        reason: rng.one_of(["too small", "another color", "does not fit"]).into(),
        expected_version: None,
    }))
}

/// Money back without goods: of a line, or of nothing in particular.
pub(super) fn refund(rng: &mut Rng, place: &PlaceData) -> Result<CommandData, MoneyError> {
    let line = &place.lines[0];
    let amount_minor = Amount::new(1 + small(rng, line.amount_minor.minor() / 2))?;
    let of_line = RefundLine { line_id: line.line_id.clone(), amount_minor };
    Ok(CommandData::Refund(RefundData {
        amount_minor,
        components: Vec::new(),
        lines: if rng.chance(500) { vec![of_line] } else { Vec::new() },
        payment_id: None,
        reason: rng.one_of(["came late", "price was lower elsewhere", "box was torn"]).into(),
        expected_version: None,
    }))
}

/// A hold, or its end.
pub(super) fn hold(rng: &mut Rng, order: u64, ends: bool) -> CommandData {
    let (name, reason) = rng.one_of(HOLDS);
    if ends {
        let (name, reason) = (name.into(), Some("somebody has looked".into()));
        return CommandData::ReleaseHold(ReleaseHoldData { name, reason, expected_version: None });
    }
    let until = rng.chance(500).then(|| made_at(order).plus_ms(HOUR_MS));
    CommandData::Hold(HoldData { name: name.into(), reason: reason.into(), until, expected_version: None })
}

/// Another quantity, one more line, another way of shipping, or a word.
pub(super) fn amend(rng: &mut Rng, place: &PlaceData) -> Result<CommandData, MoneyError> {
    let mut data = AmendData {
        lines: Vec::new(),
        add_lines: Vec::new(),
        delivery: None,
        attributes: [].into(),
        note: None,
        payments: Vec::new(),
        reason: rng.one_of(["customer called", "typed wrong"]).into(),
        expected_version: None,
    };
    match rng.below(4) {
        0 => {
            let line = &place.lines[0];
            let quantity = 1 + rng.small(u64::from(line.quantity)) as u32;
            data.lines.push(AmendLine { line_id: line.line_id.clone(), quantity, amount_minor: None });
        }
        1 => {
            let first = &place.lines[0];
            let unit_minor = first.amount_minor.minor() / i64::from(first.quantity.max(1));
            data.add_lines.push(Line {
                line_id: "x1".into(),
                sku: format!("sku-{:03}", rng.below(500)),
                quantity: 1,
                amount_minor: Amount::new(unit_minor)?,
                components: Vec::new(),
            });
        }
        2 => {
            let (method, address_ref) = ("express".into(), Some(format!("adr_{:06}", rng.below(1_000_000))));
            data.delivery = Some(Delivery { method, address_ref });
        }
        _ => {
            data.attributes.insert("gift".into(), "yes".into());
            data.note = Some("wrap it".into());
        }
    }
    Ok(CommandData::Amend(data))
}

/// One unit of the first line is not wanted any more.
pub(super) fn cancel_units(place: &PlaceData) -> CommandData {
    let line = CancelLine { line_id: place.lines[0].line_id.clone(), quantity: 1 };
    let reason = "one is enough".into();
    CommandData::Cancel(CancelData { reason, lines: vec![line], expected_version: None })
}

/// A fact for the books.
pub(super) fn record(rng: &mut Rng, order: u64, place: &PlaceData) -> Result<CommandData, MoneyError> {
    let kind = rng.one_of(FactKind::ALL);
    let line_id = (kind == FactKind::Loss).then(|| place.lines[0].line_id.clone());
    Ok(CommandData::Record(RecordData {
        kind,
        amount_minor: Amount::new(1 + small(rng, place.total_minor()?.minor() / 4))?,
        reference: format!("case-{order}"),
        payment_id: None,
        line_id,
        happened_at: None,
        reason: None,
        expected_version: None,
    }))
}

/// Another means for all of the order, after a decline.
pub(super) fn pay(place: &PlaceData) -> Result<CommandData, MoneyError> {
    let amount_minor = place.total_minor()?;
    let again = Payment { payment_id: "again".into(), token_ref: "tok_other".into(), amount_minor };
    let reason = Some("the first card was declined".into());
    Ok(CommandData::Pay(PayData { payments: vec![again], reason, expected_version: None }))
}

/// From 0 to `most`, small ones far more often.
fn small(rng: &mut Rng, most: i64) -> i64 {
    rng.small(most.max(0).unsigned_abs()) as i64
}
