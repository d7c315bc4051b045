//! What was paid back, as far as a command can say it: units that came back are a `return`; a refund without them is told, and left out.

use retailflow_engine::money::{Amount, Currency, MoneyError};
use retailflow_engine::wire::command::{Line, ReturnData, ReturnLine};

use crate::totals::RawLine;

/// Why units came back, where a file says only that they did.
const REASON: &str = "returned in the shop that this order was imported from";

/// What becomes of what was paid back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refund {
    /// Units that came back, with what is paid for them.
    pub(super) data: Option<ReturnData>,
    /// What no command says.
    pub(super) left_out: Option<Amount>,
}

/// Finds it from the units that came back and from what the file says was paid.
///
/// # Errors
/// A sum is too large.
pub(super) fn of(raw: &[RawLine], lines: &[Line], refunded: Option<Amount>) -> Result<Refund, MoneyError> {
    let mut back = Vec::new();
    let mut sum = Amount::ZERO;
    for (line, raw) in lines.iter().zip(raw).filter(|(_, raw)| raw.returned > 0) {
        let share = share(line.amount_minor, raw.returned, line.quantity)?;
        sum = sum.checked_add(share)?;
        back.push((line, raw.returned, share));
    }
    let paid = refunded.unwrap_or(sum);
    if back.is_empty() {
        return Ok(Refund { data: None, left_out: Some(paid).filter(|paid| *paid != Amount::ZERO) });
    }
    let mut left_out = None;
    if paid < sum {
        match back.as_mut_slice() {
            // Less was paid back for it, a fee was kept.
            [(_, _, share)] => *share = paid,
            // For which of them less was paid back, nothing says.
            _ => return Ok(Refund { data: None, left_out: Some(paid) }),
        }
    } else if paid > sum {
        left_out = Some(paid.checked_sub(sum)?);
    }
    let lines = back.into_iter().map(|(line, quantity, share)| ReturnLine {
        line_id: line.line_id.clone(),
        quantity,
        amount_minor: Some(share),
        restock: None,
        condition: None,
    });
    let data = ReturnData {
        lines: lines.collect(),
        reason: REASON.to_owned(),
        restock: None,
        fee_minor: None,
        expected_version: None,
    };
    Ok(Refund { data: Some(data), left_out })
}

/// What so many of a line's units cost, to the nearest minor unit, and to the even one of two.
fn share(amount: Amount, units: u32, of: u32) -> Result<Amount, MoneyError> {
    let (of, product) = (i128::from(of.max(1)), i128::from(amount.minor()) * i128::from(units.min(of)));
    let (whole, rest) = (product / of, product % of);
    let up = rest * 2 > of || (rest * 2 == of && whole % 2 != 0);
    Amount::new(i64::try_from(whole + i128::from(up)).map_err(|_| MoneyError::Overflow)?)
}

/// How a refund that is left out is told.
pub(super) fn told(amount: Amount, currency: Currency) -> String {
    format!(
        "its refund of {} {currency} is left out: the file does not say which units came back for it; enter it by hand",
        amount.to_major(currency)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refund(returned: &[u32], refunded: Option<i64>) -> (Vec<(u32, i64)>, Option<i64>) {
        let minor = |minor| Amount::new(minor).unwrap();
        let raw: Vec<RawLine> = returned
            .iter()
            .map(|returned| RawLine {
                sku: "a".into(),
                quantity: 3,
                goods: minor(1000),
                discount: Amount::ZERO,
                tax: Amount::ZERO,
                returned: *returned,
            })
            .collect();
        let lines: Vec<Line> = raw
            .iter()
            .map(|raw| Line {
                line_id: "1".into(),
                sku: raw.sku.clone(),
                quantity: raw.quantity,
                amount_minor: raw.goods,
                components: Vec::new(),
            })
            .collect();
        let found = of(&raw, &lines, refunded.map(minor)).unwrap();
        let back = found.data.into_iter().flat_map(|data| data.lines);
        let back = back.map(|line| (line.quantity, line.amount_minor.unwrap().minor())).collect();
        (back, found.left_out.map(Amount::minor))
    }

    #[test]
    fn what_no_line_says_is_left_out_with_its_amount() {
        assert_eq!(refund(&[0], None), (vec![], None));
        assert_eq!(refund(&[0, 0], Some(500)), (vec![], Some(500)));
        assert_eq!(refund(&[1], None), (vec![(1, 333)], None));
        assert_eq!(refund(&[1, 2], Some(1000)), (vec![(1, 333), (2, 667)], None));
        assert_eq!(refund(&[1], Some(300)), (vec![(1, 300)], None), "a fee was kept");
        assert_eq!(refund(&[3], Some(1500)), (vec![(3, 1000)], Some(500)), "shipping, perhaps");
        assert_eq!(refund(&[1, 1], Some(600)), (vec![], Some(600)));
        assert_eq!(refund(&[1], Some(0)), (vec![(1, 0)], None), "came back, and nothing was paid");
    }
}
