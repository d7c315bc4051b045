//! How many orders a node keeps in memory, and which tenant has the one that was used longest ago.
//!
//! A tenant that loads an order when the node is full requests one eviction: from the tenant whose least recently used order is the
//! oldest of all, by a message. The requested order counts as leaving from then on, so that each load evicts one order, and no more.
//!
//! Each tenant reports the age of its oldest order when it sweeps, not at each use: the reported age is never younger than the true
//! one. A tenant whose oldest order turns out to be much younger than the next tenant's reports its age and passes the request on, at most
//! [`HOPS_MAX`] times. The last tenant evicts an order of about that age all the same: many concurrent requests would otherwise circulate,
//! each a little too late.
//!
//! A busy order does not cause requests to all others: one other order is asked in its place, at most [`TRIES_MAX`] times, and then the
//! request counts as leaving for as long as one that is not answered. Where nearly all orders are busy, each excess order costs a few
//! messages a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::time::Instant;

use crate::messages::{EvictionRequest, EvictionTicket, TenantMsg};

/// Evictions requested at once; the next sweep requests what is still in excess.
const ASKED_MAX: usize = 64;
/// How often a request is passed on before the tenant that has it evicts its oldest order.
const HOPS_MAX: usize = 4;
/// Busy orders that are asked for each order to evict.
const TRIES_MAX: u8 = 4;
/// Orders whose ages differ by less than this part of them are equally old.
const ALIKE: u32 = 8;

/// The tenants by the age of their oldest order; the second part distinguishes tenants.
type Ages = BTreeMap<(Instant, u64), ActorRef<TenantMsg>>;

/// The orders of a node.
pub(crate) struct Residents {
    max: usize,
    live: AtomicUsize,
    /// Of those, the ones whose eviction was requested.
    leaving: Arc<AtomicUsize>,
    /// An entry for each tenant that has an order to evict.
    ages: Mutex<Ages>,
    numbers: AtomicU64,
}

impl Residents {
    /// Keeps at most about `max` orders in memory.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let (ages, numbers) = Default::default();
        let (live, leaving) = Default::default();
        Arc::new(Self { max, live, leaving, ages, numbers })
    }

    /// Orders in memory.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, count: usize) {
        self.live.fetch_sub(count, Ordering::Relaxed);
    }

    /// Counts `count` orders as leaving, until the ticket is dropped.
    pub(crate) fn ticket(&self, count: usize) -> EvictionTicket {
        EvictionTicket::new(self.leaving.clone(), count)
    }

    /// Requests as many evictions as there are orders in excess when `more` are loaded.
    pub(crate) fn make_room(&self, more: usize) {
        let stay = (self.live() + more).saturating_sub(self.leaving.load(Ordering::Relaxed));
        let count = stay.saturating_sub(self.max).min(ASKED_MAX);
        if count > 0 {
            self.ask(self.ticket(count), 0);
        }
    }

    /// Asks the tenant whose order was used longest ago.
    fn ask(&self, ticket: EvictionTicket, hops: usize) {
        let asked = {
            let ages = self.ages.lock();
            let mut oldest = ages.iter();
            let tenant = oldest.next().map(|(_, tenant)| tenant.clone());
            tenant.map(|tenant| (tenant, oldest.next().map(|((age, _), _)| *age)))
        };
        if let Some((tenant, next)) = asked {
            let until = next.filter(|_| hops < HOPS_MAX).map(|next| next + next.elapsed() / ALIKE);
            drop(tenant.cast(TenantMsg::Evict(EvictionRequest { ticket, until, hops })));
        }
    }

    /// Passes what is left of a request on to the next tenant. A request without an age limit goes no further.
    pub(crate) fn pass_on(&self, request: EvictionRequest) {
        if request.ticket.count() > 0 && request.until.is_some() {
            self.ask(request.ticket, request.hops + 1);
        }
    }

    /// The order that was asked is busy: asks another one, or, after [`TRIES_MAX`], gives the ticket back to hold for a while.
    pub(crate) fn ask_another(&self, mut ticket: EvictionTicket) -> Option<EvictionTicket> {
        ticket.tries += 1;
        if ticket.tries >= TRIES_MAX {
            ticket.tries = 0;
            return Some(ticket);
        }
        self.ask(ticket, 0);
        None
    }
}

/// The reported age of a tenant's oldest order. Dropped, the tenant has none.
pub(crate) struct OldestOrderAge {
    residents: Arc<Residents>,
    number: u64,
    reported: Option<Instant>,
}

impl OldestOrderAge {
    pub(crate) fn new(residents: &Arc<Residents>) -> Self {
        let number = residents.numbers.fetch_add(1, Ordering::Relaxed);
        Self { residents: residents.clone(), number, reported: None }
    }

    /// Whether the tenant counts as having an order at all.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// Reports when its oldest order was last used; `None`: it has none.
    pub(crate) fn report(&mut self, oldest: Option<Instant>, tenant: &ActorRef<TenantMsg>) {
        if self.reported == oldest {
            return;
        }
        let mut ages = self.residents.ages.lock();
        if let Some(reported) = self.reported {
            ages.remove(&(reported, self.number));
        }
        if let Some(oldest) = oldest {
            ages.insert((oldest, self.number), tenant.clone());
        }
        self.reported = oldest;
    }
}

impl Drop for OldestOrderAge {
    fn drop(&mut self) {
        if let Some(reported) = self.reported {
            self.residents.ages.lock().remove(&(reported, self.number));
        }
    }
}
