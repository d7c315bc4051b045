//! Errors over HTTP: RFC 9457 problems whose extension members are the outcome's.

use super::code::{Code, Status};
use super::dry_run::Preview;
use super::outcome::{Durability, Outcome, OutcomeSchema, outcome_body};
use crate::ids::{CommandId, OrderId, Source, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

outcome_body! {
    /// An outcome as a problem. RFC 9457 means the HTTP status by `status`, so the outcome's own goes by
    /// `outcome_status`; its `message` is also the `detail`.
    Problem {
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
    }
    schema {
        /// Name and version of the outcome's shape.
    }
    outcome_status {
        /// What became of the command.
    }
    version {
        /// The order's version after this command.
    }
    durability {
        /// How durable the record is.
    }
    path {
        /// Which part of the command is wrong.
    }
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
            dry_run: outcome.dry_run,
            preview: outcome.preview,
        }
    }
}
