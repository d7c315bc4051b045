//! What nodes and remote participants say to each other, as JSON.

use std::sync::Arc;

use retailflow_engine::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use retailflow_engine::money::Currency;
use retailflow_engine::order::{Component, Delivery, Line, Payment, Placed};
use retailflow_engine::ports::{KeyStanding, LineUnits, Performed, Settlement, StepAnswer, StepRequest};
use retailflow_engine::wire::command::{ComponentKind, Step};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verb {
    Perform,
    Query,
    Settle,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) request: Request,
}

/// Of a request what a remote participant looks at.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    key: String,
    tenant: TenantId,
    order: OrderId,
    step: Step,
    reference: Option<String>,
    amount_minor: i64,
    units: Option<Vec<Units>>,
    currency: Currency,
    total_minor: i64,
    customer: String,
    lines: Vec<OrderLine>,
    payments: Vec<Pay>,
    /// Which of the payments it is of, from 0.
    #[serde(default)]
    payment: usize,
    /// Its id; absent where no money moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment_id: Option<String>,
    /// The means of payment, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_ref: Option<String>,
    method: Option<String>,
    /// What the order has beside its lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    components: Vec<Beside>,
    expires_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Beside {
    kind: ComponentKind,
    amount_minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Units {
    line_id: String,
    quantity: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderLine {
    line_id: String,
    sku: String,
    quantity: u32,
    amount_minor: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pay {
    payment_id: String,
    token_ref: String,
    amount_minor: i64,
}

impl Units {
    fn of(units: &[LineUnits]) -> Vec<Self> {
        let one = |units: &LineUnits| Self { line_id: units.line_id.to_string(), quantity: units.quantity };
        units.iter().map(one).collect()
    }

    fn back(units: Vec<Self>) -> Vec<LineUnits> {
        let one = |Self { line_id, quantity }| LineUnits { line_id: line_id.into(), quantity };
        units.into_iter().map(one).collect()
    }
}

impl Request {
    pub(super) fn of(request: &StepRequest) -> Self {
        let placed = &request.placed;
        let line = |line: &Line| OrderLine {
            line_id: line.line_id.to_string(),
            sku: line.sku.to_string(),
            quantity: line.quantity,
            amount_minor: line.amount_minor,
        };
        let beside = |part: &Component| Beside { kind: part.kind, amount_minor: part.amount_minor };
        let pay = |payment: &Payment| Pay {
            payment_id: payment.payment_id.to_string(),
            token_ref: payment.token_ref.to_string(),
            amount_minor: payment.amount_minor,
        };
        Self {
            key: request.key.to_string(),
            tenant: request.order.tenant.clone(),
            order: request.order.order.clone(),
            step: request.step,
            reference: request.reference.as_deref().map(str::to_owned),
            amount_minor: request.amount_minor,
            units: request.units.as_deref().map(Units::of),
            currency: placed.currency,
            total_minor: placed.total_minor,
            customer: placed.customer.to_string(),
            lines: placed.lines.iter().map(line).collect(),
            payments: placed.payments.iter().map(pay).collect(),
            payment: request.payment,
            payment_id: request.payment_id().map(str::to_owned),
            token_ref: request.payment_id().and(request.token_ref()).map(str::to_owned),
            method: request.delivery().0.map(str::to_owned),
            components: placed.components.iter().map(beside).collect(),
            expires_ms: request.expires.0,
        }
    }

    pub(super) fn into_request(self) -> StepRequest {
        let line = |line: OrderLine| Line {
            line_id: line.line_id.into(),
            sku: line.sku.into(),
            quantity: line.quantity,
            amount_minor: line.amount_minor,
            components: Box::default(),
            delivery: 0,
        };
        let pay = |payment: Pay| Payment {
            payment_id: payment.payment_id.into(),
            token_ref: payment.token_ref.into(),
            amount_minor: payment.amount_minor,
        };
        let lines: Box<[Line]> = self.lines.into_iter().map(line).collect();
        let beside = |part: Beside| Component { kind: part.kind, amount_minor: part.amount_minor };
        let placed = Placed {
            components: self.components.into_iter().map(beside).collect(),
            payments: self.payments.into_iter().map(pay).collect(),
            delivery: self.method.map(|method| Delivery { method: method.into(), address_ref: None }),
            ..Placed::new(&self.customer, self.currency, self.total_minor, lines)
        };
        StepRequest {
            key: self.key.into(),
            order: OrderRef { tenant: self.tenant, order: self.order },
            step: self.step,
            reference: self.reference.map(Arc::from),
            payment: self.payment,
            amount_minor: self.amount_minor,
            units: self.units.map(|units| Units::back(units).into()),
            placed: Arc::new(placed),
            expires: TimestampMs(self.expires_ms),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Answered(StepAnswerBody),
    Standing(KeyStandingBody),
    Settlement(SettlementBody),
}

fn another<T>(answer: &Answer) -> Result<T, Box<str>> {
    Err(format!("an answer to something else: {answer:?}").into())
}

impl Answer {
    pub(super) fn answered(self) -> Result<StepAnswer, Box<str>> {
        match self {
            Self::Answered(said) => Ok(said.back()),
            other => another(&other),
        }
    }

    pub(super) fn standing(self) -> Result<KeyStanding, Box<str>> {
        match self {
            Self::Standing(KeyStandingBody::Answered(said)) => Ok(KeyStanding::Answered(said.back())),
            Self::Standing(KeyStandingBody::NotSeen) => Ok(KeyStanding::NotSeen),
            Self::Standing(KeyStandingBody::Unknown(reason)) => Ok(KeyStanding::Unknown { reason }),
            other => another(&other),
        }
    }

    pub(super) fn settlement(self) -> Result<Settlement, Box<str>> {
        match self {
            Self::Settlement(SettlementBody::Done(done)) => Ok(Settlement::Done(done.back())),
            Self::Settlement(SettlementBody::NotDone) => Ok(Settlement::NotDone),
            Self::Settlement(SettlementBody::Unsupported) => Ok(Settlement::Unsupported),
            Self::Settlement(SettlementBody::Unknown(reason)) => Ok(Settlement::Unknown { reason }),
            other => another(&other),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    reference: String,
    amount_minor: Option<i64>,
    expires_ms: Option<i64>,
    /// Which units, where those are fewer than were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    units: Option<Vec<Units>>,
}

impl Done {
    fn of(done: &Performed) -> Self {
        let reference = done.reference.to_string();
        let units = done.units.as_deref().map(Units::of);
        Self { reference, amount_minor: done.amount_minor, expires_ms: done.expires.map(|at| at.0), units }
    }

    fn back(self) -> Performed {
        let expires = self.expires_ms.map(TimestampMs);
        let units = self.units.map(|units| Units::back(units).into());
        Performed { reference: self.reference.into(), amount_minor: self.amount_minor, expires, units }
    }
}

/// [`StepAnswer`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StepAnswerBody {
    Done(Done),
    Declined { code: Box<str>, reason: Box<str>, lines: Vec<Units> },
    Refused { code: Box<str>, reason: Box<str> },
    Failed { reason: Box<str> },
    Pending { reference: String, until_ms: Option<i64> },
    Settled,
    Expired,
    Unknown { reason: Box<str> },
}

impl From<&StepAnswer> for StepAnswerBody {
    fn from(answer: &StepAnswer) -> Self {
        match answer.clone() {
            StepAnswer::Done(done) => Self::Done(Done::of(&done)),
            StepAnswer::Declined { code, reason, lines } => {
                Self::Declined { code, reason, lines: Units::of(&lines) }
            }
            StepAnswer::Refused { code, reason } => Self::Refused { code, reason },
            StepAnswer::Failed { reason } => Self::Failed { reason },
            StepAnswer::Pending { reference, until } => {
                Self::Pending { reference: reference.to_string(), until_ms: until.map(|at| at.0) }
            }
            StepAnswer::Settled => Self::Settled,
            StepAnswer::Expired => Self::Expired,
            StepAnswer::Unknown { reason } => Self::Unknown { reason },
        }
    }
}

impl StepAnswerBody {
    fn back(self) -> StepAnswer {
        match self {
            Self::Done(done) => StepAnswer::Done(done.back()),
            Self::Declined { code, reason, lines } => {
                StepAnswer::Declined { code, reason, lines: Units::back(lines) }
            }
            Self::Refused { code, reason } => StepAnswer::Refused { code, reason },
            Self::Failed { reason } => StepAnswer::Failed { reason },
            Self::Pending { reference, until_ms } => {
                StepAnswer::Pending { reference: reference.into(), until: until_ms.map(TimestampMs) }
            }
            Self::Settled => StepAnswer::Settled,
            Self::Expired => StepAnswer::Expired,
            Self::Unknown { reason } => StepAnswer::Unknown { reason },
        }
    }
}

/// [`KeyStanding`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyStandingBody {
    Answered(StepAnswerBody),
    NotSeen,
    Unknown(Box<str>),
}

impl From<&KeyStanding> for KeyStandingBody {
    fn from(standing: &KeyStanding) -> Self {
        match standing {
            KeyStanding::Answered(answer) => Self::Answered(answer.into()),
            KeyStanding::NotSeen => Self::NotSeen,
            KeyStanding::Unknown { reason } => Self::Unknown(reason.clone()),
        }
    }
}

/// [`Settlement`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SettlementBody {
    Done(Done),
    NotDone,
    Unsupported,
    Unknown(Box<str>),
}

impl From<&Settlement> for SettlementBody {
    fn from(settlement: &Settlement) -> Self {
        match settlement {
            Settlement::Done(done) => Self::Done(Done::of(done)),
            Settlement::NotDone => Self::NotDone,
            Settlement::Unsupported => Self::Unsupported,
            Settlement::Unknown { reason } => Self::Unknown(reason.clone()),
        }
    }
}
