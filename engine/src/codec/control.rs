//! Records beside the orders' chains: park marks, parked commands, dead letters, tenants' settings.
//!
//! A park mark must not need the order's history to be read: that history may be what crashes the order.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use super::v1::{ActorV1, FlowRulesV1, OnDeclineV1, RefundOrderV1, RefundRuleV1};
use crate::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use crate::ports::{DeadLetter, TenantSetting, TenantStatus};
use crate::wire::flow_rules::FlowRules;
use crate::wire::payment_rules::{OnDecline, PaymentRules, RefundOrder};
use crate::wire::return_rules::{RefundRule, ReturnRules};

/// The newest version written and read.
pub const VERSION: u16 = 1;

/// A control record. The enum only grows at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The order is parked: its commands go to its queue.
    Park {
        /// Which order.
        order: OrderRef,
        /// Why, for people.
        reason: String,
        /// When.
        at: TimestampMs,
    },
    /// A command waits behind the mark.
    ParkedCommand {
        /// Which order.
        order: OrderRef,
        /// Counted from 1 for each park mark.
        sequence: u64,
        /// Names the command: `source`, then a zero byte, then its id.
        key: String,
        /// The content hash, so that another content under this id is noticed while it waits.
        content_hash: [u8; 32],
        /// The command as it came: a structured CloudEvent.
        body: Vec<u8>,
        /// Who gave it: an operator's command must not come out of the queue as a tenant's.
        actor: ActorV1,
        /// W3C trace id.
        trace_id: Option<[u8; 16]>,
        /// When.
        at: TimestampMs,
    },
    /// The mark is taken away; the queue behind it is empty or was discarded.
    Release {
        /// Which order.
        order: OrderRef,
        /// Who did it.
        actor: String,
        /// When.
        at: TimestampMs,
    },
}

/// A record of the whole log rather than a partition's. The enum only grows at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// What belongs to no order.
    DeadLetter(DeadLetter),
    /// A tenant was created or changed.
    Tenant(TenantSetting),
}

#[derive(Serialize, Deserialize)]
enum ControlV1 {
    Park {
        tenant: String,
        order: String,
        reason: String,
        at_ms: i64,
    },
    ParkedCommand {
        tenant: String,
        order: String,
        sequence: u64,
        key: String,
        content_hash: [u8; 32],
        body: Vec<u8>,
        actor: ActorV1,
        trace_id: Option<[u8; 16]>,
        at_ms: i64,
    },
    Release {
        tenant: String,
        order: String,
        actor: String,
        at_ms: i64,
    },
}

#[derive(Serialize, Deserialize)]
enum NoteV1 {
    DeadLetter {
        key: [u8; 16],
        tenant: Option<String>,
        origin: String,
        code: String,
        reason: String,
        body: Vec<u8>,
        length_bytes: u64,
        at_ms: i64,
    },
    Tenant {
        tenant: String,
        suspended: bool,
        in_flight_max: Option<u32>,
    },
    /// A tenant with rules of its own for returns.
    TenantWithRules {
        tenant: String,
        suspended: bool,
        in_flight_max: Option<u32>,
        return_rules: [RefundRuleV1; 3],
    },
    TenantWithPayments {
        tenant: String,
        suspended: bool,
        in_flight_max: Option<u32>,
        return_rules: [RefundRuleV1; 3],
        payment_rules: (RefundOrderV1, OnDeclineV1, u64),
    },
    TenantWithFlow {
        tenant: String,
        suspended: bool,
        in_flight_max: Option<u32>,
        return_rules: [RefundRuleV1; 3],
        payment_rules: (RefundOrderV1, OnDeclineV1, u64),
        flow: FlowRulesV1,
    },
}

impl Control {
    /// The order it is about.
    #[must_use]
    pub fn order(&self) -> &OrderRef {
        match self {
            Self::Park { order, .. } | Self::ParkedCommand { order, .. } | Self::Release { order, .. } => {
                order
            }
        }
    }

    /// The stored form.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let names = |order: &OrderRef| (order.tenant.to_string(), order.order.to_string());
        let (tenant, order) = names(self.order());
        let stored = match self.clone() {
            Self::Park { reason, at, .. } => ControlV1::Park { tenant, order, reason, at_ms: at.0 },
            Self::ParkedCommand { sequence, key, content_hash, body, actor, trace_id, at, .. } => {
                let at_ms = at.0;
                ControlV1::ParkedCommand {
                    tenant,
                    order,
                    sequence,
                    key,
                    content_hash,
                    body,
                    actor,
                    trace_id,
                    at_ms,
                }
            }
            Self::Release { actor, at, .. } => ControlV1::Release { tenant, order, actor, at_ms: at.0 },
        };
        envelope::seal(Schema::Control, VERSION, &stored)
    }

    /// Reads a stored control record.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let payload = envelope::open_only(Schema::Control, VERSION, bytes)?;
        Ok(match envelope::payload(payload)? {
            ControlV1::Park { tenant, order, reason, at_ms } => {
                Self::Park { order: order_ref(&tenant, &order)?, reason, at: TimestampMs(at_ms) }
            }
            ControlV1::ParkedCommand {
                tenant,
                order,
                sequence,
                key,
                content_hash,
                body,
                actor,
                trace_id,
                at_ms,
            } => {
                let order = order_ref(&tenant, &order)?;
                let at = TimestampMs(at_ms);
                Self::ParkedCommand { order, sequence, key, content_hash, body, actor, trace_id, at }
            }
            ControlV1::Release { tenant, order, actor, at_ms } => {
                Self::Release { order: order_ref(&tenant, &order)?, actor, at: TimestampMs(at_ms) }
            }
        })
    }
}

impl Note {
    /// The stored form.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let stored = match self.clone() {
            Self::DeadLetter(letter) => NoteV1::DeadLetter {
                key: letter.key,
                tenant: letter.tenant,
                origin: letter.origin,
                code: letter.code,
                reason: letter.reason,
                body: letter.body,
                length_bytes: letter.length_bytes,
                at_ms: letter.at.0,
            },
            Self::Tenant(setting) => {
                let TenantSetting { tenant, status, in_flight_max, returns, payments, flow } = setting;
                let (tenant, suspended) = (tenant.to_string(), status == TenantStatus::Suspended);
                if flow != FlowRules::DEFAULT {
                    NoteV1::TenantWithFlow {
                        tenant,
                        suspended,
                        in_flight_max,
                        return_rules: return_rules_to_stored(returns),
                        payment_rules: payment_rules_to_stored(payments),
                        flow: flow.into(),
                    }
                } else if payments != PaymentRules::DEFAULT {
                    let return_rules = return_rules_to_stored(returns);
                    let payment_rules = payment_rules_to_stored(payments);
                    NoteV1::TenantWithPayments {
                        tenant,
                        suspended,
                        in_flight_max,
                        return_rules,
                        payment_rules,
                    }
                } else if returns == ReturnRules::NEVER {
                    NoteV1::Tenant { tenant, suspended, in_flight_max }
                } else {
                    let return_rules = return_rules_to_stored(returns);
                    NoteV1::TenantWithRules { tenant, suspended, in_flight_max, return_rules }
                }
            }
        };
        envelope::seal(Schema::Note, VERSION, &stored)
    }

    /// Reads a stored note.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let payload = envelope::open_only(Schema::Note, VERSION, bytes)?;
        Ok(match envelope::payload(payload)? {
            NoteV1::DeadLetter { key, tenant, origin, code, reason, body, length_bytes, at_ms } => {
                let at = TimestampMs(at_ms);
                Self::DeadLetter(DeadLetter { key, tenant, origin, code, reason, body, length_bytes, at })
            }
            NoteV1::Tenant { tenant, suspended, in_flight_max } => {
                Self::Tenant(setting(&tenant, suspended, in_flight_max, [RefundRuleV1::Never; 3])?)
            }
            NoteV1::TenantWithRules { tenant, suspended, in_flight_max, return_rules } => {
                Self::Tenant(setting(&tenant, suspended, in_flight_max, return_rules)?)
            }
            NoteV1::TenantWithPayments { tenant, suspended, in_flight_max, return_rules, payment_rules } => {
                let payments = payment_rules_from_stored(payment_rules);
                let setting = setting(&tenant, suspended, in_flight_max, return_rules)?;
                Self::Tenant(TenantSetting { payments, ..setting })
            }
            NoteV1::TenantWithFlow {
                tenant,
                suspended,
                in_flight_max,
                return_rules,
                payment_rules,
                flow,
            } => {
                let payments = payment_rules_from_stored(payment_rules);
                let setting = setting(&tenant, suspended, in_flight_max, return_rules)?;
                Self::Tenant(TenantSetting { payments, flow: flow.into(), ..setting })
            }
        })
    }
}

fn setting(
    tenant: &str,
    suspended: bool,
    in_flight_max: Option<u32>,
    return_rules: [RefundRuleV1; 3],
) -> Result<TenantSetting, CodecError> {
    Ok(TenantSetting {
        tenant: TenantId::parse(tenant).map_err(|error| CodecError::Corrupt(error.to_string()))?,
        status: if suspended { TenantStatus::Suspended } else { TenantStatus::Active },
        in_flight_max,
        returns: return_rules_from_stored(return_rules),
        payments: PaymentRules::DEFAULT,
        flow: FlowRules::DEFAULT,
    })
}

/// The rules of shipping, tax and fees, in this order.
pub(crate) fn return_rules_to_stored(rules: ReturnRules) -> [RefundRuleV1; 3] {
    let ReturnRules { shipping, tax, fee } = rules;
    [shipping, tax, fee].map(|rule| match rule {
        RefundRule::Never => RefundRuleV1::Never,
        RefundRule::WithLastUnit => RefundRuleV1::WithLastUnit,
        RefundRule::ProRata => RefundRuleV1::ProRata,
    })
}

pub(crate) fn return_rules_from_stored(stored: [RefundRuleV1; 3]) -> ReturnRules {
    let [shipping, tax, fee] = stored.map(|rule| match rule {
        RefundRuleV1::Never => RefundRule::Never,
        RefundRuleV1::WithLastUnit => RefundRule::WithLastUnit,
        RefundRuleV1::ProRata => RefundRule::ProRata,
    });
    ReturnRules { shipping, tax, fee }
}

/// Refund order, what a decline does, and how long is waited, in milliseconds.
pub(crate) fn payment_rules_to_stored(rules: PaymentRules) -> (RefundOrderV1, OnDeclineV1, u64) {
    let PaymentRules { refund_order, on_decline, payment_wait_ms } = rules;
    let refund_order = match refund_order {
        RefundOrder::Reverse => RefundOrderV1::Reverse,
        RefundOrder::ProRata => RefundOrderV1::ProRata,
    };
    let on_decline = match on_decline {
        OnDecline::Cancel => OnDeclineV1::Cancel,
        OnDecline::Wait => OnDeclineV1::Wait,
    };
    (refund_order, on_decline, payment_wait_ms)
}

pub(crate) fn payment_rules_from_stored(stored: (RefundOrderV1, OnDeclineV1, u64)) -> PaymentRules {
    let (refund_order, on_decline, payment_wait_ms) = stored;
    let refund_order = match refund_order {
        RefundOrderV1::Reverse => RefundOrder::Reverse,
        RefundOrderV1::ProRata => RefundOrder::ProRata,
    };
    let on_decline = match on_decline {
        OnDeclineV1::Cancel => OnDecline::Cancel,
        OnDeclineV1::Wait => OnDecline::Wait,
    };
    PaymentRules { refund_order, on_decline, payment_wait_ms }
}

/// The order that a stored record names.
///
/// # Errors
/// [`CodecError::Corrupt`]: these are no ids.
pub fn order_ref(tenant: &str, order: &str) -> Result<OrderRef, CodecError> {
    let corrupt = |error: crate::ids::IdError| CodecError::Corrupt(error.to_string());
    Ok(OrderRef {
        tenant: TenantId::parse(tenant).map_err(corrupt)?,
        order: OrderId::parse(order).map_err(corrupt)?,
    })
}
