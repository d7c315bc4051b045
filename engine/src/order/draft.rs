//! Combining: many commands of one order decided in memory into one record.
//!
//! A draft holds *tentative* state: only `decide` sees it. Answers come from the aggregate, after
//! [`SealedDraft::commit_to`], which is called once the record is durable.

use super::aggregate::{Lookup, RecordedOutcome, Remark, Times, Verdict, verdict_to_stored};
use super::convert::{actor_to_stored, command_kind, event_to_stored};
use super::decide::{Decision, Denial, EngineCommand, decide, decide_engine};
use super::policy::Context;
use super::{Aggregate, Command, Event, Order};
use crate::codec::CodecError;
use crate::codec::v1::{
    self, ActorV1, BodyV1, CommandKindV1, DeadlineV1, DecisionV1, EventV1, LinePartV1, RecordV1,
    StepOutcomeV1,
};
use crate::fulfillment::deadline;
use crate::ids::ENGINE_SOURCE;
use crate::keys::{GENESIS, Hash, chain_hash};
use crate::ports::DeadlineChange;
use crate::wire::{Code, CommandData};

/// Decisions beyond `decisions_max` that operators and the engine itself may still take.
const DECISIONS_RESERVE: u64 = 10_000;
/// What a decision of the engine's own takes in a record beside its events, in bytes: an upper guess.
const ENGINE_BYTES: usize = 768;
/// What an event that follows from others takes beside its texts, in bytes: an upper guess.
const FOLLOW_BYTES: usize = 64;

/// What a draft says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drafted {
    /// Decided: its outcome is number `index` of this draft's, once that is durable.
    Decided(usize),
    /// A duplicate of number `index` of this draft: it waits with it.
    Joined(usize),
    /// Decided and durable long before.
    Replayed(Verdict),
    /// The id may have left memory: look in the log, then come again with what was found.
    AskLog,
    /// Not recorded.
    Refused(Code, String),
}

/// Decisions that are not durable yet.
#[derive(Debug)]
pub struct Draft {
    base_revision: u64,
    base_chain: Hash,
    tentative: Order,
    decisions: Vec<DecisionV1>,
    outcomes: Vec<RecordedOutcome>,
    deadline: DeadlineChange,
    weight_bytes: usize,
}

/// A draft whose record was encoded.
#[derive(Debug)]
pub struct SealedDraft {
    /// How many decisions stand before the record.
    pub expected_revision: u64,
    /// How many stand after it.
    pub next_revision: u64,
    /// What becomes of the deadline.
    pub deadline: DeadlineChange,
    /// The encoded record.
    pub bytes: std::sync::Arc<[u8]>,
    /// The outcomes of the commands that have one, in the order of the decisions.
    pub outcomes: Vec<RecordedOutcome>,
    tentative: Order,
    times: Times,
}

impl Draft {
    /// A draft on committed state.
    #[must_use]
    pub fn new(base: &Aggregate) -> Self {
        Self {
            base_revision: base.revision,
            base_chain: base.chain,
            tentative: base.order.clone(),
            decisions: Vec::new(),
            outcomes: Vec::new(),
            deadline: DeadlineChange::Keep,
            weight_bytes: 0,
        }
    }

    /// How many decisions it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    /// Is there nothing to write?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// An upper guess of the record's size, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// Decides one command. `certainly_new`: the log was asked and does not know its id.
    pub fn decide(
        &mut self,
        base: &Aggregate,
        command: &Command,
        context: &Context,
        certainly_new: bool,
    ) -> Drafted {
        if let Some(drafted) = self.seen(base, command, certainly_new) {
            return drafted;
        }
        let may_go_beyond = command.data.kind().is_operator() || self.releases(command);
        let reserve = if may_go_beyond { DECISIONS_RESERVE } else { 0 };
        if self.is_full(context, reserve) {
            return Drafted::Refused(Code::OrderFull, Code::OrderFull.meaning().to_owned());
        }
        let (remark, found) = match decide(&self.tentative, command, context) {
            Ok(decision) => return self.applied(command, decision, context),
            Err(Denial::Rejected { code, message, path }) => {
                let message = message.into_boxed_str();
                (Box::new(Remark { code, message, path: path.map(Into::into) }), None)
            }
            Err(Denial::Conflict { message, found }) => {
                (Box::new(Remark::new(Code::ConflictingReport, message)), Some(found))
            }
            Err(Denial::Refused { code, message }) => return Drafted::Refused(code, message),
        };
        let drafted = self.record(command, Some(remark), Vec::new(), DeadlineV1::Keep, context);
        if let Some(found) = found {
            // A rejection changes nothing: that an operator is told is a decision of the engine's own, in the same record.
            self.decide_engine(&EngineCommand::Contradiction(found), context);
        }
        drafted
    }

    /// Records a rejection without deciding: for a command that an operator discards. An order that was never placed has
    /// no record to stand in. `certainly_new` as for [`Draft::decide`].
    pub fn reject(
        &mut self,
        base: &Aggregate,
        command: &Command,
        code: Code,
        context: &Context,
        certainly_new: bool,
    ) -> Drafted {
        if let Some(drafted) = self.seen(base, command, certainly_new) {
            return drafted;
        }
        if self.tentative.placed.is_none() {
            return Drafted::Refused(Code::OrderNotFound, Code::OrderNotFound.meaning().to_owned());
        }
        if self.is_full(context, DECISIONS_RESERVE) {
            return Drafted::Refused(Code::OrderFull, Code::OrderFull.meaning().to_owned());
        }
        let remark = Box::new(Remark::new(code, code.meaning()));
        self.record(command, Some(remark), Vec::new(), DeadlineV1::Keep, context)
    }

    /// Decides a command of the engine's own. `false`: it is news no more, and nothing is recorded.
    pub fn decide_engine(&mut self, command: &EngineCommand, context: &Context) -> bool {
        if self.is_full(context, DECISIONS_RESERVE) {
            return false;
        }
        let Some(decision) = decide_engine(&self.tentative, command, context) else { return false };
        let kind = match command {
            EngineCommand::StepOutcome { .. } => CommandKindV1::StepOutcome,
            EngineCommand::DeadlinePassed { .. } => CommandKindV1::DeadlinePassed,
            EngineCommand::Contradiction(_) => CommandKindV1::Contradiction,
        };
        let deadline = self.take(decision.order, !decision.events.is_empty(), context);
        let events: Vec<EventV1> = decision.events.iter().map(event_to_stored).collect();
        self.weight_bytes += ENGINE_BYTES + events.iter().map(follow_weight).sum::<usize>();
        self.decisions.push(DecisionV1 {
            source: ENGINE_SOURCE.to_owned(),
            id: (self.base_revision + self.decisions.len() as u64 + 1).to_string(),
            kind,
            content_hash: GENESIS,
            actor: ActorV1::Engine,
            causation: None,
            time_ms: None,
            received_ms: context.now.0,
            policy_version: self.tentative.saga.policy_version(&context.policy),
            trace_id: None,
            verdict: verdict_to_stored(&Verdict::applied(self.tentative.version)),
            events,
            deadline,
        });
        true
    }

    /// What is said to a command whose id was decided, or may have been.
    fn seen(&self, base: &Aggregate, command: &Command, certainly_new: bool) -> Option<Drafted> {
        let reused = || Some(Drafted::Refused(Code::IdReused, Code::IdReused.meaning().to_owned()));
        match base.seen(&command.key) {
            Lookup::Recorded(outcome) if outcome.content_hash != command.content_hash => return reused(),
            Lookup::Recorded(outcome) => return Some(Drafted::Replayed(outcome.verdict.clone())),
            Lookup::AskLog if !certainly_new => return Some(Drafted::AskLog),
            Lookup::AskLog | Lookup::New => {}
        }
        let index = self.outcomes.iter().position(|outcome| outcome.key == command.key)?;
        let same = self.outcomes[index].content_hash == command.content_hash;
        if same { Some(Drafted::Joined(index)) } else { reused() }
    }

    /// Does it release a hold that stands? An order must not wait for ever because it is full.
    fn releases(&self, command: &Command) -> bool {
        let CommandData::ReleaseHold(data) = &*command.data else { return false };
        self.tentative.saga.holds().iter().any(|hold| *hold.name == *data.name)
    }

    fn is_full(&self, context: &Context, reserve: u64) -> bool {
        let decided = self.base_revision + self.decisions.len() as u64;
        decided >= context.policy.decisions_max.saturating_add(reserve)
    }

    fn applied(&mut self, command: &Command, decision: Decision, context: &Context) -> Drafted {
        let deadline = self.take(decision.order, true, context);
        let remark = decision.note.map(|note| Box::new(Remark::new(Code::Applied, note)));
        self.record(command, remark, decision.events, deadline, context)
    }

    fn record(
        &mut self,
        command: &Command,
        remark: Option<Box<Remark>>,
        events: Vec<Event>,
        deadline: DeadlineV1,
        context: &Context,
    ) -> Drafted {
        let verdict = Verdict { version: self.tentative.version, remark };
        let events: Vec<EventV1> = events.iter().map(event_to_stored).collect();
        self.weight_bytes += command.weight_bytes() + events.iter().map(follow_weight).sum::<usize>();
        self.decisions.push(DecisionV1 {
            source: command.key.source.to_string(),
            id: command.key.id.to_string(),
            kind: command_kind(command.data.kind()),
            content_hash: command.content_hash,
            actor: actor_to_stored(&command.actor),
            causation: None,
            time_ms: command.time.map(|time| time.0),
            received_ms: context.now.0,
            policy_version: self.tentative.saga.policy_version(&context.policy),
            trace_id: command.trace_id,
            verdict: verdict_to_stored(&verdict),
            events,
            deadline,
        });
        let key = command.key.clone();
        self.outcomes.push(RecordedOutcome { key, content_hash: command.content_hash, verdict });
        Drafted::Decided(self.outcomes.len() - 1)
    }

    /// The tentative verdict on decision `index`.
    #[cfg(test)]
    pub(super) fn outcome(&self, index: usize) -> &Verdict {
        &self.outcomes[index].verdict
    }

    /// Makes a decision's state the one to decide on, with the deadline that belongs to it.
    /// The version counts changes: a decision by which nothing happened is none.
    fn take(&mut self, order: Order, is_change: bool, context: &Context) -> DeadlineV1 {
        self.tentative = order;
        self.tentative.version += u64::from(is_change);
        let deadline = deadline(&self.tentative, context.now, &context.policy);
        #[cfg(feature = "mutants")]
        let deadline = deadline.filter(|_| !context.policy.forgets_deadlines);
        self.tentative.deadline = deadline;
        match deadline {
            Some(at) => {
                self.deadline = DeadlineChange::Set(at);
                DeadlineV1::Set(at.0)
            }
            None => {
                self.deadline = DeadlineChange::Clear;
                DeadlineV1::Clear
            }
        }
    }

    /// Encodes the record.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`]: the commands are too large together, or the only one is.
    pub fn seal(self, base: &Aggregate) -> Result<SealedDraft, CodecError> {
        let next_revision = self.base_revision + self.decisions.len() as u64;
        let mut times = base.times.clone();
        self.decisions.iter().for_each(|decision| times.take(decision));
        let record = RecordV1 {
            tenant: base.reference.tenant.to_string(),
            order: base.reference.order.to_string(),
            expected_revision: self.base_revision,
            previous: self.base_chain,
            body: BodyV1::Decisions(self.decisions),
        };
        Ok(SealedDraft {
            expected_revision: self.base_revision,
            next_revision,
            deadline: self.deadline,
            bytes: v1::encode(&record)?.into(),
            outcomes: self.outcomes,
            tentative: self.tentative,
            times,
        })
    }
}

impl SealedDraft {
    /// The state as it will be. Only for mutants and for deciding on: nobody may be told of it.
    #[must_use]
    pub fn tentative(&self) -> &Order {
        &self.tentative
    }

    /// Makes the tentative state the committed one. To be called when the record is durable, never before.
    pub fn commit_to(self, aggregate: &mut Aggregate, recent_max: usize) {
        let chain = chain_hash(&self.bytes);
        let decisions = self.next_revision - self.expected_revision;
        aggregate.commit((self.tentative, self.times), self.outcomes, decisions, chain, recent_max);
    }
}

/// An upper guess of what an event that follows from others takes in a record, in bytes: what a command says itself is
/// in [`Command::weight_bytes`].
fn follow_weight(event: &EventV1) -> usize {
    let parts = |lines: &[LinePartV1]| lines.iter().map(|line| line.line_id.len() + 24).sum::<usize>();
    match event {
        EventV1::StepStarted { lines, .. } => FOLLOW_BYTES + parts(lines),
        EventV1::StepEnded { outcome, .. } => {
            FOLLOW_BYTES
                + match outcome {
                    StepOutcomeV1::Done { reference, lines, .. } => reference.len() + parts(lines),
                    StepOutcomeV1::Pending { reference, .. } => reference.len(),
                    StepOutcomeV1::Settled { reference, .. } => reference.as_ref().map_or(0, String::len),
                    StepOutcomeV1::Declined { code, reason, lines } => {
                        code.len() + reason.len() + parts(lines)
                    }
                    StepOutcomeV1::Refused { code, reason } => code.len() + reason.len(),
                    StepOutcomeV1::Failed { reason }
                    | StepOutcomeV1::Unknown { reason }
                    | StepOutcomeV1::Skipped { reason } => reason.len(),
                    StepOutcomeV1::NotDone { reason, .. } => reason.as_ref().map_or(0, String::len),
                    StepOutcomeV1::Resolved { operator, evidence, .. } => operator.len() + evidence.len(),
                }
        }
        EventV1::PaymentSplit { rest, .. } => {
            FOLLOW_BYTES + rest.payment_id.len() + rest.token_ref.as_ref().map_or(0, String::len)
        }
        EventV1::Refunded { payment_id, .. } => FOLLOW_BYTES + payment_id.len(),
        EventV1::StatusChanged { reason, .. } => FOLLOW_BYTES + reason.as_ref().map_or(0, String::len),
        EventV1::AttentionChanged { reason, .. } | EventV1::Noted { reason } => FOLLOW_BYTES + reason.len(),
        EventV1::HoldOverdue { name, reason } => FOLLOW_BYTES + name.len() + reason.len(),
        EventV1::SettleRequested { operator, reason, .. } => {
            FOLLOW_BYTES + reason.len() + operator.as_ref().map_or(0, String::len)
        }
        EventV1::Contradicted { reference, reason, .. } => {
            FOLLOW_BYTES + reason.len() + reference.as_ref().map_or(0, String::len)
        }
        EventV1::ContradictionSeen
        | EventV1::ReturnRulesSet { .. }
        | EventV1::PaymentRulesSet { .. }
        | EventV1::PaymentAwaited { .. }
        | EventV1::GoodsAwaited { .. }
        | EventV1::DeliveryAwaited { .. }
        | EventV1::FlowSet(_) => FOLLOW_BYTES,
        EventV1::ReturnSplit { lines, components, .. } => {
            let lines = lines.iter().map(|(line_id, _)| line_id.len() + 12).sum::<usize>();
            FOLLOW_BYTES + lines + 12 * components.len()
        }
        EventV1::Placed(_)
        | EventV1::CancelRequested { .. }
        | EventV1::ReturnRequested { .. }
        | EventV1::LinesShort { .. }
        | EventV1::Archived { .. }
        | EventV1::Restored
        | EventV1::PersonErased { .. }
        | EventV1::RefundRequested { .. }
        | EventV1::StillPending { .. }
        | EventV1::ShipmentMoved { .. }
        | EventV1::PaymentsAdded { .. }
        | EventV1::HoldPlaced { .. }
        | EventV1::HoldReleased { .. }
        | EventV1::FactRecorded(_)
        | EventV1::ReturnTermsSet(_)
        | EventV1::Related(_)
        | EventV1::Amended(_) => 0,
    }
}
