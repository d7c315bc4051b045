//! Who may have orders here.

use std::num::NonZeroU32;

use super::{PortFuture, StoreError};
use crate::ids::TenantId;
use crate::wire::admin::{TenantChange, TenantSchema, TenantState, TenantView};
use crate::wire::flow_rules::FlowRules;
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
    /// In which order steps are asked for, and how often. An order keeps that of its placement.
    pub flow: FlowRules,
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
            flow: FlowRules::DEFAULT,
        }
    }

    /// The same tenant after a change; what the change does not name stays as it is.
    #[must_use]
    pub fn with(mut self, change: TenantChange) -> Self {
        match change.status {
            Some(TenantState::Active) => self.status = TenantStatus::Active,
            Some(TenantState::Suspended) => self.status = TenantStatus::Suspended,
            None => {}
        }
        if let Some(max) = change.in_flight_max {
            self.in_flight_max = max.map(NonZeroU32::get);
        }
        if let Some(change) = change.returns {
            self.returns = change.applied_to(self.returns);
        }
        if let Some(change) = change.payments {
            self.payments = change.applied_to(self.payments);
        }
        if let Some(change) = change.flow {
            self.flow = change.applied_to(self.flow);
        }
        self
    }
}

impl From<TenantSetting> for TenantView {
    fn from(setting: TenantSetting) -> Self {
        let status = match setting.status {
            TenantStatus::Active => TenantState::Active,
            TenantStatus::Suspended => TenantState::Suspended,
        };
        let TenantSetting { tenant, status: _, in_flight_max, returns, payments, flow } = setting;
        Self { schema: TenantSchema, tenant, status, in_flight_max, returns, payments, flow }
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

    /// The setting of one tenant, or that of a tenant for which nothing was set.
    fn get_or_new(&self, tenant: &TenantId) -> TenantSetting {
        self.get(tenant).unwrap_or_else(|| TenantSetting::new(tenant.clone()))
    }

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
