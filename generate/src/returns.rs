//! What comes back of an order.

use retailflow_engine::money::{Amount, MoneyError};
use retailflow_engine::wire::command::{PlaceData, ReturnData, ReturnLine};

use super::rng::{Rng, Stream};

/// Returns that ask for more than there is, of a thousand.
const TOO_MUCH_PERMILLE: u64 = 30;
/// Lines of a return that say how much is paid back, of a thousand.
const AMOUNT_PERMILLE: u64 = 150;

const REASONS: [&str; 4] = ["does not fit", "damaged on arrival", "not as described", "changed my mind"];

/// The returns of an order.
pub(super) struct Returns {
    /// The first one, and whether it asks for more than there is.
    pub(super) first: (ReturnData, bool),
    /// Another one; none where the first one took all, or too much.
    pub(super) second: Option<(ReturnData, bool)>,
}

/// What comes back of `place`, the second time only what the first one left.
///
/// # Errors
/// Never for the amounts of `place`.
pub(super) fn of(place: &PlaceData, seed: u64, order: u64) -> Result<Returns, MoneyError> {
    let rng = &mut Rng::new(seed, order, Stream::Return);
    let mut left: Vec<u32> = place.lines.iter().map(|line| line.quantity).collect();
    let first = one(rng, place, &mut left)?;
    let some_left = left.iter().any(|units| *units > 0);
    let second = if some_left && !first.1 { Some(one(rng, place, &mut left)?) } else { None };
    Ok(Returns { first, second })
}

/// Takes some units of some lines out of what is left; one line at least has some.
fn one(rng: &mut Rng, place: &PlaceData, left: &mut [u32]) -> Result<(ReturnData, bool), MoneyError> {
    let candidates: Vec<usize> = (0..left.len()).filter(|at| left[*at] > 0).collect();
    let sure = rng.below(candidates.len() as u64) as usize;
    let too_much = rng.chance(TOO_MUCH_PERMILLE);
    let mut lines = Vec::new();
    for (n, at) in candidates.iter().copied().enumerate() {
        if n != sure && !rng.chance(300) {
            continue;
        }
        let line = &place.lines[at];
        let mut quantity = rng.between(1, u64::from(left[at])) as u32;
        left[at] -= quantity;
        if too_much && n == sure {
            // One more than there ever was.
            quantity = line.quantity + 1;
        }
        let amount_minor = if rng.chance(AMOUNT_PERMILLE) {
            Some(share(line.amount_minor, quantity, line.quantity)?)
        } else {
            None
        };
        lines.push(ReturnLine { amount_minor, ..ReturnLine::new(line.line_id.clone(), quantity) });
    }
    let reason = rng.one_of(REASONS).to_owned();
    Ok((ReturnData { lines, reason, restock: None, fee_minor: None, expected_version: None }, too_much))
}

/// What so many of a line's units cost, rounded down.
fn share(amount: Amount, units: u32, of: u32) -> Result<Amount, MoneyError> {
    let units = u64::from(units.min(of));
    Amount::new(amount.checked_mul(units)?.minor() / i64::from(of.max(1)))
}
