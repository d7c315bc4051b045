//! Park marks, dead letters and tenants in the index's control entries.
//!
//! Invariant: putting the same log entry in again changes nothing, because after a crash the index may hold an entry
//! whose frame it has not noted yet. Hence the position in a park mark's value.
//!
//! ```text
//! p <partition> <tenant> 0 <order>          a park mark: position of the last entry counted, highest sequence, reason
//! q <partition> <tenant> 0 <order> 0 <n>    a parked command: position of the first entry with this sequence
//! l <position>                              a dead letter, in the order of putting
//! k <key>                                   a dead letter's position by its key
//! t <tenant>                                a tenant's note, as encoded
//! ```

use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{self, ParkedOrder, TenantSetting};

use crate::log::Position;
use retailflow_index::{Index, IndexError};

/// Reasons are for people; a long one is cut here and stays whole in the log. In bytes.
const REASON_MAX_BYTES: usize = 2_000;
const PAGE: usize = 1_000;

pub(super) fn letter_key(key: &[u8; 16]) -> Vec<u8> {
    [&b"k"[..], key].concat()
}

fn order_part(prefix: u8, order: &OrderRef, partitions: u16) -> Vec<u8> {
    let mut key = partition_prefix(prefix, partition_of(order, partitions));
    key.extend_from_slice(order.tenant.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(order.order.as_str().as_bytes());
    key
}

fn partition_prefix(prefix: u8, partition: PartitionId) -> Vec<u8> {
    let [a, b] = partition.0.to_be_bytes();
    vec![prefix, a, b]
}

struct Mark {
    counted: u64,
    queued: u64,
    reason: String,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(16 + self.reason.len());
        value.extend_from_slice(&self.counted.to_be_bytes());
        value.extend_from_slice(&self.queued.to_be_bytes());
        value.extend_from_slice(self.reason.as_bytes());
        value
    }

    fn decode(value: &[u8]) -> Result<Self, IndexError> {
        let damaged = || IndexError::Damaged("a park mark is too short".into());
        let (counted, rest) = value.split_first_chunk().ok_or_else(damaged)?;
        let (queued, reason) = rest.split_first_chunk().ok_or_else(damaged)?;
        Ok(Self {
            counted: u64::from_be_bytes(*counted),
            queued: u64::from_be_bytes(*queued),
            reason: String::from_utf8_lossy(reason).into_owned(),
        })
    }
}

/// The first order of which `group` gives a parked command a number that is taken; `pending` is written and not taken in yet.
pub(super) fn number_taken<'a>(
    index: &Index,
    partitions: u16,
    pending: impl Iterator<Item = &'a Control>,
    group: impl Iterator<Item = &'a Control>,
) -> Result<Option<OrderRef>, IndexError> {
    let marked = |order: &OrderRef| Ok(index.get_control(&order_part(b'p', order, partitions))?.is_some());
    let waits = |order: &OrderRef, number: u64| {
        let mut key = order_part(b'q', order, partitions);
        key.push(0);
        key.extend_from_slice(&number.to_be_bytes());
        Ok(index.get_control(&key)?.is_some())
    };
    ports::number_taken(pending, group, marked, waits)
}

/// Takes in a control record that stands at `position`.
pub(super) fn apply_control(
    index: &Index,
    partitions: u16,
    position: Position,
    control: &Control,
) -> Result<(), IndexError> {
    let key = order_part(b'p', control.order(), partitions);
    let mut queue = order_part(b'q', control.order(), partitions);
    queue.push(0);
    match control {
        Control::Park { reason, .. } => {
            if index.get_control(&key)?.is_none() {
                let mut end = reason.len().min(REASON_MAX_BYTES);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                let mark = Mark { counted: position.0, queued: 0, reason: reason[..end].into() };
                index.put_control(&key, &mark.encode())?;
            }
        }
        Control::ParkedCommand { sequence, .. } => {
            let Some(mark) = index.get_control(&key)? else { return Ok(()) };
            let mut mark = Mark::decode(&mark)?;
            if mark.counted < position.0 {
                mark.counted = position.0;
                mark.queued = mark.queued.max(*sequence);
                index.put_control(&key, &mark.encode())?;
            }
            queue.extend_from_slice(&sequence.to_be_bytes());
            // The log refuses a second one; taking in the same one again changes nothing.
            if index.get_control(&queue)?.is_none() {
                index.put_control(&queue, &position.0.to_be_bytes())?;
            }
        }
        Control::Release { .. } => {
            index.remove_control(&key)?;
            loop {
                let waiting = index.list_controls(&queue, None, PAGE)?;
                for (key, _) in &waiting {
                    index.remove_control(key)?;
                }
                if waiting.len() < PAGE {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Takes in a note whose frame stands at `position`.
pub(super) fn apply_note(
    index: &Index,
    position: Position,
    note: &Note,
    encoded: &[u8],
) -> Result<(), IndexError> {
    match note {
        Note::DeadLetter(letter) => {
            let key = letter_key(&letter.key);
            if index.get_control(&key)?.is_none() {
                index.put_control(&key, &position.0.to_be_bytes())?;
                index.put_control(&[b"l", &position.0.to_be_bytes()[..]].concat(), &[])?;
            }
            Ok(())
        }
        Note::Tenant(setting) => {
            index.put_control(&[b"t", setting.tenant.as_str().as_bytes()].concat(), encoded)
        }
    }
}

/// All tenants.
pub(super) fn tenants(index: &Index) -> Result<Vec<TenantSetting>, IndexError> {
    let mut tenants = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = index.list_controls(b"t", after.as_deref(), PAGE)?;
        for (_, value) in &page {
            match Note::decode(value) {
                Ok(Note::Tenant(setting)) => tenants.push(setting),
                Ok(_) => return Err(IndexError::Damaged("a tenant's entry holds something else".into())),
                Err(error) => return Err(IndexError::Damaged(format!("a tenant's entry: {error}"))),
            }
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(tenants),
        }
    }
}

/// Positions of dead letters after `after`, at most `limit`.
pub(super) fn letters(index: &Index, after: u64, limit: usize) -> Result<Vec<Position>, IndexError> {
    let after = [b"l", &after.to_be_bytes()[..]].concat();
    let page = index.list_controls(b"l", Some(&after), limit)?;
    page.iter()
        .map(|(key, _)| {
            let position = key.get(1..).and_then(|position| position.try_into().ok());
            let position =
                position.ok_or_else(|| IndexError::Damaged("a dead letter's entry is too short".into()))?;
            Ok(Position(u64::from_be_bytes(position)))
        })
        .collect()
}

/// The parked orders of a partition, in the order of their names.
pub(super) fn parked(index: &Index, partition: PartitionId) -> Result<Vec<ParkedOrder>, IndexError> {
    let prefix = partition_prefix(b'p', partition);
    let mut parked = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = index.list_controls(&prefix, after.as_deref(), PAGE)?;
        for (key, value) in &page {
            let mark = Mark::decode(value)?;
            let order = order_of(&key[prefix.len()..])
                .ok_or_else(|| IndexError::Damaged("a park mark names no order".into()))?;
            parked.push(ParkedOrder { order, reason: mark.reason, queued: mark.queued });
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    // The zero byte in the keys sorts as the end of the tenant's name does: already in order.
    Ok(parked)
}

/// Sequences and positions of the commands that wait behind an order's mark, after a sequence.
pub(super) fn parked_commands(
    index: &Index,
    order: &OrderRef,
    partitions: u16,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<(u64, Position)>, IndexError> {
    let mark = order_part(b'p', order, partitions);
    let mut queue = order_part(b'q', order, partitions);
    queue.push(0);
    let after = [&queue[..], &after_sequence.to_be_bytes()].concat();
    let page = if limit == 0 { Vec::new() } else { index.list_controls(&queue, Some(&after), limit)? };
    // Asked afterwards: a release takes the mark away first, so a queue that is being emptied is never seen in part.
    if index.get_control(&mark)?.is_none() {
        return Ok(Vec::new());
    }
    page.iter()
        .map(|(key, value)| {
            let number =
                |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            match (number(key.get(queue.len()..)), number(Some(value))) {
                (Some(sequence), Some(position)) => Ok((sequence, Position(position))),
                _ => Err(IndexError::Damaged("a parked command's entry has another length".into())),
            }
        })
        .collect()
}

fn order_of(name: &[u8]) -> Option<OrderRef> {
    let text = std::str::from_utf8(name).ok()?;
    let (tenant, order) = text.split_once('\0')?;
    Some(OrderRef { tenant: TenantId::parse(tenant).ok()?, order: OrderId::parse(order).ok()? })
}
