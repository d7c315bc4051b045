//! What became of an order after it was placed, as a snapshot holds it, and back.

use std::sync::Arc;

use super::convert::{units_from_stored, units_to_stored};
use super::goods::{Goods, Lot};
use super::saga::Saga;
use crate::codec::snapshot::{AmendsV5, LotV5};

pub(super) fn amends_to_stored(saga: &Saga) -> AmendsV5 {
    let lot = |lot: &Lot| -> LotV5 {
        (lot.reference.as_deref().map(Into::into), lot.units.iter().map(units_to_stored).collect())
    };
    let lots = |lots: &[Lot]| lots.iter().map(lot).collect();
    AmendsV5 {
        goods: saga.goods.as_ref().map(|goods| (lots(&goods.reservations), lots(&goods.shipments))),
        reopened: saga.reopened,
        note: saga.note.as_deref().map(Into::into),
    }
}

/// Gives a saga what became of its order.
pub(super) fn amends_from_stored(stored: AmendsV5, saga: &mut Saga) {
    let lot = |(reference, units): &LotV5| Lot {
        reference: reference.as_deref().map(Into::into),
        units: units.iter().map(units_from_stored).collect(),
    };
    let goods = stored.goods.map(|(reservations, shipments)| Goods {
        reservations: reservations.iter().map(lot).collect(),
        shipments: shipments.iter().map(lot).collect(),
    });
    saga.goods = goods.map(Arc::new);
    saga.reopened = stored.reopened;
    saga.note = stored.note.map(Into::into);
}
