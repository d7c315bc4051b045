//! A record on its way, and who waits for it.

use retailflow_engine::order::SealedDraft;
use retailflow_engine::wire::Outcome;

use crate::messages::EngineDelivery;
use crate::work::Work;

/// A record that was proposed.
pub(super) struct InFlightRecord {
    pub(super) number: u64,
    pub(super) sealed: SealedDraft,
    /// By decision: who asked first, then who joined.
    pub(super) waiters: Vec<Vec<Work>>,
    /// Refusals that rest on tentative state: sent when it has become the committed one.
    pub(super) deferred: Vec<DeferredRefusal>,
    /// The engine's own commands among the decisions: until these are durable their effects count as running.
    pub(super) engine: Vec<EngineDelivery>,
}

impl InFlightRecord {
    /// The commands of callers, in the order in which they came, but for duplicates.
    pub(super) fn into_works(self) -> Vec<Work> {
        in_order(self.waiters, self.deferred)
    }
}

/// A refusal that rests on the `after` decisions before it.
pub(super) struct DeferredRefusal {
    pub(super) work: Work,
    pub(super) outcome: Outcome,
    pub(super) after: usize,
}

pub(super) fn in_order(waiters: Vec<Vec<Work>>, deferred: Vec<DeferredRefusal>) -> Vec<Work> {
    let mut works = Vec::with_capacity(waiters.len() + deferred.len());
    let mut deferred = deferred.into_iter().peekable();
    for (place, waiting) in waiters.into_iter().enumerate() {
        while let Some(refused) = deferred.next_if(|refused| refused.after <= place) {
            works.push(refused.work);
        }
        works.extend(waiting);
    }
    works.extend(deferred.map(|refused| refused.work));
    works
}
