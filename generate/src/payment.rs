//! What becomes of an order's payment: most are taken at once; some are declined, some reviewed, and of those some reported to have been
//! declined. The simulated payments know what to do by the token.

use retailflow_books::reference;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::idempotency_key;
use retailflow_engine::money::{Amount, MoneyError};
use retailflow_engine::wire::command::{Payment, PlaceData, ReportData, ReportOutcome, Step};

use super::rng::{Rng, Stream};
use super::shares::Shares;

/// An order's steps are counted from one, and so are their tries.
const FIRST: u32 = 1;

/// What the simulated payments do with an order's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaymentFate {
    Taken,
    Declined,
    /// Kept waiting; whether somebody reports later that it was declined.
    Reviewed {
        reported: bool,
    },
}

/// What becomes of this order's payment. Draws of its own: without these shares, every order is what it was.
pub(super) fn fate(seed: u64, order: u64, shares: Shares) -> PaymentFate {
    let rng = &mut Rng::new(seed, order, Stream::Payment);
    let drawn = rng.below(1000);
    if drawn < shares.decline_permille {
        PaymentFate::Declined
    } else if drawn < shares.decline_permille + shares.review_permille {
        PaymentFate::Reviewed { reported: rng.chance(shares.report_permille) }
    } else {
        PaymentFate::Taken
    }
}

/// Gives the order the token that leads to its fate. A free order has no payment, and so no fate of one.
///
/// # Errors
/// Never for the amounts of an order that was made up.
pub(super) fn apply(fate: PaymentFate, place: &mut PlaceData) -> Result<(), MoneyError> {
    let token = match fate {
        PaymentFate::Taken => return Ok(()),
        PaymentFate::Declined => "tok_declined",
        PaymentFate::Reviewed { .. } => "tok_review",
    };
    let amount_minor = place.total_minor()?;
    if amount_minor != Amount::ZERO {
        place.payments = vec![Payment { payment_id: "p1".into(), token_ref: token.into(), amount_minor }];
    }
    Ok(())
}

/// The report that a review ended badly. The simulated payments name a review by the key of its first try, so that the reference is known
/// before it is given.
pub(super) fn report(order: &OrderRef) -> ReportData {
    let key = idempotency_key(order, Step::Authorize.as_str(), None, FIRST, FIRST);
    ReportData {
        step: Step::Authorize,
        reference: reference(Step::Authorize, &key).to_string(),
        outcome: ReportOutcome::Declined,
        reason: Some("the review found that the card was stolen".into()),
        amount_minor: None,
        lines: Vec::new(),
        until: None,
        shipment: None,
        expected_version: None,
    }
}
