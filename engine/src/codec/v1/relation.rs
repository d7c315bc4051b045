//! What an order has to do with another one, of version 1: frozen.

use serde::{Deserialize, Serialize};

/// What it is of the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum RelationKindV1 {
    ReplacementOf,
    ExchangeOf,
}

/// Another order of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationV1 {
    /// What it is of the other one.
    pub kind: RelationKindV1,
    /// The other one.
    pub order: String,
}
