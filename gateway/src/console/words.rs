//! How states, times and amounts are shown.

use maud::{Markup, html};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_engine::wire::time::format_time;

use super::html::path;

/// The class that gives an attention its color; the word itself always stands there too.
pub(super) const fn tone(attention: Attention) -> &'static str {
    match attention {
        Attention::None => "soft",
        Attention::Held | Attention::Stalled => "warn",
        Attention::Parked => "bad",
    }
}

/// The same for a status.
pub(super) const fn color(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Open | OrderStatus::Canceled => "",
        OrderStatus::Completed => "good",
        OrderStatus::Canceling => "warn",
    }
}

/// The list of a tenant's orders, narrowed by one word.
pub(super) fn status_path(tenant: &str, by: &str, word: &str) -> String {
    path("/console/orders", &[("tenant", tenant), (by, word)])
}

/// The page of one order.
pub(super) fn order_path(tenant: &str, order: &str) -> String {
    format!("/console/orders/{tenant}/{order}")
}

/// The page on which people do something to an order.
pub(super) fn act_path(tenant: &str, order: &str) -> String {
    format!("{}/act", order_path(tenant, order))
}

/// The page on which one order's parking is ended.
pub(super) fn parked_path(tenant: &str, order: &str) -> String {
    format!("/console/parked/{tenant}/{order}")
}

/// A time, to the second, in UTC; the exact one stands in the attribute.
pub(super) fn time(time: TimestampMs) -> Markup {
    let exact = format_time(time);
    let second = exact.split(['.', 'Z']).next().unwrap_or_default().replace('T', " ");
    html! { time datetime=(exact) { (second) "Z" } }
}

/// An amount in major units, with its currency.
pub(super) fn money(amount: Amount, currency: Currency) -> String {
    format!("{} {}", amount.to_major(currency), currency.code())
}

/// A number for people: whole ones without decimals, thousands apart.
pub(super) fn shown(number: f64) -> String {
    if number.fract() != 0.0 || number.abs() >= 1e15 {
        return format!("{number:.2}");
    }
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let all = [0.0, 999.0, 1000.0, 1_234_567.0, -1000.0, 0.5].map(shown);
        assert_eq!(all, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567", "-1\u{202f}000", "0.50"]);
    }
}
