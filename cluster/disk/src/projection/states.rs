//! What each order has become so far.
//!
//! The orders that changed last are in memory; each other one is 60 bytes of memory and a place in a file, of about
//! twice its state's size, at least 512 bytes. Nothing is ever thrown away: an order that rested for years may come
//! back with a return, and its events need what was placed.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use lru::LruCache;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::order_key;
use retailflow_engine::order::Aggregate;

use super::spill::Spill;

/// The states have no room any more, or what was kept does not come back.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the orders' states in {} (TMPDIR names another folder)", folder.display())]
pub struct StatesError {
    /// Where.
    pub folder: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Orders in memory, a few KiB each.
pub(super) const IN_MEMORY_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// What is known of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// What its records say.
    pub(super) aggregate: Aggregate,
    /// How often it was parked.
    pub(super) parks: u32,
}

/// All orders' states.
pub(super) struct States {
    log_id: [u8; 16],
    recent: LruCache<OrderRef, State>,
    /// Made when the first order has no room in memory.
    spill: Option<Spill>,
    folder: PathBuf,
}

impl States {
    /// Of no order anything is known. The rest goes to a file in `folder`.
    pub(super) fn new(log_id: [u8; 16], in_memory_max: NonZeroUsize, folder: PathBuf) -> Self {
        Self { log_id, recent: LruCache::new(in_memory_max), spill: None, folder }
    }

    /// Takes an order's state out; to be put back, or nothing is known of it any more.
    pub(super) fn take(&mut self, order: &OrderRef) -> Result<State, StatesError> {
        if let Some(state) = self.recent.pop(order) {
            return Ok(state);
        }
        let kept = match &mut self.spill {
            Some(spill) => spill.take(&order_key(order)).map_err(|error| self.trouble(error))?,
            None => None,
        };
        let Some(bytes) = kept else {
            return Ok(State { aggregate: Aggregate::new(order.clone()), parks: 0 });
        };
        let Some((parks, snapshot)) = bytes.split_first_chunk() else {
            return Err(self.trouble(io::ErrorKind::InvalidData.into()));
        };
        let aggregate = Aggregate::from_snapshot(order, self.log_id, snapshot);
        let aggregate = aggregate.map_err(|error| self.trouble(io::Error::other(error)))?;
        Ok(State { aggregate, parks: u32::from_le_bytes(*parks) })
    }

    /// Puts an order's state back.
    pub(super) fn put(&mut self, state: State) -> Result<(), StatesError> {
        let order = state.aggregate.reference.clone();
        match self.recent.push(order, state) {
            Some((_, oldest)) => self.spill(&oldest),
            None => Ok(()),
        }
    }

    fn spill(&mut self, state: &State) -> Result<(), StatesError> {
        let snapshot = state.aggregate.to_snapshot(self.log_id);
        let snapshot = snapshot.map_err(|error| self.trouble(io::Error::other(error)))?;
        let bytes = [&state.parks.to_le_bytes()[..], &snapshot].concat();
        self.keep(order_key(&state.aggregate.reference), &bytes).map_err(|error| self.trouble(error))
    }

    fn keep(&mut self, key: [u8; 16], bytes: &[u8]) -> io::Result<()> {
        let spill = match self.spill.take() {
            Some(spill) => spill,
            None => Spill::new(&self.folder)?,
        };
        self.spill.insert(spill).put(key, bytes)
    }

    fn trouble(&self, source: io::Error) -> StatesError {
        StatesError { folder: self.folder.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retailflow_engine::order::Incoming;
    use retailflow_testkit::author::{Author, order};

    #[test]
    fn what_has_no_room_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut states = States::new([5; 16], NonZeroUsize::new(2).unwrap(), folder.path().into());
        let mut authors: Vec<Author> = (0..7).map(|n| Author::new(&order("t", &format!("o{n}")))).collect();
        let mut rng = fastrand::Rng::with_seed(11);
        let mut parks = [0; 7];
        for _ in 0..300 {
            let at = rng.usize(0..7);
            let entry = authors[at].write(1);
            let mut state = states.take(&entry.order).unwrap();
            assert_eq!(state.parks, parks[at]);
            Incoming::read(&entry.bytes).unwrap().publish(&mut state.aggregate).unwrap();
            assert_eq!(state.aggregate.order, authors[at].aggregate.order);
            assert_eq!(state.aggregate.chain, authors[at].aggregate.chain);
            parks[at] += 1;
            state.parks += 1;
            states.put(state).unwrap();
            assert!(states.recent.len() <= 2);
        }
    }
}
