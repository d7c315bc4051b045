//! Changes not yet on disk.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use super::types::{Cursor, OrderKey, OrderPlace, OrderUpdate};

/// A set of changes: the newest place of each order that changed, however often it did.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    orders: HashMap<OrderKey, OrderPlace>,
    /// Exactly the deadlines in `orders`, by time.
    dues: BTreeSet<(i64, OrderKey)>,
    /// `None`: removed.
    controls: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    cursor: Cursor,
    meta: Option<Arc<[u8]>>,
    since: Option<Instant>,
}

impl Memtable {
    /// Takes in changes; `cursor` covers them and all before.
    pub(super) fn apply(&mut self, updates: &[OrderUpdate], cursor: Cursor, meta: Option<Arc<[u8]>>) {
        self.since.get_or_insert_with(Instant::now);
        for OrderUpdate { key, place } in updates {
            let former = self.orders.insert(*key, *place).and_then(|former| former.deadline_ms);
            if former == place.deadline_ms {
                continue;
            }
            if let Some(time) = former {
                self.dues.remove(&(time, *key));
            }
            if let Some(time) = place.deadline_ms {
                self.dues.insert((time, *key));
            }
        }
        self.cursor = cursor;
        if meta.is_some() {
            self.meta = meta;
        }
    }

    /// Sets a control entry, or removes it.
    pub(super) fn set_control(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.since.get_or_insert_with(Instant::now);
        self.controls.insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }

    /// The cursor from which an empty set goes on.
    pub(super) fn after(cursor: Cursor) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// An empty set that goes on from this one and will hold about as much: so it need not be moved as it grows.
    pub(super) fn successor(&self) -> Self {
        Self { orders: HashMap::with_capacity(self.orders.len()), ..Self::after(self.cursor) }
    }

    /// Orders and controls in it.
    pub(super) fn len(&self) -> usize {
        self.orders.len() + self.controls.len()
    }

    /// When the first change came; `None` while there is none (not even a cursor).
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The blob, if it changed.
    pub(super) fn meta(&self) -> Option<&Arc<[u8]>> {
        self.meta.as_ref()
    }

    pub(super) fn place(&self, key: &OrderKey) -> Option<OrderPlace> {
        self.orders.get(key).copied()
    }

    /// All orders in order of their keys.
    pub(super) fn sorted_orders(&self) -> Vec<(OrderKey, OrderPlace)> {
        let mut orders: Vec<_> = self.orders.iter().map(|(key, place)| (*key, *place)).collect();
        orders.sort_unstable_by_key(|(key, _)| *key);
        orders
    }

    /// Deadlines from `from` on, in order.
    pub(super) fn dues(&self, from: (i64, OrderKey)) -> impl Iterator<Item = (i64, OrderKey)> + '_ {
        self.dues.range(from..).copied()
    }

    pub(super) fn controls(&self) -> &BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        &self.controls
    }
}
