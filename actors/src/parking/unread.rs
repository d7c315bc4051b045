//! The partitions whose park marks are not known yet, and what waits for that.

use std::collections::BTreeMap;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;
use tokio::task::JoinSet;

use crate::messages::{ReleaseError, TenantMsg};

/// Why a command is refused for a while.
const UNREAD: &str = "it is not known yet which orders of the partition are parked; ask again";

/// A partition whose marks are not known.
#[derive(Default)]
pub(super) struct UnreadPartition {
    /// The number of the read that goes on.
    pub(super) reading: Option<u64>,
    /// The last read failed: who asks is refused until one succeeds.
    pub(super) failed: bool,
    /// An order that wanted to be driven got no notice: scan again once the marks are known.
    pub(super) rescan: bool,
    /// Bounded as an order's queue.
    pub(super) waiting: Vec<TenantMsg>,
}

/// Those partitions, and the tasks that read. They end with the tenant.
#[derive(Default)]
pub(super) struct UnreadMarks {
    pub(super) partitions: BTreeMap<PartitionId, UnreadPartition>,
    pub(super) tasks: JoinSet<()>,
}

impl UnreadMarks {
    pub(super) fn forget(&mut self, partition: PartitionId) {
        self.partitions.remove(&partition);
    }
}

/// Refuses what cannot wait. Whether it was a notice to an order.
pub(super) fn refuse(message: TenantMsg, retry_after_ms: u64) -> bool {
    match message {
        TenantMsg::Submit(work) => work.refuse(Code::Unavailable, UNREAD, retry_after_ms),
        TenantMsg::Release(request) => {
            drop(request.reply.send(Err(ReleaseError::Unavailable(UNREAD.into()))));
        }
        _ => return true,
    }
    false
}
