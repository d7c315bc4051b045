//! How an order answers when it is asked to leave memory.

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::ids::OrderRef;

use crate::messages::{OrderMsg, TenantMsg};

/// The reason with which an order stops that had nothing to do; any other end is a crash.
pub(crate) const PASSIVATED: &str = "passivated";

/// Stops the order, or tells its tenant that it has work and stays.
///
/// # Errors
/// The tenant has gone, and the order goes with it.
pub(crate) fn answer_request(
    myself: &ActorRef<OrderMsg>,
    tenant: &ActorRef<TenantMsg>,
    order: &OrderRef,
    is_busy: bool,
) -> Result<(), ActorProcessingErr> {
    if is_busy {
        tenant.cast(TenantMsg::Busy(order.order.clone(), myself.get_id()))?;
    } else {
        // The tenant sends nothing after `Passivate` until it hears from us, and what an effect sends counts as an
        // attempt until it is recorded: no message is left behind.
        myself.stop(Some(PASSIVATED.into()));
    }
    Ok(())
}
