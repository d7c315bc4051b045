//! Which of a tenant's orders are in memory, and which leave it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lru::LruCache;
use ractor::{ActorId, ActorRef};
use retailflow_engine::ids::OrderId;
use tokio::time::Instant;

use super::TenantState;
use crate::order::OrderMsg;
use crate::passivation::{Evict, Leaving};

/// Who was asked to leave and has not answered in this time, because it is being read or waits for its log, does not count as leaving
/// any more: others are asked.
const ANSWER_MAX: Duration = Duration::from_secs(1);

struct Live {
    order: ActorRef<OrderMsg>,
    touched: Instant,
}

/// An order that takes nothing now.
pub(super) enum Away {
    /// Asked to leave; what comes meanwhile waits here.
    Leaving { order: ActorRef<OrderMsg>, waiting: Vec<OrderMsg>, since: Instant, counts: Option<Leaving> },
    /// Crashed; what comes during the delay waits here.
    Resting { waiting: Vec<OrderMsg> },
}

impl Away {
    pub(super) fn waiting(&mut self) -> &mut Vec<OrderMsg> {
        match self {
            Self::Leaving { waiting, .. } | Self::Resting { waiting } => waiting,
        }
    }
}

/// The orders of a tenant. An order is live or away, never both. Bounded by the node's limit and the permits.
pub(super) struct Slots {
    /// Least recently used last.
    live: LruCache<OrderId, Live>,
    pub(super) away: BTreeMap<OrderId, Away>,
    /// Those for which only orders with work were found, and since when: they count as leaving for a while.
    stayed: VecDeque<(Instant, Leaving)>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { live: LruCache::unbounded(), away: BTreeMap::new(), stayed: VecDeque::new() }
    }
}

impl Slots {
    /// An order that is live, which is used now.
    pub(super) fn touch(&mut self, order: &OrderId) -> Option<&ActorRef<OrderMsg>> {
        let live = self.live.get_mut(order)?;
        live.touched = Instant::now();
        Some(&live.order)
    }

    /// An order is there, and is used now.
    pub(super) fn put(&mut self, order: OrderId, actor: ActorRef<OrderMsg>) {
        self.live.put(order, Live { order: actor, touched: Instant::now() });
    }

    /// When the order was last used that was used longest ago.
    fn oldest(&self) -> Option<Instant> {
        self.live.peek_lru().map(|(_, live)| live.touched)
    }

    /// Forgets an order that has ended. Gives back what waited for it.
    pub(super) fn remove(&mut self, order: &OrderId) -> Vec<OrderMsg> {
        self.live.pop(order);
        self.away.remove(order).map(|mut away| std::mem::take(away.waiting())).unwrap_or_default()
    }

    /// Forgets the orders of which `leaves` says so. Gives back the actors there are.
    pub(super) fn extract(
        &mut self,
        leaves: impl Fn(&OrderId) -> bool,
    ) -> Vec<(OrderId, Option<ActorRef<OrderMsg>>)> {
        let live = self.live.iter().map(|(order, _)| order).chain(self.away.keys());
        let theirs: Vec<OrderId> = live.filter(|order| leaves(order)).cloned().collect();
        let gone = theirs.into_iter().map(|order| {
            let live = self.live.pop(&order).map(|live| live.order);
            let away = match self.away.remove(&order) {
                Some(Away::Leaving { order, .. }) => Some(order),
                _ => None,
            };
            (order, live.or(away))
        });
        gone.collect()
    }

    /// All actors, in the order of their last use. They would end with their tenant anyway, in the order of a hash
    /// table: what a seeded world shows would not be the same twice.
    pub(super) fn drain(&mut self) -> Vec<ActorRef<OrderMsg>> {
        let mut all = Vec::new();
        while let Some((_, live)) = self.live.pop_lru() {
            all.push(live.order);
        }
        all.extend(std::mem::take(&mut self.away).into_values().filter_map(|away| match away {
            Away::Leaving { order, .. } => Some(order),
            Away::Resting { .. } => None,
        }));
        all
    }

    /// Those count as leaving no more for which it has been long enough.
    fn let_go(&mut self, now: Instant) {
        while self.stayed.front().is_some_and(|(since, _)| now.duration_since(*since) >= ANSWER_MAX) {
            self.stayed.pop_front();
        }
    }

    fn leave(&mut self, order: OrderId, actor: ActorRef<OrderMsg>, counts: Leaving) {
        drop(actor.cast(OrderMsg::Passivate));
        let (waiting, since) = (Vec::new(), Instant::now());
        let leaving = Away::Leaving { order: actor, waiting, since, counts: Some(counts) };
        self.away.insert(order, leaving);
    }
}

impl TenantState {
    /// Asks the orders that were used longest ago to leave; the ones that have work stay. What is left to ask for is
    /// another tenant's matter.
    pub(super) fn evict(&mut self, mut evict: Evict) {
        self.slots.let_go(Instant::now());
        while self.slots.oldest().is_some_and(|oldest| evict.until.is_none_or(|until| oldest <= until))
            && let Some(one) = evict.leaving.take_one()
            && let Some((order, live)) = self.slots.live.pop_lru()
        {
            self.slots.leave(order, live.order, one);
        }
        self.say_age();
        self.shared.residents.pass_on(evict);
    }

    pub(super) fn say_age(&mut self) {
        self.age.say(self.slots.oldest(), &self.myself);
    }

    /// Asks an order to leave, if it is there.
    pub(crate) fn send_away(&mut self, order: &OrderId) {
        if let Some(live) = self.slots.live.pop(order) {
            self.slots.leave(order.clone(), live.order, self.shared.residents.leaving(1));
        }
    }

    /// An order that was asked to leave has work, and stays.
    pub(super) fn busy(&mut self, order: OrderId, id: ActorId) {
        if !self.by_actor.contains_key(&id) {
            return;
        }
        match self.slots.away.remove(&order) {
            Some(Away::Leaving { order: actor, waiting, counts, .. }) => {
                if let Some(counts) = counts.and_then(|counts| self.shared.residents.another(counts)) {
                    self.slots.stayed.push_back((Instant::now(), counts));
                }
                for message in waiting {
                    drop(actor.cast(message));
                }
                self.slots.put(order, actor);
            }
            Some(resting) => drop(self.slots.away.insert(order, resting)),
            None => {}
        }
    }

    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        let settings = self.shared.settings.clone();
        let idle = Duration::from_millis(settings.config.orders.idle_ms);
        while self.slots.oldest().is_some_and(|touched| now.duration_since(touched) >= idle)
            && let Some((order, live)) = self.slots.live.pop_lru()
        {
            self.slots.leave(order, live.order, self.shared.residents.leaving(1));
        }
        self.slots.let_go(now);
        for away in self.slots.away.values_mut() {
            if let Away::Leaving { since, counts, .. } = away
                && now.duration_since(*since) >= ANSWER_MAX
            {
                drop(counts.take());
            }
        }
        self.say_age();
        self.shared.residents.make_room(0);
        for windows in [&mut self.crashes, &mut self.troubles] {
            windows.retain(|_, window| !window.is_stale(now, &settings.config.supervision));
        }
    }

    /// Says that there is an order, where there was none.
    pub(super) fn came(&mut self, order: OrderId, actor: ActorRef<OrderMsg>) {
        self.shared.residents.came();
        self.by_actor.insert(actor.get_id(), order.clone());
        self.slots.put(order, actor);
        if !self.age.is_said() {
            self.say_age();
        }
    }

    /// The tenant ends, and its orders with it.
    pub(super) fn forget_all(&mut self) {
        let live = std::mem::take(&mut self.by_actor).len();
        self.shared.residents.went(live);
    }
}
