//! The parked orders of a partition, and the sequences of what waits behind them. Control records are only ever added, so those that
//! came since are enough.

use std::collections::BTreeMap;

use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::Hash;

use super::changelog::Indexed;

/// A parked order.
#[derive(Debug, Default)]
pub(super) struct Park {
    pub(super) reason: String,
    /// The highest sequence that waited.
    pub(super) queued: u64,
    /// Where the commands stand that wait, by their own sequence.
    pub(super) waiting: BTreeMap<u64, u64>,
}

/// The park marks of a partition.
#[derive(Debug, Default)]
pub(super) struct Parks {
    pub(super) at: Option<Hash>,
    /// Control records up to this sequence of the stream are in it.
    pub(super) to: u64,
    pub(super) parks: BTreeMap<OrderRef, Park>,
}

impl Indexed for Parks {
    /// A control record and its sequence.
    type Change = (u64, Control);

    fn at(&mut self) -> &mut Option<Hash> {
        &mut self.at
    }

    fn apply(&mut self, (at, control): Self::Change) {
        self.control(&control, at);
        self.to = self.to.max(at);
    }
}

impl Parks {
    pub(super) fn control(&mut self, control: &Control, at: u64) {
        match control {
            Control::Park { order, reason, .. } => {
                let park = || Park { reason: reason.clone(), ..Park::default() };
                self.parks.entry(order.clone()).or_insert_with(park);
            }
            Control::ParkedCommand { order, sequence, .. } => {
                if let Some(park) = self.parks.get_mut(order) {
                    park.queued = park.queued.max(*sequence);
                    park.waiting.entry(*sequence).or_insert(at);
                }
            }
            Control::Release { order, .. } => drop(self.parks.remove(order)),
        }
    }
}
