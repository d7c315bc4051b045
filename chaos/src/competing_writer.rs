//! Another node that takes a partition over in between, and may decide for one of its orders.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::memory::{MemoryLog, next_fence};
use retailflow_engine::order::{Actor, Aggregate, Command, Context, Draft, Drafted, Policy};
use retailflow_engine::ports::{Clock, EventLog as _, Group, OrderEntry};
use retailflow_engine::wire::CommandEvent;

use crate::script::{POISON, key, place};
use crate::time::{Dice, WorldClock};

/// The other node.
#[derive(Debug)]
pub(crate) struct CompetingWriter {
    clock: WorldClock,
    policy: Policy,
    /// What callers send: it may have got the same from one of them.
    commands: BTreeMap<OrderRef, Vec<CommandEvent>>,
    own: Mutex<BTreeSet<(OrderRef, CommandKey)>>,
}

impl CompetingWriter {
    pub(crate) fn new(
        clock: WorldClock,
        policy: Policy,
        commands: BTreeMap<OrderRef, Vec<CommandEvent>>,
    ) -> Self {
        Self { clock, policy, commands, own: Mutex::default() }
    }

    /// Commands that only the competing writer was given.
    pub(crate) fn own(&self) -> BTreeSet<(OrderRef, CommandKey)> {
        self.own.lock().clone()
    }

    /// Takes over the partition of `group` just before that is appended. Says what it did.
    pub(crate) async fn take_over(&self, log: &MemoryLog, group: &Group, dice: &Dice) -> String {
        let partition = group.fence.partition;
        let Ok(head) = log.head(partition).await else { return "the rival cannot read".into() };
        let last = head.fence.as_ref();
        let epoch = last.map_or(0, |fence| fence.epoch).max(group.fence.epoch) + 1;
        let floors: Vec<IntakeFloor> = last.map(|fence| fence.intake.clone()).unwrap_or_default();
        let record = match group.records.first().filter(|_| dice.chance(700)) {
            Some(entry) => {
                let order = self.another(log, partition, dice).unwrap_or_else(|| entry.order.clone());
                self.decide(log, &order, dice).await
            }
            None => None,
        };
        let did = record
            .as_ref()
            .map_or_else(|| "takes over".into(), |entry| format!("decides for {}", entry.order));
        let mut fence = next_fence(&head, partition, epoch);
        fence.node = "rival".into();
        fence.intake = floors;
        fence.written = self.clock.now();
        let mut taking = Group { fence, records: record.into_iter().collect(), controls: Vec::new() };
        taking.fence.entries = u32::try_from(taking.records.len()).unwrap_or(u32::MAX);
        taking.fence.digest = MemoryLog::digest_of(&taking);
        match log.commit_now(&taking) {
            Ok(_) => format!("a rival {did} in partition {partition}, epoch {epoch}"),
            Err(error) => format!("a rival fails in partition {partition}: {error}"),
        }
    }

    /// Sometimes one that the node has not proposed, and may take for one that nobody has ever written.
    fn another(&self, log: &MemoryLog, partition: PartitionId, dice: &Dice) -> Option<OrderRef> {
        if !dice.chance(300) {
            return None;
        }
        let partitions = log.identity().partitions;
        // The one that crashes is parked for ever: placed by somebody else, it would be open for ever.
        let is_here = |order: &&OrderRef| {
            partition_of(order, partitions) == partition && order.order.as_str() != POISON
        };
        let here: Vec<&OrderRef> = self.commands.keys().filter(is_here).collect();
        let at = usize::try_from(dice.below(here.len().max(1) as u64)).unwrap_or(0);
        here.get(at).map(|order| (*order).clone())
    }

    async fn decide(&self, log: &MemoryLog, order: &OrderRef, dice: &Dice) -> Option<OrderEntry> {
        let mut aggregate = Aggregate::new(order.clone());
        for record in log.read_order(order, 0).await.ok()? {
            aggregate.fold(&record.bytes, usize::MAX).ok()?;
        }
        let shared = self.commands.get(order).filter(|all| !all.is_empty() && dice.chance(500));
        let event = match shared {
            Some(all) => all[usize::try_from(dice.below(all.len() as u64)).unwrap_or(0)].clone(),
            None => {
                let number = 5000 + u32::try_from(self.own.lock().len()).unwrap_or(0);
                let key = key("/rival", number).ok()?;
                CommandEvent::new(order.clone(), key, place(number))
            }
        };
        let name = (order.clone(), event.key.clone());
        let command = Command::from_event(event, Actor::Tenant);
        let context = Context { now: self.clock.now(), policy: self.policy };
        let mut draft = Draft::new(&aggregate);
        if !matches!(draft.decide(&aggregate, &command, &context, true), Drafted::Decided(_)) {
            return None;
        }
        let sealed = draft.seal(&aggregate).ok()?;
        self.own.lock().insert(name);
        Some(OrderEntry {
            order: order.clone(),
            expected_revision: sealed.expected_revision,
            next_revision: sealed.next_revision,
            deadline: sealed.deadline,
            bytes: sealed.bytes,
        })
    }
}
