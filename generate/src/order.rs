//! What an order says: made from the seed and its number alone, so that nothing must be kept to say it again.

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::money::{Amount, Currency, MoneyError};
use retailflow_engine::wire::command::{Component, ComponentKind, Delivery, Line, Payment, PlaceData};

use super::rng::{Rng, Stream};

/// How many different things are sold.
const CATALOG: u64 = 500;
/// Most lines of an order.
pub(super) const LINES_MAX: u64 = 20;
/// How many different customers there are.
const CUSTOMERS: u64 = 20_000;
/// 2026-01-01T00:00:00Z: when the first order was made.
const FIRST_MS: i64 = 1_767_225_600_000;
/// From one order to the next, on the clock of the orders.
const STEP_MS: u64 = 250;

/// The currencies, with how many minor units make a US cent's worth: no rate of any day, only sensible amounts.
pub(super) const CURRENCIES: [(&str, u64, u64); 4] =
    [("USD", 1, 1), ("EUR", 1, 1), ("JPY", 3, 2), ("KWD", 3, 1)];

/// Currencies and what a cent is worth in each.
pub(super) struct Market([Price; 4]);

#[derive(Clone, Copy)]
struct Price {
    currency: Currency,
    numerator: u64,
    denominator: u64,
}

impl Price {
    /// About so many US cents, in minor units.
    const fn minor(self, cents: u64) -> i64 {
        (cents * self.numerator / self.denominator) as i64
    }
}

impl Market {
    /// # Errors
    /// A currency is no longer in the list of currencies.
    pub(super) fn new() -> Result<Self, MoneyError> {
        let price = |(code, numerator, denominator)| {
            Currency::parse(code).map(|currency| Price { currency, numerator, denominator })
        };
        let [usd, eur, jpy, kwd] = CURRENCIES.map(price);
        Ok(Self([usd?, eur?, jpy?, kwd?]))
    }

    fn draw(&self, rng: &mut Rng) -> Price {
        let [usd, eur, jpy, kwd] = self.0;
        match rng.below(100) {
            0..60 => usd,
            60..85 => eur,
            85..95 => jpy,
            _ => kwd,
        }
    }
}

/// When the order was made, on the clock of the orders.
pub(super) fn made_at(order: u64) -> TimestampMs {
    TimestampMs(FIRST_MS).plus_ms(order.saturating_mul(STEP_MS))
}

/// The order's place command.
///
/// # Errors
/// Never for these prices and quantities: they stay far below the largest amount.
pub(super) fn place(market: &Market, seed: u64, order: u64) -> Result<PlaceData, MoneyError> {
    let rng = &mut Rng::new(seed, order, Stream::Place);
    let price = market.draw(rng);
    let free = rng.chance(5);
    let with_components = rng.chance(200);
    let lines = (1..=line_count(rng))
        .map(|number| line(rng, price, number, free, with_components))
        .collect::<Result<Vec<Line>, MoneyError>>()?;
    let customer = format!("cust-{:05}", rng.below(CUSTOMERS));
    let mut place = PlaceData::new(customer, price.currency, lines);
    if !free && rng.chance(300) {
        place.components.push(part(ComponentKind::Shipping, price.minor(rng.one_of([299, 499, 995])))?);
    }
    if rng.chance(600) {
        let amount_minor = place.total_minor()?;
        let token_ref = format!("tok_{:012x}", rng.below(1 << 48));
        place.payments.push(Payment { payment_id: "p1".into(), token_ref, amount_minor });
    }
    if rng.chance(700) {
        let method = rng.one_of(["standard", "standard", "express", "pickup"]);
        let address = format!("adr_{:06}", rng.below(1_000_000));
        let address_ref = (method != "pickup").then_some(address);
        place.delivery = Some(Delivery { method: method.into(), address_ref });
    }
    if rng.chance(500) {
        let channel = rng.one_of(["web", "web", "app", "store", "marketplace"]);
        place.attributes.insert("channel".into(), channel.into());
        if rng.chance(200) {
            place.attributes.insert("campaign".into(), format!("c{:02}", rng.below(40)));
        }
    }
    if rng.chance(600) {
        place.placed_at = Some(made_at(order));
    }
    Ok(place)
}

/// One to three, mostly.
fn line_count(rng: &mut Rng) -> u64 {
    match rng.below(100) {
        0..45 => 1,
        45..70 => 2,
        70..85 => 3,
        _ => 4 + rng.small(LINES_MAX - 4),
    }
}

fn line(
    rng: &mut Rng,
    price: Price,
    number: u64,
    free: bool,
    with_components: bool,
) -> Result<Line, MoneyError> {
    let item = rng.small(CATALOG - 1);
    let quantity = if rng.chance(970) { 1 + rng.small(4) } else { rng.between(6, 100) };
    // From 0.99 to 399.99, the same for each sale of the item.
    let cents = 99 + 100 * Rng::new(0, item, Stream::Place).small(399);
    let goods = Amount::new(price.minor(cents))?.checked_mul(quantity)?.minor();
    let mut components = Vec::new();
    if with_components {
        components.push(part(ComponentKind::Goods, goods)?);
        let discount = if free { goods } else { goods * rng.one_of([0, 0, 5, 10, 20]) / 100 };
        if discount > 0 {
            components.push(part(ComponentKind::Discount, -discount)?);
        }
        if !free {
            components.push(part(ComponentKind::Tax, (goods - discount) * rng.one_of([7, 10, 19]) / 100)?);
        }
    }
    let amount_minor = match (components.is_empty(), free) {
        (true, true) => Amount::ZERO,
        (true, false) => Amount::new(goods)?,
        (false, _) => Amount::sum(components.iter().map(|part| part.amount_minor))?,
    };
    Ok(Line {
        line_id: number.to_string(),
        sku: format!("sku-{item:03}"),
        quantity: quantity as u32,
        amount_minor,
        components,
    })
}

fn part(kind: ComponentKind, minor: i64) -> Result<Component, MoneyError> {
    Ok(Component { kind, amount_minor: Amount::new(minor)? })
}
