//! One command of an inbox: retried until it has a final outcome, or becomes a dead letter.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::order::Command;
use retailflow_engine::ports::{Body, DeadLetter, DeadLetterCause, InboxId, PortFuture};
use retailflow_engine::wire::{Code, CommandEvent, DecodeError, Outcome, Status};
use tokio::time::{Instant, sleep};

use super::event::{FinishedCommand, IntakeEvent, PendingCommand};
use crate::node::{Admission, NodeHandle};

/// How often a command whose answer was lost, or that a retry can help, is sent again, where somebody is told that it
/// was given up.
const ATTEMPTS_MAX: u32 = 100;
/// How often a command is sent again that a step in flight stands in the way of: a step may be pending for days, and no
/// command holds others up so long.
const IN_FLIGHT_ATTEMPTS_MAX: u32 = 20;
/// How often a dead letter is put there.
const LETTER_ATTEMPTS_MAX: u32 = 10;
/// The wait between two attempts grows to so many times what the refusal asked for.
const BACKOFF_MAX: u32 = 16;
/// Time between two looks whether an order is known by now.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(100);

/// Between two tries to prove that the partition is still ours; it ends when this is dropped with the partition.
const UNPROVEN_PAUSE: Duration = Duration::from_millis(500);

/// What came of asking.
pub(super) enum CommandResult {
    /// It is decided, put away, or given up.
    Done(FinishedCommand),
    /// Its order is not known, and there is time left to wait for it.
    Unknown(PendingCommand),
}

/// Where commands come from, and where they go.
#[derive(Clone)]
pub(super) struct IntakeContext<'a> {
    pub(super) node: &'a NodeHandle,
    pub(super) inbox: InboxId,
    /// How the inbox is called in dead letters.
    pub(super) name: Arc<str>,
    /// How long a command waits for its order, where nothing is given up; `None` where somebody is told.
    pub(super) patience: Option<Duration>,
}

impl IntakeContext<'_> {
    fn wait(&self) -> Admission {
        if self.patience.is_some() { Admission::BlockShared } else { Admission::Block }
    }

    fn attempts_max(&self, reported: u32) -> u32 {
        if self.patience.is_some() { u32::MAX } else { reported }
    }

    /// The letter of a body that is no command.
    pub(super) fn undecodable(&self, position: u64, body: Body, error: &DecodeError) -> DeadLetter {
        let body = match body {
            Body::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (bytes, length)
            }
            Body::TooLong { prefix, length_bytes } => (prefix, length_bytes),
        };
        self.letter(position, DeadLetterCause::undecodable(self.origin(position), error), body)
    }

    /// The letter of a command that was refused for good.
    fn refused(&self, position: u64, command: &Command, outcome: &Outcome) -> DeadLetter {
        let (order, key) = (command.order.clone(), command.key.clone());
        let mut event = CommandEvent::new(order, key, (*command.data).clone());
        event.time = command.time;
        let body = event.to_json();
        let length = body.len() as u64;
        let cause = DeadLetterCause {
            tenant: Some(command.order.tenant.to_string()),
            origin: self.origin(position),
            code: outcome.code.as_str().to_owned(),
            reason: outcome.message.clone(),
        };
        self.letter(position, cause, (body, length))
    }

    fn origin(&self, position: u64) -> String {
        let place = if self.patience.is_some() { "position" } else { "line" };
        format!("{}, {place} {position}", self.name)
    }

    fn letter(
        &self,
        position: u64,
        cause: DeadLetterCause,
        (mut body, length_bytes): (Vec<u8>, u64),
    ) -> DeadLetter {
        body.truncate(DeadLetter::BODY_MAX_BYTES);
        // The same message at the same place of the same inbox is the same letter, however often it is read.
        let mut name = self.inbox.to_vec();
        name.extend_from_slice(&position.to_le_bytes());
        name.extend_from_slice(&length_bytes.to_le_bytes());
        name.extend_from_slice(&body);
        DeadLetter::of(&name, cause, (body, length_bytes), self.node.ports().clock.now())
    }

    /// Whether a retry cannot change it, or is not wanted.
    fn is_final(&self, code: Code, attempt: u32) -> bool {
        if code == Code::StepInFlight {
            return attempt >= IN_FLIGHT_ATTEMPTS_MAX;
        }
        let ends = match self.patience {
            // The sender gets the refusal, and may send it again.
            None => matches!(code, Code::OrderNotFound | Code::Draining | Code::ParkedQueueFull),
            // No command holds the partition up.
            Some(_) => matches!(code, Code::OrderNotFound | Code::ParkedQueueFull),
        };
        ends || !code.retry_helps()
    }
}

/// Retries until there is a final outcome.
pub(super) fn decide(context: IntakeContext<'_>, waiting: PendingCommand) -> PortFuture<'_, CommandResult> {
    Box::pin(async move {
        let PendingCommand { position, command, since } = waiting;
        let (attempts_max, mut attempt) = (context.attempts_max(ATTEMPTS_MAX), 0);
        let outcome = loop {
            attempt += 1;
            let outcome = match context.node.send(command.clone(), context.wait()).await {
                Ok(answer) => answer.outcome().await,
                Err(outcome) => Some(*outcome),
            };
            match outcome {
                Some(outcome) if context.is_final(outcome.code, attempt) || attempt >= attempts_max => {
                    break outcome;
                }
                None if attempt >= attempts_max => {
                    let code = Code::OutcomeUnknown;
                    break Outcome::refused(&command.order, &command.key, code, code.meaning());
                }
                Some(outcome) => {
                    let delay_ms =
                        outcome.retry_after_ms.unwrap_or(1).saturating_mul(attempt.min(BACKOFF_MAX).into());
                    sleep(Duration::from_millis(delay_ms)).await;
                }
                None => sleep(Duration::from_millis(u64::from(attempt.min(50)))).await,
            }
        };
        if let Some(patience) = context.patience {
            if outcome.code == Code::OrderNotFound && since.elapsed() < patience {
                return CommandResult::Unknown(PendingCommand { position, command, since });
            }
            if outcome.status == Status::Refused {
                // It rests on what is in memory: another owner may have written since, and would find otherwise.
                let partition = context.node.partition(&command);
                while !context.node.confirm_ownership(partition).await {
                    sleep(UNPROVEN_PAUSE).await;
                }
                let letter = context.refused(position, &command, &outcome);
                let partition = Some(partition);
                let put = dead_letter(context, position, letter, outcome, since).await;
                let CommandResult::Done(done) = put else { return put };
                let event = IntakeEvent { order: Some(command.order), ..done.event };
                return CommandResult::Done(FinishedCommand { event, partition, ..done });
            }
        }
        let ends = matches!(outcome.code, Code::OrderNotFound | Code::ParkedQueueFull | Code::StepInFlight);
        let is_final = ends || !outcome.code.retry_helps();
        let partition = Some(context.node.partition(&command));
        let event = IntakeEvent {
            position,
            order: Some(command.order),
            outcome,
            dead_lettered: false,
            given_up: !is_final,
            latency: since.elapsed(),
        };
        CommandResult::Done(FinishedCommand { event, partition, is_final })
    })
}

/// Retries a command of an unknown order, after a pause.
pub(super) fn retry_unknown_order(
    context: IntakeContext<'_>,
    waiting: PendingCommand,
) -> PortFuture<'_, CommandResult> {
    Box::pin(async move {
        sleep(UNKNOWN_PAUSE).await;
        decide(context, waiting).await
    })
}

/// The outcome of a command whose predecessor on the same order was given up.
pub(super) fn skip_after_predecessor(
    context: &IntakeContext<'_>,
    waiting: &PendingCommand,
    why: Outcome,
) -> CommandResult {
    let PendingCommand { position, command, since } = waiting;
    let outcome =
        Outcome { command_id: Some(command.key.id.clone()), source: Some(command.key.source.clone()), ..why };
    let (order, partition) = (Some(command.order.clone()), Some(context.node.partition(command)));
    let (position, latency) = (*position, since.elapsed());
    let event = IntakeEvent { position, order, outcome, dead_lettered: false, given_up: true, latency };
    CommandResult::Done(FinishedCommand { event, partition, is_final: false })
}

/// Stores a dead letter; where somebody is told, it is given up when even that fails.
pub(super) fn dead_letter(
    context: IntakeContext<'_>,
    position: u64,
    letter: DeadLetter,
    outcome: Outcome,
    since: Instant,
) -> PortFuture<'_, CommandResult> {
    Box::pin(async move {
        let mut stored = false;
        for attempt in 0..context.attempts_max(LETTER_ATTEMPTS_MAX) {
            match context.node.ports().dead_letters.put(letter.clone()).await {
                Ok(()) => {
                    stored = true;
                    break;
                }
                Err(why) => {
                    tracing::warn!(event = "dead_letter_failed", position, %why, "a dead letter could not be stored");
                    sleep(Duration::from_millis(10 << attempt.min(6))).await;
                }
            }
        }
        let event = IntakeEvent {
            position,
            order: None,
            outcome,
            dead_lettered: stored,
            given_up: !stored,
            latency: since.elapsed(),
        };
        CommandResult::Done(FinishedCommand { event, partition: None, is_final: stored })
    })
}
