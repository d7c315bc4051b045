//! Parked orders of a tenant: a durable mark, and a durable, bounded queue behind it.
//!
//! The mark is a control record of its own: setting and seeing it needs no history of the order, which may be what
//! makes it crash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ractor::ActorProcessingErr;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::{CommandKey, OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::{Hash, partition_of};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{ControlEntry, ParkedOrder};
use retailflow_engine::wire::{Code, CommandEvent, Outcome, Trace};
use tokio::sync::oneshot;

use crate::committer::{CommitterMsg, ControlProposal};
use crate::order::OrderShared;
use crate::outcome::Work;

struct Queue {
    /// Why the order is parked, while the mark that says so is not known to be durable.
    unmarked: Option<String>,
    queued: u64,
    /// Commands queued since this actor started: the same one is not queued twice. Bounded by the queue's limit.
    ids: HashMap<CommandKey, Hash>,
}

/// Why a command is refused for a while.
pub(crate) const UNREAD: &str = "it is not known yet which orders of the partition are parked; ask again";

/// The parked orders of one tenant.
pub(crate) struct Parking {
    shared: Arc<OrderShared>,
    parked: BTreeMap<OrderId, Queue>,
    /// Partitions that are run here and whose marks could not be read.
    unread: BTreeSet<PartitionId>,
}

impl Parking {
    pub(crate) fn new(shared: Arc<OrderShared>) -> Self {
        Self { shared, parked: BTreeMap::new(), unread: BTreeSet::new() }
    }

    /// Reads the marks of this tenant's orders. What cannot be read now keeps nobody else waiting: only commands of that
    /// partition are refused until it is.
    pub(crate) async fn load(&mut self, tenant: &TenantId) {
        for partition in (0..self.shared.committers.partitions()).map(PartitionId) {
            if self.shared.held.has(partition) {
                self.read(tenant, partition).await;
            }
        }
    }

    async fn read(&mut self, tenant: &TenantId, partition: PartitionId) {
        match self.shared.ports.log.parked(partition).await {
            Ok(parked) => self.arrived(tenant, partition, &parked),
            Err(error) => {
                tracing::warn!(%partition, %error, "park marks cannot be read now; commands of this partition are refused");
                self.unread.insert(partition);
            }
        }
    }

    /// Looks again at what could not be read.
    pub(crate) async fn read_again(&mut self, tenant: &TenantId) {
        if let Some(partition) = self.unread.first().copied() {
            self.read(tenant, partition).await;
        }
    }

    /// Whether it is known which orders of the partition are parked.
    pub(crate) fn knows(&self, partition: PartitionId) -> bool {
        !self.unread.contains(&partition)
    }

    /// Refuses a command of which nobody knows whether it has to wait behind others.
    pub(crate) fn refuse(&self, work: Work) -> Result<(), ActorProcessingErr> {
        work.refuse(Code::Unavailable, UNREAD, self.shared.gate.retry_after_ms());
        Ok(())
    }

    /// Takes in the marks of this tenant's orders in a partition that is run here from now on.
    pub(crate) fn arrived(&mut self, tenant: &TenantId, partition: PartitionId, marks: &[ParkedOrder]) {
        if self.unread.remove(&partition) {
            // Until now its orders were told nothing: whoever wants to be driven is looked for again.
            self.shared.effects.taken(partition);
        }
        for parked in marks {
            if parked.order.tenant == *tenant {
                // A release that an earlier actor asked for may still be on its way to the log: what is queued here
                // must not come to stand behind no mark.
                let unmarked = Some(parked.reason.clone());
                let queue = Queue { unmarked, queued: parked.queued, ids: HashMap::new() };
                self.parked.insert(parked.order.order.clone(), queue);
            }
        }
    }

    /// What is parked in a partition that is run elsewhere is its owner's matter.
    pub(crate) fn departed(&mut self, partition: PartitionId, leaves: impl Fn(&OrderId) -> bool) {
        self.unread.remove(&partition);
        self.parked.retain(|order, _| !leaves(order));
    }

    pub(crate) fn holds(&self, order: &OrderId) -> bool {
        self.parked.contains_key(order)
    }

    /// Sets the mark. It holds in memory even when the log can't take it now: the order rests either way.
    pub(crate) async fn park(&mut self, order: OrderRef, why: &str) -> Result<(), ActorProcessingErr> {
        let reason: String = why.chars().take(500).collect();
        self.parked
            .insert(order.order.clone(), Queue { unmarked: Some(reason), queued: 0, ids: HashMap::new() });
        if !self.marked(&order).await? {
            tracing::error!(%order, "a park mark could not be written; it is tried again with the next command");
        }
        Ok(())
    }

    /// Makes sure that the order's mark is durable: without it, what is queued would be queued behind nothing. A mark
    /// that is there already is no worse for being set again.
    async fn marked(&mut self, order: &OrderRef) -> Result<bool, ActorProcessingErr> {
        let Some(reason) = self.parked.get(&order.order).and_then(|queue| queue.unmarked.clone()) else {
            return Ok(true);
        };
        let mark = Control::Park { order: order.clone(), reason, at: self.shared.ports.clock.now() };
        let durable = self.written(order.clone(), &mark).await?;
        if let Some(queue) = self.parked.get_mut(&order.order).filter(|_| durable) {
            queue.unmarked = None;
        }
        Ok(durable)
    }

    /// Queues a command behind the mark and answers `parked` once that is durable.
    pub(crate) async fn park_command(&mut self, work: Work) -> Result<(), ActorProcessingErr> {
        let retry_after_ms = self.shared.gate.retry_after_ms();
        let max = self.shared.settings.config.supervision.parked_queue_max as u64;
        let order = work.command.order.clone();
        let marked = self.marked(&order).await?;
        let Some(queue) = self.parked.get_mut(&order.order) else { return Ok(()) };
        let known = queue.ids.get(&work.command.key);
        if known.is_some_and(|content_hash| *content_hash != work.command.content_hash) {
            work.refuse(Code::IdReused, Code::IdReused.meaning(), retry_after_ms);
            return Ok(());
        }
        let known = known.is_some();
        if !known && queue.queued >= max {
            let meaning = Code::ParkedQueueFull.meaning();
            work.refuse(Code::ParkedQueueFull, meaning, retry_after_ms);
            return Ok(());
        }
        if !known {
            if !marked {
                work.refuse(Code::Unavailable, "the order's park mark could not be written", retry_after_ms);
                return Ok(());
            }
            // The number is used up whatever becomes of it: a record that nobody knows of may stand under it.
            queue.queued += 1;
            let control = parked_command(&work, queue.queued, self.shared.ports.clock.now())?;
            if !self.written(order.clone(), &control).await? {
                // It may be in the queue: neither yes nor no may be said.
                return Ok(());
            }
            if let Some(queue) = self.parked.get_mut(&order.order) {
                queue.ids.insert(work.command.key.clone(), work.command.content_hash);
            }
        }
        let durability = self.shared.ports.durability.get();
        let outcome = Outcome::recorded(&order, &work.command.key, Code::Parked, None, durability);
        work.answer(outcome);
        Ok(())
    }

    /// Takes the mark away. Nobody queues meanwhile: the tenant, who is the only one to do so, waits here. `false`: it may
    /// be gone or not; the order stays parked, and the mark is set again before anything else is queued behind it.
    pub(crate) async fn release(
        &mut self,
        order: &OrderRef,
        actor: &str,
    ) -> Result<bool, ActorProcessingErr> {
        let release = Control::Release {
            order: order.clone(),
            actor: actor.to_owned(),
            at: self.shared.ports.clock.now(),
        };
        let durable = self.written(order.clone(), &release).await?;
        if durable {
            self.parked.remove(&order.order);
        } else if let Some(queue) = self.parked.get_mut(&order.order) {
            queue.unmarked.get_or_insert_with(|| format!("its release by {actor} was broken off"));
        }
        Ok(durable)
    }

    /// Writes a control record. `false`: it was not written, or nobody knows.
    async fn written(&self, order: OrderRef, control: &Control) -> Result<bool, ActorProcessingErr> {
        let partition = partition_of(&order, self.shared.committers.partitions());
        let entry = ControlEntry { order, bytes: control.encode()?.into() };
        let Some(committer) = self.shared.committers.get(partition) else { return Ok(false) };
        let (reply, durable) = oneshot::channel();
        // A committer that has just ended drops the proposal, and with it the reply.
        drop(committer.cast(CommitterMsg::Control(ControlProposal { entry, reply })));
        Ok(durable.await.is_ok())
    }
}

fn parked_command(
    work: &Work,
    sequence: u64,
    at: retailflow_engine::ids::TimestampMs,
) -> Result<Control, ActorProcessingErr> {
    let command = &work.command;
    let event = CommandEvent {
        order: command.order.clone(),
        key: command.key.clone(),
        time: command.time,
        dataschema: None,
        trace: Trace::default(),
        data: (*command.data).clone(),
    };
    Ok(Control::ParkedCommand {
        order: command.order.clone(),
        sequence,
        key: format!("{}\0{}", command.key.source, command.key.id),
        content_hash: command.content_hash,
        body: event.to_json(),
        actor: match &command.actor {
            Actor::Tenant => ActorV1::Tenant,
            Actor::Operator(name) => ActorV1::Operator(name.to_string()),
        },
        trace_id: command.trace_id,
        at,
    })
}
