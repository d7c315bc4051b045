//! Who knows where the records of long orders stand.

use retailflow_engine::ids::{CommandKey, OrderRef};

/// Orders with fewer decisions are read as a whole.
pub(crate) const LONG_MIN: u64 = 512;

/// Where some of an order's records stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownRecords {
    /// In the order of the log.
    pub(crate) positions: Vec<u64>,
    /// Up to and with which decision of the order it is known.
    pub(crate) up_to: u64,
}

/// Who knows where the records of long orders stand, up to some decision of each.
pub(crate) trait LongOrders: Send + Sync {
    /// The records that hold the decisions after `after`, about `decisions` of them. Blocks.
    fn records(&self, order: &OrderRef, after: u64, decisions: u64) -> Option<KnownRecords>;

    /// All records that may hold the decision on a command. Blocks.
    fn with_command(&self, order: &OrderRef, command: &CommandKey) -> Option<KnownRecords>;
}
