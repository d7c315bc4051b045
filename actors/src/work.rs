//! A command on its way through the actors, and the way back to its caller.

use std::ops::{Deref, DerefMut};

use retailflow_engine::order::Command;
use retailflow_engine::wire::{Code, Outcome};
use tokio::sync::oneshot;

use crate::newcomers::Newcomer;
use crate::outcome::refusal;
use crate::partition_table::{Claim, PartitionGuard};

/// A command on its way through the actors. Dropped unanswered, its caller gets `outcome_unknown`.
///
/// One pointer wide: it stands in the messages, queues and futures that every live order keeps room for.
pub(crate) struct Work(Box<WorkItem>);

/// What a [`Work`] holds.
pub(crate) struct WorkItem {
    pub(crate) command: Command,
    /// None for what comes out of a parked order's queue: it was let in when it went in.
    pub(crate) within: Option<PartitionGuard>,
    pub(crate) reply: oneshot::Sender<Outcome>,
    /// Its tenant is to be made when it is recorded.
    pub(crate) newcomer: Option<Newcomer>,
    /// How often it lost a race and was decided again.
    pub(crate) attempts: u32,
    /// The log was asked and does not know its id.
    pub(crate) certainly_new: bool,
    /// An operator discards it: it is rejected as such, not decided.
    pub(crate) discarded: bool,
    /// Where its caller traces it, if it does.
    pub(crate) span: tracing::Span,
}

impl Deref for Work {
    type Target = WorkItem;

    fn deref(&self) -> &WorkItem {
        &self.0
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut WorkItem {
        &mut self.0
    }
}

impl Work {
    pub(crate) fn new(command: Command, within: PartitionGuard, reply: oneshot::Sender<Outcome>) -> Self {
        Self::new_inner(command, Some(within), reply, false)
    }

    /// Has its tenant made when it is recorded.
    pub(crate) fn with_newcomer(mut self, newcomer: Option<Newcomer>) -> Self {
        self.newcomer = newcomer;
        self
    }

    /// A command out of a parked order's queue, to be decided or `discarded`.
    pub(crate) fn parked(command: Command, reply: oneshot::Sender<Outcome>, discarded: bool) -> Self {
        Self::new_inner(command, None, reply, discarded)
    }

    fn new_inner(
        command: Command,
        within: Option<PartitionGuard>,
        reply: oneshot::Sender<Outcome>,
        discarded: bool,
    ) -> Self {
        Self(Box::new(WorkItem {
            command,
            within,
            reply,
            newcomer: None,
            attempts: 0,
            certainly_new: false,
            discarded,
            span: tracing::Span::current(),
        }))
    }

    /// Marks a point of its way in the caller's trace.
    pub(crate) fn trace_point(&self, point: &'static str) {
        self.span.in_scope(|| tracing::trace!(target: "retailflow::command", point));
    }

    /// Sends the outcome. A caller that has gone loses nothing: the outcome is in the log.
    pub(crate) fn answer(self, outcome: Outcome) {
        let WorkItem { reply, within, newcomer, .. } = *self.0;
        // Its place goes first, and the permit with it, so that a caller who reacts at once finds room.
        drop(within);
        match newcomer {
            None => drop(reply.send(outcome)),
            Some(newcomer) => newcomer.answer(outcome, reply),
        }
    }

    /// Refuses: nothing was recorded.
    pub(crate) fn refuse(self, code: Code, message: impl Into<String>, retry_after_ms: u64) {
        let outcome = refusal(&self.command.order, &self.command.key, code, message, retry_after_ms);
        self.answer(outcome);
    }
}

/// What a caller waits for. Dropped before the outcome is there, it gives its permit back: the command goes on without it.
pub(crate) struct Answer {
    outcome: oneshot::Receiver<Outcome>,
    claim: Option<Claim>,
}

impl Answer {
    pub(crate) fn new(outcome: oneshot::Receiver<Outcome>, claim: Option<Claim>) -> Self {
        Self { outcome, claim }
    }

    /// The outcome; `None` when it is lost.
    pub(crate) async fn outcome(mut self) -> Option<Outcome> {
        let outcome = (&mut self.outcome).await.ok();
        if let Some(claim) = self.claim.take() {
            claim.forget();
        }
        outcome
    }
}
