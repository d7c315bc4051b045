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

/// Who was asked to leave and has not answered in this time, because it is being read or waits for its log, does not count as leaving
/// any more: others are asked.
const ANSWER_MAX: Duration = Duration::from_secs(1);

struct LiveOrder {
    order: ActorRef<OrderMsg>,
    touched: Instant,
}

/// An order that takes nothing now.
pub(crate) enum Transition {
    /// Asked to leave; what comes meanwhile waits here.
    Passivating {
        order: ActorRef<OrderMsg>,
        waiting: Vec<OrderMsg>,
        since: Instant,
        counts: Option<EvictionTicket>,
    },
    /// Crashed; what comes during the delay waits here.
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
    /// Those for which only orders with work were found, and since when: they count as leaving for a while.
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

    /// Forgets an order that has ended. Gives back what waited for it.
    pub(crate) fn remove(&mut self, order: &OrderId) -> Vec<OrderMsg> {
        self.live.pop(order);
        self.transitions.remove(order).map(|mut away| std::mem::take(away.waiting())).unwrap_or_default()
    }

    /// Forgets the orders of which `leaves` says so. Gives back the actors there are.
    pub(crate) fn extract(
        &mut self,
        leaves: impl Fn(&OrderId) -> bool,
    ) -> Vec<(OrderId, Option<ActorRef<OrderMsg>>)> {
        let live = self.live.iter().map(|(order, _)| order).chain(self.transitions.keys());
        let theirs: Vec<OrderId> = live.filter(|order| leaves(order)).cloned().collect();
        let gone = theirs.into_iter().map(|order| {
            let live = self.live.pop(&order).map(|live| live.order);
            let away = match self.transitions.remove(&order) {
                Some(Transition::Passivating { order, .. }) => Some(order),
                _ => None,
            };
            (order, live.or(away))
        });
        gone.collect()
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

    /// Those count as leaving no more for which it has been long enough.
    fn let_go(&mut self, now: Instant) {
        while self.stayed.front().is_some_and(|(since, _)| now.duration_since(*since) >= ANSWER_MAX) {
            self.stayed.pop_front();
        }
    }

    fn ask_to_leave(&mut self, order: OrderId, actor: ActorRef<OrderMsg>, counts: EvictionTicket) {
        drop(actor.cast(OrderMsg::Passivate));
        let (waiting, since) = (Vec::new(), Instant::now());
        let passivating = Transition::Passivating { order: actor, waiting, since, counts: Some(counts) };
        self.transitions.insert(order, passivating);
    }

    /// Asks the orders that were used longest ago to leave; the ones that have work stay. What is left to ask for is
    /// another tenant's matter.
    pub(crate) fn evict(&mut self, mut request: EvictionRequest) {
        self.let_go(Instant::now());
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

    /// Asks an order to leave, if it is there.
    pub(crate) fn request_passivation(&mut self, order: &OrderId) {
        if let Some(live) = self.live.pop(order) {
            let ticket = self.residents.ticket(1);
            self.ask_to_leave(order.clone(), live.order, ticket);
        }
    }

    /// An order that was asked to leave has work, and stays.
    pub(crate) fn busy(&mut self, order: OrderId, id: ActorId) {
        if !self.by_actor.contains_key(&id) {
            return;
        }
        match self.transitions.remove(&order) {
            Some(Transition::Passivating { order: actor, waiting, counts, .. }) => {
                if let Some(counts) = counts.and_then(|counts| self.residents.ask_another(counts)) {
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

    /// Asks the orders to leave that have been idle for so long, and says how old the oldest one is.
    pub(crate) fn sweep(&mut self, idle: Duration) {
        let now = Instant::now();
        while self.oldest().is_some_and(|touched| now.duration_since(touched) >= idle)
            && let Some((order, live)) = self.live.pop_lru()
        {
            let ticket = self.residents.ticket(1);
            self.ask_to_leave(order, live.order, ticket);
        }
        self.let_go(now);
        for transition in self.transitions.values_mut() {
            if let Transition::Passivating { since, counts, .. } = transition
                && now.duration_since(*since) >= ANSWER_MAX
            {
                drop(counts.take());
            }
        }
        self.report_age();
        self.residents.make_room(0);
    }

    /// An order is there, where there was none.
    pub(crate) fn insert(&mut self, order: OrderId, actor: ActorRef<OrderMsg>) {
        self.residents.add();
        self.by_actor.insert(actor.get_id(), order.clone());
        self.put(order, actor);
        if !self.age.is_reported() {
            self.report_age();
        }
    }

    /// An actor has ended. Which order it was, unless that is known already.
    pub(crate) fn ended(&mut self, id: ActorId) -> Option<OrderId> {
        let order = self.by_actor.remove(&id)?;
        self.residents.remove(1);
        Some(order)
    }

    /// The tenant ends, and its orders with it.
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
