//! What one record says by itself: for records whose order can't be read any more, because others are lost.

use retailflow_engine::codec::record;
use retailflow_engine::codec::v1::{self, BodyV1, EventV1, StepOutcomeV1, StepV1};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::{FoldError, history_entry};
use retailflow_engine::wire::order::HistoryEntry;

/// A record without those around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoneRecord {
    /// Whose it is.
    pub order: OrderRef,
    /// How many decisions the order held before it.
    pub expected_revision: u64,
    /// Its decisions.
    pub decisions: Vec<LoneDecision>,
}

/// A decision, and the money that it moved, in minor units of the order's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoneDecision {
    /// As the order's history has it.
    pub entry: HistoryEntry,
    /// The order's currency and total, where this decision placed it.
    pub placed: Option<(String, i64)>,
    /// Money that was asked for here.
    pub asked: Vec<(MoneyStep, Option<i64>)>,
    /// Money that moved here, with the amount that the participant named; without one it is what was asked for.
    pub moved: Vec<(MoneyStep, Option<i64>)>,
}

/// A step that moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoneyStep {
    /// From the customer.
    Capture,
    /// Back.
    Refund,
}

const fn money_step(step: StepV1) -> Option<MoneyStep> {
    match step {
        StepV1::Capture => Some(MoneyStep::Capture),
        StepV1::Refund => Some(MoneyStep::Refund),
        _ => None,
    }
}

/// Reads a record on its own.
///
/// # Errors
/// [`FoldError`] when it is none.
pub fn lone_record(bytes: &[u8]) -> Result<LoneRecord, FoldError> {
    let summary = record::summary(bytes)?;
    let mut decisions = Vec::new();
    if let BodyV1::Decisions(stored) = v1::decode(bytes)?.body {
        for (number, decision) in (summary.expected_revision + 1..).zip(&stored) {
            let mut lone = LoneDecision {
                entry: history_entry(decision, number)?,
                placed: None,
                asked: Vec::new(),
                moved: Vec::new(),
            };
            decision.events.iter().for_each(|event| lone.add(event));
            decisions.push(lone);
        }
    }
    Ok(LoneRecord { order: summary.order, expected_revision: summary.expected_revision, decisions })
}

impl LoneDecision {
    fn add(&mut self, event: &EventV1) {
        match event {
            EventV1::Placed(placed) => {
                let currency = String::from_utf8_lossy(&placed.currency).into_owned();
                self.placed = Some((currency, placed.total_minor));
            }
            EventV1::StepStarted { step, amount_minor, .. } => {
                self.asked.extend(money_step(*step).map(|step| (step, *amount_minor)));
            }
            EventV1::StepEnded { step, outcome, .. } => {
                let named = match outcome {
                    StepOutcomeV1::Done { amount_minor, .. } => *amount_minor,
                    StepOutcomeV1::Settled { done: true, .. }
                    | StepOutcomeV1::Resolved { done: true, .. } => None,
                    _ => return,
                };
                self.moved.extend(money_step(*step).map(|step| (step, named)));
            }
            _ => {}
        }
    }
}
