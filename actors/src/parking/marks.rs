//! Park marks, and the commands behind them: set, queued, and what became of what was written.

use ractor::ActorProcessingErr;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::{OrderId, PartitionId};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::ParkedOrder;
use retailflow_engine::wire::{Code, CommandEvent, Outcome, Trace};

use super::queue::{Mark, Queue, ReleasePhase, ReleasedMark};
use super::state::Parking;
use crate::messages::{TenantMsg, WriteResult};
use crate::work::Work;

impl Parking {
    /// Takes the marks of this tenant's orders in a partition that this node acquired. Returns the messages that waited for them.
    pub(crate) fn partition_acquired(
        &mut self,
        partition: PartitionId,
        marks: &[ParkedOrder],
    ) -> Vec<TenantMsg> {
        self.known.insert(partition);
        for parked in marks.iter().filter(|parked| parked.order.tenant == self.tenant) {
            // A release that an earlier actor asked for may still be on its way to the log: what is queued here must not come
            // to stand behind no mark.
            let mark = Mark::Unsure(parked.reason.clone());
            self.parked.insert(parked.order.order.clone(), Queue::new(mark, parked.queued));
        }
        self.mark_known(partition)
    }

    /// Sets the mark. It holds in memory even when the log can't take it now: the order rests either way.
    pub(crate) fn park(&mut self, order: &OrderId, why: &str) -> Result<(), ActorProcessingErr> {
        let reason: String = why.chars().take(500).collect();
        self.parked.insert(order.clone(), Queue::new(Mark::Unsure(reason), 0));
        self.set_mark(order)
    }

    /// Has the order's mark written, unless it is durable or on its way: without it, what is queued would be queued behind
    /// nothing. A mark that is there already is no worse for being set again.
    fn set_mark(&mut self, order: &OrderId) -> Result<(), ActorProcessingErr> {
        let number = self.number();
        let reference = self.reference(order);
        let Some(queue) = self.parked.get_mut(order) else { return Ok(()) };
        let Mark::Unsure(reason) = &queue.mark else { return Ok(()) };
        let reason = reason.clone();
        let at = self.shared.ports.clock.now();
        let mark = Control::Park { order: reference.clone(), reason: reason.clone(), at };
        queue.mark = Mark::Writing(reason, number);
        self.write(reference, &mark, number)
    }

    /// Queues a command behind the mark; it is answered `parked` once that is durable.
    pub(crate) fn park_command(&mut self, work: Work) -> Result<(), ActorProcessingErr> {
        let retry_after_ms = self.shared.admission.retry_after_ms();
        let settings = self.shared.settings.clone();
        let order = work.command.order.clone();
        let number = self.number();
        let Some(queue) = self.parked.get_mut(&order.order) else { return Ok(()) };
        match queue.ids.get(&work.command.key) {
            Some((content_hash, _)) if *content_hash != work.command.content_hash => {
                work.refuse(Code::IdReused, Code::IdReused.meaning(), retry_after_ms);
                return Ok(());
            }
            Some((_, None)) => {
                self.answer_parked(work);
                return Ok(());
            }
            Some((_, Some(number))) => {
                queue.writing.entry(*number).or_default().push(work);
                return Ok(());
            }
            None => {}
        }
        if queue.queued >= settings.config.supervision.parked_queue_max as u64 {
            work.refuse(Code::ParkedQueueFull, Code::ParkedQueueFull.meaning(), retry_after_ms);
            return Ok(());
        }
        if queue.ending.is_some() || !matches!(queue.mark, Mark::Durable) {
            if queue.waiting.len() >= settings.config.orders.queue_max {
                let why = "too many commands wait for the mark of a parked order";
                work.refuse(Code::Overloaded, why, retry_after_ms);
                return Ok(());
            }
            let ends = queue.ending.is_some();
            queue.waiting.push_back(work);
            return if ends { Ok(()) } else { self.set_mark(&order.order) };
        }
        // The number is used whatever becomes of the write: an unknown record may stand under it.
        queue.queued += 1;
        let control = parked_command(&work, queue.queued, self.shared.ports.clock.now())?;
        queue.ids.insert(work.command.key.clone(), (work.command.content_hash, Some(number)));
        queue.writing.insert(number, vec![work]);
        self.write(order, &control, number)
    }

    fn answer_parked(&self, work: Work) {
        let durability = self.shared.ports.durability.get();
        let (order, key) = (&work.command.order, &work.command.key);
        let outcome = Outcome::recorded(order, key, Code::Parked, None, durability);
        work.answer(outcome);
    }

    /// What waited is queued now, if it may be.
    pub(super) fn queue_waiting(&mut self, order: &OrderId) -> Result<(), ActorProcessingErr> {
        let waiting = self.parked.get_mut(order).map(|queue| std::mem::take(&mut queue.waiting));
        for work in waiting.into_iter().flatten() {
            // The caller has gone: a command that was not begun is not begun.
            if !work.reply.is_closed() {
                self.park_command(work)?;
            }
        }
        Ok(())
    }

    /// A control record was written, or not, or that is unknown. Returns the removed mark at the end of a release.
    pub(crate) fn written(
        &mut self,
        order: &OrderId,
        number: u64,
        wrote: WriteResult,
    ) -> Result<Option<ReleasedMark>, ActorProcessingErr> {
        let durable = wrote == WriteResult::Durable;
        let Some(queue) = self.parked.get_mut(order) else { return Ok(None) };
        if let Mark::Writing(reason, marking) = &queue.mark
            && *marking == number
        {
            let reason = reason.clone();
            queue.mark = if durable { Mark::Durable } else { Mark::Unsure(reason) };
            if durable {
                if queue.ending.is_none() {
                    self.queue_waiting(order)?;
                }
            } else {
                let (code, why) = match wrote {
                    WriteResult::Refused(code, why) => (code, why),
                    _ => (Code::Unavailable, "the order's park mark could not be written".to_owned()),
                };
                tracing::error!(event = "park_mark_failed", tenant = %self.tenant, %order, %why, "a park mark could not be written; it is tried again with the next command");
                let retry_after_ms = self.shared.admission.retry_after_ms();
                for work in queue.waiting.drain(..) {
                    work.refuse(code, why.clone(), retry_after_ms);
                }
            }
        } else if let Some(works) = queue.writing.remove(&number) {
            let key = works.first().map(|work| work.command.key.clone());
            if durable {
                if let Some((_, writing)) = key.and_then(|key| queue.ids.get_mut(&key)) {
                    *writing = None;
                }
                works.into_iter().for_each(|work| self.answer_parked(work));
            } else if wrote == WriteResult::NumberTaken {
                // A write of an earlier actor came to the log after this one had looked at the queue. It is tried under the next.
                if let Some(key) = key {
                    queue.ids.remove(&key);
                }
                for work in works.into_iter().filter(|work| !work.reply.is_closed()) {
                    self.park_command(work)?;
                }
            } else if let Some(key) = key {
                queue.ids.remove(&key);
                if let WriteResult::Refused(code, why) = wrote {
                    let retry_after_ms = self.shared.admission.retry_after_ms();
                    works.into_iter().for_each(|work| work.refuse(code, why.clone(), retry_after_ms));
                }
                // Else it may be in the queue: neither yes nor no may be said.
            }
        } else if let Some(ReleasePhase::RemovingMark(releasing, ..)) = &queue.ending
            && *releasing == number
        {
            return self.mark_released(order, durable);
        }
        self.notify_held(order);
        Ok(None)
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
