//! What happened to an order, in the domain's words.

use std::sync::Arc;

use super::OrderStatus;
use super::saga::{Return, StepAt};
use crate::ids::TimestampMs;
use crate::money::Currency;
use crate::ports::LineUnits;
use crate::wire::command::ComponentKind;
use crate::wire::order::Attention;

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
    /// A return was paid back.
    Refunded {
        /// Which payment.
        payment_id: Arc<str>,
        /// For which return; `None` when the order was canceled.
        return_id: Option<Arc<str>>,
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
}

/// A step is asked for from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStarted {
    /// Which asking.
    pub at: StepAt,
    /// How much, in minor units; 0 where no money moves.
    pub amount_minor: i64,
    /// Which units; `None` means all of the order's.
    pub units: Option<Arc<[LineUnits]>>,
    /// When its participant must not carry it out any more.
    pub expires: TimestampMs,
}

/// How a step ended or where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Done.
    Done {
        /// The participant's reference.
        reference: Arc<str>,
        /// How much, where that differs from what was asked.
        amount_minor: Option<i64>,
        /// Until when it stands by itself.
        expires: Option<TimestampMs>,
    },
    /// Decided against.
    Declined {
        /// Why, for programs.
        code: Arc<str>,
        /// Why, for people.
        reason: Arc<str>,
        /// The lines that it is about.
        lines: Vec<LineUnits>,
    },
    /// Not done, as its participant says.
    Failed {
        /// Why, for people.
        reason: Arc<str>,
    },
    /// Nobody knows.
    Unknown {
        /// Why, for people.
        reason: Arc<str>,
    },
    /// Taken on, and not decided yet.
    Pending {
        /// The participant's reference.
        reference: Arc<str>,
        /// When to look again.
        until: Option<TimestampMs>,
    },
    /// The doubt was ended.
    Settled {
        /// Was it done?
        done: bool,
        /// The participant's reference, if it was.
        reference: Option<Arc<str>>,
    },
    /// What should be undone cannot be.
    Refused {
        /// Why, for programs.
        code: Arc<str>,
        /// Why, for people.
        reason: Arc<str>,
    },
    /// There was nothing to do.
    Skipped {
        /// Why.
        reason: Arc<str>,
    },
    /// An operator said how it ended.
    Resolved {
        /// Was it done?
        done: bool,
        /// Who said so.
        operator: Arc<str>,
        /// How they know.
        evidence: Arc<str>,
    },
}

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The customer's reference.
    pub customer: Box<str>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The total in minor units.
    pub total_minor: i64,
    /// The lines.
    pub lines: Box<[Line]>,
    /// Components of the order itself.
    pub components: Box<[Component]>,
    /// Payments; empty means one of the whole.
    pub payments: Box<[Payment]>,
    /// How it is delivered, if that was said.
    pub delivery: Option<Delivery>,
    /// The caller's own data, sorted by name.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// When the shop took the order, if that was said.
    pub placed_at: Option<TimestampMs>,
    /// Personal data under a key of its own.
    pub sealed: Option<SealedPart>,
}

impl Placed {
    /// Units over all lines.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id in the order.
    pub line_id: Box<str>,
    /// The stock keeping unit.
    pub sku: Box<str>,
    /// Units.
    pub quantity: u32,
    /// The amount of all its units, in minor units.
    pub amount_minor: i64,
    /// What the amount is made of.
    pub components: Box<[Component]>,
}

/// A part of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// What it is for.
    pub kind: ComponentKind,
    /// Signed, in minor units.
    pub amount_minor: i64,
}

/// A planned payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id in the order.
    pub payment_id: Box<str>,
    /// A reference to the means of payment.
    pub token_ref: Box<str>,
    /// In minor units.
    pub amount_minor: i64,
}

/// A planned delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How.
    pub method: Box<str>,
    /// A reference to the address.
    pub address_ref: Option<Box<str>>,
}

/// Personal data under a key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPart {
    /// Which key.
    pub key_id: Box<str>,
    /// The ciphertext.
    pub ciphertext: Box<[u8]>,
}
