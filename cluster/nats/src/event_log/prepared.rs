//! A group made ready: checked as far as no log is needed, and turned into messages.

use bytes::Bytes;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::codec::fence::fence_hash;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::{Hash, partition_of};
use retailflow_engine::ports::{CommitError, DeadlineChange, Group};

use super::state::Head;
use crate::batch::{BatchMessage, GROUP_MESSAGES_MAX, HEADERS_MAX_BYTES};
use crate::subjects;

/// How long a cleared deadline stays in the stream, in seconds: whoever takes the partition over reads all that are there. Its subject is
/// gone with it, so that orders which are done cost the server nothing here. A replica that is further behind than this shows
/// orders as open that are not: so who reads the deadlines asks the leader of which orders any are left.
const CLEARED_SECONDS: u64 = 10;

/// How many messages a group makes: its fence, its entries, and a deadline for each record that changes one. More than
/// [`GROUP_MESSAGES_MAX`] are refused as `Unavailable`; `records * 2 + controls < GROUP_MESSAGES_MAX` always fits.
#[must_use]
pub fn group_messages(group: &Group) -> usize {
    let changed = |record: &&retailflow_engine::ports::OrderEntry| {
        record.deadline != retailflow_engine::ports::DeadlineChange::Keep
    };
    1 + group.records.len() + group.controls.len() + group.records.iter().filter(changed).count()
}

/// The most records that a group may always have, whatever they do to their deadlines.
pub const GROUP_RECORDS_MAX: usize = (GROUP_MESSAGES_MAX - 1) / 2;

/// A group with what is made of it once, however often it is sent.
pub(super) struct Prepared<'a> {
    pub(super) group: &'a Group,
    pub(super) partition: PartitionId,
    fence: Bytes,
    pub(super) hash: Hash,
    pub(super) controls: Vec<Control>,
    pub(super) messages: usize,
}

impl<'a> Prepared<'a> {
    /// Checks what needs no log, and makes what is sent.
    pub(super) fn new(
        group: &'a Group,
        partitions: u16,
        payload_max_bytes: usize,
    ) -> Result<Self, CommitError> {
        let unavailable = |why: String| CommitError::Unavailable(why);
        let partition = group.fence.partition;
        if partition.0 >= partitions {
            return Err(unavailable(format!("there is no partition {partition}")));
        }
        let orders = group.records.iter().map(|record| &record.order);
        let mut orders = orders.chain(group.controls.iter().map(|control| &control.order));
        let foreign = |order: &&OrderRef| partition_of(order, partitions) != partition;
        if let Some(order) = orders.find(foreign) {
            return Err(unavailable(format!("order {order} does not belong to partition {partition}")));
        }
        // Readers count by it.
        if group.fence.entries as usize != group.records.len() + group.controls.len() {
            return Err(unavailable(format!("the fence counts {} entries", group.fence.entries)));
        }
        let messages = group_messages(group);
        if messages > GROUP_MESSAGES_MAX {
            let why = format!("a group of {messages} messages, at most {GROUP_MESSAGES_MAX}");
            return Err(CommitError::TooLarge { entry: None, why });
        }
        let fence = group.fence.encode().map_err(|error| unavailable(error.to_string()))?;
        let decode = |bytes: &[u8]| Control::decode(bytes).map_err(|error| unavailable(error.to_string()));
        let controls =
            group.controls.iter().map(|entry| decode(&entry.bytes)).collect::<Result<Vec<_>, _>>()?;
        too_large(group, fence.len(), payload_max_bytes, "the server's max_payload")?;
        let hash = fence_hash(&fence);
        Ok(Self { group, partition, fence: fence.into(), hash, controls, messages })
    }

    /// The same for what its stream takes.
    pub(super) fn fits(&self, message_max_bytes: usize) -> Result<(), CommitError> {
        too_large(self.group, self.fence.len(), message_max_bytes, "the stream's max_msg_size")
    }

    /// The batch: fence, records, controls, deadlines.
    pub(super) fn messages(&self, head: Option<&Head>, expected: &[u64]) -> Vec<BatchMessage> {
        let (group, partition) = (self.group, self.partition);
        let mut messages = Vec::with_capacity(self.messages);
        let plain = |subject, expected, payload| BatchMessage { subject, expected, replaces: None, payload };
        let last = head.map_or(0, |head| head.sequence);
        messages.push(plain(subjects::fence(partition), Some(last), self.fence.clone()));
        for (record, expected) in group.records.iter().zip(expected) {
            let bytes = Bytes::from_owner(record.bytes.clone());
            messages.push(plain(subjects::record(partition, &record.order), Some(*expected), bytes));
        }
        for control in &group.controls {
            let bytes = Bytes::from_owner(control.bytes.clone());
            messages.push(plain(subjects::control(partition, &control.order), None, bytes));
        }
        for record in &group.records {
            let at = match record.deadline {
                DeadlineChange::Keep => continue,
                DeadlineChange::Set(at) => Some(at),
                DeadlineChange::Clear => None,
            };
            let deadline = Deadline { order: record.order.clone(), revision: record.next_revision, at };
            // Three short fields: never too large.
            let payload = deadline.encode().unwrap_or_default().into();
            let subject = subjects::deadline(partition, &record.order);
            let replaces = Some(at.is_none().then_some(CLEARED_SECONDS));
            messages.push(BatchMessage { subject, expected: None, replaces, payload });
        }
        messages
    }
}

/// Names the first entry that no message of `max_bytes` holds.
fn too_large(group: &Group, fence_bytes: usize, max_bytes: usize, limit: &str) -> Result<(), CommitError> {
    let records = group.records.iter().map(|record| record.bytes.len());
    let sizes = records.chain(group.controls.iter().map(|control| control.bytes.len()));
    let mut sizes = sizes.chain([fence_bytes]).map(|bytes| bytes + HEADERS_MAX_BYTES).enumerate();
    let Some((at, bytes)) = sizes.find(|(_, bytes)| *bytes > max_bytes) else { return Ok(()) };
    let why = format!("a message of {bytes} bytes; {limit} is {max_bytes}");
    let entry = Some(at).filter(|at| *at < group.records.len() + group.controls.len());
    Err(CommitError::TooLarge { entry, why })
}
