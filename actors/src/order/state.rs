//! What an order knows, and what its committed state asks for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::fulfillment::next;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{Aggregate, RecordedOutcome, Verdict};
use retailflow_engine::wire::Code;

use super::in_flight::InFlightRecord;
use crate::context::OrderContext;
use crate::messages::{EngineDelivery, OrderMsg, TenantMsg};
use crate::mutant::Mutant;
use crate::outcome::recorded;
use crate::passivation::{self, hydrate};
use crate::work::Work;
use crate::world::ProbePoint;

/// Commands of the engine's own that wait at one order, at most: further ones come again.
const ENGINE_QUEUE_MAX: usize = 8;

pub(crate) struct OrderArgs {
    pub(crate) order: OrderRef,
    pub(crate) shared: Arc<OrderContext>,
    pub(crate) tenant: ActorRef<TenantMsg>,
}

pub(crate) struct OrderState {
    pub(super) args: OrderArgs,
    pub(super) partition: PartitionId,
    pub(super) aggregate: Aggregate,
    pub(super) snapshot_at: u64,
    pub(super) queue: VecDeque<Work>,
    /// The engine's own commands. At most one step and one deadline are open, so a handful at most wait here.
    pub(super) engine: Vec<EngineDelivery>,
    /// Decisions in the next record, while the last one came out too large.
    pub(super) combine_max: Option<usize>,
    pub(super) in_flight: Option<Box<InFlightRecord>>,
    pub(super) proposals: u64,
    /// How often, one after another, an outcome could not be recorded.
    pub(super) unrecorded: u32,
    /// Outcomes that have left the aggregate's memory, once someone asked for one.
    pub(super) recalled: Option<HashMap<CommandKey, RecordedOutcome>>,
}

impl OrderState {
    pub(super) fn new(args: OrderArgs) -> Self {
        let aggregate = Aggregate::new(args.order.clone());
        Self {
            partition: partition_of(&args.order, args.shared.committers.partitions()),
            args,
            aggregate,
            snapshot_at: 0,
            queue: VecDeque::new(),
            engine: Vec::new(),
            combine_max: None,
            in_flight: None,
            proposals: 0,
            unrecorded: 0,
            recalled: None,
        }
    }

    pub(super) fn probe(&self, point: ProbePoint) -> Result<(), ActorProcessingErr> {
        Ok(self.args.shared.settings.probe(point, || self.args.order.to_string())?)
    }

    pub(super) fn enqueue(&mut self, work: Work) {
        let shared = &self.args.shared;
        if self.queue.len() >= shared.settings.config.orders.queue_max {
            let retry_after_ms = shared.admission.retry_after_ms();
            return work.refuse(Code::Overloaded, "too many commands wait for this order", retry_after_ms);
        }
        self.queue.push_back(work);
    }

    /// Queues a command of the engine's own.
    pub(super) fn enqueue_engine(&mut self, mut news: EngineDelivery) {
        if self.engine.len() < ENGINE_QUEUE_MAX {
            news.mark_received();
            self.engine.push(news);
        }
    }

    pub(super) async fn rebuild(&mut self) -> Result<(), ActorProcessingErr> {
        self.probe(ProbePoint::OrderHydrate)?;
        let shared = &self.args.shared;
        let recent_max = shared.settings.config.orders.recent_ids_max;
        let mutant = shared.settings.is(Mutant::ReadPermitsOfTheNode);
        let (aggregate, unaided) = match shared.ports.log.seems_new(&self.args.order) && !mutant {
            // Nothing is read for it: it waits for no read permit.
            true => (Aggregate::new(self.args.order.clone()), 0),
            false => {
                let of = if mutant { PartitionId(0) } else { self.partition };
                let _permit = shared.reads.permit(of).await;
                hydrate(&shared.ports, &self.args.order, recent_max).await?
            }
        };
        self.aggregate = aggregate;
        // What took long to fold is folded once.
        self.snapshot_at = self.aggregate.revision.saturating_sub(unaided);
        self.save_snapshot_if_due();
        self.snapshot_at = self.aggregate.revision;
        self.recalled = None;
        Ok(())
    }

    /// Drives what the committed state asks for, and nothing else.
    pub(super) fn drive(&self, myself: &ActorRef<OrderMsg>) {
        if !self.engine.is_empty() || self.in_flight.is_some() {
            // The outcome of what was asked for may be here, or in the record under way: driven when that is known.
            return;
        }
        let effects = &self.args.shared.effects;
        if effects.running.is_closed() {
            return;
        }
        match next(&self.args.order, &self.aggregate.order) {
            Some(effect) => effects.drive(effect, myself),
            None if self.aggregate.order.deadline.is_some() => effects.running.set_waiting(&self.args.order),
            None => effects.running.cancel(&self.args.order),
        }
    }

    /// An outcome could not be recorded now: its effect is driven again, under the same key, after a wait that grows: its
    /// participant must not be asked again and again for an outcome that cannot be recorded.
    pub(super) fn wake_later(&mut self) {
        let (shared, doubled) = (&self.args.shared, 1 << self.unrecorded.min(16));
        let (first_ms, max_ms) =
            (shared.admission.retry_after_ms(), shared.settings.config.effects.retry_max_ms);
        let delay_ms = first_ms.saturating_mul(doubled).min(max_ms.max(first_ms));
        self.unrecorded = self.unrecorded.saturating_add(1);
        shared.effects.wake_later(self.args.order.clone(), Duration::from_millis(delay_ms));
    }

    pub(super) fn replay(&self, work: Work, verdict: &Verdict) {
        let durability = self.args.shared.ports.durability.get();
        let outcome = recorded(&work.command.order, &work.command.key, verdict, durability, true);
        work.answer(outcome);
    }

    pub(super) fn save_snapshot_if_due(&mut self) {
        let shared = &self.args.shared;
        let every = shared.settings.config.orders.snapshot_every;
        passivation::save_snapshot_if_due(&shared.ports, every, &self.aggregate, &mut self.snapshot_at);
    }

    /// Leaves memory, unless there is something to do.
    pub(super) fn passivate(&self, myself: &ActorRef<OrderMsg>) -> Result<(), ActorProcessingErr> {
        let has_work = self.in_flight.is_some() || !self.queue.is_empty() || !self.engine.is_empty();
        let is_busy = has_work || self.args.shared.effects.running.is_attempting(&self.args.order);
        passivation::answer_request(myself, &self.args.tenant, &self.args.order, is_busy)
    }
}
