//! What happened to an order, in the domain's words.

use std::sync::Arc;

use super::amended::Amended;
use super::beside::Fact;
use super::beside::Hold;
use super::beside::ReturnTerms;
use super::owed::{Refund, Return, Split};
use super::placed::{Payment, Placed};
use super::saga::Word;
use super::status::OrderStatus;
use super::step::{StepAt, StepOutcome, StepStarted};
use crate::ids::TimestampMs;
use crate::wire::command::Relation;
use crate::wire::command::ShipmentState;
use crate::wire::flow_rules::FlowRules;
use crate::wire::order::Attention;
use crate::wire::payment_rules::PaymentRules;
use crate::wire::return_rules::ReturnRules;

/// Something that happened. Append-only in its stored form (`codec::v1::EventV1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The order came to be.
    Placed(Arc<Placed>),
    /// A step is asked for from now on.
    StepStarted(StepStarted),
    /// A step ended, or its participant took it on.
    StepEnded {
        /// Which asking.
        at: StepAt,
        /// How.
        outcome: StepOutcome,
    },
    /// Someone wants the order canceled.
    CancelRequested {
        /// Why.
        reason: Arc<str>,
    },
    /// Units come back.
    ReturnRequested(Return),
    /// A return or a refund without goods was paid back, or a part of it.
    Refunded {
        /// Which payment.
        payment_id: Arc<str>,
        /// For which return or refund; `None` when the order was canceled.
        owed_id: Option<Arc<str>>,
        /// How much, in minor units.
        amount_minor: i64,
    },
    /// The order stands otherwise as a whole.
    StatusChanged {
        /// How.
        status: OrderStatus,
        /// Why, where it is not the good end.
        reason: Option<Arc<str>>,
    },
    /// Whether someone should look has changed.
    AttentionChanged {
        /// What it is now.
        attention: Attention,
        /// Why.
        reason: Arc<str>,
    },
    /// The order went into the archive.
    Archived {
        /// Where to.
        location: Arc<str>,
    },
    /// The order came back from the archive.
    Restored,
    /// By which rules shipping, tax and fees of the order come back with returns. An order of which nothing is said keeps
    /// them: [`ReturnRules::NEVER`].
    ReturnRulesSet(ReturnRules),
    /// Somebody says that the step was not done. Its key is settled before anything else is asked for.
    SettleRequested {
        /// Which asking.
        at: StepAt,
        /// Who says so.
        word: Word,
    },
    /// Both sides say different things of an asking: what was settled as not done was done after all, say.
    Contradicted {
        /// Which asking.
        at: StepAt,
        /// What its participant calls what was done, if that is what it says.
        reference: Option<Arc<str>>,
        /// What each side says, for people.
        reason: Arc<str>,
    },
    /// An operator has looked at what was contradicted.
    ContradictionSeen,
    /// Why the giver of the command gave it, where no other event of the decision says so.
    Noted {
        /// Why.
        reason: Arc<str>,
    },
    /// Money is to be paid back without goods.
    RefundRequested(Refund),
    /// What of the order a return pays back, where that is not of its lines alone.
    ReturnSplit {
        /// Which return.
        return_id: Arc<str>,
        /// Of what.
        split: Arc<Split>,
    },
    /// By which rules the order's payments are paid back, and what a declined one does. Where nothing is said:
    /// [`PaymentRules::DEFAULT`].
    PaymentRulesSet(PaymentRules),
    /// A payment was declined, and the order waits for another means.
    PaymentAwaited {
        /// Which payment, from 0.
        payment: usize,
        /// Until when.
        until: TimestampMs,
    },
    /// Further payments take the place of declined ones.
    PaymentsAdded {
        /// Which.
        payments: Arc<[Payment]>,
        /// Why, where that was said.
        reason: Option<Arc<str>>,
    },
    /// The order's steps wait from now on.
    HoldPlaced(Hold),
    /// A hold ended.
    HoldReleased {
        /// Which.
        name: Arc<str>,
        /// Why, where that was said.
        reason: Option<Arc<str>>,
    },
    /// The time by which somebody meant to have looked at a hold is over. It stands all the same.
    HoldOverdue {
        /// Which.
        name: Arc<str>,
        /// What people are told.
        reason: Arc<str>,
    },
    /// What happened outside entered the books.
    FactRecorded(Fact),
    /// What the return that was just asked for says beside its units and money.
    ReturnTermsSet(ReturnTerms),
    /// The order has to do with another one.
    Related(Arc<Relation>),
    /// The order is changed before its goods are booked.
    Amended(Arc<Amended>),
    /// By which flow the order goes. Where nothing is said: [`FlowRules::DEFAULT`].
    FlowSet(FlowRules),
    /// Its goods are not there yet: stock is asked for from then on.
    GoodsAwaited {
        /// From when.
        until: TimestampMs,
    },
    /// The goods of one delivery are not there yet: stock is asked for them from then on.
    DeliveryAwaited {
        /// Which delivery, from 0, as [`Line::delivery`](super::Line) counts them.
        delivery: u16,
        /// From when.
        until: TimestampMs,
    },
    /// A part of the order has gone: a payment is captured for it, and what is left of that payment is paid by a further one
    /// of the same means.
    PaymentSplit {
        /// Which payment, from 0.
        payment: usize,
        /// How much is paid by it from now on, in minor units.
        planned_minor: i64,
        /// The further one.
        rest: Payment,
    },
    /// The participant of a pending step says that it is pending still.
    StillPending {
        /// Which asking.
        at: StepAt,
        /// Until when.
        until: TimestampMs,
        /// Why, where that was said.
        reason: Option<Arc<str>>,
    },
    /// A shipment is somewhere else.
    ShipmentMoved {
        /// Which, from 0.
        shipment: usize,
        /// Where.
        state: ShipmentState,
        /// Since when.
        at: TimestampMs,
        /// Why, where that was said.
        reason: Option<Arc<str>>,
    },
}
