//! Holds: somebody wants the order's steps to wait.
//!
//! Invariant: while a hold stands, no step is started, unless the order turns back: then the customer's money and stock go
//! back. A hold ends by `release-hold`, or with the canceled order; time alone does not end it.

use std::sync::Arc;

use super::OrderStatus;
use super::beside::Hold;
use super::saga::Saga;
use crate::codec::snapshot::HoldV5;
use crate::ids::TimestampMs;
use crate::wire::order::OrderHold;

/// Holds of one order that stand at once, at most.
pub(crate) const HOLDS_MAX: usize = 16;

impl Saga {
    /// The holds that stand, oldest first.
    #[must_use]
    pub fn holds(&self) -> &[Hold] {
        self.holds.as_deref().map_or(&[], |holds| holds)
    }

    /// Do the steps of an order of this status wait for the end of a hold?
    #[must_use]
    pub fn is_on_hold(&self, status: OrderStatus) -> bool {
        status == OrderStatus::Open && self.holds.is_some()
    }

    /// What people are told of the first hold whose time is over.
    #[must_use]
    pub fn overdue_hold(&self) -> Option<&Arc<str>> {
        self.holds().iter().find_map(|hold| hold.overdue.as_ref())
    }

    /// When people are told next that the time of a hold is over.
    #[must_use]
    pub fn next_hold_until(&self) -> Option<TimestampMs> {
        self.holds().iter().filter(|hold| hold.overdue.is_none()).filter_map(|hold| hold.until).min()
    }

    pub(super) fn put_on_hold(&mut self, hold: Hold) {
        let holds = Arc::make_mut(self.holds.get_or_insert_default());
        holds.retain(|other| other.name != hold.name);
        holds.push(hold);
    }

    pub(super) fn release_hold(&mut self, name: &str) {
        let Some(holds) = self.holds.as_mut().map(Arc::make_mut) else { return };
        holds.retain(|hold| *hold.name != *name);
        if holds.is_empty() {
            self.holds = None;
        }
    }

    /// Of hold `name`, people are told; of all of them, they are not (`None`).
    pub(super) fn set_overdue(&mut self, name: Option<&str>, told: Option<&Arc<str>>) {
        let Some(holds) = self.holds.as_mut().map(Arc::make_mut) else { return };
        for hold in holds.iter_mut().filter(|hold| name.is_none_or(|name| *hold.name == *name)) {
            hold.overdue = told.cloned();
        }
    }
}

/// The holds as the public sees them.
pub(super) fn holds_of_view(saga: &Saga) -> Vec<OrderHold> {
    let hold = |hold: &Hold| OrderHold {
        name: hold.name.to_string(),
        operator: hold.operator.as_deref().map(Into::into),
        reason: hold.reason.to_string(),
        since: hold.since,
        until: hold.until,
        overdue: hold.overdue.is_some(),
    };
    saga.holds().iter().map(hold).collect()
}

pub(super) fn holds_to_stored(saga: &Saga) -> Vec<HoldV5> {
    let stored = |hold: &Hold| HoldV5 {
        name: hold.name.to_string(),
        operator: hold.operator.as_deref().map(Into::into),
        reason: hold.reason.to_string(),
        since_ms: hold.since.0,
        until_ms: hold.until.map(|at| at.0),
        overdue: hold.overdue.as_deref().map(Into::into),
    };
    saga.holds().iter().map(stored).collect()
}

pub(super) fn holds_from_stored(stored: Vec<HoldV5>) -> Option<Arc<Vec<Hold>>> {
    let hold = |stored: HoldV5| Hold {
        name: stored.name.into(),
        operator: stored.operator.map(Into::into),
        reason: stored.reason.into(),
        since: TimestampMs(stored.since_ms),
        until: stored.until_ms.map(TimestampMs),
        overdue: stored.overdue.map(Into::into),
    };
    (!stored.is_empty()).then(|| Arc::new(stored.into_iter().map(hold).collect()))
}
