//! Where an order stands on its way through stock, payment, shipping and capture, and back.
//!
//! Invariant: at most one step is asked for at a time. What was done is in the cells and totals; what is asked for is
//! `active`; nothing else waits.

use std::sync::Arc;

use super::beside::Fact;
use super::beside::Hold;
use super::goods::Goods;
use super::owed::{OpenReturn, Refunds, Returns};
use super::payments::Payments;
use super::plan::Plan;
use super::step::{StepAt, StepOutcome};
use super::totals::Totals;
use crate::fulfillment::step_table::is_forward;
use crate::ids::TimestampMs;
use crate::ports::LineUnits;
use crate::wire::command::{Relation, Step};
use crate::wire::order::Attention;
use crate::wire::payment_rules::PaymentRules;
use crate::wire::return_rules::ReturnRules;

/// How many kinds of steps there are.
pub(crate) const STEPS: usize = Step::ALL.len();

/// How an active step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// It was asked for; its answer is on the way.
    Asked,
    /// The participant took it on; a report or a later look will tell.
    Pending {
        /// The participant's reference.
        reference: Arc<str>,
        /// When to look.
        until: Option<TimestampMs>,
    },
}

/// The step that is asked for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// Which one.
    pub at: StepAt,
    /// How much.
    pub amount_minor: i64,
    /// Which units; `None` means all.
    pub units: Option<Arc<[LineUnits]>>,
    /// When the participant must not carry it out any more.
    pub expires: TimestampMs,
    /// How it stands.
    pub waiting: Waiting,
    /// It was pending beyond its time, and is looked at: the answer to that is on the way.
    pub asked_again: bool,
    /// Somebody says that it was not done: its key is being settled.
    pub settling: Option<Word>,
}

/// What somebody says of a step that its participant has to settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The operator who says so; `None`: its participant, in a report.
    pub operator: Option<Arc<str>>,
    /// Why, or how they know.
    pub reason: Arc<str>,
}

/// An asking that is over, and is not told by the cells alone: it was not done, or has a reference that stands nowhere
/// else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Which asking.
    pub at: StepAt,
    /// What its participant called it, if it did.
    pub reference: Option<Arc<str>>,
    /// How it ended.
    pub standing: StepState,
    /// Its participant says otherwise, and an operator was told.
    pub told: bool,
}

/// Askings that are over and are remembered, for each order: more than a step has generations. What is older, the
/// comparison of both sides' books finds.
pub(crate) const EARLIER_MAX: usize = 16;

impl Active {
    /// How much was done, given that it was: what the participant says, within what was asked.
    #[must_use]
    pub fn done_minor(&self, outcome: &StepOutcome) -> i64 {
        match outcome {
            StepOutcome::Done { amount_minor: Some(amount_minor), .. } => {
                (*amount_minor).clamp(0, self.amount_minor.max(0))
            }
            _ => self.amount_minor,
        }
    }

    /// How many units it is about, of an order of so many.
    #[must_use]
    pub fn unit_count(&self, ordered: u64) -> u64 {
        let sum = |units: &Arc<[LineUnits]>| {
            units.iter().fold(0, |sum: u64, part| sum.saturating_add(part.quantity))
        };
        self.units.as_ref().map_or(ordered, sum)
    }
}

/// How a step ended last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepState {
    /// Not at all so far.
    #[default]
    Open,
    /// It is done.
    Done,
    /// It was done, and undone since, or stands no more (an expired authorization).
    Undone,
    /// It was decided against.
    Declined,
    /// It was not done.
    NotDone,
    /// What it should undo cannot be undone.
    Refused,
}

/// One kind of step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// How often it was entered.
    pub instance: u32,
    /// How it ended last.
    pub standing: StepState,
}

/// Where an order stands on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saga {
    /// What is asked for now.
    pub active: Option<Active>,
    pub(super) cells: [Cell; STEPS],
    /// What its participants call the reservation and the shipment. Those of payments stand with them.
    pub(super) references: [Option<Arc<str>>; 2],
    /// How each payment stands.
    pub payments: Payments,
    /// What was done and undone.
    pub totals: Totals,
    /// Whether someone should look.
    pub attention: AttentionState,
    /// Why it is being canceled, or was.
    pub cancel_reason: Option<Arc<str>>,
    /// Somebody asked for that; otherwise a step was declined or given up.
    pub cancel_asked: bool,
    /// A participant could not undo its step: the order goes forward, and cannot be canceled any more.
    pub cancel_refused: bool,
    /// It was completed, and is open again because goods are exchanged.
    pub reopened: bool,
    /// It is in the archive.
    pub archived: bool,
    /// What came back.
    pub returns: Option<Arc<Returns>>,
    /// What is paid back without goods.
    pub refunds: Option<Arc<Refunds>>,
    /// By which rules payments are paid back, and what a declined one does.
    pub payment_rules: PaymentRules,
    /// A payment was declined: until when the order waits for another means.
    pub waiting_until: Option<TimestampMs>,
    /// By which rules shipping, tax and fees of the order come back.
    pub return_rules: ReturnRules,
    /// What its way was planned to be; absent: as most orders go.
    pub plan: Option<Arc<Plan>>,
    /// Askings that are over, oldest first: at most 16. Empty in most lives.
    pub earlier: Vec<Earlier>,
    /// The step that ended last, and how.
    pub last_ended: Option<(Step, StepState)>,
    /// What both sides contradict each other in, until an operator has looked: the step, and what each side says.
    pub contradiction: Option<(Step, Arc<str>)>,
    /// Holds that stand; `None` where none does.
    pub holds: Option<Arc<Vec<Hold>>>,
    /// What happened outside; `None` where nothing is recorded.
    pub facts: Option<Arc<Vec<Fact>>>,
    /// Another order that this one has to do with.
    pub relation: Option<Arc<Relation>>,
    /// How the goods stand line by line; `None` while the order is as it was placed and all of them go at once.
    pub goods: Option<Arc<Goods>>,
    /// What was noted last, for people who look at the order.
    pub note: Option<Arc<str>>,
}

/// The step that a held order cannot enter, by the one that ended last: that one, or an authorization that would have to
/// be asked for anew once more.
#[must_use]
pub fn held_step(last_ended: Option<(Step, StepState)>) -> Option<Step> {
    Some(match last_ended? {
        (_, StepState::Done) => Step::Authorize,
        // What was ordered in addition is not to be had, or not to be sent.
        (step @ (Step::Reserve | Step::Review), StepState::Declined) => step,
        (step, StepState::Declined) if is_forward(step) => Step::Authorize,
        (step, _) => step,
    })
}

/// Whether someone should look, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttentionState(Option<(Attention, Arc<str>)>);

impl AttentionState {
    /// Attention of a kind; `Attention::None` is none.
    #[must_use]
    pub fn new(attention: Attention, reason: Arc<str>) -> Self {
        Self((attention != Attention::None).then_some((attention, reason)))
    }

    /// Which.
    #[must_use]
    pub fn kind(&self) -> Attention {
        self.0.as_ref().map_or(Attention::None, |(attention, _)| *attention)
    }

    /// Why, if any is asked for.
    #[must_use]
    pub fn reason(&self) -> Option<&Arc<str>> {
        self.0.as_ref().map(|(_, reason)| reason)
    }
}

impl Saga {
    /// The cell of a step.
    #[must_use]
    pub fn cell(&self, step: Step) -> Cell {
        self.cells[step as usize]
    }

    pub(super) fn cell_mut(&mut self, step: Step) -> &mut Cell {
        &mut self.cells[step as usize]
    }

    /// Does what the step did stand?
    #[must_use]
    pub fn is_done(&self, step: Step) -> bool {
        self.cell(step).standing == StepState::Done
    }

    /// The participant's reference to what a forward step did last; of a step of payments, for the first of them.
    #[must_use]
    pub fn reference(&self, step: Step) -> Option<&Arc<str>> {
        self.reference_of(step, 0)
    }

    /// The participant's reference to what a forward step did last, for payment, reservation or shipment `number`, from 0.
    #[must_use]
    pub fn reference_of(&self, step: Step, number: usize) -> Option<&Arc<str>> {
        match (step, &self.goods) {
            (Step::Reserve | Step::Book, Some(goods)) => return goods.reference(step, number),
            (Step::Reserve | Step::Book, None) if number > 0 => return None,
            _ => {}
        }
        match step {
            Step::Reserve => self.references[0].as_ref(),
            Step::Book => self.references[1].as_ref(),
            Step::Authorize => self.payments.get(number)?.authorization.as_ref(),
            Step::Capture => self.payments.get(number)?.capture.as_ref(),
            Step::CancelShipment
            | Step::Void
            | Step::Refund
            | Step::Release
            | Step::Restock
            | Step::Review => None,
        }
    }

    pub(super) fn set_reference(&mut self, step: Step, number: usize, reference: Arc<str>) {
        if let (Step::Reserve | Step::Book, Some(goods)) = (step, &mut self.goods) {
            Arc::make_mut(goods).set_reference(step, number, reference);
            return;
        }
        let place = match step {
            Step::Reserve => Some(&mut self.references[0]),
            Step::Book => Some(&mut self.references[1]),
            Step::Authorize => self.payments.get_mut(number).map(|payment| &mut payment.authorization),
            Step::Capture => self.payments.get_mut(number).map(|payment| &mut payment.capture),
            Step::CancelShipment
            | Step::Void
            | Step::Refund
            | Step::Release
            | Step::Restock
            | Step::Review => None,
        };
        if let Some(place) = place {
            *place = Some(reference);
        }
    }

    /// Which payment, reservation or shipment, from 0, a forward step has this reference for.
    #[must_use]
    pub fn number_called(&self, step: Step, reference: &str) -> Option<usize> {
        let lots = self.goods.as_ref().map_or(1, |goods| goods.lots(step).len());
        (0..if step.is_of_payment() { self.payments.count() } else { lots })
            .find(|number| self.reference_of(step, *number).is_some_and(|known| **known == *reference))
    }

    /// Remembers an asking that is over.
    pub(super) fn remember(&mut self, earlier: Earlier) {
        self.earlier.retain(|other| other.at != earlier.at);
        self.earlier.push(earlier);
        if self.earlier.len() > EARLIER_MAX {
            self.earlier.remove(0);
        }
    }

    /// The asking of a step that its participant called so, and how it ended; the newest one.
    #[must_use]
    pub fn called(&self, step: Step, reference: &str) -> Option<&Earlier> {
        self.earlier.iter().rev().find(|earlier| {
            earlier.at.step == step && earlier.reference.as_deref().is_some_and(|known| known == reference)
        })
    }

    /// The step that the order is at: that is asked for, that it cannot enter, or that somebody should look at.
    #[must_use]
    pub fn shown_step(&self) -> Option<Step> {
        match (&self.active, &self.contradiction) {
            (Some(active), _) => Some(active.at.step),
            (None, Some((step, _))) => Some(*step),
            (None, None) if self.attention.kind() == Attention::None => None,
            (None, None) => held_step(self.last_ended),
        }
    }

    /// Whether someone should look at the order as a whole, and why: at its step, at what both sides contradict each
    /// other in, or at a hold whose time is over.
    #[must_use]
    pub fn shown_attention(&self) -> (Attention, Option<&Arc<str>>) {
        match (&self.contradiction, self.attention.kind(), self.overdue_hold()) {
            (Some((_, reason)), ..) => (Attention::Held, Some(reason)),
            (None, Attention::None, Some(reason)) => (Attention::Held, Some(reason)),
            (None, kind, _) => (kind, self.attention.reason()),
        }
    }

    /// The first return that is not through.
    #[must_use]
    pub fn open_return(&self) -> Option<&OpenReturn> {
        self.returns.as_ref().and_then(|returns| returns.open.iter().find(|open| !open.is_through()))
    }
}
