//! Release and discard of parked orders: a task of the tenant's gives the order what waits behind its mark, one command
//! after another, and the tenant takes the mark away at the end.
//!
//! Invariants:
//! - While it goes on the order stays parked: what comes meanwhile is queued behind, and read in its turn.
//! - The tenant, who alone queues, looks at the queue's end and takes the mark away in one step: nothing slips between.
//! - Broken off at any point nothing is lost: asked again, what was decided is replayed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::{OrderId, OrderRef};
use retailflow_engine::keys::sha256;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::DeadLetter;
use retailflow_engine::wire::{Code, Outcome, Status, decode_command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::intake::DEAD_LETTER_MAX_BYTES;
use crate::order::OrderShared;
use crate::outcome::Work;
use crate::tenant::{TenantMsg, TenantState, ToOrder};

/// Commands read at once: each may have a megabyte.
const PIECE: usize = 16;
/// How often a command is given to its order before the release stops for trouble that may pass.
const ATTEMPTS_MAX: u32 = 5;
/// How long the tenant may take to tell why an order ended.
const CRASH_TOLD_WITHIN: Duration = Duration::from_secs(2);

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
    /// All up to this sequence is decided: take the mark away.
    End {
        /// The last sequence decided.
        after: u64,
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
    going_on: HashMap<OrderId, mpsc::Sender<Crash>>,
    tasks: JoinSet<()>,
}

impl Releases {
    pub(crate) fn crashed(&self, order: &OrderId, crash: Crash) {
        if let Some(drainer) = self.going_on.get(order) {
            // One that is not waited for is of no use.
            drop(drainer.try_send(crash));
        }
    }

    fn is_going_on(&self, order: &OrderId) -> bool {
        self.going_on.get(order).is_some_and(|drainer| !drainer.is_closed())
    }
}

impl TenantState {
    /// Begins to release an order.
    pub(crate) fn release(&mut self, myself: &ActorRef<TenantMsg>, request: Request) {
        let Request { order, operator, discard, reply } = request;
        while self.releases.tasks.try_join_next().is_some() {}
        let refused = match self.parking.holds(&order.order) {
            false => Some(ReleaseError::NotParked),
            true => self.releases.is_going_on(&order.order).then_some(ReleaseError::UnderWay),
        };
        if let Some(error) = refused {
            drop(reply.send(Err(error)));
            return;
        }
        tracing::info!(%order, %operator, discard, "what waits behind a parked order is decided");
        let (crashed, crashes) = mpsc::channel(4);
        self.releases.going_on.insert(order.order.clone(), crashed);
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
        self.releases.tasks.spawn(async move {
            let ended = drainer.run().await;
            if let Err(error) = &ended {
                tracing::error!(order = %drainer.order, %error, "an order was not released");
                drop(drainer.tell(Drain::GivenUp));
            }
            drop(reply.send(ended));
        });
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
            Drain::GivenUp => {
                self.releases.going_on.remove(&order.order);
                self.send_away(&order.order);
                Ok(())
            }
            Drain::End { after, operator, reply } => {
                let ended = match self.shared.ports.log.parked_commands(&order, after, 1).await {
                    Err(error) => Err(error.to_string()),
                    Ok(more) if !more.is_empty() => Ok(false),
                    Ok(_) => match self.parking.release(&order, &operator).await? {
                        true => Ok(true),
                        false => Err("the release could not be written".to_owned()),
                    },
                };
                if ended == Ok(true) {
                    tracing::info!(%order, %operator, "a parked order is released");
                    self.releases.going_on.remove(&order.order);
                    self.forgive(&order.order);
                    self.to_order(myself, order.order, ToOrder::Wake).await?;
                }
                drop(reply.send(ended));
                Ok(())
            }
        }
    }
}

struct Drainer {
    order: OrderRef,
    operator: Box<str>,
    discard: bool,
    shared: Arc<OrderShared>,
    tenant: ActorRef<TenantMsg>,
    crashes: mpsc::Receiver<Crash>,
    /// The last sequence decided.
    after: u64,
    released: Released,
}

/// A command as it stands in the queue.
struct Parked {
    sequence: u64,
    key: String,
    content_hash: [u8; 32],
    body: Vec<u8>,
    actor: ActorV1,
    trace_id: Option<[u8; 16]>,
}

impl Drainer {
    async fn run(&mut self) -> Result<Released, ReleaseError> {
        loop {
            let read = self.shared.ports.log.parked_commands(&self.order, self.after, PIECE).await;
            let piece = read.map_err(|error| ReleaseError::Unavailable(error.to_string()))?;
            for record in &piece {
                let parked = Parked::read(record)?;
                self.one(&parked).await?;
                self.released.commands += 1;
                self.after = parked.sequence;
            }
            if piece.len() < PIECE && self.end().await? {
                return Ok(self.released);
            }
        }
    }

    fn tell(&self, drain: Drain) -> Result<(), ReleaseError> {
        let told = self.tenant.cast(TenantMsg::Drain(self.order.clone(), drain));
        told.map_err(|_| ReleaseError::Lost)
    }

    async fn one(&mut self, parked: &Parked) -> Result<(), ReleaseError> {
        let command = match parked.command() {
            Ok(command) => command,
            Err(why) if self.discard => return self.put_away(parked, Code::Discarded, &why).await,
            Err(why) => return Err(ReleaseError::Unreadable { sequence: parked.sequence, why }),
        };
        let outcome = self.decided(parked.sequence, &command).await?;
        match outcome.status {
            _ if outcome.replayed => self.released.replayed += 1,
            Status::Applied => self.released.applied += 1,
            Status::Rejected => self.released.rejected += 1,
            // The caller was told that it is kept: what no order can record of it is kept here.
            Status::Refused | Status::Parked => {
                let code = if self.discard { Code::Discarded } else { outcome.code };
                return self.put_away(parked, code, &outcome.message).await;
            }
        }
        Ok(())
    }

    /// Gives the order a command until it has an outcome that lasts.
    async fn decided(&mut self, sequence: u64, command: &Command) -> Result<Outcome, ReleaseError> {
        let mut attempts = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            self.tell(Drain::Command(Work::parked(command.clone(), reply, self.discard)))?;
            let why = match answer.await {
                Ok(outcome) if !passes(outcome.code) => return Ok(outcome),
                Ok(outcome) => outcome.message,
                Err(_) => {
                    let told = tokio::time::timeout(CRASH_TOLD_WITHIN, self.crashes.recv()).await;
                    match told {
                        Ok(Some(Crash { why, passing: true })) => why,
                        Ok(Some(Crash { why, .. })) => return Err(ReleaseError::Crashed { sequence, why }),
                        Ok(None) | Err(_) => "its answer was lost".to_owned(),
                    }
                }
            };
            attempts += 1;
            if attempts == ATTEMPTS_MAX {
                return Err(ReleaseError::Stuck { sequence, why });
            }
            tokio::time::sleep(Duration::from_millis(self.shared.gate.retry_after_ms())).await;
        }
    }

    /// Puts a command among the dead letters, once however often it is tried.
    async fn put_away(&mut self, parked: &Parked, code: Code, reason: &str) -> Result<(), ReleaseError> {
        let mut named = format!("parked\0{}\0{}\0", self.order, parked.key).into_bytes();
        named.extend_from_slice(&parked.content_hash);
        let mut key = [0; 16];
        key.copy_from_slice(&sha256(&named)[..16]);
        let letter = DeadLetter {
            key,
            tenant: Some(self.order.tenant.to_string()),
            origin: format!("parked queue of {}", self.order),
            code: code.as_str().to_owned(),
            reason: reason.to_owned(),
            body: parked.body[..parked.body.len().min(DEAD_LETTER_MAX_BYTES)].to_vec(),
            length_bytes: parked.body.len() as u64,
            at: self.shared.ports.clock.now(),
        };
        let put = self.shared.ports.dead_letters.put(letter).await;
        put.map_err(|error| ReleaseError::Unavailable(error.to_string()))?;
        self.released.dead_lettered += 1;
        Ok(())
    }

    /// Asks the tenant to take the mark away. `false`: more commands came.
    async fn end(&self) -> Result<bool, ReleaseError> {
        let (reply, ended) = oneshot::channel();
        self.tell(Drain::End { after: self.after, operator: self.operator.clone(), reply })?;
        ended.await.map_err(|_| ReleaseError::Lost)?.map_err(ReleaseError::Unavailable)
    }
}

impl Parked {
    fn read(record: &[u8]) -> Result<Self, ReleaseError> {
        let unreadable = |why: String| ReleaseError::Unreadable { sequence: 0, why };
        match Control::decode(record) {
            Ok(Control::ParkedCommand { sequence, key, content_hash, body, actor, trace_id, .. }) => {
                Ok(Self { sequence, key, content_hash, body, actor, trace_id })
            }
            Ok(_) => Err(unreadable("a control record of another kind stands in the queue".into())),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    fn command(&self) -> Result<Command, String> {
        let actor = match &self.actor {
            ActorV1::Tenant => Actor::Tenant,
            ActorV1::Operator(name) => Actor::Operator(name.as_str().into()),
            ActorV1::Participant(_) | ActorV1::Engine => {
                return Err("it was given by none who gives commands".into());
            }
        };
        let event = decode_command(&self.body).map_err(|error| error.to_string())?;
        let command = Command::from_event(event, actor);
        Ok(Command { content_hash: self.content_hash, trace_id: self.trace_id, ..command })
    }
}

/// May the same command get another outcome in a moment?
const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::Overloaded | Code::StorageFull | Code::Internal | Code::OutcomeUnknown
    )
}
