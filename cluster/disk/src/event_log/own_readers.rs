//! What the process's own readers ask of the log, on threads that may block.

use std::sync::Weak;

use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{LogPosition, LoggedGroup, ReadError, StoredRecord};

use super::disk_log::DiskLog;
use super::failure::LogFailure;
use super::long_orders::LongOrders;
use super::tail::Tail;
use crate::log::{FrameKind, Hash, Position, group};

impl DiskLog {
    pub(crate) fn tail(&self) -> &std::sync::Arc<Tail> {
        &self.inner.tail
    }

    /// Groups after `after`, about `limit_bytes` of them; none that [`Tail::last`] does not cover.
    pub(crate) fn scan_blocking(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedGroup>, ReadError> {
        let last = self.inner.tail.last();
        if after.0 >= last {
            return Ok(Vec::new());
        }
        let mut groups = self.inner.read_outcome(self.inner.scan(after, limit_bytes))?;
        groups.retain(|group| group.position.0 <= last);
        Ok(groups)
    }

    /// As [`EventLog::read_order`](retailflow_engine::ports::EventLog::read_order).
    pub(crate) fn read_order_blocking(&self, order: &OrderRef) -> Result<Vec<StoredRecord>, ReadError> {
        self.inner.read_outcome(self.inner.read_order(order, 0))
    }

    /// How many bytes of the log stand before `position`, about.
    pub(crate) fn bytes_before(&self, position: u64) -> u64 {
        self.inner.reader.bytes_before(Position(position))
    }

    /// The hash of the group at `position`, which tells all that stands before it; `None` when none stands there.
    pub(crate) fn group_hash_blocking(&self, position: u64) -> Result<Option<Hash>, ReadError> {
        match self.inner.reader.frame(Position(position)).map_err(LogFailure::from) {
            Err(LogFailure::Damaged(_)) => Ok(None),
            frame => Ok(Some(frame?).filter(|frame| frame.kind == FrameKind::Group).map(|frame| frame.hash)),
        }
    }

    /// The group at `position`; `None` when none stands there.
    pub(crate) fn group_blocking(&self, position: u64) -> Result<Option<LoggedGroup>, ReadError> {
        let frame = match self.inner.reader.frame(Position(position)).map_err(LogFailure::from) {
            Err(LogFailure::Damaged(_)) => return Ok(None),
            frame => frame?,
        };
        Ok(Some(frame)
            .filter(|frame| frame.kind == FrameKind::Group)
            .and_then(|frame| group::logged(&frame).ok()))
    }

    /// Records of orders that were read one by one so far.
    #[cfg(test)]
    pub(crate) fn records_read(&self) -> u64 {
        self.inner.records_read.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Who knows long orders from now on.
    pub(crate) fn set_long_orders(&self, long: Weak<dyn LongOrders>) {
        *self.inner.long.write() = Some(long);
    }

    /// The records of an order that hold the decisions after `after` up to and with its record at `position`, after which
    /// it has `revision` decisions. Blocks.
    pub(crate) fn walk_blocking(
        &self,
        order: &OrderRef,
        position: u64,
        revision: u64,
        after: u64,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        self.inner.read_outcome(self.inner.walk(order, position, revision, after))
    }
}
