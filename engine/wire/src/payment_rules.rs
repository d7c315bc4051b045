//! By which rules the payments of an order are paid back, and what a declined one does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which payment money goes back to first, where none is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundOrder {
    /// The last payment first, up to what it holds.
    #[default]
    Reverse,
    /// All payments, by what each holds.
    ProRata,
}

impl RefundOrder {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Reverse, Self::ProRata];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reverse => "reverse",
            Self::ProRata => "pro_rata",
        }
    }
}

/// What becomes of an order when a payment is declined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDecline {
    /// It turns back, and what was authorized is given up.
    #[default]
    Cancel,
    /// It waits for another means of payment, and turns back when none comes in time.
    Wait,
}

impl OnDecline {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cancel, Self::Wait];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Wait => "wait",
        }
    }
}

/// The rules of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentRules {
    /// Which payment money goes back to first.
    #[serde(default)]
    pub refund_order: RefundOrder,
    /// What a declined payment does.
    #[serde(default)]
    pub on_decline: OnDecline,
    /// How long an order waits for another means of payment, in milliseconds.
    #[serde(default = "payment_wait_ms")]
    #[schemars(range(min = 1, max = PAYMENT_WAIT_MAX_MS))]
    pub payment_wait_ms: u64,
}

/// Three days, in milliseconds.
const PAYMENT_WAIT_MS: u64 = 3 * 24 * 3600 * 1000;
/// A year, in milliseconds.
pub const PAYMENT_WAIT_MAX_MS: u64 = 366 * 24 * 3600 * 1000;

const fn payment_wait_ms() -> u64 {
    PAYMENT_WAIT_MS
}

impl PaymentRules {
    /// What holds where nothing is said: the last payment first, and a decline turns the order back.
    pub const DEFAULT: Self = Self {
        refund_order: RefundOrder::Reverse,
        on_decline: OnDecline::Cancel,
        payment_wait_ms: PAYMENT_WAIT_MS,
    };
}

impl Default for PaymentRules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is to be changed of a tenant's rules; what is not named stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentRulesChange {
    /// Which payment money goes back to first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_order: Option<RefundOrder>,
    /// What a declined payment does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_decline: Option<OnDecline>,
    /// How long an order waits for another means of payment, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = PAYMENT_WAIT_MAX_MS))]
    pub payment_wait_ms: Option<u64>,
}

impl PaymentRulesChange {
    /// The rules after the change.
    #[must_use]
    pub fn applied_to(self, rules: PaymentRules) -> PaymentRules {
        PaymentRules {
            refund_order: self.refund_order.unwrap_or(rules.refund_order),
            on_decline: self.on_decline.unwrap_or(rules.on_decline),
            payment_wait_ms: self
                .payment_wait_ms
                .map_or(rules.payment_wait_ms, |ms| ms.clamp(1, PAYMENT_WAIT_MAX_MS)),
        }
    }
}
