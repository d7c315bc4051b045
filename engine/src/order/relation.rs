//! What an order has to do with another one, between the contract and its stored form. It moves nothing.

use crate::codec::CodecError;
use crate::codec::v1::{RelationKindV1, RelationV1};
use crate::ids::OrderId;
use crate::wire::command::{Relation, RelationKind};

pub(super) fn relation_to_stored(relation: &Relation) -> RelationV1 {
    let kind = match relation.kind {
        RelationKind::ReplacementOf => RelationKindV1::ReplacementOf,
        RelationKind::ExchangeOf => RelationKindV1::ExchangeOf,
    };
    RelationV1 { kind, order: relation.order.to_string() }
}

pub(super) fn relation_from_stored(stored: &RelationV1) -> Result<Relation, CodecError> {
    let kind = match stored.kind {
        RelationKindV1::ReplacementOf => RelationKind::ReplacementOf,
        RelationKindV1::ExchangeOf => RelationKind::ExchangeOf,
    };
    let order = OrderId::parse(&stored.order).map_err(|error| CodecError::Corrupt(error.to_string()))?;
    Ok(Relation { kind, order })
}
