//! Gives an order what waits behind its mark, one command after another.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{DeadLetter, DeadLetterCause};
use retailflow_engine::wire::{Code, Outcome, Status, decode_command};
use tokio::sync::{mpsc, oneshot};

use crate::context::OrderContext;
use crate::messages::{Crash, DrainCommand, ReleaseCounts, ReleaseError, TenantMsg};
use crate::work::Work;

/// Commands read at once: each may have a megabyte.
const PAGE: usize = 16;
/// How often a command is given to its order before the release stops for a transient failure.
const ATTEMPTS_MAX: u32 = 5;
/// How long the tenant may take to report why an order ended.
const CRASH_REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// The task of one release.
pub(super) struct Drainer {
    pub(super) order: OrderRef,
    pub(super) operator: Box<str>,
    pub(super) discard: bool,
    pub(super) shared: Arc<OrderContext>,
    pub(super) tenant: ActorRef<TenantMsg>,
    pub(super) crashes: mpsc::Receiver<Crash>,
    /// The last sequence decided.
    pub(super) after: u64,
    pub(super) released: ReleaseCounts,
}

/// A command as it stands in the queue.
struct QueuedCommand {
    sequence: u64,
    key: String,
    content_hash: [u8; 32],
    body: Vec<u8>,
    actor: ActorV1,
    trace_id: Option<[u8; 16]>,
}

impl Drainer {
    pub(super) async fn run(&mut self) -> Result<ReleaseCounts, ReleaseError> {
        loop {
            let read = self.shared.ports.log.parked_commands(&self.order, self.after, PAGE).await;
            let page = read.map_err(|error| ReleaseError::Unavailable(error.to_string()))?;
            for record in &page {
                let parked = QueuedCommand::read(record)?;
                self.decide_one(&parked).await?;
                self.released.commands += 1;
                self.after = parked.sequence;
            }
            if page.len() < PAGE && self.remove_mark().await? {
                return Ok(self.released);
            }
        }
    }

    pub(super) fn send(&self, drain: DrainCommand) -> Result<(), ReleaseError> {
        let sent = self.tenant.cast(TenantMsg::DrainCommand(self.order.clone(), drain));
        sent.map_err(|_| ReleaseError::Lost)
    }

    async fn decide_one(&mut self, parked: &QueuedCommand) -> Result<(), ReleaseError> {
        let command = match parked.command() {
            Ok(command) => command,
            Err(why) if self.discard => return self.dead_letter(parked, Code::Discarded, &why).await,
            Err(why) => return Err(ReleaseError::Unreadable { sequence: parked.sequence, why }),
        };
        let outcome = self.decide_until_final(parked.sequence, &command).await?;
        match outcome.status {
            _ if outcome.replayed => self.released.replayed += 1,
            Status::Applied => self.released.applied += 1,
            Status::Rejected => self.released.rejected += 1,
            // The caller was told that the command is kept: a command that no order can record becomes a dead letter.
            Status::Refused | Status::Parked => {
                let code = if self.discard { Code::Discarded } else { outcome.code };
                return self.dead_letter(parked, code, &outcome.message).await;
            }
        }
        Ok(())
    }

    /// Gives the order a command until it has an outcome that lasts.
    async fn decide_until_final(
        &mut self,
        sequence: u64,
        command: &Command,
    ) -> Result<Outcome, ReleaseError> {
        let mut attempts = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            self.send(DrainCommand::Command(Work::parked(command.clone(), reply, self.discard)))?;
            let why = match answer.await {
                Ok(outcome) if !is_transient(outcome.code) => return Ok(outcome),
                Ok(outcome) => outcome.message,
                Err(_) => {
                    let report = tokio::time::timeout(CRASH_REPORT_TIMEOUT, self.crashes.recv()).await;
                    match report {
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
            tokio::time::sleep(Duration::from_millis(self.shared.admission.retry_after_ms())).await;
        }
    }

    /// Puts a command among the dead letters, once however often it is tried.
    async fn dead_letter(
        &mut self,
        parked: &QueuedCommand,
        code: Code,
        reason: &str,
    ) -> Result<(), ReleaseError> {
        let mut name = format!("parked\0{}\0{}\0", self.order, parked.key).into_bytes();
        name.extend_from_slice(&parked.content_hash);
        let cause = DeadLetterCause {
            tenant: Some(self.order.tenant.to_string()),
            origin: format!("parked queue of {}", self.order),
            code: code.as_str().to_owned(),
            reason: reason.to_owned(),
        };
        let kept = &parked.body[..parked.body.len().min(DeadLetter::BODY_MAX_BYTES)];
        let body = (kept.to_vec(), parked.body.len() as u64);
        let letter = DeadLetter::of(&name, cause, body, self.shared.ports.clock.now());
        let put = self.shared.ports.dead_letters.put(letter).await;
        put.map_err(|error| ReleaseError::Unavailable(error.to_string()))?;
        self.released.dead_lettered += 1;
        Ok(())
    }

    /// Has the queue held, looks at its end, and asks the tenant to take the mark away. `false`: more commands came.
    async fn remove_mark(&self) -> Result<bool, ReleaseError> {
        let time = Duration::from_millis(self.shared.settings.config.commit.timeout_ms.saturating_mul(2));
        let silent = || ReleaseError::Unavailable("the log does not answer in time".into());
        let (held, is_held) = oneshot::channel();
        self.send(DrainCommand::Hold(held))?;
        tokio::time::timeout(time, is_held).await.map_err(|_| silent())?.map_err(|_| ReleaseError::Lost)?;
        let read = self.shared.ports.log.parked_commands(&self.order, self.after, 1);
        let more = tokio::time::timeout(time, read).await.map_err(|_| silent())?;
        if !more.map_err(|error| ReleaseError::Unavailable(error.to_string()))?.is_empty() {
            self.send(DrainCommand::Resume)?;
            return Ok(false);
        }
        let (reply, ended) = oneshot::channel();
        self.send(DrainCommand::End { operator: self.operator.clone(), reply })?;
        let ended = tokio::time::timeout(time, ended).await.map_err(|_| ReleaseError::Lost)?;
        ended.map_err(|_| ReleaseError::Lost)?.map_err(ReleaseError::Unavailable)
    }
}

impl QueuedCommand {
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
const fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Overloaded
            | Code::StorageFull
            | Code::OutOfFiles
            | Code::Internal
            | Code::OutcomeUnknown
    )
}
