//! What all looks share.

use std::sync::Arc;

use crate::effects::Effects;
use crate::partition_table::PartitionTable;
use crate::routes::TenantRoutes;

/// Deadlines read at once.
pub(crate) const PAGE: usize = 256;

pub(crate) struct SweeperArgs {
    pub(crate) effects: Arc<Effects>,
    pub(crate) routes: Arc<TenantRoutes>,
    pub(crate) table: Arc<PartitionTable>,
    pub(crate) partitions: u16,
}
