//! An order together with what makes its outcomes unique: the ids it has decided, its revision, its chain.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::convert::{command_type, event_from_stored};
use super::{Event, Order, evolve};
use crate::codec::CodecError;
use crate::codec::v1::{
    ActorV1, BodyV1, ClosedOutcomeV1, DeadlineV1, DecisionV1, EventV1, RecordV1, StepOutcomeV1, VerdictV1,
};
use crate::ids::{CommandId, CommandKey, OrderRef, Source, TimestampMs};
use crate::keys::{GENESIS, Hash, chain_hash, command_fingerprint};
use crate::wire::{Code, CommandType};

/// What was decided on a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The order's version after it.
    pub version: u64,
    /// What is said of it; `None` when it was applied just as it was asked for.
    pub remark: Option<Box<Remark>>,
}

impl Verdict {
    /// Applied, as it was asked for.
    #[must_use]
    pub const fn applied(version: u64) -> Self {
        Self { version, remark: None }
    }

    /// Why it was rejected; `None` when it was applied.
    #[must_use]
    pub fn rejection(&self) -> Option<&Remark> {
        self.remark.as_deref().filter(|remark| remark.code != Code::Applied)
    }

    /// What was decided, for programs.
    #[must_use]
    pub fn code(&self) -> Code {
        self.remark.as_ref().map_or(Code::Applied, |remark| remark.code)
    }

    /// What was decided, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        self.remark.as_ref().map_or(Code::Applied.meaning(), |remark| &remark.message)
    }

    /// Which part of the command that is about, if about one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.remark.as_ref()?.path.as_deref()
    }
}

/// What is said of a decision: why it was rejected, or in what it was not applied as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// For programs; `applied` where it was.
    pub code: Code,
    /// For people.
    pub message: Box<str>,
    /// Which part of the command, such as `data.lines[0].quantity`.
    pub path: Option<Box<str>>,
}

impl Remark {
    /// Of the command as a whole.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self { code, message: message.into(), path: None }
    }
}

/// A decided command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedOutcome {
    /// Which command.
    pub key: CommandKey,
    /// What it was made of.
    pub content_hash: Hash,
    /// What was decided.
    pub verdict: Verdict,
}

/// What an order knows of a command's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Decided; this is its outcome.
    Recorded(&'a RecordedOutcome),
    /// Decided long ago, or looks like one that was: only the log knows.
    AskLog,
    /// Never seen: certain.
    New,
}

/// Why a record does not belong where it was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// Its bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Its place in the order's chain.
    #[error("the chain of {order} is broken at revision {revision}: {what}")]
    Chain {
        /// Whose chain.
        order: OrderRef,
        /// After how many decisions.
        revision: u64,
        /// What does not fit.
        what: &'static str,
    },
}

/// What brings an event into the order: its decision, its number in it, the order, the event.
pub(super) type Take<'a> = dyn FnMut(&DecisionV1, usize, &mut Order, &Event) + 'a;

/// What an operator did last to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAct {
    /// The command.
    pub kind: CommandType,
    /// The name that they gave.
    pub operator: Arc<str>,
    /// Why, or how they know, where they said so.
    pub reason: Option<Arc<str>>,
    /// When the command came in.
    pub at: TimestampMs,
}

/// When an order changed, and by which operator last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// When its first and its last applied command came in.
    pub changed: Option<(TimestampMs, TimestampMs)>,
    /// Since when it is in the archive, if it is.
    pub archived_at: Option<TimestampMs>,
    /// Since when the step that is asked for is pending, if it is.
    pub pending_since: Option<TimestampMs>,
    /// What an operator did last.
    pub operator: Option<Arc<OperatorAct>>,
}

impl Times {
    /// Takes the order's next decision in.
    pub(super) fn take(&mut self, decision: &DecisionV1) {
        if !is_change(decision) {
            return;
        }
        let at = TimestampMs(decision.received_ms);
        self.changed = Some((self.changed.map_or(at, |(first, _)| first), at));
        for event in &decision.events {
            match event {
                EventV1::Archived { .. } => self.archived_at = Some(at),
                EventV1::Restored => self.archived_at = None,
                EventV1::StepEnded { outcome: StepOutcomeV1::Pending { .. }, .. } => {
                    self.pending_since.get_or_insert(at);
                }
                EventV1::StepEnded { outcome: StepOutcomeV1::Unknown { .. }, .. } => {}
                EventV1::StepEnded { .. } => self.pending_since = None,
                _ => {}
            }
        }
        if let ActorV1::Operator(name) = &decision.actor
            && let Some(kind) = command_type(decision.kind)
        {
            let (operator, reason) = (name.as_str().into(), reason_given(decision));
            self.operator = Some(Arc::new(OperatorAct { kind, operator, reason, at }));
        }
    }
}

/// The committed state of an order, or a copy of it to decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Which order.
    pub reference: OrderRef,
    /// What decisions are made on.
    pub order: Order,
    /// How many decisions its log holds.
    pub revision: u64,
    /// Chain hash of its last record.
    pub chain: Hash,
    /// When it changed.
    pub times: Times,
    recent: VecDeque<RecordedOutcome>,
    fingerprints: VecDeque<u64>,
    /// Fingerprints of ids that have left `recent`. At most `decisions_max` of 8 bytes.
    pub(super) older: HashSet<u64>,
}

impl Aggregate {
    /// An order of which nothing is recorded.
    #[must_use]
    pub fn new(reference: OrderRef) -> Self {
        Self {
            reference,
            order: Order::default(),
            revision: 0,
            chain: GENESIS,
            times: Times::default(),
            recent: VecDeque::new(),
            fingerprints: VecDeque::new(),
            older: HashSet::new(),
        }
    }

    /// Folds a stored record in, after checking that it is the next of this order's chain.
    ///
    /// # Errors
    /// [`FoldError`]; the state must then not be used.
    pub fn fold(&mut self, bytes: &[u8], recent_max: usize) -> Result<(), FoldError> {
        let record = crate::codec::v1::decode(bytes)?;
        self.fold_record(bytes, &record, recent_max, &mut |_, _, order, event| evolve(order, event))
    }

    /// As [`Aggregate::fold`], of a record that is decoded already: `take` brings each event into the order, given its
    /// decision and its number in it.
    pub(super) fn fold_record(
        &mut self,
        bytes: &[u8],
        record: &RecordV1,
        recent_max: usize,
        take: &mut Take<'_>,
    ) -> Result<(), FoldError> {
        self.check(record)?;
        let BodyV1::Decisions(decisions) = &record.body else {
            let schema = "a checkpoint or closed order in Record".into();
            return Err(CodecError::Unsupported { schema, found: 1, known: 1 }.into());
        };
        for decision in decisions {
            self.fold_decision(decision, recent_max, take)?;
        }
        self.chain = chain_hash(bytes);
        Ok(())
    }

    fn check(&self, record: &RecordV1) -> Result<(), FoldError> {
        let named =
            record.tenant == self.reference.tenant.as_str() && record.order == self.reference.order.as_str();
        if !named {
            return Err(self.broken("the record is another order's"));
        }
        if record.expected_revision != self.revision {
            return Err(self.broken("records are missing or repeated"));
        }
        if record.previous != self.chain {
            return Err(self.broken("the record follows another one"));
        }
        Ok(())
    }

    fn broken(&self, what: &'static str) -> FoldError {
        FoldError::Chain { order: self.reference.clone(), revision: self.revision, what }
    }

    fn fold_decision(
        &mut self,
        decision: &DecisionV1,
        recent_max: usize,
        take: &mut Take<'_>,
    ) -> Result<(), FoldError> {
        for (number, event) in decision.events.iter().enumerate() {
            take(decision, number, &mut self.order, &event_from_stored(event)?);
        }
        match decision.deadline {
            DeadlineV1::Keep => {}
            DeadlineV1::Set(at_ms) => self.order.deadline = Some(TimestampMs(at_ms)),
            DeadlineV1::Clear => self.order.deadline = None,
        }
        let verdict = verdict_from_stored(&decision.verdict)?;
        let applied = u64::from(is_change(decision));
        if self.order.version.checked_add(applied) != Some(verdict.version) {
            return Err(self.broken("a decision's version does not follow"));
        }
        self.order.version = verdict.version;
        self.times.take(decision);
        self.revision += 1;
        if !is_engines(decision) {
            self.remember(outcome_from_stored(decision)?, recent_max);
        }
        Ok(())
    }

    /// Takes over what a draft decided, once its record is durable.
    pub(super) fn commit(
        &mut self,
        (order, times): (Order, Times),
        outcomes: Vec<RecordedOutcome>,
        decisions: u64,
        chain: Hash,
        recent_max: usize,
    ) {
        self.revision += decisions;
        self.times = times;
        self.order = order;
        self.chain = chain;
        for outcome in outcomes {
            self.remember(outcome, recent_max);
        }
    }

    pub(super) fn remember(&mut self, outcome: RecordedOutcome, recent_max: usize) {
        if self.recent.is_empty() {
            // Most orders see a few commands in their life, and a hundred thousand of them are live.
            self.recent.reserve_exact(1);
            self.fingerprints.reserve_exact(1);
        }
        self.fingerprints.push_back(command_fingerprint(&outcome.key));
        self.recent.push_back(outcome);
        while self.recent.len() > recent_max.max(1) {
            self.recent.pop_front();
            if let Some(fingerprint) = self.fingerprints.pop_front() {
                self.older.insert(fingerprint);
            }
        }
    }

    /// Leaves out what is known of commands' ids: what stays is good to look at, and no state to decide on.
    pub fn forget_ids(&mut self) {
        self.recent = VecDeque::new();
        self.fingerprints = VecDeque::new();
        self.older = HashSet::new();
    }

    /// What is known of a command's id.
    #[must_use]
    pub fn seen(&self, key: &CommandKey) -> Lookup<'_> {
        let wanted = command_fingerprint(key);
        let found = self
            .fingerprints
            .iter()
            .zip(&self.recent)
            .find(|(fingerprint, outcome)| **fingerprint == wanted && outcome.key == *key);
        match found {
            Some((_, outcome)) => Lookup::Recorded(outcome),
            None if self.older.contains(&wanted) => Lookup::AskLog,
            None => Lookup::New,
        }
    }

    /// The decided commands in memory, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &RecordedOutcome> {
        self.recent.iter()
    }

    /// The outcomes that a stored record of an order holds, in order. The engine's own commands have none: nobody waits
    /// for them, and what makes them happen once is the state.
    ///
    /// # Errors
    /// [`FoldError::Codec`].
    pub fn outcomes_in(bytes: &[u8]) -> Result<Vec<RecordedOutcome>, FoldError> {
        let record = crate::codec::v1::decode(bytes)?;
        match &record.body {
            BodyV1::Decisions(decisions) => {
                let asked = decisions.iter().filter(|decision| !is_engines(decision));
                asked.map(|decision| Ok(outcome_from_stored(decision)?)).collect()
            }
            BodyV1::Closed(closed) => {
                closed.outcomes.iter().map(|outcome| Ok(closed_outcome(outcome)?)).collect()
            }
            // It stands for ids that it holds only as a digest: "not among them" can't be said.
            BodyV1::Checkpoint(_) => {
                let schema = "a checkpoint in Record".into();
                Err(CodecError::Unsupported { schema, found: 1, known: 1 }.into())
            }
        }
    }
}

/// Why the giver of a command gave it, or how they know what they say: as their events have it.
fn reason_given(decision: &DecisionV1) -> Option<Arc<str>> {
    let reason = decision.events.iter().find_map(|event| match event {
        EventV1::Noted { reason }
        | EventV1::SettleRequested { reason, .. }
        | EventV1::HoldPlaced { reason, .. }
        | EventV1::HoldReleased { reason: Some(reason), .. }
        | EventV1::CancelRequested { reason }
        | EventV1::StepEnded { outcome: StepOutcomeV1::Resolved { evidence: reason, .. }, .. } => {
            Some(reason)
        }
        _ => None,
    });
    let said = || match decision.events.first() {
        Some(EventV1::AttentionChanged { reason, .. }) => Some(reason),
        _ => None,
    };
    reason.or_else(said).map(|reason| reason.as_str().into())
}

/// Did the order change by it? Not by a rejection, nor where only the deadline of what waits for people was moved.
pub(crate) fn is_change(decision: &DecisionV1) -> bool {
    decision.verdict.is_applied() && !decision.events.is_empty()
}

/// Is it a decision on a command of the engine's own?
pub(crate) fn is_engines(decision: &DecisionV1) -> bool {
    decision.actor == ActorV1::Engine
}

fn outcome_from_stored(decision: &DecisionV1) -> Result<RecordedOutcome, CodecError> {
    let key = key_from_stored(&decision.source, &decision.id)?;
    let verdict = verdict_from_stored(&decision.verdict)?;
    Ok(RecordedOutcome { key, content_hash: decision.content_hash, verdict })
}

fn closed_outcome(outcome: &ClosedOutcomeV1) -> Result<RecordedOutcome, CodecError> {
    let key = key_from_stored(&outcome.source, &outcome.id)?;
    let verdict = verdict_from_stored(&outcome.verdict)?;
    Ok(RecordedOutcome { key, content_hash: outcome.content_hash, verdict })
}

fn key_from_stored(source: &str, id: &str) -> Result<CommandKey, CodecError> {
    let corrupt = |error: crate::ids::IdError| CodecError::Corrupt(error.to_string());
    Ok(CommandKey {
        source: Source::parse(source).map_err(corrupt)?,
        id: CommandId::parse(id).map_err(corrupt)?,
    })
}

pub(super) fn verdict_from_stored(stored: &VerdictV1) -> Result<Verdict, CodecError> {
    let (code, message, path) = match stored {
        VerdictV1::Applied { version } => return Ok(Verdict::applied(*version)),
        VerdictV1::AppliedWith { message, .. } => (Code::Applied, message, None),
        VerdictV1::Rejected { code, message, .. } => (rejection_code(code)?, message, None),
        VerdictV1::RejectedAt { code, message, path, .. } => (rejection_code(code)?, message, Some(path)),
    };
    let remark =
        Remark { code, message: message.as_str().into(), path: path.map(|path| path.as_str().into()) };
    Ok(Verdict { version: stored.version(), remark: Some(Box::new(remark)) })
}

fn rejection_code(code: &str) -> Result<Code, CodecError> {
    Code::parse(code).filter(|code| *code != Code::Applied).ok_or_else(|| CodecError::Unsupported {
        schema: format!("outcome code {code:?} in Record"),
        found: crate::codec::v1::VERSION,
        known: crate::codec::v1::VERSION,
    })
}

pub(super) fn verdict_to_stored(verdict: &Verdict) -> VerdictV1 {
    let version = verdict.version;
    let Some(remark) = &verdict.remark else { return VerdictV1::Applied { version } };
    let (code, message) = (remark.code.as_str().to_owned(), remark.message.to_string());
    match &remark.path {
        _ if remark.code == Code::Applied => VerdictV1::AppliedWith { version, message },
        None => VerdictV1::Rejected { version, code, message },
        Some(path) => VerdictV1::RejectedAt { version, code, message, path: path.to_string() },
    }
}
