//! The workload: which commands are sent by whom, when, how often, and through which door.

use std::collections::BTreeMap;

use retailflow_engine::ids::{
    CommandId, CommandKey, IdError, OrderId, OrderRef, Source, TenantId, TimestampMs,
};
use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::ports::Body;
use retailflow_engine::wire::command::{
    AmendData, AmendLine, CancelData, CancelLine, DeliveryPart, ExchangeData, FactKind, HoldData, Line,
    Payment, PlaceData, RecordData, RefundData, ReleaseHoldData, ReturnData, ReturnLine,
};
use retailflow_engine::wire::{CommandData, CommandEvent};

use retailflow_testkit::simulated::HALF_IN_STOCK_SKU;

use crate::plan::Plan;
use crate::time::{Dice, EPOCH_MS};

/// The name of the order whose actor crashes at every command.
pub(crate) const POISON: &str = "poison";
/// The name of holds.
pub(crate) const HOLD: &str = "fraud";
/// The time within which first sends begin, in milliseconds.
const SPREAD_MS: u64 = 600;

/// A caller at the ask door, who asks until there is an answer for good.
#[derive(Debug, Clone)]
pub(crate) struct AskClient {
    pub(crate) event: CommandEvent,
    /// When it asks first, in milliseconds of the world.
    pub(crate) first_ms: u64,
    /// How long it waits for an answer before it asks again.
    pub(crate) patience_ms: u64,
}

/// All that is sent.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) callers: Vec<AskClient>,
    /// The inbox: commands and what is none.
    pub(crate) bodies: Vec<Body>,
    pub(crate) malformed: u64,
    /// Each distinct command, whoever sends it.
    pub(crate) events: Vec<CommandEvent>,
}

impl Script {
    /// The workload of `seed` for `plan`.
    pub(crate) fn new(seed: u64, plan: &Plan) -> Result<Self, IdError> {
        let dice = Dice::new(seed, 2);
        let events = events(&dice, &Dice::new(seed, 11), plan)?;
        let mut script =
            Self { callers: Vec::new(), bodies: Vec::new(), malformed: u64::from(plan.malformed), events };
        for event in script.events.clone() {
            // Some come by one door, some by both, some twice or thrice by one; the last one long after the first.
            let doors = dice.below(4);
            if doors != 0 {
                script.callers.push(caller(&dice, &event, 0));
            }
            if doors == 0 || doors == 3 || dice.chance(150) {
                script.bodies.push(Body::Bytes(event.to_json()));
            }
            for _ in 0..dice.below(5).saturating_sub(2) {
                let late_ms = dice.below(2) * dice.below(4000);
                script.callers.push(caller(&dice, &event, late_ms));
            }
            if dice.chance(100) {
                script.bodies.push(Body::Bytes(event.to_json()));
            }
        }
        for number in 0..plan.malformed {
            let at = usize::try_from(dice.below(script.bodies.len() as u64 + 1)).unwrap_or(0);
            let body = match number % 3 {
                0 => Body::Bytes(format!("{{\"not\": \"a command\", \"number\": {number}}}").into_bytes()),
                1 => Body::Bytes(vec![0xff, 0xfe, b'0' + u8::try_from(number % 10).unwrap_or(0)]),
                _ => Body::TooLong { prefix: b"{".repeat(64), length_bytes: 100_000_000 + u64::from(number) },
            };
            script.bodies.insert(at, body);
        }
        // A few neighbors change places: what comes in is not in the order in which it was made.
        for at in 1..script.bodies.len() {
            if dice.chance(150) {
                script.bodies.swap(at - 1, at);
            }
        }
        Ok(script)
    }

    /// The commands of each order.
    pub(crate) fn by_order(&self) -> BTreeMap<OrderRef, Vec<CommandEvent>> {
        let mut by_order: BTreeMap<OrderRef, Vec<CommandEvent>> = BTreeMap::new();
        for event in &self.events {
            by_order.entry(event.order.clone()).or_default().push(event.clone());
        }
        by_order
    }
}

fn caller(dice: &Dice, event: &CommandEvent, late_ms: u64) -> AskClient {
    let patience_ms = if dice.chance(250) { 1 + dice.below(60) } else { 5_000 };
    AskClient { event: event.clone(), first_ms: dice.below(SPREAD_MS) + late_ms, patience_ms }
}

fn events(dice: &Dice, more: &Dice, plan: &Plan) -> Result<Vec<CommandEvent>, IdError> {
    let mut orders = Vec::new();
    for number in 0..plan.orders.max(1) {
        orders.push(order(if number % 3 == 2 { "t1" } else { "t0" }, &format!("o{number}"))?);
    }
    let hot = order("t0", "hot")?;
    let mut events: Vec<CommandEvent> = Vec::new();
    for number in 0..plan.commands {
        let at = usize::try_from(dice.below(orders.len() as u64)).unwrap_or(0);
        let mut event = event(dice, &orders[at], number, &events)?;
        if more.below(1000) < plan.changes_permille.into() {
            event.data = change(more, number);
        }
        events.push(event);
    }
    for number in 0..plan.hot_commands {
        events.push(event(dice, &hot, 1000 + number, &events)?);
    }
    if plan.poison {
        let poison = order("t0", POISON)?;
        for number in 0..1 + u32::try_from(dice.below(4)).unwrap_or(0) {
            events.push(CommandEvent::new(poison.clone(), key("/shop", 2000 + number)?, place(number)));
        }
    }
    Ok(events)
}

/// Mostly places; now and then another content under an id in use, or something that is refused.
fn event(
    dice: &Dice,
    order: &OrderRef,
    number: u32,
    before: &[CommandEvent],
) -> Result<CommandEvent, IdError> {
    let other = before.iter().rev().find(|event| event.order == *order);
    if let Some(other) = other.filter(|_| dice.chance(100)) {
        return Ok(CommandEvent::new(order.clone(), other.key.clone(), place(number + 500)));
    }
    let source = if dice.chance(500) { "/shop" } else { "/till" };
    let data = if dice.chance(60) {
        CommandData::Cancel(CancelData {
            reason: "changed my mind".into(),
            lines: Vec::new(),
            expected_version: None,
        })
    } else {
        place(number)
    };
    Ok(CommandEvent::new(order.clone(), key(source, number)?, data))
}

/// What a shop does to an order that is there: whatever comes of it, the books balance.
fn change(more: &Dice, number: u32) -> CommandData {
    let quantity = 1 + u32::try_from(more.below(2)).unwrap_or(0);
    let minor = |minor: u64| Amount::new(i64::try_from(minor).unwrap_or(0)).unwrap_or_default();
    let line_id = if more.chance(500) { "1" } else { "2" };
    let added = |line_id: String, minor: u64| Line {
        line_id,
        sku: "cd".into(),
        quantity,
        amount_minor: Amount::new(i64::try_from(minor).unwrap_or(0)).unwrap_or_default(),
        components: Vec::new(),
    };
    let back =
        ReturnLine { line_id: line_id.into(), quantity, amount_minor: None, restock: None, condition: None };
    let reason = || "the shop says so".to_owned();
    match more.below(8) {
        0 => CommandData::Amend(AmendData {
            lines: vec![AmendLine { line_id: line_id.into(), quantity: quantity + 1, amount_minor: None }],
            add_lines: if more.chance(500) { vec![added("3".into(), 5)] } else { Vec::new() },
            delivery: None,
            attributes: BTreeMap::new(),
            note: Some("ring twice".into()),
            payments: Vec::new(),
            reason: reason(),
            expected_version: None,
        }),
        1 => CommandData::Cancel(CancelData {
            reason: reason(),
            lines: vec![CancelLine { line_id: line_id.into(), quantity: 1 }],
            expected_version: None,
        }),
        2 => CommandData::Return(ReturnData {
            lines: vec![back],
            restock: None,
            fee_minor: None,
            reason: reason(),
            expected_version: None,
        }),
        3 => CommandData::Refund(RefundData {
            amount_minor: minor(1 + more.below(3)),
            components: Vec::new(),
            lines: Vec::new(),
            payment_id: None,
            reason: reason(),
            expected_version: None,
        }),
        4 => CommandData::Hold(HoldData {
            name: HOLD.into(),
            reason: reason(),
            until: None,
            expected_version: None,
        }),
        5 => CommandData::Record(RecordData {
            kind: FactKind::Chargeback,
            amount_minor: minor(1 + more.below(3)),
            reference: format!("case-{number}"),
            payment_id: None,
            line_id: None,
            happened_at: None,
            reason: None,
            expected_version: None,
        }),
        6 => CommandData::ReleaseHold(ReleaseHoldData {
            name: HOLD.into(),
            reason: None,
            expected_version: None,
        }),
        _ => CommandData::Exchange(ExchangeData {
            lines: vec![back],
            add_lines: vec![added(format!("e{number}"), 1 + more.below(40))],
            payments: Vec::new(),
            reason: reason(),
            expected_version: None,
        }),
    }
}

fn order(tenant: &str, order: &str) -> Result<OrderRef, IdError> {
    Ok(OrderRef { tenant: TenantId::parse(tenant)?, order: OrderId::parse(order)? })
}

/// The key of command `number` of a source.
pub(crate) fn key(source: &str, number: u32) -> Result<CommandKey, IdError> {
    Ok(CommandKey { source: Source::parse(source)?, id: CommandId::parse(&format!("c{number}"))? })
}

/// A place command that differs by `number`.
pub(crate) fn place(number: u32) -> CommandData {
    let amount = Amount::new(i64::from(number) * 7 + 1).unwrap_or_default();
    let line = |line_id: &str, quantity| Line {
        line_id: line_id.into(),
        sku: "cd".into(),
        quantity,
        amount_minor: amount,
        components: Vec::new(),
    };
    let mut lines = vec![line("1", 1), line("2", 2 + number % 3)];
    if number % 7 == 3 {
        lines[1].sku = HALF_IN_STOCK_SKU.into();
    }
    let mut place = PlaceData::new(format!("customer-{number}"), usd(), lines);
    if number % 5 == 2 {
        let (method, address_ref) = (Some("letter".into()), None);
        let available_from = number.is_multiple_of(2).then_some(TimestampMs(EPOCH_MS + 700));
        place.deliveries.push(DeliveryPart {
            line_ids: vec!["2".into()],
            method,
            address_ref,
            available_from,
        });
    }
    place.payments = payments(amount.minor() * 2, number % 5);
    CommandData::Place(place)
}

/// A total in so many payments, the last of them with what is left; none: nothing is said of it.
fn payments(total_minor: i64, count: u32) -> Vec<Payment> {
    let part_minor = total_minor / i64::from(count.max(1));
    let payment = |number: u32| {
        let before_minor = part_minor * i64::from(number - 1);
        let minor = if number == count { total_minor - before_minor } else { part_minor };
        Payment {
            payment_id: format!("p{number}"),
            token_ref: "tok".into(),
            amount_minor: Amount::new(minor).unwrap_or_default(),
        }
    };
    (1..=count).map(payment).collect()
}

fn usd() -> Currency {
    match Currency::parse("USD") {
        Ok(currency) => currency,
        Err(error) => unreachable!("USD is a currency: {error}"),
    }
}
