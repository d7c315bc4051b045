//! How many orders a node keeps in memory, and which tenant has the one that was used longest ago.
//!
//! Who brings an order in when there is no room has somebody asked to send one away: the tenant whose oldest order is the
//! oldest of all, by a message. What is asked for counts as leaving from then on, so that each one who comes has one leave,
//! and no more.
//!
//! Each tenant says how old its oldest order is when it looks, not at each use: what it said is never younger than the truth. Whoever is
//! asked for an order that turns out to be much younger than the next tenant's says so anew, and passes the request on, a few
//! times. To the last one that was asked an order of about that age is old enough: many requests under way at once would
//! otherwise all go round together, each one a little too late.
//!
//! An order that was asked and has work is no reason to ask all the others: another one is asked in its place, a few times, and
//! then it counts as leaving for as long as one that does not answer. So where nearly all have work, each that is too much costs
//! a few messages a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::time::Instant;

use crate::messages::{EvictionRequest, EvictionTicket, TenantMsg};

/// Orders that are asked for at once: what is still too much then is asked for with the next look.
const ASKED_MAX: usize = 64;
/// So often a request is passed on: then whoever has it sends its oldest order away.
const HOPS_MAX: usize = 4;
/// So many orders that have work are asked for each one that is to leave.
const TRIES_MAX: u8 = 4;
/// Orders whose ages differ by less than this part of them are equally old.
const ALIKE: u32 = 8;

/// The tenants by the age of their oldest order; the second part tells tenants apart.
type Ages = BTreeMap<(Instant, u64), ActorRef<TenantMsg>>;

/// The orders of a node.
pub(crate) struct Residents {
    max: usize,
    live: AtomicUsize,
    /// Of those, the ones that were asked to leave, or are to be.
    leaving: Arc<AtomicUsize>,
    /// An entry for each tenant that has an order which can be asked.
    ages: Mutex<Ages>,
    numbers: AtomicU64,
}

impl Residents {
    /// As many as `max` orders are to be in memory.
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

    /// That many orders are to leave.
    pub(crate) fn ticket(&self, count: usize) -> EvictionTicket {
        EvictionTicket::new(self.leaving.clone(), count)
    }

    /// Has as many leave as are too many when `more` have come.
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

    /// Asks the next one for what is left of a request; one that asks whoever it is goes no further.
    pub(crate) fn pass_on(&self, request: EvictionRequest) {
        if request.ticket.count() > 0 && request.until.is_some() {
            self.ask(request.ticket, request.hops + 1);
        }
    }

    /// The order that was asked has work: another one is asked, or, after a few, none for a while.
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

/// What a tenant has said of the age of its oldest order. Dropped, it has none.
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

    /// Its oldest order was last used then; `None`: it has none.
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
