//! By which rules parts of an order that belong to no line are paid back with returns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a part of an order that belongs to no line is paid back with returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundRule {
    /// Never: the shop keeps it.
    #[default]
    Never,
    /// Whole, with the return by which the order's last unit comes back.
    WithLastUnit,
    /// Each unit brings its share.
    ProRata,
}

impl RefundRule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Never, Self::WithLastUnit, Self::ProRata];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::WithLastUnit => "with_last_unit",
            Self::ProRata => "pro_rata",
        }
    }
}

/// The rules of a tenant. What the lines themselves contain, and discounts, follow the goods and need none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnRules {
    /// Shipping of the order.
    #[serde(default)]
    pub shipping: RefundRule,
    /// Tax of the order that stands beside its lines.
    #[serde(default)]
    pub tax: RefundRule,
    /// Fees of the order.
    #[serde(default)]
    pub fee: RefundRule,
}

impl ReturnRules {
    /// The shop keeps all of them.
    pub const NEVER: Self =
        Self { shipping: RefundRule::Never, tax: RefundRule::Never, fee: RefundRule::Never };
}

/// What is to be changed of a tenant's rules; what is not named stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnRulesChange {
    /// Shipping of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<RefundRule>,
    /// Tax of the order that stands beside its lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<RefundRule>,
    /// Fees of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<RefundRule>,
}

impl ReturnRulesChange {
    /// The rules after the change.
    #[must_use]
    pub fn applied_to(self, rules: ReturnRules) -> ReturnRules {
        ReturnRules {
            shipping: self.shipping.unwrap_or(rules.shipping),
            tax: self.tax.unwrap_or(rules.tax),
            fee: self.fee.unwrap_or(rules.fee),
        }
    }
}
