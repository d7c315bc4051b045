//! The lists in memory: orders that are on their way or need someone, and those that changed since they were written.
//!
//! Invariant: what is here is newer than what the shelf has of the same order, or equal to it. An order that is neither
//! here nor on the shelf was never placed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::Arc;

use lru::LruCache;
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::invariant::{Ledger, TenantLedger};
use retailflow_engine::order::Incoming;
use retailflow_engine::ports::{OrderCounts, OrderQuery};
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_engine::wire::order_list::OrderSummary;

use super::entries::{Entry, Parsed};
use super::tracked::{Stored, Tracked};

/// Orders that rest and were touched lately: a few hundred bytes each. Else each command that is rejected on an old order
/// would have its whole history read.
const RECENT_MAX: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// A list of a tenant: by status (0 to 3), then by attention (5 to 7).
type ListKey = (TenantId, u8, u64);

const fn by_status(status: OrderStatus) -> u8 {
    status as u8
}

const fn by_attention(attention: Attention) -> u8 {
    4 + attention as u8
}

/// What is counted of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) orders: OrderCounts,
    /// A command that is being released counts twice until its order's mark is cleared.
    pub(super) ledger: TenantLedger,
}

/// What changed since the last writing.
pub(super) struct Frozen {
    pub(super) position: u64,
    pub(super) orders: Vec<(OrderRef, Tracked)>,
    pub(super) counts: Vec<(TenantId, Counts)>,
}

/// All lists, up to a position of the log.
pub(super) struct Lists {
    /// The last group that is in them.
    pub(super) position: u64,
    orders: HashMap<OrderRef, Tracked>,
    recent: LruCache<OrderRef, Tracked>,
    lists: BTreeMap<ListKey, OrderId>,
    counts: HashMap<TenantId, Counts>,
    total: OrderCounts,
    dirty: Vec<OrderRef>,
    dirty_counts: HashSet<TenantId>,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            position: 0,
            orders: HashMap::new(),
            recent: LruCache::new(RECENT_MAX),
            lists: BTreeMap::new(),
            counts: HashMap::new(),
            total: OrderCounts::default(),
            dirty: Vec::new(),
            dirty_counts: HashSet::new(),
        }
    }
}

impl Lists {
    /// As they were written.
    pub(super) fn load(
        position: u64,
        live: Vec<(OrderRef, Tracked)>,
        counts: Vec<(TenantId, Counts)>,
    ) -> Self {
        let mut lists = Self { position, ..Self::default() };
        for (order, tracked) in live {
            lists.enlist(&order, tracked.place, tracked.standing());
            lists.orders.insert(order, tracked);
        }
        for (_, counts) in &counts {
            for (sum, count) in lists.total.by_status.iter_mut().zip(counts.orders.by_status) {
                *sum += count;
            }
            for (sum, count) in lists.total.by_attention.iter_mut().zip(counts.orders.by_attention) {
                *sum += count;
            }
        }
        lists.counts = counts.into_iter().collect();
        lists
    }

    pub(super) fn counts(&self, tenant: Option<&TenantId>) -> OrderCounts {
        tenant.map_or(self.total, |tenant| {
            self.counts.get(tenant).map_or_else(Default::default, |own| own.orders)
        })
    }

    /// The books by tenant, up to the position of the lists.
    pub(super) fn ledger(&self) -> Ledger {
        self.counts.iter().map(|(tenant, counts)| (tenant.clone(), counts.ledger.clone())).collect()
    }

    /// What is known of an order without the shelf.
    pub(super) fn get(&self, order: &OrderRef) -> Option<&Tracked> {
        self.orders.get(order).or_else(|| self.recent.peek(order))
    }

    /// Whether the shelf's row of the order, if there is one, is not to be shown.
    pub(super) fn hides(&self, order: &OrderRef) -> bool {
        self.orders.contains_key(order)
    }

    /// How many orders wait to be written.
    pub(super) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// The orders that these entries are about and of which nothing is known here, each with the first entry about it.
    pub(super) fn unknown<'a>(
        &self,
        entries: &'a [Entry<'_>],
        found: &HashMap<OrderRef, Tracked>,
    ) -> Vec<(&'a OrderRef, u64)> {
        let mut met: HashSet<&OrderRef> = HashSet::new();
        let mut unknown = Vec::new();
        for entry in entries {
            let (order, first) = match &entry.parsed {
                Parsed::Record(record) => (record.order(), record.expected_revision() == 0),
                Parsed::Control(Control::ParkedCommand { .. }) | Parsed::Unreadable => continue,
                Parsed::Control(control) => (control.order(), false),
            };
            if met.insert(order) && !first && self.get(order).is_none() && !found.contains_key(order) {
                unknown.push((order, entry.position));
            }
        }
        unknown
    }

    /// Takes in all entries up to and with the group at `position`; `found` are those orders that were unknown.
    pub(super) fn apply(
        &mut self,
        entries: &[Entry<'_>],
        mut found: HashMap<OrderRef, Tracked>,
        position: u64,
    ) {
        for entry in entries {
            match &entry.parsed {
                Parsed::Record(record) => self.record(record, entry.position, &mut found),
                Parsed::Control(Control::Park { order, reason, .. }) => {
                    self.change(order, &mut found, |tracked| {
                        // A mark that stands already may be set again, and its first reason stays.
                        if tracked.parked.is_none() {
                            tracked.parked = Some(reason.as_str().into());
                            tracked.marks.push(entry.position);
                        }
                    });
                }
                Parsed::Control(Control::Release { order, .. }) => {
                    let mut released = 0;
                    self.change(order, &mut found, |tracked| {
                        tracked.parked = None;
                        released = std::mem::take(&mut tracked.waiting);
                    });
                    let parked = &mut self.counted(&order.tenant).ledger.parked;
                    *parked = parked.saturating_sub(released);
                }
                Parsed::Control(Control::ParkedCommand { order, .. }) => {
                    // What waits, waits behind a mark: its order is in memory.
                    if self.orders.get(order).is_some_and(|tracked| tracked.parked.is_some()) {
                        self.change(order, &mut found, |tracked| tracked.waiting += 1);
                        self.counted(&order.tenant).ledger.parked += 1;
                    }
                }
                Parsed::Unreadable => {}
            }
        }
        self.position = position;
    }

    fn record(&mut self, record: &Incoming<'_>, position: u64, found: &mut HashMap<OrderRef, Tracked>) {
        let order = record.order();
        self.book(record);
        self.change(order, found, |tracked| {
            if let Err(error) = tracked.glance.fold(record) {
                // A broken order stops alone: it stays in the lists as it was.
                tracing::warn!(%order, %error, "the lists cannot take in a record");
            }
            if tracked.place == 0 && tracked.glance.total.is_some() {
                tracked.place = position;
            }
        });
    }

    /// Counts the commands that a record holds.
    fn book(&mut self, record: &Incoming<'_>) {
        let (applied, rejected) = record.commands();
        if applied + rejected > 0 {
            let ledger = &mut self.counted(&record.order().tenant).ledger;
            ledger.applied += applied;
            ledger.rejected += rejected;
        }
    }

    /// The counts of a tenant, to be changed.
    fn counted(&mut self, tenant: &TenantId) -> &mut Counts {
        if !self.dirty_counts.contains(tenant) {
            self.dirty_counts.insert(tenant.clone());
        }
        self.counts.entry(tenant.clone()).or_default()
    }

    fn change(
        &mut self,
        order: &OrderRef,
        found: &mut HashMap<OrderRef, Tracked>,
        with: impl FnOnce(&mut Tracked),
    ) {
        let (order, mut tracked) = match self.orders.remove_entry(order) {
            Some(known) => known,
            None => match self.recent.pop_entry(order).or_else(|| found.remove_entry(order)) {
                Some((order, tracked)) => {
                    // It was on the shelf alone, and is in memory from now on.
                    self.enlist(&order, tracked.place, tracked.standing());
                    (order, tracked)
                }
                None => (order.clone(), Tracked::default()),
            },
        };
        let before = tracked.standing();
        let place = tracked.place;
        with(&mut tracked);
        let after = tracked.standing();
        if before != after {
            self.delist(&order, place, before);
            self.enlist(&order, tracked.place, after);
            self.count(&order.tenant, before, after);
        }
        if tracked.belongs() == Stored::Nowhere && tracked.stored == Stored::Nowhere && !tracked.dirty {
            // Nothing is placed, and nothing to be written.
            self.recent.put(order, tracked);
            return;
        }
        if !tracked.dirty {
            tracked.dirty = true;
            self.dirty.push(order.clone());
        }
        self.orders.insert(order, tracked);
    }

    fn enlist(&mut self, order: &OrderRef, place: u64, standing: Option<(OrderStatus, Attention)>) {
        let Some((status, attention)) = standing else { return };
        self.lists.insert((order.tenant.clone(), by_status(status), place), order.order.clone());
        if attention != Attention::None {
            self.lists.insert((order.tenant.clone(), by_attention(attention), place), order.order.clone());
        }
    }

    fn delist(&mut self, order: &OrderRef, place: u64, standing: Option<(OrderStatus, Attention)>) {
        let Some((status, attention)) = standing else { return };
        self.lists.remove(&(order.tenant.clone(), by_status(status), place));
        if attention != Attention::None {
            self.lists.remove(&(order.tenant.clone(), by_attention(attention), place));
        }
    }

    fn count(
        &mut self,
        tenant: &TenantId,
        before: Option<(OrderStatus, Attention)>,
        after: Option<(OrderStatus, Attention)>,
    ) {
        let mut total = std::mem::take(&mut self.total);
        for counts in [&mut self.counted(tenant).orders, &mut total] {
            if let Some((status, attention)) = before {
                counts.by_status[status as usize] = counts.by_status[status as usize].saturating_sub(1);
                counts.by_attention[attention as usize] =
                    counts.by_attention[attention as usize].saturating_sub(1);
            }
            if let Some((status, attention)) = after {
                counts.by_status[status as usize] += 1;
                counts.by_attention[attention as usize] += 1;
            }
        }
        self.total = total;
    }

    /// The orders in memory that are asked for, after `after`, `limit` at most of each list that is looked through.
    pub(super) fn page(&self, query: &OrderQuery, after: u64, limit: usize) -> Vec<(u64, OrderSummary)> {
        let lists: Vec<u8> = match (query.attention, query.status) {
            (Some(attention), _) if attention != Attention::None => vec![by_attention(attention)],
            (_, Some(status)) => vec![by_status(status)],
            (_, None) => OrderStatus::ALL.iter().map(|status| by_status(*status)).collect(),
        };
        let mut page = Vec::new();
        for list in lists {
            let from = Bound::Excluded((query.tenant.clone(), list, after));
            let to = Bound::Included((query.tenant.clone(), list, u64::MAX));
            let asked = self.lists.range((from, to)).filter_map(|((_, _, place), order)| {
                let order = OrderRef { tenant: query.tenant.clone(), order: order.clone() };
                let tracked = self.orders.get(&order)?;
                let (status, attention) = tracked.standing()?;
                let asked = query.status.is_none_or(|wanted| wanted == status)
                    && query.attention.is_none_or(|wanted| wanted == attention);
                asked.then(|| summary(&order, tracked)).flatten().map(|summary| (*place, summary))
            });
            page.extend(asked.take(limit));
        }
        page
    }

    /// What has changed since the last time; it must be settled, or the lists be given up.
    pub(super) fn freeze(&mut self) -> Frozen {
        let mut orders = Vec::with_capacity(self.dirty.len());
        for order in std::mem::take(&mut self.dirty) {
            if let Some(tracked) = self.orders.get_mut(&order) {
                tracked.dirty = false;
                orders.push((order, tracked.clone()));
            }
        }
        let counts = self.dirty_counts.drain().map(|tenant| {
            let counts = self.counts.get(&tenant).cloned().unwrap_or_default();
            (tenant, counts)
        });
        Frozen { position: self.position, counts: counts.collect(), orders }
    }

    /// What was frozen is on the shelf: what rests there need not be in memory.
    pub(super) fn settle(&mut self, written: Vec<(OrderRef, Stored)>) {
        for (order, stored) in written {
            let Some(tracked) = self.orders.get_mut(&order) else { continue };
            tracked.stored = stored;
            if tracked.dirty || !tracked.rests() {
                continue;
            }
            if let Some((order, tracked)) = self.orders.remove_entry(&order) {
                self.delist(&order, tracked.place, tracked.standing());
                self.recent.put(order, tracked);
            }
        }
    }
}

/// What a list shows; an order whose amount nobody can read is not shown, and said once it is looked at.
pub(super) fn summary(order: &OrderRef, tracked: &Tracked) -> Option<OrderSummary> {
    let parked: Option<&Arc<str>> = tracked.parked.as_ref();
    tracked.glance.summary(order, parked.map(|reason| &**reason)).unwrap_or_else(|error| {
        tracing::warn!(%order, %error, "an order cannot be shown in a list");
        None
    })
}
