//! A command decided for show: the whole way of a real one (draft, record, public events), on a state that is given away, and
//! the record thrown away at the end.
//!
//! Invariant: nothing here decides anything by itself. What the outcome, the events and the state after it are comes from
//! the code that decides real commands, so that a dry run cannot say otherwise than the real one on the same state.

use super::aggregate::{Aggregate, FoldError, Verdict};
use super::draft::{Draft, Drafted};
use super::owed::sum_of;
use super::payments::PaymentState;
use super::policy::Context;
use super::publish::{Incoming, Published};
use super::view::{amount, public_status};
use super::view_payments::payment_summary;
use super::{Command, Order, OrderStatus};
use crate::codec::CodecError;
use crate::money::{Amount, Currency, MoneyError};
use crate::wire::Code;
use crate::wire::dry_run::{MoneyPreview, Preview};

/// What a command would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRun {
    /// It would be decided so, and this would follow.
    Decided(Verdict, Box<Preview>),
    /// Its id is decided already: this would be said again.
    Replayed(Verdict),
    /// The id may have left memory: look in the log, then come again.
    AskLog,
    /// It would not be recorded.
    Refused(Code, String),
}

/// What `command` would come to on this state, which is used up. `certainly_new`: the log was asked and does not know its id.
///
/// # Errors
/// [`FoldError`], where the state cannot be that of an order.
pub fn dry_run(
    mut base: Aggregate,
    command: &Command,
    context: &Context,
    certainly_new: bool,
) -> Result<DryRun, FoldError> {
    let mut draft = Draft::new(&base);
    match draft.decide(&base, command, context, certainly_new) {
        // A draft that was empty has nothing to join.
        Drafted::Decided(_) | Drafted::Joined(_) => {}
        Drafted::Replayed(verdict) => return Ok(DryRun::Replayed(verdict)),
        Drafted::AskLog => return Ok(DryRun::AskLog),
        Drafted::Refused(code, message) => return Ok(DryRun::Refused(code, message)),
    }
    let sealed = match draft.seal(&base) {
        Ok(sealed) => sealed,
        Err(error @ CodecError::TooLarge { .. }) => {
            return Ok(DryRun::Refused(Code::TooLarge, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(verdict) = sealed.outcomes.first().map(|outcome| outcome.verdict.clone()) else {
        return Err(CodecError::Corrupt("a decision has no outcome".to_owned()).into());
    };
    let before = base.order.clone();
    let published = Incoming::read(&sealed.bytes)?.publish(&mut base)?;
    let events = published.into_iter().map(|Published { event, .. }| event).collect();
    let after = &base.order;
    let Some(placed) = &after.placed else {
        // Nothing is recorded of an order that was never placed.
        return Err(CodecError::Corrupt("a decision on no order".to_owned()).into());
    };
    let preview = Preview {
        order_status: public_status(after.status),
        step: after.saga.shown_step(),
        events,
        money: money(&before, after, placed.currency).map_err(amount)?,
    };
    Ok(DryRun::Decided(verdict, Box::new(preview)))
}

/// What the decision between the two states decides of money.
fn money(before: &Order, after: &Order, currency: Currency) -> Result<MoneyPreview, MoneyError> {
    let payment = payment_summary(after)?;
    let turns_back = after.status == OrderStatus::Canceling && before.status != OrderStatus::Canceling;
    let when_turning_back = |minor: i64| if turns_back { minor } else { 0 };
    // Another means takes the place of one that was declined.
    let paid_after = before.saga.waiting_until.is_some() && after.saga.waiting_until.is_none() && !turns_back;
    let open_minor =
        |order: &Order| sum_of(order.saga.payments.iter().map(PaymentState::not_authorized_minor));
    let waited_for_minor = if paid_after { 0 } else { open_minor(before) };
    let unwanted_minor = |order: &Order| sum_of(order.saga.payments.iter().map(PaymentState::surplus_minor));
    let given_up_minor = unwanted_minor(after).saturating_sub(unwanted_minor(before)).max(0);
    let newly_granted_minor = granted_minor(after).saturating_sub(granted_minor(before));
    Ok(MoneyPreview {
        currency,
        authorize_minor: some(open_minor(after).saturating_sub(waited_for_minor))?,
        void_minor: some(when_turning_back(payment.authorized_minor.minor()).saturating_add(given_up_minor))?,
        refund_minor: some(when_turning_back(after.saga.kept_minor()).saturating_add(newly_granted_minor))?,
        left_to_refund_minor: Amount::new(left_to_refund_minor(after))?,
        payment,
    })
}

fn some(minor: i64) -> Result<Option<Amount>, MoneyError> {
    (minor > 0).then(|| Amount::new(minor)).transpose()
}

/// What returns and refunds were granted so far, in minor units.
fn granted_minor(order: &Order) -> i64 {
    let returns = order.saga.returns.as_deref();
    let by_line = returns.map_or(&[][..], |returns| &returns.by_line);
    let refunds = order.saga.refunds().iter().map(|asked| asked.request.amount_minor);
    by_line.iter().map(|(_, minor)| *minor).chain(refunds).fold(0, i64::saturating_add)
}

/// What was captured and neither paid back nor promised, in minor units. An order that turns back pays back all
/// of it, and leaves nothing to others.
fn left_to_refund_minor(order: &Order) -> i64 {
    if matches!(order.status, OrderStatus::Canceling | OrderStatus::Canceled) {
        return 0;
    }
    order.saga.left_minor()
}
