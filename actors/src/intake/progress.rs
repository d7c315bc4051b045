//! What is open of an inbox, and what became of it so far.

use std::collections::{BTreeMap, HashMap, VecDeque};

use futures_util::stream::FuturesUnordered;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::PortFuture;
use retailflow_engine::wire::CommandType;

use super::decide::{CommandResult, IntakeContext, decide, retry_unknown_order, skip_after_predecessor};
use super::event::{FinishedCommand, IntakeEvent, PendingCommand};
use super::window::Window;
use crate::floor::{Floors, InboxRegistration};

/// What is asked for.
pub(super) type PendingCommands<'a> = FuturesUnordered<PortFuture<'a, CommandResult>>;

/// What is open.
pub(super) struct IntakeProgress<'a> {
    pub(super) context: IntakeContext<'a>,
    pub(super) registration: InboxRegistration,
    pub(super) floors: &'a Floors,
    /// Commands waiting behind an open one of the same order.
    pub(super) lanes: HashMap<OrderRef, VecDeque<PendingCommand>>,
    /// Outcomes that wait for those of earlier positions.
    pub(super) ready: BTreeMap<u64, FinishedCommand>,
    pub(super) window: Window,
}

impl<'a> IntakeProgress<'a> {
    /// Records the result of a command, and starts the next one of its order.
    pub(super) fn record_result(&mut self, answered: CommandResult, pending: &PendingCommands<'a>) {
        let done = match answered {
            CommandResult::Done(done) => done,
            CommandResult::Unknown(waiting) => {
                // A later command may place the order.
                let lane = self.lanes.entry(waiting.command.order.clone()).or_default();
                let place = lane.iter().position(|later| later.command.data.kind() == CommandType::Place);
                match place.and_then(|at| lane.remove(at)) {
                    Some(place) => {
                        lane.push_front(waiting);
                        pending.push(decide(self.context.clone(), place));
                    }
                    None => pending.push(retry_unknown_order(self.context.clone(), waiting)),
                }
                return;
            }
        };
        if let Some(order) = done.event.order.as_ref().filter(|_| done.partition.is_some()) {
            match self.lanes.get_mut(order).and_then(VecDeque::pop_front) {
                // A skipped command skips its successors: none of them may overtake it.
                Some(waiting) if !done.is_final => {
                    let (context, why) = (self.context.clone(), done.event.outcome.clone());
                    pending.push(Box::pin(async move { skip_after_predecessor(&context, &waiting, why) }));
                }
                Some(waiting) => pending.push(decide(self.context.clone(), waiting)),
                None => drop(self.lanes.remove(order)),
            }
        }
        self.ready.insert(done.event.position, done);
    }

    pub(super) fn emit(&mut self, on_event: &mut impl FnMut(IntakeEvent)) {
        let in_order = self.context.patience.is_none();
        loop {
            let next = if in_order { self.window.first() } else { self.ready.keys().next().copied() };
            let Some(done) = next.and_then(|position| self.ready.remove(&position)) else { return };
            let FinishedCommand { event, partition, is_final } = done;
            let position = event.position;
            self.window.close(position);
            on_event(event);
            // Not before: the floor must not pass a refusal that was not reported.
            if is_final {
                self.floors.mark_done(self.registration, position, partition);
            }
        }
    }
}
