//! What is known of an order for the lists, and its stored form.

use std::sync::Arc;

use retailflow_engine::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use retailflow_engine::money::Currency;
use retailflow_engine::order::{OrderStatus, StepAt, StepState, SummaryState};
use retailflow_engine::wire::command::Step;
use retailflow_engine::wire::order::{Attention, OrderStatus as PublicStatus};
use serde::{Deserialize, Serialize};

/// An order, for the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tracked {
    pub(super) summary: SummaryState,
    /// Where the record stands with which it was placed: its place in all lists, for ever. 0 while nothing is placed.
    pub(super) place: u64,
    /// Why it is parked, if it is.
    pub(super) parked: Option<Arc<str>>,
    /// Where the park marks and their releases stand that told something, in their order: one of each in turn.
    pub(super) marks: Vec<u64>,
    /// Commands that wait behind the present mark.
    pub(super) waiting: u64,
    /// The shelf has it among those that are in memory from the start on.
    pub(super) pinned: bool,
    /// Changed since its row was written, or was about to be.
    pub(super) dirty: bool,
}

impl Tracked {
    /// How it stands in the lists; `None` while nothing is placed.
    pub(super) fn listed_status(&self) -> Option<(PublicStatus, Attention)> {
        let status = self.summary.public_status()?;
        let attention = match &self.parked {
            Some(_) => Attention::Parked,
            None => self.summary.shown_attention().0,
        };
        Some((status, attention))
    }

    /// Whether it has to be in memory: what control records say of it is not found by its chain.
    pub(super) fn is_to_be_pinned(&self) -> bool {
        // Marks are numbered through, also those from before it was placed.
        self.parked.is_some() || (self.place == 0 && !self.marks.is_empty())
    }

    /// Whether the shelf has nothing of it, and needs nothing.
    pub(super) fn is_nowhere(&self) -> bool {
        self.place == 0 && !self.pinned && !self.is_to_be_pinned()
    }
}

/// How a step may have ended, by the numbers of the stored form.
const ENDS: [StepState; 6] = [
    StepState::Open,
    StepState::Done,
    StepState::Undone,
    StepState::Declined,
    StepState::NotDone,
    StepState::Refused,
];

/// The stored form: JSON without names. It may change with [`super::shelf::VERSION`].
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(rename = "o")]
    order: String,
    #[serde(rename = "p")]
    place: u64,
    #[serde(rename = "r")]
    revision: u64,
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "s")]
    status: Option<PublicStatus>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    active: Option<(Step, u32, u32, Option<String>)>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    attention: Option<(Attention, String)>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    contradiction: Option<(Step, String)>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    last_ended: Option<(Step, usize)>,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    parked: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<u64>,
    #[serde(rename = "w", default)]
    waiting: u64,
    #[serde(rename = "c")]
    total: Option<(Currency, i64)>,
    #[serde(rename = "u")]
    changed: Option<(i64, i64)>,
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    overdue: Vec<(String, String)>,
}

impl Row {
    pub(super) fn of(order: &OrderId, tracked: &Tracked) -> Self {
        let summary = &tracked.summary;
        Self {
            order: order.as_str().to_owned(),
            place: tracked.place,
            revision: summary.revision,
            version: summary.version,
            status: summary.public_status(),
            active: summary
                .active
                .as_ref()
                .map(|at| (at.step, at.instance, at.generation, at.part.as_deref().map(str::to_owned))),
            attention: summary.attention.as_ref().map(|(kind, reason)| (*kind, reason.to_string())),
            contradiction: summary.contradiction.as_ref().map(|(step, reason)| (*step, reason.to_string())),
            last_ended: summary
                .last_ended
                .map(|(step, end)| (step, ENDS.iter().position(|known| *known == end).unwrap_or(0))),
            parked: tracked.parked.as_deref().map(str::to_owned),
            marks: tracked.marks.clone(),
            waiting: tracked.waiting,
            total: summary.total,
            changed: summary.changed.map(|(first, last)| (first.0, last.0)),
            overdue: summary
                .overdue
                .iter()
                .map(|(name, reason)| (name.to_string(), reason.to_string()))
                .collect(),
        }
    }

    /// The order, and what is known of it; an error for what nobody has written.
    pub(super) fn read(self, tenant: &TenantId, pinned: bool) -> Result<(OrderRef, Tracked), String> {
        let order = OrderId::parse(&self.order).map_err(|error| error.to_string())?;
        let summary = SummaryState {
            revision: self.revision,
            version: self.version,
            status: match self.status {
                None => OrderStatus::Absent,
                Some(PublicStatus::Open) => OrderStatus::Open,
                Some(PublicStatus::Completed) => OrderStatus::Completed,
                Some(PublicStatus::Canceling) => OrderStatus::Canceling,
                Some(PublicStatus::Canceled) => OrderStatus::Canceled,
            },
            active: self.active.map(|(step, instance, generation, part)| StepAt {
                step,
                instance,
                generation,
                part: part.as_deref().map(Into::into),
            }),
            attention: self.attention.map(|(kind, reason)| (kind, reason.into())),
            contradiction: self.contradiction.map(|(step, reason)| (step, reason.into())),
            last_ended: self.last_ended.map(|(step, end)| (step, ENDS.get(end).copied().unwrap_or_default())),
            total: self.total,
            changed: self.changed.map(|(first, last)| (TimestampMs(first), TimestampMs(last))),
            overdue: self.overdue.into_iter().map(|(name, reason)| (name.into(), reason.into())).collect(),
        };
        let tracked = Tracked {
            summary,
            place: self.place,
            parked: self.parked.map(Into::into),
            marks: self.marks,
            waiting: self.waiting,
            pinned,
            dirty: false,
        };
        Ok((OrderRef { tenant: tenant.clone(), order }, tracked))
    }
}
