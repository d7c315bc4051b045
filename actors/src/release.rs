//! Release and discard of parked orders: a task of the tenant's gives the order what waits behind its mark, one command
//! after another, and the tenant takes the mark away at the end.
//!
//! Invariants:
//! - While it goes on the order stays parked: what comes meanwhile is queued behind, and read in its turn.
//! - Nothing is queued from before the last look at the queue's end until the mark is gone: what comes meanwhile waits at the
//!   tenant, who alone queues. Nothing slips between, and the tenant waits for nothing.
//! - Broken off at any point nothing is lost: asked again, what was decided is replayed.

use std::collections::HashMap;

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{OrderId, OrderRef};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::deliveries::ToOrder;
use crate::parking::ReleasedMark;
use crate::parking::drainer::Drainer;
use crate::tenant::{TenantMsg, TenantState};
use crate::work::Work;

/// What became of the commands that waited behind a parked order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Commands read from the queue: all of the others together.
    pub commands: u64,
    /// Applied now.
    pub applied: u64,
    /// Rejected now: all that were discarded, where the order could record it.
    pub rejected: u64,
    /// Decided before: commands that were queued twice, or that a release decided which was broken off.
    pub replayed: u64,
    /// Put among the dead letters, because the order could record nothing of them.
    pub dead_lettered: u64,
}

/// Why an order was not released. It stays parked, with what waits behind it, unless it was not parked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// There is nothing to release.
    #[error("the order is not parked")]
    NotParked,
    /// Someone else does it.
    #[error("the order is being released already")]
    UnderWay,
    /// The order crashed again.
    #[error("the order crashed again at the waiting command {sequence}, and stays parked: {why}")]
    Crashed {
        /// At which command.
        sequence: u64,
        /// Why, for people.
        why: String,
    },
    /// A command could not be read.
    #[error("the waiting command {sequence} cannot be read, and the order stays parked: {why}")]
    Unreadable {
        /// Which command; 0 where even that cannot be read.
        sequence: u64,
        /// Why, for people.
        why: String,
    },
    /// The order would not take a command now.
    #[error("the waiting command {sequence} cannot be decided now, and the order stays parked: {why}")]
    Stuck {
        /// Which command.
        sequence: u64,
        /// Why, for people.
        why: String,
    },
    /// The log cannot be read or written now.
    #[error("the order cannot be released now, and stays parked: {0}")]
    Unavailable(String),
    /// The answer was lost: ask again.
    #[error("it is not known whether the order was released; ask again")]
    Lost,
}

/// What an operator asks for a parked order.
pub(crate) struct Request {
    pub(crate) order: OrderRef,
    pub(crate) operator: Box<str>,
    pub(crate) discard: bool,
    pub(crate) reply: oneshot::Sender<Result<Released, ReleaseError>>,
}

/// What the task needs of the tenant.
pub(crate) enum Drain {
    /// Give this to the order, though it is parked.
    Command(Work),
    /// Queue nothing more behind its mark; told when nothing is on its way there.
    Hold(oneshot::Sender<()>),
    /// There is more: queue again.
    GoOn,
    /// All is decided since it was held: take the mark away.
    End {
        /// Who wants it.
        operator: Box<str>,
        /// Told whether the mark is gone; `false`: more commands came.
        reply: oneshot::Sender<Result<bool, String>>,
    },
    /// It was broken off.
    GivenUp,
}

/// Why an order ended while it was released.
pub(crate) struct Crash {
    pub(crate) why: String,
    /// It is not the order's own fault.
    pub(crate) passing: bool,
}

/// The releases that go on at one tenant. They end with it.
#[derive(Default)]
pub(crate) struct Releases {
    going_on: HashMap<OrderId, (mpsc::Sender<Crash>, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Releases {
    pub(crate) fn crashed(&self, order: &OrderId, crash: Crash) {
        if let Some((drainer, _)) = self.going_on.get(order) {
            // One that is not waited for is of no use.
            drop(drainer.try_send(crash));
        }
    }

    fn is_going_on(&self, order: &OrderId) -> bool {
        self.going_on.get(order).is_some_and(|(drainer, _)| !drainer.is_closed())
    }

    /// What leaves is released no more here. What one had read of an order's queue must not be taken for what the order has
    /// when it comes back: the mark may be another one by then.
    pub(crate) fn departed(&mut self, leaves: impl Fn(&OrderId) -> bool) {
        self.going_on.retain(|order, (_, task)| {
            let leaves = leaves(order);
            if leaves {
                task.abort();
            }
            !leaves
        });
    }
}

impl TenantState {
    /// Begins to release an order.
    pub(crate) fn release(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        request: Request,
    ) -> Result<(), ActorProcessingErr> {
        let partition = self.partition(&request.order.order);
        if !self.parking.knows(partition) {
            self.parking.keep(partition, TenantMsg::Release(request));
            return Ok(());
        }
        let Request { order, operator, discard, reply } = request;
        while self.releases.tasks.try_join_next().is_some() {}
        let refused = match self.parking.holds(&order.order) {
            false => Some(ReleaseError::NotParked),
            true => self.releases.is_going_on(&order.order).then_some(ReleaseError::UnderWay),
        };
        if let Some(error) = refused {
            drop(reply.send(Err(error)));
            return Ok(());
        }
        // One before it may have ended badly, and held the queue.
        self.parking.go_on(&order.order)?;
        tracing::info!(%order, %operator, discard, "what waits behind a parked order is decided");
        let (crashed, crashes) = mpsc::channel(4);
        let going_on = order.order.clone();
        let mut drainer = Drainer {
            order,
            operator,
            discard,
            shared: self.shared.clone(),
            tenant: myself.clone(),
            crashes,
            after: 0,
            released: Released::default(),
        };
        let task = self.releases.tasks.spawn(async move {
            let ended = drainer.run().await;
            if let Err(error) = &ended {
                tracing::error!(order = %drainer.order, %error, "an order was not released");
                drop(drainer.tell(Drain::GivenUp));
            }
            drop(reply.send(ended));
        });
        self.releases.going_on.insert(going_on, (crashed, task));
        Ok(())
    }

    /// The mark of an order is gone.
    pub(crate) async fn released(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
        released: ReleasedMark,
    ) -> Result<(), ActorProcessingErr> {
        let ReleasedMark { operator, waiting, reply } = released;
        tracing::info!(tenant = %self.tenant(), %order, %operator, "a parked order is released");
        self.releases.going_on.remove(&order);
        self.forgive(&order);
        for work in waiting {
            self.give(myself, work).await?;
        }
        self.tell_order(myself, order, ToOrder::Wake).await?;
        drop(reply.send(Ok(true)));
        Ok(())
    }

    /// Does what the task asks for.
    pub(crate) async fn drain(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderRef,
        drain: Drain,
    ) -> Result<(), ActorProcessingErr> {
        match drain {
            Drain::Command(work) => self.give(myself, work).await,
            Drain::Hold(reply) => {
                self.parking.hold(&order.order, reply);
                Ok(())
            }
            Drain::GoOn => self.parking.go_on(&order.order),
            Drain::End { operator, reply } => self.parking.release(&order.order, operator, reply),
            Drain::GivenUp => {
                self.releases.going_on.remove(&order.order);
                self.send_away(&order.order);
                self.parking.go_on(&order.order)
            }
        }
    }
}

#[cfg(test)]
mod tests;
