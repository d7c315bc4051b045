//! The end of an order's parking: nothing slips between the look at the queue's end and the mark's being taken away.

use ractor::ActorProcessingErr;
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::OrderId;
use tokio::sync::oneshot;

use super::queue::{Mark, ReleasePhase, ReleasedMark};
use super::state::Parking;

impl Parking {
    /// Queues nothing more, and replies when nothing is on its way into the queue.
    pub(crate) fn hold(&mut self, order: &OrderId, reply: oneshot::Sender<()>) {
        if let Some(queue) = self.parked.get_mut(order)
            && !matches!(queue.ending, Some(ReleasePhase::RemovingMark(..)))
        {
            queue.ending = Some(ReleasePhase::QueueHeld(Some(reply)));
            self.notify_held(order);
        }
    }

    pub(super) fn notify_held(&mut self, order: &OrderId) {
        if let Some(queue) = self.parked.get_mut(order)
            && queue.writing.is_empty()
            && !matches!(queue.mark, Mark::Writing(..))
            && let Some(ReleasePhase::QueueHeld(reply)) = &mut queue.ending
            && let Some(reply) = reply.take()
        {
            // A release that has ended says so.
            let _ = reply.send(());
        }
    }

    /// Commands may be queued again. A mark that is being taken away is not held up by that.
    pub(crate) fn resume_queue(&mut self, order: &OrderId) -> Result<(), ActorProcessingErr> {
        match self.parked.get_mut(order) {
            Some(queue) if matches!(queue.ending, Some(ReleasePhase::QueueHeld(_))) => queue.ending = None,
            _ => return Ok(()),
        }
        self.queue_waiting(order)
    }

    /// Takes the mark away, if nothing was queued since it was held.
    pub(crate) fn release(
        &mut self,
        order: &OrderId,
        operator: Box<str>,
        reply: oneshot::Sender<Result<bool, String>>,
    ) -> Result<(), ActorProcessingErr> {
        let number = self.number();
        let reference = self.reference(order);
        let Some(queue) = self.parked.get_mut(order) else { return Ok(()) };
        if !matches!(queue.ending, Some(ReleasePhase::QueueHeld(None))) {
            let _ = reply.send(Ok(false));
            return Ok(());
        }
        let (actor, at) = (operator.to_string(), self.shared.ports.clock.now());
        let release = Control::Release { order: reference.clone(), actor, at };
        queue.ending = Some(ReleasePhase::RemovingMark(number, operator, reply));
        self.write(reference, &release, number)
    }

    /// Not durable: it may be gone or not; the order stays parked, and the mark is set again before anything else is queued
    /// behind it.
    pub(super) fn mark_released(
        &mut self,
        order: &OrderId,
        durable: bool,
    ) -> Result<Option<ReleasedMark>, ActorProcessingErr> {
        let Some(queue) = self.parked.get_mut(order) else { return Ok(None) };
        let Some(ReleasePhase::RemovingMark(_, operator, reply)) = queue.ending.take() else {
            return Ok(None);
        };
        if durable {
            let waiting = std::mem::take(&mut queue.waiting).into();
            self.parked.remove(order);
            return Ok(Some(ReleasedMark { operator, waiting, reply }));
        }
        if matches!(queue.mark, Mark::Durable) {
            queue.mark = Mark::Unsure(format!("its release by {operator} was broken off"));
        }
        let _ = reply.send(Err("the release could not be written".to_owned()));
        self.queue_waiting(order)?;
        Ok(None)
    }
}
