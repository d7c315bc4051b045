//! Which order is meant, and what is read of it.

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::wire::order::{HistoryEntry, OrderView};

/// Which order.
#[derive(clap::Args, Debug)]
pub(crate) struct NameArgs {
    /// The tenant it belongs to
    #[arg(value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// Its id
    #[arg(value_parser = OrderId::parse)]
    pub(crate) order: OrderId,
}

impl NameArgs {
    /// The order's full name.
    pub(crate) fn full(&self) -> OrderRef {
        OrderRef { tenant: self.tenant.clone(), order: self.order.clone() }
    }
}

/// The path of an order below a server's door. Its names need no other spelling there.
pub(crate) fn path(name: &OrderRef) -> String {
    format!("/tenants/{}/orders/{}", name.tenant, name.order)
}

pub(crate) type Found = Option<(OrderView, Vec<HistoryEntry>)>;
