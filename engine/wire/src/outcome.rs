//! The outcome of a command: the same at every door.

use super::code::{Code, Status};
use super::dry_run::Preview;
use super::error::DecodeError;
use crate::ids::{CommandId, CommandKey, OrderId, OrderRef, Source, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

super::schema_tag! {
    /// The name and version of the shape of [`Outcome`].
    OutcomeSchema, "retailflow.outcome.v1"
}

/// What a record was safe from when its outcome was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DurabilityClass {
    /// Nothing: it is in memory only.
    Memory,
    /// The end of the process and of the machine's power: it was synced to the disk.
    Fsync,
    /// The loss of a minority of replicas; each may hold it in memory only.
    Replicated,
    /// The loss of a minority of replicas and of all power: synced on a majority.
    ReplicatedFsync,
}

/// How durable the record behind an outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Durability {
    /// The class.
    pub class: DurabilityClass,
    /// How many copies there are.
    pub replicas: u16,
}

impl Durability {
    /// Synced on one machine.
    pub const FSYNC: Self = Self { class: DurabilityClass::Fsync, replicas: 1 };
    /// In memory only.
    pub const MEMORY: Self = Self { class: DurabilityClass::Memory, replicas: 1 };
}

/// Declares a type with an outcome's members, in their order on the wire, after members of its own: [`Outcome`] and
/// [`super::problem::Problem`], which calls `status` otherwise. One list, so that neither can lack what the other has; a
/// flattened struct would have every outcome read by way of a map. Where the documents describe a member in other
/// words, these are given.
macro_rules! outcome_body {
    (
        $(#[$doc:meta])*
        $name:ident { $($own:tt)* }
        schema { $($schema:tt)* } $status:ident { $($status_doc:tt)* } version { $($version:tt)* }
        durability { $($durability:tt)* } path { $($path:tt)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            $($own)*
            $($schema)*
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
            $($status_doc)*
            pub $status: Status,
            /// Why, for programs.
            pub code: Code,
            /// Why and what to do, for people.
            pub message: String,
            $($version)*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub version: Option<u64>,
            /// Is this the first outcome given again?
            pub replayed: bool,
            $($durability)*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub durability: Option<Durability>,
            /// When to send the same command again, in milliseconds from now.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub retry_after_ms: Option<u64>,
            $($path)*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub path: Option<String>,
            /// Was it a dry run? Then it says what would be decided, and nothing was recorded.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub dry_run: bool,
            /// What would follow at once; in a dry run of what would be recorded.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub preview: Option<Box<Preview>>,
        }
    };
}
pub(super) use outcome_body;

outcome_body! {
    /// What became of one command. Members that are not known are absent: a command that cannot be decoded may have
    /// no readable id, and what was not recorded has no durability.
    Outcome {}
    schema {
        /// Name and version of this shape.
    }
    status {
        /// What became of it.
    }
    version {
        /// The order's version after this command; absent where nothing was recorded.
    }
    durability {
        /// How durable the record is; absent where nothing was recorded.
    }
    path {
        /// Which part of the command is wrong, such as `data.lines[0].quantity`.
    }
}

impl Outcome {
    /// The outcome of a command that was recorded; `status` is the code's. A parked one has no version yet.
    #[must_use]
    pub fn recorded(
        order: &OrderRef,
        key: &CommandKey,
        code: Code,
        version: impl Into<Option<u64>>,
        durability: Durability,
    ) -> Self {
        Self {
            version: version.into(),
            durability: Some(durability),
            ..Self::refused(order, key, code, code.meaning())
        }
    }

    /// The outcome of a command whose address is known and of which nothing was recorded.
    #[must_use]
    pub fn refused(order: &OrderRef, key: &CommandKey, code: Code, message: impl Into<String>) -> Self {
        Self {
            command_id: Some(key.id.clone()),
            source: Some(key.source.clone()),
            tenant: Some(order.tenant.clone()),
            order: Some(order.order.clone()),
            ..Self::unaddressed(code, message)
        }
    }

    /// The outcome of something of which not even an id could be read.
    #[must_use]
    pub fn unaddressed(code: Code, message: impl Into<String>) -> Self {
        Self {
            schema: OutcomeSchema,
            command_id: None,
            source: None,
            tenant: None,
            order: None,
            status: code.status(),
            code,
            message: message.into(),
            version: None,
            replayed: false,
            durability: None,
            retry_after_ms: None,
            path: None,
            dry_run: false,
            preview: None,
        }
    }

    /// The same with another text for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same with a hint when to send the command again.
    #[must_use]
    pub fn with_retry_after_ms(mut self, retry_after_ms: u64) -> Self {
        self.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// The same as the answer to a dry run.
    #[must_use]
    pub fn of_dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// The first outcome, given again.
    #[must_use]
    pub fn into_replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    /// Is it as the code says: the status that belongs to it, a version and a durability exactly where recorded? Of a dry
    /// run only what it found is recorded.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let decided = self.status != Status::Refused;
        let recorded = decided && (self.replayed || !self.dry_run);
        self.status == self.code.status()
            && self.durability.is_some() == recorded
            && (decided || !self.replayed)
            && (self.preview.is_none() || (self.dry_run && decided && !self.replayed))
    }
}

impl From<&DecodeError> for Outcome {
    fn from(error: &DecodeError) -> Self {
        let address = error.address.clone();
        Self {
            command_id: address.id,
            source: address.source,
            tenant: address.tenant,
            order: address.order,
            path: error.path.clone(),
            ..Self::unaddressed(error.code, error.message.clone())
        }
    }
}

impl DecodeError {
    /// The outcome to give.
    #[must_use]
    pub fn to_outcome(&self) -> Outcome {
        Outcome::from(self)
    }
}
