//! What a dry run shows beside the outcome: what would follow at once if the command were decided now.

use super::command::Step;
use super::event::PublicEvent;
use super::order::{OrderStatus, PaymentSummary};
use crate::money::{Amount, Currency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an extension would be called that could mean a dry run. An envelope is carried out, whatever it says, so that this one is
/// refused and not dropped as others are.
pub(super) const DRY_RUN: &str = "dryrun";
/// Why, and what to do.
pub(super) const NO_DRY_RUN: &str = "a dry run is asked for beside the command: with ?dry_run=true over HTTP, with Rf-Dry-Run: true at the ask door of NATS";

/// What would follow at once. What participants answer later is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// Where the order would stand as a whole.
    pub order_status: OrderStatus,
    /// The step that it would be at; absent when none would be due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The public events that would be published at once, each as a CloudEvent; empty where the public would hear
    /// nothing. They were not published: their ids may be given to other events.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub events: Vec<PublicEvent>,
    /// What is decided of money.
    pub money: MoneyPreview,
}

/// What is decided of money, in minor units. The order's books say what was done; this adds what would be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoneyPreview {
    /// What all amounts are in.
    pub currency: Currency,
    /// What is to be authorized for it, and captured later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_minor: Option<Amount>,
    /// What is authorized now, and would be given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_minor: Option<Amount>,
    /// What is to be paid back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_minor: Option<Amount>,
    /// What would be left then to be paid back by later commands.
    pub left_to_refund_minor: Amount,
    /// What was paid, as it would stand at once.
    pub payment: PaymentSummary,
}
