//! The open orders of a partition, by the time at which someone must look again. A deadline goes without a trace some time after it was
//! cleared, so all are read again when somebody else has written.

use std::collections::{BTreeSet, HashMap};

use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::DueOrder;

use super::changelog::Indexed;

/// The deadlines of a partition.
#[derive(Debug, Default)]
pub(super) struct OpenDeadlines {
    pub(super) at: Option<Hash>,
    pub(super) due: BTreeSet<DueOrder>,
    pub(super) by_order: HashMap<OrderRef, TimestampMs>,
}

impl Indexed for OpenDeadlines {
    /// An order and its deadline, if it still has one.
    type Change = (OrderRef, Option<TimestampMs>);

    fn at(&mut self) -> &mut Option<Hash> {
        &mut self.at
    }

    fn apply(&mut self, (order, at): Self::Change) {
        self.deadline(&order, at);
    }
}

impl OpenDeadlines {
    pub(super) fn deadline(&mut self, order: &OrderRef, at: Option<TimestampMs>) {
        let before = match at {
            Some(at) => self.by_order.insert(order.clone(), at),
            None => self.by_order.remove(order),
        };
        if let Some(before) = before {
            self.due.remove(&DueOrder { at: before, order: order.clone() });
        }
        if let Some(at) = at {
            self.due.insert(DueOrder { at, order: order.clone() });
        }
    }
}
