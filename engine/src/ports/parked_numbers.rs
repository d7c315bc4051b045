//! Which numbers of parked commands are taken.

use std::collections::{BTreeSet, HashMap};

use crate::codec::control::Control;
use crate::ids::OrderRef;

/// An order's queue, as far as what is not visible yet changes it.
struct Queue {
    marked: bool,
    /// What is visible was released.
    released: bool,
    numbers: BTreeSet<u64>,
}

/// The first order for which `group` holds a parked command under a number that another one has behind the order's present mark. Every
/// log refuses it by this: the second would be acknowledged, and never seen again.
///
/// `pending` is what is written and not visible yet; `marked` and `waits` tell what is visible: whether an order is parked, and whether
/// a command waits under a number.
///
/// # Errors
/// Those of `marked` and `waits`.
pub fn number_taken<'a, E>(
    pending: impl IntoIterator<Item = &'a Control>,
    group: impl IntoIterator<Item = &'a Control>,
    marked: impl Fn(&OrderRef) -> Result<bool, E>,
    waits: impl Fn(&OrderRef, u64) -> Result<bool, E>,
) -> Result<Option<OrderRef>, E> {
    let group: Vec<&Control> = group.into_iter().collect();
    if !group.iter().any(|control| matches!(control, Control::ParkedCommand { .. })) {
        return Ok(None);
    }
    let mut queues: HashMap<&OrderRef, Queue> = HashMap::new();
    let pending = pending.into_iter().map(|control| (control, false));
    for (control, new) in pending.chain(group.into_iter().map(|control| (control, true))) {
        let order = control.order();
        if !queues.contains_key(order) {
            let queue = Queue { marked: marked(order)?, released: false, numbers: BTreeSet::new() };
            queues.insert(order, queue);
        }
        let Some(queue) = queues.get_mut(order) else { continue };
        match control {
            Control::Park { .. } => queue.marked = true,
            Control::Release { .. } => {
                *queue = Queue { marked: false, released: true, numbers: BTreeSet::new() };
            }
            // Behind no mark nothing is kept.
            Control::ParkedCommand { .. } if !queue.marked => {}
            Control::ParkedCommand { sequence, .. } => {
                let taken = !queue.numbers.insert(*sequence) || (!queue.released && waits(order, *sequence)?);
                if taken && new {
                    return Ok(Some(order.clone()));
                }
            }
        }
    }
    Ok(None)
}
