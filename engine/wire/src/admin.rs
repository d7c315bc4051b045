//! What operators get at their own door.

use super::flow_rules::{FlowRules, FlowRulesChange};
use super::order::Giver;
use super::payment_rules::{PaymentRules, PaymentRulesChange};
use super::return_rules::{ReturnRules, ReturnRulesChange};
use crate::ids::{OrderId, TenantId, TimestampMs};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::num::NonZeroU32;

super::schema_tag! {
    /// The name and version of the shape of [`ParkedList`].
    ParkedListSchema, "retailflow.parked.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`ParkedQueue`].
    ParkedQueueSchema, "retailflow.parked-queue.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`TenantView`].
    TenantSchema, "retailflow.tenant.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`TenantList`].
    TenantListSchema, "retailflow.tenants.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`LetterList`].
    LetterListSchema, "retailflow.dead-letters.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`ReleaseReport`].
    ReleaseSchema, "retailflow.release.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`Health`].
    HealthSchema, "retailflow.health.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`BackupCut`].
    BackupCutSchema, "retailflow.backup-cut.v1"
}

/// What a backup of a running node copies: parts up to a place before which all is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupCut {
    /// Name and version of this shape.
    pub schema: BackupCutSchema,
    /// Which log, in hexadecimal digits.
    pub log_id: String,
    /// Where the durable part of the log ended: the segment's number in the upper 32 bits, the offset in the lower.
    pub position: u64,
    /// The log's segments in their order, then the books of participants that live beside the node. Read the books after the
    /// log, and they hold all that the log knows of.
    pub parts: Vec<BackupPart>,
}

/// A part of a backup. Its first `bytes` bytes do not change any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupPart {
    /// Its name, for the request of its bytes.
    pub name: String,
    /// How many bytes belong to the cut.
    pub bytes: u64,
}

/// How a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Name and version of this shape.
    pub schema: HealthSchema,
    /// Is it as it should be?
    pub ok: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
    /// What is not as it should be beside its work, and keeps it from none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The same by part, with what to do: for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwell: Vec<Unwell>,
}

/// A part of a process that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unwell {
    /// Which part, as metrics name it.
    pub part: String,
    /// How it is.
    pub text: String,
    /// What to do.
    #[serde(rename = "mend")]
    pub remedy: String,
    /// It keeps the process from its work.
    pub bars: bool,
    /// For so long, in seconds.
    pub seconds: u64,
}

/// An order that takes no commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedEntry {
    /// The tenant.
    pub tenant: TenantId,
    /// The order.
    pub order: OrderId,
    /// Why.
    pub reason: String,
    /// How many commands wait behind it.
    pub queued: u64,
}

/// Parked orders, by tenant and order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedList {
    /// Name and version of this shape.
    pub schema: ParkedListSchema,
    /// The orders.
    pub orders: Vec<ParkedEntry>,
    /// The last order of this page as `tenant/order`, for `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Partitions whose orders are not in this page, because they could not be read now. Ask for the list again, from its
    /// beginning, for theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<u16>,
}

/// What became of the commands that waited behind a parked order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseReport {
    /// Name and version of this shape.
    pub schema: ReleaseSchema,
    /// Commands read from the queue: all of the others together.
    pub commands: u64,
    /// Applied now.
    pub applied: u64,
    /// Rejected now.
    pub rejected: u64,
    /// Decided before.
    pub replayed: u64,
    /// Put among the dead letters, because the order could record nothing of them.
    pub dead_lettered: u64,
}

/// A command that waits behind a parked order, without what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingCommand {
    /// Counted from 1 behind each park mark.
    pub sequence: u64,
    /// Its type; absent where this version cannot read it.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its id.
    pub id: String,
    /// Who made it.
    pub source: String,
    /// When it came.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: TimestampMs,
    /// Who gave it.
    pub actor: Giver,
}

/// A parked order, and a page of the commands that wait behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedQueue {
    /// Name and version of this shape.
    pub schema: ParkedQueueSchema,
    /// The tenant.
    pub tenant: TenantId,
    /// The order.
    pub order: OrderId,
    /// Why it is parked.
    pub reason: String,
    /// How many commands wait behind it.
    pub queued: u64,
    /// Commands, in their order.
    pub commands: Vec<WaitingCommand>,
    /// The sequence of the last one of this page, for `after`, when there may be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Whether a tenant's commands are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// They are.
    Active,
    /// They are refused; nothing is lost.
    Suspended,
}

/// A tenant, and what is set for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TenantView {
    /// Name and version of this shape.
    pub schema: TenantSchema,
    /// Which.
    pub tenant: TenantId,
    /// Whether its commands are taken.
    pub status: TenantState,
    /// How many of its commands may be in flight on a node; null for what is configured.
    pub in_flight_max: Option<u32>,
    /// When shipping, tax and fees of its orders are paid back with returns.
    #[serde(default)]
    pub returns: ReturnRules,
    /// How its orders' payments are paid back, and what a declined one does.
    #[serde(default)]
    pub payments: PaymentRules,
    /// In which order the steps of its orders are asked for, how often, and when their money is captured.
    #[serde(default)]
    pub flow: FlowRules,
}

/// Tenants, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TenantList {
    /// Name and version of this shape.
    pub schema: TenantListSchema,
    /// The tenants.
    pub tenants: Vec<TenantView>,
    /// The last tenant of this page, for `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TenantId>,
}

/// What is to be changed of a tenant; what is not named stays as it is. A tenant that is not there is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// Whether its commands are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TenantState>,
    /// How many of its commands may be in flight on a node; null for what is configured.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<NonZeroU32>")]
    pub in_flight_max: Option<Option<NonZeroU32>>,
    /// When shipping, tax and fees of orders that are placed from now on are paid back with returns; an order keeps the rules
    /// of its placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<ReturnRulesChange>,
    /// How payments of orders that are placed from now on are paid back, and what a declined one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payments: Option<PaymentRulesChange>,
    /// In which order the steps of orders that are placed from now on are asked for, how often, and when their money is
    /// captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowRulesChange>,
}

/// What is given, null too: something else than what is left out.
fn named<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<NonZeroU32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A message that belongs to no order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterEntry {
    /// Where it stands; rises with each letter.
    pub position: u64,
    /// Names it, in hexadecimal digits.
    pub key: String,
    /// The tenant, where it could be told.
    pub tenant: Option<String>,
    /// Where it came from, for people.
    pub origin: String,
    /// The code of the refusal.
    pub code: String,
    /// What was wrong, for people.
    pub reason: String,
    /// When it was put away.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: TimestampMs,
    /// How long the message was, in bytes.
    pub length_bytes: u64,
    /// What was kept of it: its beginning at least, in base64.
    pub body_base64: String,
}

/// Dead letters, in the order in which they were put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterList {
    /// Name and version of this shape.
    pub schema: LetterListSchema,
    /// The letters.
    pub letters: Vec<LetterEntry>,
    /// How far was read, for `after`, when there may be more; a page may hold fewer than were asked for, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
