//! Returns: which units come back, and what is paid for them.
//!
//! The refund of a line's units is cumulative: the line's amount × returned after ÷ ordered, rounded half to even, less
//! what was granted before. However a line comes back in parts, the parts add up to its amount. No more is ever paid
//! back than was captured: where a discount on the order lowers its total below its lines, the last units get less.

use std::sync::Arc;

use super::super::event::Event;
use super::super::saga::{Return, ReturnedLine};
use super::super::{Order, OrderStatus};
use super::decision::{Denial, plainly, refused, rejected};
use crate::wire::Code;
use crate::wire::command::ReturnData;

/// Returns of one order that are not through, at most.
const OPEN_MAX: usize = 64;

pub(super) fn ask(order: &Order, data: &ReturnData) -> Result<Vec<Event>, Denial> {
    let (OrderStatus::Completed, Some(placed)) = (order.status, &order.placed) else {
        return Err(plainly(Code::NothingToReturn));
    };
    let returns = order.saga.returns.as_deref();
    if returns.is_some_and(|returns| returns.open.len() >= OPEN_MAX) {
        return Err(refused(Code::Overloaded, "too many returns of this order are not through yet"));
    }
    let granted_before: i64 = returns
        .map_or(0, |returns| returns.by_line.iter().fold(0, |sum, (_, minor)| sum.saturating_add(*minor)));
    let mut left_minor = order.saga.totals.captured_minor.saturating_sub(granted_before).max(0);
    let mut lines = Vec::with_capacity(data.lines.len());
    for part in &data.lines {
        let found = placed.lines.iter().enumerate().find(|(_, line)| *line.line_id == *part.line_id);
        let Some((at, line)) = found else {
            return Err(rejected(Code::UnknownLine, format!("there is no line {:?}", part.line_id)));
        };
        let (returned, granted) =
            returns.and_then(|returns| returns.by_line.get(at)).copied().unwrap_or_default();
        let (ordered, quantity) = (u64::from(line.quantity), u64::from(part.quantity));
        let after = returned.saturating_add(quantity);
        if after > ordered {
            let left = ordered.saturating_sub(returned);
            let text = format!("line {:?} has {left} units left, {quantity} would come back", part.line_id);
            return Err(rejected(Code::OverReturn, text));
        }
        let amount_minor = match part.amount_minor {
            Some(asked) => {
                let most = line.amount_minor.saturating_sub(granted).min(left_minor).max(0);
                if asked.minor() > most {
                    let text =
                        format!("line {:?} has {most} left to pay back, {asked} is asked for", part.line_id);
                    return Err(rejected(Code::OverRefund, text));
                }
                asked.minor()
            }
            None => share(line.amount_minor, after, ordered).saturating_sub(granted).clamp(0, left_minor),
        };
        left_minor -= amount_minor;
        lines.push(ReturnedLine { line_id: line.line_id.as_ref().into(), quantity, amount_minor });
    }
    let number = returns.map_or(0, |returns| returns.count).saturating_add(1);
    Ok(vec![Event::ReturnRequested(Return {
        return_id: format!("r{number}").into(),
        lines: Arc::from(lines),
        reason: data.reason.as_str().into(),
    })])
}

/// `amount × part ÷ whole`, rounded half to even.
fn share(amount_minor: i64, part: u64, whole: u64) -> i64 {
    let whole = i128::from(whole.max(1));
    let product = i128::from(amount_minor) * i128::from(part);
    let (quotient, rest) = (product.div_euclid(whole), product.rem_euclid(whole));
    let up = match (2 * rest).cmp(&whole) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(quotient + i128::from(up)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_rounded_half_to_even() {
        assert_eq!([1, 2, 3, 4].map(|part| share(10, part, 4)), [2, 5, 8, 10]);
        assert_eq!([1, 2, 3].map(|part| share(1000, part, 3)), [333, 667, 1000]);
        assert_eq!(share((1 << 53) - 1, 999_999, 1_000_000), 9_007_190_247_541_736);
        assert_eq!(share(0, 1, 2), 0);
    }
}
