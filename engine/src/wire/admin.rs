//! What operators get at their own door.

use crate::ids::{OrderId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

super::schema_tag! {
    /// The name and version of the shape of [`ParkedList`].
    ParkedListSchema, "retailflow.parked.v1"
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
    pub mend: String,
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
