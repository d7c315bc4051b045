//! Lists that are kept nowhere: a node of many has those of no other.

use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{OrderCounts, OrderPage, OrderQuery, PortFuture, ViewError, Views};

/// Says that there are none.
pub(super) struct NoViews;

fn not_kept<T>() -> Result<T, ViewError> {
    Err(ViewError::NotKept)
}

impl Views for NoViews {
    fn list(&self, _query: OrderQuery) -> PortFuture<'_, Result<OrderPage, ViewError>> {
        Box::pin(std::future::ready(not_kept()))
    }

    fn counts(&self, _tenant: Option<&TenantId>) -> Result<OrderCounts, ViewError> {
        not_kept()
    }

    fn position(&self) -> String {
        String::new()
    }

    fn written(&self) -> String {
        String::new()
    }

    fn reached<'a>(&'a self, _position: &'a str) -> PortFuture<'a, Result<(), ViewError>> {
        Box::pin(std::future::ready(not_kept()))
    }
}
