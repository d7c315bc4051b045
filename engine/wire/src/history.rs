//! How an order came to stand as it does, decision by decision.

use super::code::{Code, Status};
use super::order::{Giver, HistorySchema, StepResult};
use super::steps::Step;
use crate::ids::{CommandId, OrderId, Source, TenantId, TimestampMs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One decision in an order's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// Which decision of the order, from 1.
    pub decision: u64,
    /// The order's version after it.
    pub version: u64,
    /// When the command came in.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: TimestampMs,
    /// The command's id; absent for the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// Who made the command; absent for the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The command's type, such as `retailflow.order.place.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who gave it: an operator with the name that they gave. Absent in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Giver>,
    /// What was decided.
    pub status: Status,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    pub message: String,
    /// What happened, in words such as `placed` and `reserve done`.
    pub events: Vec<String>,
    /// The steps that were asked for or ended by it, for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
    /// By which version of the tenant's flow it was decided. Absent: by the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<u32>,
}

/// A step that was asked for, or that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRecord {
    /// Which step.
    pub step: Step,
    /// Which return or other part it is about; absent where it is about the whole order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What became of it.
    pub result: StepResult,
    /// What its participant calls it, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// A part of an order's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// Name and version of this shape.
    pub schema: HistorySchema,
    /// The tenant.
    pub tenant: TenantId,
    /// The order.
    pub order: OrderId,
    /// The decisions, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// The last decision of this page, for `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
