//! The lists in memory: the orders that changed since they were written, those that are parked, and the counts.
//!
//! Invariants:
//! - What is here is newer than what the shelf has of the same order, or equal to it. An order that is neither here nor
//!   on the shelf was never placed.
//! - Memory is bounded by what waits to be written and by what was touched lately, not by how many orders there are or
//!   are open; only parked orders are all here, and they are few.

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
use super::long::NewBlock;
use super::tracked::Tracked;

/// Orders that were touched lately, some 400 bytes each. The next record of one that is not here has its history read.
const RECENT_MAX: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

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
    /// What there is new of long orders.
    pub(super) long: Vec<NewBlock>,
}

/// All lists, up to a position of the log.
pub(super) struct Lists {
    /// The last group that is in them.
    pub(super) position: u64,
    orders: HashMap<OrderRef, Tracked>,
    recent: LruCache<OrderRef, Tracked>,
    /// Those of `orders` that are placed.
    by_place: BTreeMap<(TenantId, u64), OrderId>,
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
            by_place: BTreeMap::new(),
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
        pinned: Vec<(OrderRef, Tracked)>,
        counts: Vec<(TenantId, Counts)>,
    ) -> Self {
        let mut lists = Self { position, ..Self::default() };
        for (order, tracked) in pinned {
            lists.hold(order, tracked);
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
            if let Err(error) = tracked.summary.fold(record) {
                // A broken order stops alone: it stays in the lists as it was.
                tracing::warn!(event = "order_not_listed", %order, %error, "the lists cannot take in a record");
            }
            if tracked.place == 0 && tracked.summary.total.is_some() {
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
        let known = self.orders.remove_entry(order).or_else(|| self.recent.pop_entry(order));
        let known = known.or_else(|| found.remove_entry(order));
        let (order, mut tracked) = known.unwrap_or_else(|| (order.clone(), Tracked::default()));
        let before = tracked.listed_status();
        with(&mut tracked);
        let after = tracked.listed_status();
        if before != after {
            self.count(&order.tenant, before, after);
        }
        if tracked.is_nowhere() && !tracked.dirty {
            self.recent.put(order, tracked);
            return;
        }
        if !tracked.dirty {
            tracked.dirty = true;
            self.dirty.push(order.clone());
        }
        self.hold(order, tracked);
    }

    fn hold(&mut self, order: OrderRef, tracked: Tracked) {
        if tracked.place != 0 {
            self.by_place.insert((order.tenant.clone(), tracked.place), order.order.clone());
        }
        self.orders.insert(order, tracked);
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

    /// The orders in memory that are asked for, after `after`, `limit` at most.
    pub(super) fn page(&self, query: &OrderQuery, after: u64, limit: usize) -> Vec<(u64, OrderSummary)> {
        let from = Bound::Excluded((query.tenant.clone(), after));
        let to = Bound::Included((query.tenant.clone(), u64::MAX));
        let asked = self.by_place.range((from, to)).filter_map(|((_, place), order)| {
            let order = OrderRef { tenant: query.tenant.clone(), order: order.clone() };
            let tracked = self.orders.get(&order)?;
            let (status, attention) = tracked.listed_status()?;
            let asked = query.status.is_none_or(|wanted| wanted == status)
                && query.attention.is_none_or(|wanted| wanted == attention);
            asked.then(|| summary(&order, tracked)).flatten().map(|summary| (*place, summary))
        });
        asked.take(limit).collect()
    }

    /// What has changed since the last time; it must be confirmed as written, or the lists be given up.
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
        Frozen { position: self.position, counts: counts.collect(), orders, long: Vec::new() }
    }

    /// What was frozen is on the shelf, each order pinned or not: what need not be in memory is there no more.
    pub(super) fn confirm_written(&mut self, written: Vec<(OrderRef, bool)>) {
        for (order, pinned) in written {
            let Some(tracked) = self.orders.get_mut(&order) else { continue };
            tracked.pinned = pinned;
            if tracked.dirty || pinned {
                continue;
            }
            if let Some((order, tracked)) = self.orders.remove_entry(&order) {
                self.by_place.remove(&(order.tenant.clone(), tracked.place));
                self.recent.put(order, tracked);
            }
        }
    }
}

/// What a list shows; an order whose amount nobody can read is not shown, and said once it is looked at.
pub(super) fn summary(order: &OrderRef, tracked: &Tracked) -> Option<OrderSummary> {
    let parked: Option<&Arc<str>> = tracked.parked.as_ref();
    tracked.summary.summary(order, parked.map(|reason| &**reason)).unwrap_or_else(|error| {
        tracing::warn!(event = "order_not_listed", %order, %error, "an order cannot be shown in a list");
        None
    })
}
