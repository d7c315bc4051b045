//! A cache of orders' states, so that a long history need not be folded again.

use super::PortFuture;
use crate::ids::OrderRef;

/// Snapshots by order. A cache: losing one costs time only, and the log decides whether one is believed.
///
/// - `load` MUST return the bytes of some earlier `save` of that order, or nothing.
/// - `save` MAY be lost or delayed; it MUST NOT block the caller.
pub trait Snapshots: Send + Sync {
    /// The newest snapshot there is. Trouble counts as none.
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>>;

    /// Offers a snapshot for keeping.
    fn save(&self, order: &OrderRef, bytes: Vec<u8>);
}
