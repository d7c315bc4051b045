//! Orders that go through their lives in a log, for the suites of what is made of logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event_log::parked_command;
use crate::author::{Author, CONTEXT, RECENT_MAX, Writer, control, place};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{CommandId, OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::money::Amount;
use retailflow_engine::order::{
    Aggregate, Command, Draft, Drafted, EngineCommand, Incoming, StepOutcome, publish_parked,
    publish_unparked, view,
};
use retailflow_engine::ports::{EventLog, LoggedEntry, OrderEntry};
use retailflow_engine::wire::CommandData;
use retailflow_engine::wire::command::Payment;
use retailflow_engine::wire::event::PublicEvent;
use retailflow_engine::wire::order_list::OrderSummary;

/// The tenants of all orders made here.
pub const TENANTS: [&str; 2] = ["shop", "till"];

/// What happens to an order next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderAction {
    /// It is placed; a second time, that is rejected.
    Place,
    /// What is asked for is done.
    Done,
    /// What is asked for stays in doubt.
    Unknown,
    /// What is asked for is refused for good.
    Refused,
    /// Its deadline comes.
    Deadline,
    /// The customer cancels.
    Cancel,
    /// A unit comes back.
    Return,
    /// Money goes back without goods.
    Refund,
    /// It is parked.
    Park,
    /// A command comes while it is parked, and waits.
    Wait,
    /// The mark is taken away.
    Release,
}

const ACTIONS: [OrderAction; 14] = [
    OrderAction::Place,
    OrderAction::Done,
    OrderAction::Done,
    OrderAction::Done,
    OrderAction::Done,
    OrderAction::Unknown,
    OrderAction::Refused,
    OrderAction::Deadline,
    OrderAction::Cancel,
    OrderAction::Return,
    OrderAction::Refund,
    OrderAction::Park,
    OrderAction::Wait,
    OrderAction::Release,
];

/// Orders and their one writer.
pub struct RandomOrders {
    writer: Writer,
    partitions: u16,
    orders: BTreeMap<OrderRef, Author>,
    /// The parked ones, and how many commands wait behind each.
    parked: BTreeMap<OrderRef, u64>,
    commands: u64,
    random: u64,
}

impl RandomOrders {
    /// Of no order anything is known; chance follows from `seed`.
    pub async fn begin(log: &dyn EventLog, seed: u64) -> Self {
        let writer = Writer::open(log, PartitionId(0), 1).await;
        let partitions = log.identity().partitions;
        Self {
            writer,
            partitions,
            orders: BTreeMap::new(),
            parked: BTreeMap::new(),
            commands: 0,
            random: seed,
        }
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % below
    }

    /// `count` names of orders of this writer's.
    #[must_use]
    pub fn names(&self, count: usize) -> Vec<OrderRef> {
        let name = |number: usize| OrderRef {
            tenant: TenantId::parse(TENANTS[number % 2]).unwrap(),
            order: OrderId::parse(&format!("o-{number}")).unwrap(),
        };
        let here = |order: &OrderRef| partition_of(order, self.partitions) == self.writer.partition;
        (0..).map(name).filter(here).take(count).collect()
    }

    /// Appends one group in which each of these happens, so far as it can; each order at most once.
    pub async fn append(&mut self, log: &dyn EventLog, actions: &[(&OrderRef, OrderAction)]) {
        let (mut records, mut controls) = (Vec::new(), Vec::new());
        for (order, action) in actions {
            let at = CONTEXT.now;
            match action {
                OrderAction::Park => {
                    let reason = format!("it crashes at {}", self.commands);
                    self.parked.entry((*order).clone()).or_default();
                    controls.push(control(&Control::Park { order: (*order).clone(), reason, at }));
                }
                OrderAction::Wait => {
                    if let Some(waiting) = self.parked.get_mut(*order) {
                        *waiting += 1;
                        controls.push(control(&parked_command(order, *waiting)));
                    }
                }
                OrderAction::Release => {
                    self.parked.remove(*order);
                    let actor = "operator".into();
                    controls.push(control(&Control::Release { order: (*order).clone(), actor, at }));
                }
                action => records.extend(self.record(order, *action)),
            }
        }
        self.writer.append(log, records, controls).await;
    }

    /// `rounds` groups of what may happen to some of these orders.
    pub async fn append_random(&mut self, log: &dyn EventLog, orders: &[OrderRef], rounds: usize) {
        for _ in 0..rounds {
            let mut actions = BTreeMap::new();
            for _ in 0..orders.len().div_ceil(3) {
                let order = &orders[self.below(orders.len())];
                actions.insert(order, ACTIONS[self.below(ACTIONS.len())]);
            }
            let actions: Vec<(&OrderRef, OrderAction)> = actions.into_iter().collect();
            self.append(log, &actions).await;
        }
    }

    fn record(&mut self, order: &OrderRef, action: OrderAction) -> Option<OrderEntry> {
        self.commands += 1;
        let number = self.commands;
        let author = self.orders.entry(order.clone()).or_insert_with(|| Author::new(order));
        let mut context = CONTEXT;
        context.now = CONTEXT.now.plus_ms(number);
        let mut draft = Draft::new(&author.aggregate);
        let data = match action {
            // Some are paid in several parts.
            OrderAction::Place if number.is_multiple_of(3) => {
                Some(in_parts(place(order, "template"), number))
            }
            OrderAction::Place => None,
            OrderAction::Cancel => Some(serde_json::json!({ "reason": "changed my mind" }))
                .map(|data| CommandData::Cancel(serde_json::from_value(data).unwrap())),
            OrderAction::Refund => {
                let data = serde_json::json!({ "amount_minor": 7, "reason": "late" });
                Some(CommandData::Refund(serde_json::from_value(data).unwrap()))
            }
            OrderAction::Return => {
                let data = serde_json::json!({ "lines": [{ "line_id": "1", "quantity": 1 }], "reason": "too small" });
                Some(CommandData::Return(serde_json::from_value(data).unwrap()))
            }
            action => {
                let outcome = match action {
                    OrderAction::Done => StepOutcome::Done {
                        reference: "ref".into(),
                        amount_minor: None,
                        expires: None,
                        units: None,
                    },
                    OrderAction::Unknown => StepOutcome::Unknown { reason: "no answer".into() },
                    _ => StepOutcome::Refused { code: "gone".into(), reason: "no".into() },
                };
                let active = author.aggregate.order.saga.active.as_ref().map(|active| active.at.clone());
                let command = match action {
                    OrderAction::Deadline => {
                        context.now = author.aggregate.order.deadline?;
                        EngineCommand::DeadlinePassed { last: None }
                    }
                    _ => EngineCommand::StepOutcome { at: active?, outcome },
                };
                if !draft.decide_engine(&command, &context) {
                    return None;
                }
                return Some(seal(draft, author));
            }
        };
        let mut command = place(order, "template");
        command.key.id = CommandId::parse(&format!("c-{number}")).unwrap();
        if let Some(data) = data {
            command.content_hash = retailflow_engine::wire::content_hash(&data);
            command.data = Arc::new(data);
        }
        match draft.decide(&author.aggregate, &command, &context, true) {
            Drafted::Decided(_) => Some(seal(draft, author)),
            _ => None,
        }
    }
}

/// The same order, paid in two or more parts.
fn in_parts(command: Command, number: u64) -> CommandData {
    let CommandData::Place(mut data) = (*command.data).clone() else { unreachable!("a place") };
    let total = data.total_minor().unwrap().minor();
    let count = 2 + i64::try_from(number % 3).unwrap();
    let payment = |at: i64| Payment {
        payment_id: format!("p{at}"),
        token_ref: "tok".into(),
        amount_minor: Amount::new(if at == 0 {
            total - (count - 1) * (total / count)
        } else {
            total / count
        })
        .unwrap(),
    };
    data.payments = (0..count).map(payment).collect();
    CommandData::Place(data)
}

fn seal(draft: Draft, author: &mut Author) -> OrderEntry {
    let sealed = draft.seal(&author.aggregate).unwrap();
    let entry = OrderEntry {
        order: author.aggregate.reference.clone(),
        expected_revision: sealed.expected_revision,
        next_revision: sealed.next_revision,
        deadline: sealed.deadline,
        bytes: sealed.bytes.clone(),
    };
    sealed.commit_to(&mut author.aggregate, RECENT_MAX);
    entry
}

/// What the whole log says: every order as lists show it, in the order of placing, and every public event.
#[derive(Debug, Default)]
pub struct LogContent {
    /// The orders.
    pub orders: Vec<OrderSummary>,
    /// The events, in the log's order.
    pub events: Vec<PublicEvent>,
}

/// Reads a whole log, in the plainest way.
pub async fn read_log(log: &dyn EventLog) -> LogContent {
    struct Known {
        records: Vec<Vec<u8>>,
        state: Aggregate,
        parked: Option<String>,
        marks: u32,
    }
    let mut known: BTreeMap<OrderRef, Known> = BTreeMap::new();
    let (mut placed, mut events) = (Vec::new(), Vec::new());
    for group in super::event_log::scan(log, 1 << 20).await {
        for entry in &group.entries {
            let order = match entry {
                LoggedEntry::Record(bytes) => Incoming::read(bytes).unwrap().order().clone(),
                LoggedEntry::Control(bytes) => Control::decode(bytes).unwrap().order().clone(),
            };
            let order = known.entry(order.clone()).or_insert_with(|| Known {
                records: Vec::new(),
                state: Aggregate::new(order),
                parked: None,
                marks: 0,
            });
            match entry {
                LoggedEntry::Record(bytes) => {
                    let before = order.state.order.placed.is_some();
                    let published = Incoming::read(bytes).unwrap().publish(&mut order.state).unwrap();
                    events.extend(published.into_iter().map(|found| found.event));
                    if !before && order.state.order.placed.is_some() {
                        placed.push(order.state.reference.clone());
                    }
                    order.records.push(bytes.clone());
                }
                LoggedEntry::Control(bytes) => match Control::decode(bytes).unwrap() {
                    Control::Park { reason, at, .. } if order.parked.is_none() => {
                        events.extend(publish_parked(&order.state, &reason, at, order.marks));
                        order.parked = Some(reason);
                        order.marks += 1;
                    }
                    Control::Release { at, .. } => {
                        let was_parked = order.parked.take().is_some();
                        let parking = was_parked.then(|| order.marks - 1);
                        events
                            .extend(parking.and_then(|parking| publish_unparked(&order.state, at, parking)));
                    }
                    _ => {}
                },
            }
        }
    }
    let summary = |order: OrderRef| {
        let found = &known[&order];
        let (view, _) = view(&order, &found.records, found.parked.as_deref()).unwrap().unwrap();
        OrderSummary {
            head: view.head,
            currency: view.currency,
            total_minor: view.total_minor,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    };
    LogContent { orders: placed.into_iter().map(summary).collect(), events }
}
