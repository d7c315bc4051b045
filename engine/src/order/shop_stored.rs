//! What a shop set or recorded for an order, as a snapshot holds it, and back.

use super::holds::{holds_from_stored, holds_to_stored};
use super::saga::Saga;
use crate::codec::snapshot::ShopV5;

pub(super) fn shop_to_stored(saga: &Saga) -> ShopV5 {
    ShopV5 { holds: holds_to_stored(saga) }
}

/// Gives a saga what its shop set or recorded.
pub(super) fn shop_from_stored(stored: ShopV5, saga: &mut Saga) {
    let ShopV5 { holds } = stored;
    saga.holds = holds_from_stored(holds);
}
