//! What an auditor counts.

use std::collections::BTreeMap;

use retailflow_engine::ids::TenantId;

/// What was recorded for one tenant, as an auditor counts it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantLedger {
    /// Distinct commands recorded as applied.
    pub applied: u64,
    /// Distinct commands recorded as rejected.
    pub rejected: u64,
    /// Commands waiting behind park marks.
    pub parked: u64,
}

/// Counts by tenant.
pub type Ledger = BTreeMap<TenantId, TenantLedger>;
