//! Which of a tenant's orders are in memory, and which leave it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use ractor::{ActorId, ActorRef};
use retailflow_engine::ids::OrderId;
use tokio::time::Instant;

use super::residents::{OldestOrderAge, Residents};
use crate::messages::{EvictionRequest, EvictionTicket, OrderMsg, TenantMsg};

/// An order that has not answered in this time, because it hydrates or waits for its log, does not count as leaving any more: other
/// orders are evicted instead.
const ANSWER_MAX: Duration = Duration::from_secs(1);

struct LiveOrder {
    order: ActorRef<OrderMsg>,
    touched: Instant,
}

/// An order that takes nothing now.
pub(crate) enum Transition {
    /// Asked to passivate; messages that arrive meanwhile wait here.
    Passivating {
        order: ActorRef<OrderMsg>,
        waiting: Vec<OrderMsg>,
        since: Instant,
        ticket: Option<EvictionTicket>,
    },
    /// Crashed; messages that arrive during the delay wait here.
    Restarting { waiting: Vec<OrderMsg> },
}

impl Transition {
    pub(crate) fn waiting(&mut self) -> &mut Vec<OrderMsg> {
        match self {
            Self::Passivating { waiting, .. } | Self::Restarting { waiting } => waiting,
        }
    }
}

/// The orders of a tenant. An order is live or in transition, never both. Bounded by the node's limit and the permits.
pub(crate) struct OrderSlots {
    tenant: ActorRef<TenantMsg>,
    residents: Arc<Residents>,
    /// Least recently used last.
    live: LruCache<OrderId, LiveOrder>,
    pub(crate) transitions: BTreeMap<OrderId, Transition>,
    by_actor: HashMap<ActorId, OrderId>,
    age: OldestOrderAge,
    /// Evictions for which only busy orders were found, and since when: they count as leaving for a while.
    stayed: VecDeque<(Instant, EvictionTicket)>,
}

impl OrderSlots {
    pub(crate) fn new(tenant: ActorRef<TenantMsg>, residents: Arc<Residents>) -> Self {
        Self {
            tenant,
            age: OldestOrderAge::new(&residents),
            residents,
            live: LruCache::unbounded(),
            transitions: BTreeMap::new(),
            by_actor: HashMap::new(),
            stayed: VecDeque::new(),
        }
    }

    /// An order that is live, which is used now.
    pub(crate) fn touch(&mut self, order: &OrderId) -> Option<&ActorRef<OrderMsg>> {
        let live = self.live.get_mut(order)?;
        live.touched = Instant::now();
        Some(&live.order)
    }

    /// An order is there, and is used now.
    fn put(&mut self, order: OrderId, actor: ActorRef<OrderMsg>) {
        self.live.put(order, LiveOrder { order: actor, touched: Instant::now() });
    }

    /// When the order was last used that was used longest ago.
    fn oldest(&self) -> Option<Instant> {
        self.live.peek_lru().map(|(_, live)| live.touched)
    }

    /// Removes an order that has ended. Returns the messages that waited for it.
    pub(crate) fn remove(&mut self, order: &OrderId) -> Vec<OrderMsg> {
        self.live.pop(order);
        self.transitions.remove(order).map(|mut away| std::mem::take(away.waiting())).unwrap_or_default()
    }

    /// Removes the orders for which `leaves` is true. Returns their actors.
    pub(crate) fn extract(
        &mut self,
        leaves: impl Fn(&OrderId) -> bool,
    ) -> Vec<(OrderId, Option<ActorRef<OrderMsg>>)> {
        let live = self.live.iter().map(|(order, _)| order).chain(self.transitions.keys());
        let theirs: Vec<OrderId> = live.filter(|order| leaves(order)).cloned().collect();
        let extracted = theirs.into_iter().map(|order| {
            let live = self.live.pop(&order).map(|live| live.order);
            let away = match self.transitions.remove(&order) {
                Some(Transition::Passivating { order, .. }) => Some(order),
                _ => None,
            };
            (order, live.or(away))
        });
        extracted.collect()
    }

    /// All actors, in the order of their last use. They would end with their tenant anyway, in the order of a hash
    /// table: what a seeded world shows would not be the same twice.
    pub(crate) fn drain(&mut self) -> Vec<ActorRef<OrderMsg>> {
        let mut all = Vec::new();
        while let Some((_, live)) = self.live.pop_lru() {
            all.push(live.order);
        }
        all.extend(std::mem::take(&mut self.transitions).into_values().filter_map(|away| match away {
            Transition::Passivating { order, .. } => Some(order),
            Transition::Restarting { .. } => None,
        }));
        all
    }

    /// Drops the tickets of busy orders after [`ANSWER_MAX`].
    fn expire_stayed(&mut self, now: Instant) {
        while self.stayed.front().is_some_and(|(since, _)| now.duration_since(*since) >= ANSWER_MAX) {
            self.stayed.pop_front();
        }
    }

    fn ask_to_leave(&mut self, order: OrderId, actor: ActorRef<OrderMsg>, counts: EvictionTicket) {
        drop(actor.cast(OrderMsg::Passivate));
        let (waiting, since) = (Vec::new(), Instant::now());
        let passivating = Transition::Passivating { order: actor, waiting, since, ticket: Some(counts) };
        self.transitions.insert(order, passivating);
    }

    /// Asks the least recently used orders to passivate; busy ones stay. Passes the rest of the request on to another tenant.
    pub(crate) fn evict(&mut self, mut request: EvictionRequest) {
        self.expire_stayed(Instant::now());
        while self.oldest().is_some_and(|oldest| request.until.is_none_or(|until| oldest <= until))
            && let Some(one) = request.ticket.take_one()
            && let Some((order, live)) = self.live.pop_lru()
        {
            self.ask_to_leave(order, live.order, one);
        }
        self.report_age();
        self.residents.pass_on(request);
    }

    fn report_age(&mut self) {
        self.age.report(self.oldest(), &self.tenant);
    }

    /// Asks an order to passivate, if it is live.
    pub(crate) fn request_passivation(&mut self, order: &OrderId) {
        if let Some(live) = self.live.pop(order) {
            let ticket = self.residents.ticket(1);
            self.ask_to_leave(order.clone(), live.order, ticket);
        }
    }

    /// An order that was asked to passivate is busy, and stays.
    pub(crate) fn keep_busy(&mut self, order: OrderId, id: ActorId) {
        if !self.by_actor.contains_key(&id) {
            return;
        }
        match self.transitions.remove(&order) {
            Some(Transition::Passivating { order: actor, waiting, ticket, .. }) => {
                if let Some(counts) = ticket.and_then(|counts| self.residents.ask_another(counts)) {
                    self.stayed.push_back((Instant::now(), counts));
                }
                for message in waiting {
                    drop(actor.cast(message));
                }
                self.put(order, actor);
            }
            Some(restarting) => drop(self.transitions.insert(order, restarting)),
            None => {}
        }
    }

    /// Asks the orders to passivate that have been idle for that long, and reports the age of the oldest one.
    pub(crate) fn sweep(&mut self, idle: Duration) {
        let now = Instant::now();
        while self.oldest().is_some_and(|touched| now.duration_since(touched) >= idle)
            && let Some((order, live)) = self.live.pop_lru()
        {
            let ticket = self.residents.ticket(1);
            self.ask_to_leave(order, live.order, ticket);
        }
        self.expire_stayed(now);
        for transition in self.transitions.values_mut() {
            if let Transition::Passivating { since, ticket, .. } = transition
                && now.duration_since(*since) >= ANSWER_MAX
            {
                drop(ticket.take());
            }
        }
        self.report_age();
        self.residents.make_room(0);
    }

    /// Adds an order that was just started.
    pub(crate) fn insert(&mut self, order: OrderId, actor: ActorRef<OrderMsg>) {
        self.residents.add();
        self.by_actor.insert(actor.get_id(), order.clone());
        self.put(order, actor);
        if !self.age.is_reported() {
            self.report_age();
        }
    }

    /// An actor has ended. Returns its order, unless that was removed before.
    pub(crate) fn ended(&mut self, id: ActorId) -> Option<OrderId> {
        let order = self.by_actor.remove(&id)?;
        self.residents.remove(1);
        Some(order)
    }

    /// The tenant ends: its orders do not count as live any more.
    pub(crate) fn forget_all(&mut self) {
        let live = std::mem::take(&mut self.by_actor).len();
        self.residents.remove(live);
    }
}

impl Drop for OrderSlots {
    fn drop(&mut self) {
        self.forget_all();
    }
}
