//! Errors over HTTP: RFC 9457 problems whose extension members are the outcome's.

use super::code::{Code, Status};
use super::outcome::{Durability, Outcome, OutcomeSchema};
use crate::ids::{CommandId, OrderId, Source, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// An outcome as a problem. RFC 9457 means the HTTP status by `status`, so the outcome's own goes by
/// `outcome_status`; its `message` is also the `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Names the kind of problem: `urn:retailflow:code:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// The HTTP status.
    #[serde(rename = "status")]
    pub http_status: u16,
    /// What is wrong here and what to do.
    pub detail: String,
    /// Name and version of the outcome's shape.
    pub schema: OutcomeSchema,
    /// The command's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// Who made the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// What became of the command.
    pub outcome_status: Status,
    /// Why, for programs.
    pub code: Code,
    /// Why and what to do, for people.
    pub message: String,
    /// The order's version after this command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Is this the first outcome given again?
    pub replayed: bool,
    /// How durable the record is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// When to send the same command again, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Which part of the command is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl From<Outcome> for Problem {
    fn from(outcome: Outcome) -> Self {
        Self {
            kind: format!("urn:retailflow:code:{}", outcome.code),
            title: outcome.code.meaning().to_owned(),
            http_status: outcome.code.http_status(),
            detail: outcome.message.clone(),
            schema: outcome.schema,
            command_id: outcome.command_id,
            source: outcome.source,
            tenant: outcome.tenant,
            order: outcome.order,
            outcome_status: outcome.status,
            code: outcome.code,
            message: outcome.message,
            version: outcome.version,
            replayed: outcome.replayed,
            durability: outcome.durability,
            retry_after_ms: outcome.retry_after_ms,
            path: outcome.path,
        }
    }
}
