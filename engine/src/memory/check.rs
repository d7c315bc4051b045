//! Does a group say of itself what it holds? An adapter that indexes what it is told, and one that indexes what it
//! reads back, must come to the same: the reference adapter is strict, so that tests find the difference.

use crate::codec::control::Control;
use crate::codec::fence::group_digest;
use crate::codec::record::summary;
use crate::keys::partition_of;
use crate::ports::{Group, OrderEntry};

/// Checks the digest, the number of entries, and that each entry's fields are what its bytes say. Gives the controls.
///
/// # Errors
/// What is contradictory, in words.
pub(super) fn group(group: &Group, partitions: u16) -> Result<Vec<Control>, String> {
    let number = group.fence.group;
    if group.fence.digest != digest_of(group) {
        return Err(format!("the digest in the fence of group {number} is not that of its entries"));
    }
    if group.fence.entries as usize != group.records.len() + group.controls.len() {
        return Err(format!("the fence of group {number} counts {} entries", group.fence.entries));
    }
    let orders = group.records.iter().map(|record| &record.order);
    let foreign = |order: &&crate::ids::OrderRef| partition_of(order, partitions) != group.fence.partition;
    if let Some(order) = orders.chain(group.controls.iter().map(|control| &control.order)).find(foreign) {
        return Err(format!("{order} does not live in partition {}", group.fence.partition));
    }
    group.records.iter().try_for_each(record)?;
    let mut controls = Vec::with_capacity(group.controls.len());
    for entry in &group.controls {
        let control = Control::decode(&entry.bytes).map_err(|error| format!("a control: {error}"))?;
        if *control.order() != entry.order {
            return Err(format!("a control of {} under the name of {}", control.order(), entry.order));
        }
        controls.push(control);
    }
    Ok(controls)
}

fn record(entry: &OrderEntry) -> Result<(), String> {
    let order = &entry.order;
    let read = summary(&entry.bytes).map_err(|error| format!("the record of {order}: {error}"))?;
    if read.order != *order {
        return Err(format!("a record of {} under the name of {order}", read.order));
    }
    let told = (entry.expected_revision, entry.next_revision, entry.deadline);
    let found = (read.expected_revision, read.next_revision, read.deadline);
    if told != found {
        return Err(format!("{order}: the entry says {told:?}, its bytes {found:?}"));
    }
    Ok(())
}

/// The digest of a group's entries, as its fence must carry it.
pub(super) fn digest_of(group: &Group) -> crate::keys::Hash {
    let records = group.records.iter().map(|record| &*record.bytes);
    group_digest(records.chain(group.controls.iter().map(|control| &*control.bytes)))
}
