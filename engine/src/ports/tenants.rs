//! Who may have orders here.

use super::{PortFuture, StoreError};
use crate::ids::TenantId;
use crate::wire::payment_rules::PaymentRules;
use crate::wire::return_rules::ReturnRules;

/// Whether a tenant's commands are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantStatus {
    /// Commands are taken.
    Active,
    /// Commands are refused; nothing is lost.
    Suspended,
}

/// A tenant and what was set for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSetting {
    /// Which tenant.
    pub tenant: TenantId,
    /// Whether its commands are taken.
    pub status: TenantStatus,
    /// At most this many of its commands in flight on a node; `None` for the configured default.
    pub in_flight_max: Option<u32>,
    /// By which rules shipping, tax and fees of an order come back with returns. An order keeps those of its placement.
    pub returns: ReturnRules,
    /// By which rules payments are paid back, and what a declined one does. An order keeps those of its placement.
    pub payments: PaymentRules,
}

impl TenantSetting {
    /// A tenant for which nothing was set.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            status: TenantStatus::Active,
            in_flight_max: None,
            returns: ReturnRules::NEVER,
            payments: PaymentRules::DEFAULT,
        }
    }
}

/// The durable list of tenants.
///
/// - `put` MUST return only when the setting is as durable as a committed record.
/// - `get` MUST see every acknowledged `put`.
/// - `list` MUST be in the order of names.
pub trait Tenants: Send + Sync {
    /// The setting of one tenant, if it is known.
    fn get(&self, tenant: &TenantId) -> Option<TenantSetting>;

    /// Creates or changes a tenant.
    ///
    /// # Errors
    /// [`StoreError`]: it may or may not be stored; put it again.
    fn put(&self, setting: TenantSetting) -> PortFuture<'_, Result<(), StoreError>>;

    /// All tenants.
    fn list(&self) -> Vec<TenantSetting>;

    /// How many there are.
    fn count(&self) -> usize {
        self.list().len()
    }
}
