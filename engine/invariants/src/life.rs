//! An order's life, event by event, in about a hundred bytes: is each step legal, and do goods and money agree with it?
//!
//! Written a second time, apart from `order::evolve`, on purpose: what both get wrong in the same way is less likely.

mod amended;

use super::holds::Holds;
use super::money::{Money, PaymentSide};
use super::violation::InvariantId;
use retailflow_engine::codec::v1::{
    AttentionV1, BeginsWithV1, CaptureAtV1, EventV1, ShortLinesV1, StatusV1, StepOutcomeV1, StepV1,
};
use retailflow_engine::order::Part;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::Step;

/// What an order did to goods and money, as its own log has it. The participants' books must say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects {
    /// Captured, in minor units.
    pub captured_minor: i64,
    /// Paid back, in minor units.
    pub refunded_minor: i64,
    /// Authorized and neither captured nor given up, in minor units.
    pub authorized_minor: i64,
    /// In stock set aside for it, or gone with it, in units.
    pub reserved_units: u32,
    /// In its shipments, in units.
    pub booked_units: u32,
    /// Back in stock after returns, in units.
    pub restocked_units: u32,
    /// Its payment was ever asked for.
    pub payment_asked: bool,
    /// Steps of its cancellation that were done: shipments canceled, payments voided or refunded, stock released.
    pub compensations: u16,
}

/// What a shop set for an order, or did beside its way.
#[derive(Debug, Default)]
struct Shop {
    /// Holds that stand.
    holds: Holds,
    /// Returned units that are not restocked.
    kept_out_units: u32,
    /// Its payment is authorized before its stock is set aside.
    authorize_first: bool,
    /// When it is captured.
    capture: CaptureAtV1,
    /// Its goods may go in parts.
    in_parts: bool,
    /// Goods are exchanged: it was completed, and is open again.
    exchanges: bool,
    /// It is to be judged before anything is captured or booked.
    review: bool,
    /// It was judged as it is.
    reviewed: bool,
}

/// What is remembered of an order's life.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) effects: Effects,
    pub(super) currency: [u8; 3],
    total_minor: i64,
    asked_minor: i64,
    units: u32,
    asked_units: u32,
    returned_units: u32,
    instance: u32,
    generation: u32,
    active: Option<StepV1>,
    last: Option<StepV1>,
    /// The last step that ended is settled as not done: it may be asked for anew. An operator's word does not settle it.
    not_done: bool,
    /// Several payments, and what is owed.
    money: Option<Box<Money>>,
    /// What a shop set or did beside. Most orders have none.
    shop: Option<Box<Shop>>,
    /// Which payment the step that was asked for last is of, from 0.
    payment: u16,
    pub(super) status: Option<StatusV1>,
    pub(super) attention: Attention,
    /// Steps that their participants said are done, by role: so many entries their books must have.
    pub(super) done: [u16; Role::ALL.len()],
}

fn sum(quantities: impl Iterator<Item = u64>) -> u64 {
    quantities.fold(0, u64::saturating_add)
}

/// Who performs a step. Both kinds of steps have the same numbers.
pub(super) const fn role_of(step: StepV1) -> Role {
    Role::of(Step::ALL[step as usize])
}

const fn is_forward(step: StepV1) -> bool {
    matches!(step, StepV1::Reserve | StepV1::Authorize | StepV1::Book | StepV1::Capture | StepV1::Review)
}

/// [`AttentionV1`], with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attention(pub(super) AttentionV1);

impl Default for Attention {
    fn default() -> Self {
        Self(AttentionV1::None)
    }
}

impl Life {
    /// Does someone have to come back to it by itself?
    pub(super) fn waits(&self) -> bool {
        self.active.is_some() || matches!(self.status, Some(StatusV1::Open | StatusV1::Canceling))
    }

    /// What each of several payments took and gave back; empty of one.
    pub(super) fn payments(&self) -> Vec<PaymentSide> {
        self.money.as_ref().map(|money| money.sides()).unwrap_or_default()
    }

    /// The step that is asked for now: its participant may have done it already.
    pub(super) fn running(&self) -> Option<StepV1> {
        self.active
    }

    /// Takes the next event in and tells what is wrong with it.
    pub(super) fn event(&mut self, event: &EventV1, wrong: &mut impl FnMut(InvariantId, String)) {
        match event {
            EventV1::Placed(placed) => {
                self.status = Some(StatusV1::Open);
                self.currency = placed.currency;
                self.total_minor = placed.total_minor;
                let units = sum(placed.lines.iter().map(|line| line.quantity));
                self.units = u32::try_from(units).unwrap_or(u32::MAX);
                self.money = Money::of(&placed.payments);
                if placed.deliveries.iter().any(|delivery| !delivery.line_ids.is_empty()) {
                    self.shop.get_or_insert_default().in_parts = true;
                }
            }
            EventV1::StepStarted { step, instance, generation, part, amount_minor, lines, .. } => {
                let units = sum(lines.iter().map(|line| line.quantity));
                let units = if lines.is_empty() { u64::from(self.units) } else { units };
                self.asked_minor = amount_minor.unwrap_or(0);
                self.asked_units = u32::try_from(units).unwrap_or(u32::MAX);
                self.started(*step, (*instance, *generation), Part::read(part.as_deref()), wrong);
            }
            EventV1::StepEnded { step, instance, generation, part, outcome } => {
                if self.active != Some(*step) || (self.instance, self.generation) != (*instance, *generation)
                {
                    let text = format!("{step:?} {instance}.{generation} ended and was not asked for");
                    wrong(InvariantId::Transitions, text);
                }
                self.ended(*step, Part::read(part.as_deref()), outcome, wrong);
            }
            EventV1::ReturnRequested { return_id, lines, .. } => {
                let minor = lines.iter().filter_map(|line| line.amount_minor);
                self.owe(return_id, minor.fold(0, i64::saturating_add), wrong);
                let units = sum(lines.iter().map(|line| line.quantity));
                self.returned_units =
                    self.returned_units.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
                if self.status != Some(StatusV1::Completed) || self.returned_units > self.units {
                    let text = format!("{} of {} units returned", self.returned_units, self.units);
                    wrong(InvariantId::Goods, text);
                }
            }
            EventV1::RefundRequested { refund_id, amount_minor, lines, components, .. } => {
                let parts = lines.iter().map(|(_, minor)| *minor);
                let parts = parts.chain(components.iter().map(|part| part.amount_minor));
                let sum = parts.fold(0, i64::saturating_add);
                if !(lines.is_empty() && components.is_empty()) && sum != *amount_minor {
                    wrong(InvariantId::Amounts, format!("{refund_id} is {amount_minor}, its parts {sum}"));
                }
                self.owe(refund_id, *amount_minor, wrong);
            }
            EventV1::PaymentAwaited { payment, .. } => {
                let money = self.money.get_or_insert_default();
                money.declined(usize::try_from(*payment).unwrap_or(usize::MAX));
            }
            EventV1::PaymentsAdded { payments, .. } => {
                let effects = self.effects;
                let stands = (effects.authorized_minor, effects.captured_minor, effects.refunded_minor);
                self.money.get_or_insert_default().add(payments, stands, self.total_minor, wrong);
            }
            EventV1::Amended(amended) => self.amended(amended, wrong),
            EventV1::PaymentSplit { payment, planned_minor, rest } => {
                let number = usize::try_from(*payment).unwrap_or(usize::MAX);
                self.split_payment(number, *planned_minor, rest.amount_minor, wrong);
            }
            EventV1::StatusChanged { status, .. } => self.changed(*status, wrong),
            EventV1::ShipmentMoved { state, .. } => {
                if self.effects.booked_units == 0 {
                    wrong(InvariantId::Transitions, format!("a shipment is {state:?}, and none is booked"));
                }
            }
            EventV1::GoodsAwaited { .. } | EventV1::DeliveryAwaited { .. } => {
                if self.active.is_some() || self.last.is_some() {
                    wrong(InvariantId::Transitions, "goods are awaited of an order on its way".into());
                }
            }
            EventV1::StillPending { step, instance, generation, .. } => {
                let asked = (self.active, self.instance, self.generation);
                if asked != (Some(*step), *instance, *generation)
                    || self.status == Some(StatusV1::Canceling) && is_forward(*step)
                {
                    wrong(
                        InvariantId::Transitions,
                        format!("{step:?} is pending still, and is not waited for"),
                    );
                }
            }
            EventV1::FlowSet(flow) => {
                let shop = self.shop.get_or_insert_default();
                shop.authorize_first = flow.begins_with == BeginsWithV1::Authorize;
                shop.capture = flow.capture;
                shop.in_parts |= flow.short_lines == ShortLinesV1::ShipRest;
                shop.review = flow.review;
                if self.active.is_some() || self.last.is_some() {
                    wrong(InvariantId::Transitions, format!("flow {} of an order on its way", flow.version));
                }
            }
            EventV1::AttentionChanged { attention, .. } => self.attention = Attention(*attention),
            EventV1::HoldPlaced { name, .. } => {
                let open = self.status == Some(StatusV1::Open);
                self.shop.get_or_insert_default().holds.put(name, open, wrong);
            }
            EventV1::HoldReleased { name, .. } => {
                self.shop.get_or_insert_default().holds.named(name, true, wrong);
            }
            EventV1::HoldOverdue { name, .. } => {
                self.shop.get_or_insert_default().holds.named(name, false, wrong);
            }
            EventV1::ReturnTermsSet(terms) => {
                let units = sum(terms.lines.iter().filter(|line| !line.restock).map(|line| line.quantity));
                let shop = self.shop.get_or_insert_default();
                shop.kept_out_units =
                    shop.kept_out_units.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
                if terms.fee_minor < 0 {
                    wrong(InvariantId::Money, format!("a fee of {}", terms.fee_minor));
                }
            }
            EventV1::FactRecorded(fact) => {
                let effects = self.effects;
                self.money.get_or_insert_default().fact(fact, effects.captured_minor, wrong);
            }
            EventV1::CancelRequested { .. }
            | EventV1::Refunded { .. }
            | EventV1::LinesShort { .. }
            | EventV1::Archived { .. }
            | EventV1::Restored
            | EventV1::PersonErased { .. }
            | EventV1::ReturnRulesSet { .. }
            | EventV1::SettleRequested { .. }
            | EventV1::Contradicted { .. }
            | EventV1::ContradictionSeen
            | EventV1::ReturnSplit { .. }
            | EventV1::PaymentRulesSet { .. }
            | EventV1::Related(_)
            | EventV1::Noted { .. } => {}
        }
    }

    /// Is the order to wait? Only the way back does not.
    fn is_on_hold(&self) -> bool {
        self.status == Some(StatusV1::Open) && self.shop.as_ref().is_some_and(|shop| shop.holds.stand())
    }

    /// Captured, and neither paid back nor taken back by a bank: of one payment, or of all.
    fn kept(&self, payment: Option<usize>) -> i64 {
        let Effects { captured_minor: captured, refunded_minor: refunded, .. } = self.effects;
        match (&self.money, payment) {
            (None, _) => captured.saturating_sub(refunded),
            (Some(money), Some(number)) => money.kept_of(number, captured, refunded),
            (Some(money), None) => money.kept(captured, refunded),
        }
    }

    /// So much is to be paid back, for a return or without goods.
    fn owe(&mut self, id: &str, minor: i64, wrong: &mut impl FnMut(InvariantId, String)) {
        let effects = self.effects;
        let money = self.money.get_or_insert_default();
        let left = money.left(effects.captured_minor, effects.refunded_minor);
        money.owe(id, minor, left, wrong);
    }

    fn started(
        &mut self,
        step: StepV1,
        asking: (u32, u32),
        part: Part<'_>,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        let again = self.active == Some(step) && asking == (self.instance, self.generation);
        if self.active.is_some() && !again {
            let text = format!("{step:?} was begun while {:?} was not over", self.active);
            wrong(InvariantId::Transitions, text);
        }
        if !again && self.is_on_hold() {
            wrong(InvariantId::Transitions, format!("{step:?} was begun while a hold stands"));
        }
        let amended = self.money.as_ref().is_some_and(|money| money.peak().is_some());
        let continues = self.last == Some(step) && asking.0 == self.instance && self.not_done;
        let legal = match (step, self.status) {
            // Of an order that was changed, what is not wanted any more is given up on the way forward.
            (StepV1::Void | StepV1::Release, Some(StatusV1::Open)) => amended || again,
            (
                StepV1::Reserve | StepV1::Authorize | StepV1::Review | StepV1::Book | StepV1::Capture,
                Some(status),
            ) => status == StatusV1::Open || again,
            (StepV1::CancelShipment | StepV1::Void | StepV1::Release, status) => {
                status == Some(StatusV1::Canceling)
            }
            // Of an open order what is owed is paid back; of a canceled one, all.
            (StepV1::Refund, status) => {
                status == Some(StatusV1::Canceling) || (status.is_some() && part.owed.is_some())
            }
            // What was asked for before an order was opened again goes on.
            (StepV1::Restock, status) => status == Some(StatusV1::Completed) || again || continues,
            (_, None) => false,
        };
        let expected = if again {
            self.generation
        } else if continues {
            self.generation.saturating_add(1)
        } else {
            1
        };
        if !legal || asking.1 != expected {
            let status = self.status;
            wrong(InvariantId::Transitions, format!("{step:?} {asking:?} was begun in {status:?}"));
        }
        if step == StepV1::Refund && !again {
            let left = self.kept(Some(part.payment));
            if self.asked_minor > left {
                let text = format!("a refund of {}, and {left} is left of its payment", self.asked_minor);
                wrong(InvariantId::Money, text);
            }
        }
        let of_payment = self.money.as_ref().and_then(|money| money.authorized(part.payment));
        let authorized_minor = of_payment.unwrap_or(self.effects.authorized_minor);
        if step == StepV1::Capture && authorized_minor < self.asked_minor {
            wrong(InvariantId::Money, "a capture of more than is authorized".into());
        }
        if step == StepV1::Authorize && !continues && !again {
            // The one before, if there is one, is over.
            let over = self.money.as_mut().and_then(|money| money.over(part.payment));
            let over = over.unwrap_or(self.effects.authorized_minor);
            self.effects.authorized_minor = self.effects.authorized_minor.saturating_sub(over);
        }
        // What was begun before the order was changed goes on.
        if let Some(lacks) = self.lacks(step).filter(|_| !again && !continues) {
            wrong(InvariantId::Transitions, format!("{step:?} was begun, and {lacks}: {:?}", self.effects));
        }
        self.effects.payment_asked |= step == StepV1::Authorize;
        self.active = Some(step);
        self.payment = u16::try_from(part.payment).unwrap_or(u16::MAX);
        (self.instance, self.generation) = asking;
    }

    fn ended(
        &mut self,
        step: StepV1,
        part: Part<'_>,
        outcome: &StepOutcomeV1,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        if part.payment != usize::from(self.payment) {
            let text = format!(
                "{step:?} of payment {} ended, of payment {} it was asked for",
                part.payment, self.payment
            );
            wrong(InvariantId::Transitions, text);
        }
        let done = match outcome {
            StepOutcomeV1::Pending { .. } | StepOutcomeV1::Unknown { .. } => return,
            StepOutcomeV1::Done { amount_minor, .. } => {
                Some(amount_minor.map_or(self.asked_minor, |minor| minor.clamp(0, self.asked_minor.max(0))))
            }
            StepOutcomeV1::Settled { done: true, .. } | StepOutcomeV1::Resolved { done: true, .. } => {
                Some(self.asked_minor)
            }
            _ => None,
        };
        self.active = None;
        self.last = Some(step);
        self.not_done = matches!(
            outcome,
            StepOutcomeV1::Failed { .. }
                | StepOutcomeV1::Settled { done: false, .. }
                | StepOutcomeV1::NotDone { .. }
        );
        let Some(minor) = done else { return };
        // What an operator resolved stands in nobody else's books, nor does what people judged.
        if !matches!(outcome, StepOutcomeV1::Resolved { .. }) && step != StepV1::Review {
            let done = &mut self.done[role_of(step) as usize];
            *done = done.saturating_add(1);
        }
        let units = self.done_units(step, outcome, wrong);
        if step == StepV1::Book && units < self.asked_units {
            self.shop.get_or_insert_default().in_parts = true;
        }
        let (units_max, total_max) = self.peak();
        let canceling = self.status == Some(StatusV1::Canceling);
        let effects = &mut self.effects;
        if canceling {
            effects.compensations = effects.compensations.saturating_add(1);
        }
        match step {
            StepV1::Reserve => effects.reserved_units = effects.reserved_units.saturating_add(units),
            StepV1::Release => effects.reserved_units = effects.reserved_units.saturating_sub(units),
            StepV1::Restock => effects.restocked_units = effects.restocked_units.saturating_add(units),
            StepV1::Book => effects.booked_units = effects.booked_units.saturating_add(units),
            StepV1::CancelShipment => effects.booked_units = effects.booked_units.saturating_sub(units),
            StepV1::Authorize => effects.authorized_minor = effects.authorized_minor.saturating_add(minor),
            StepV1::Void => effects.authorized_minor = effects.authorized_minor.saturating_sub(minor),
            StepV1::Capture => {
                effects.authorized_minor = effects.authorized_minor.saturating_sub(minor);
                effects.captured_minor = effects.captured_minor.saturating_add(minor);
                if let Some(money) = self.money.as_mut().filter(|money| money.peak().is_some()) {
                    // Who captures less than is authorized gives the rest up with it.
                    let rest = money.rest(part.payment, minor).unwrap_or(effects.authorized_minor);
                    effects.authorized_minor = effects.authorized_minor.saturating_sub(rest);
                }
            }
            StepV1::Refund => effects.refunded_minor = effects.refunded_minor.saturating_add(minor),
            StepV1::Review => self.shop.get_or_insert_default().reviewed = true,
        }
        if let Some(money) = &mut self.money {
            money.done(step, part.payment, minor, wrong);
            if let (StepV1::Capture, StepOutcomeV1::Done { reference, .. }) = (step, outcome) {
                money.called(part.payment, reference);
            }
            if step == StepV1::Refund
                && let Some(owed) = part.owed
            {
                money.paid(owed, minor, wrong);
            }
        }
        let kept_out_units = self.shop.as_ref().map_or(0, |shop| shop.kept_out_units);
        if effects.reserved_units > units_max
            || effects.booked_units > units_max
            || effects.restocked_units > self.returned_units.saturating_sub(kept_out_units)
        {
            wrong(InvariantId::Goods, format!("{effects:?} of an order of {units_max} units"));
        }
        // What is not wanted any more stands until its payment is captured, and further ones beside it: each has its own bound.
        let amended = self.money.as_ref().is_some_and(|money| money.peak().is_some());
        let authorized_max = if amended { i64::MAX } else { total_max };
        let sound = (0..=total_max).contains(&effects.captured_minor)
            && (0..=effects.captured_minor).contains(&effects.refunded_minor)
            && (0..=authorized_max).contains(&effects.authorized_minor);
        if !sound {
            wrong(InvariantId::Money, format!("{effects:?} of an order of {total_max}"));
        }
    }

    fn changed(&mut self, status: StatusV1, wrong: &mut impl FnMut(InvariantId, String)) {
        let legal = matches!(
            (self.status, status),
            (Some(StatusV1::Open), StatusV1::Completed | StatusV1::Canceling)
                | (Some(StatusV1::Canceling), StatusV1::Canceled | StatusV1::Open)
        ) || (self.status, status) == (Some(StatusV1::Completed), StatusV1::Open)
            && self.is_exchanged();
        if !legal {
            wrong(InvariantId::Transitions, format!("{status:?} after {:?}", self.status));
        }
        if status == StatusV1::Completed && self.is_on_hold() {
            wrong(InvariantId::Transitions, "completed while a hold stands".into());
        }
        if status == StatusV1::Canceled
            && let Some(shop) = &mut self.shop
        {
            shop.holds = Holds::default();
        }
        let effects = &self.effects;
        let ended = matches!(status, StatusV1::Completed | StatusV1::Canceled);
        if ended && self.active.is_some() {
            wrong(InvariantId::Transitions, format!("{status:?} while {:?} is not over", self.active));
        }
        let (goods, money) = match status {
            StatusV1::Completed => (
                effects.reserved_units == self.units && effects.booked_units == self.units,
                effects.captured_minor == self.total_minor.saturating_sub(self.settled()),
            ),
            StatusV1::Canceled => (
                effects.reserved_units == 0 && effects.booked_units == 0,
                self.kept(None) == 0 && effects.authorized_minor == 0,
            ),
            StatusV1::Open | StatusV1::Canceling => (true, true),
        };
        if !goods {
            wrong(InvariantId::Goods, format!("{status:?} with {effects:?} of {} units", self.units));
        }
        if !money {
            wrong(InvariantId::Money, format!("{status:?} with {effects:?} of {}", self.total_minor));
        }
        self.status = Some(status);
    }
}
