//! Crashing orders on purpose, for demonstrations.

use std::sync::atomic::{AtomicU64, Ordering};

use retailflow_actors::{Probe, ProbePoint, ProbeVerdict};

/// One in so many decisions crashes its order, until the wanted number of crashes is reached.
const ONE_IN: u64 = 97;

/// Crashes a number of orders, spread over the beginning of a run.
pub(crate) struct KillOrders {
    left: AtomicU64,
    visits: AtomicU64,
}

impl KillOrders {
    pub(crate) fn new(orders: u64) -> Self {
        Self { left: AtomicU64::new(orders), visits: AtomicU64::new(0) }
    }
}

impl Probe for KillOrders {
    fn at(&self, point: ProbePoint, _subject: &str) -> ProbeVerdict {
        // Before a decision, after a proposal, and after a commit that nobody was told of, in turn.
        let wanted = match self.left.load(Ordering::Relaxed) % 3 {
            0 => ProbePoint::OrderDecide,
            1 => ProbePoint::OrderProposed,
            _ => ProbePoint::OrderCommitted,
        };
        if point != wanted || self.visits.fetch_add(1, Ordering::Relaxed) % ONE_IN != ONE_IN - 1 {
            return ProbeVerdict::Pass;
        }
        let took = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if took.is_ok() { ProbeVerdict::Crash } else { ProbeVerdict::Pass }
    }
}
