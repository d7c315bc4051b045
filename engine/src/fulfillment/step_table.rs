//! All that a step is, in one row of one table.
//!
//! A step without what undoes it, or without the mark that it needs none, is no step:
//!
//! ```compile_fail,E0063
//! use retailflow_engine::fulfillment::steps::{AskedAmount, Direction, StepSpec};
//! use retailflow_engine::order::Total;
//! use retailflow_engine::ports::Role;
//! use retailflow_engine::wire::command::Step;
//!
//! const WRAP: StepSpec = StepSpec {
//!     step: Step::Book,
//!     role: Role::Shipping,
//!     direction: Direction::Forward,
//!     acts_on: None,
//!     amount: AskedAmount::None,
//!     total: Total::BookedUnits,
//! };
//! ```
//!
//! Nor is one whose undoing is something of the author's own:
//!
//! ```compile_fail,E0599
//! const UNDO: retailflow_engine::fulfillment::steps::Undo =
//!     retailflow_engine::fulfillment::steps::Undo::WeWillSee;
//! ```
//!
//! With either it compiles:
//!
//! ```
//! use retailflow_engine::fulfillment::steps::{AskedAmount, Direction, StepSpec, Undo};
//! use retailflow_engine::order::Total;
//! use retailflow_engine::ports::Role;
//! use retailflow_engine::wire::command::Step;
//!
//! const WRAP: StepSpec = StepSpec {
//!     step: Step::Book,
//!     role: Role::Shipping,
//!     direction: Direction::Forward,
//!     acts_on: None,
//!     amount: AskedAmount::None,
//!     total: Total::BookedUnits,
//!     undo: Undo::By(Step::CancelShipment),
//! };
//! const SHIP: StepSpec = StepSpec { undo: Undo::Irreversible, ..WRAP };
//! assert_eq!([WRAP, SHIP].map(|spec| spec.compensation()), [Some(Step::CancelShipment), None]);
//! ```

use crate::order::Total;
use crate::ports::Role;
use crate::wire::command::Step;

/// Where a step stands in an order's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// On the way to a completed order: in [`FORWARD`].
    Forward,
    /// It undoes what [`StepSpec::acts_on`] did: in [`BACKWARD`].
    Backward,
    /// It belongs to returns alone: in [`RETURN`].
    Return,
}

/// How much a step is asked for, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedAmount {
    /// No money moves.
    None,
    /// What of the payment is planned, and not authorized.
    NotAuthorized,
    /// What of the payment is authorized, and neither captured nor given up.
    Held,
    /// The same, as far as it is planned still.
    ToCapture,
    /// What of the payment is captured and not paid back; for an owed amount, its part of that.
    NotRefunded,
}

/// What undoes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// This step of the way back.
    By(Step),
    /// It cannot be undone, and need not be: nothing comes after it that could make it wrong.
    Irreversible,
}

/// A step: a row of [`STEPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSpec {
    /// Which step.
    pub step: Step,
    /// Who carries it out.
    pub role: Role,
    /// Where it stands in an order's life.
    pub direction: Direction,
    /// Whose reference it is asked with: the step that it goes on from or undoes. `None` where it begins something.
    pub acts_on: Option<Step>,
    /// How much it is asked for.
    pub amount: AskedAmount,
    /// Which sum it adds to when it is done.
    pub total: Total,
    /// What undoes it.
    pub undo: Undo,
}

impl StepSpec {
    /// The compensating step, if there is one.
    #[must_use]
    pub const fn compensation(&self) -> Option<Step> {
        match self.undo {
            Undo::By(step) => Some(step),
            Undo::Irreversible => None,
        }
    }

    /// Does it move money? An order that costs nothing goes without such steps.
    #[must_use]
    pub const fn moves_money(&self) -> bool {
        !matches!(self.amount, AskedAmount::None)
    }
}

/// All steps, by their frozen numbers.
pub const STEPS: [StepSpec; Step::ALL.len()] = [
    StepSpec {
        step: Step::Reserve,
        role: Role::Inventory,
        direction: Direction::Forward,
        acts_on: None,
        amount: AskedAmount::None,
        total: Total::ReservedUnits,
        undo: Undo::By(Step::Release),
    },
    StepSpec {
        step: Step::Authorize,
        role: Role::Payments,
        direction: Direction::Forward,
        acts_on: None,
        amount: AskedAmount::NotAuthorized,
        total: Total::AuthorizedMinor,
        undo: Undo::By(Step::Void),
    },
    // The parcel leaves only when the payment is captured.
    StepSpec {
        step: Step::Book,
        role: Role::Shipping,
        direction: Direction::Forward,
        acts_on: None,
        amount: AskedAmount::None,
        total: Total::BookedUnits,
        undo: Undo::By(Step::CancelShipment),
    },
    StepSpec {
        step: Step::Capture,
        role: Role::Payments,
        direction: Direction::Forward,
        acts_on: Some(Step::Authorize),
        amount: AskedAmount::ToCapture,
        total: Total::CapturedMinor,
        undo: Undo::By(Step::Refund),
    },
    StepSpec {
        step: Step::CancelShipment,
        role: Role::Shipping,
        direction: Direction::Backward,
        acts_on: Some(Step::Book),
        amount: AskedAmount::None,
        total: Total::CanceledUnits,
        undo: Undo::Irreversible,
    },
    StepSpec {
        step: Step::Void,
        role: Role::Payments,
        direction: Direction::Backward,
        acts_on: Some(Step::Authorize),
        amount: AskedAmount::Held,
        total: Total::VoidedMinor,
        undo: Undo::Irreversible,
    },
    // What is paid back, for a return too, the customer has.
    StepSpec {
        step: Step::Refund,
        role: Role::Payments,
        direction: Direction::Backward,
        acts_on: Some(Step::Capture),
        amount: AskedAmount::NotRefunded,
        total: Total::RefundedMinor,
        undo: Undo::Irreversible,
    },
    StepSpec {
        step: Step::Release,
        role: Role::Inventory,
        direction: Direction::Backward,
        acts_on: Some(Step::Reserve),
        amount: AskedAmount::None,
        total: Total::ReleasedUnits,
        undo: Undo::Irreversible,
    },
    // Returned units are there, whatever happens next.
    StepSpec {
        step: Step::Restock,
        role: Role::Inventory,
        direction: Direction::Return,
        acts_on: None,
        amount: AskedAmount::None,
        total: Total::RestockedUnits,
        undo: Undo::Irreversible,
    },
    // A judgement: it moves nothing, and nothing of it has to be undone.
    StepSpec {
        step: Step::Review,
        role: Role::Review,
        direction: Direction::Forward,
        acts_on: None,
        amount: AskedAmount::None,
        total: Total::None,
        undo: Undo::Irreversible,
    },
];

/// The way forward, in order. Only an order whose flow says so is reviewed.
pub const FORWARD: [Step; 5] = [Step::Reserve, Step::Authorize, Step::Review, Step::Book, Step::Capture];

/// The way back, in order. The shipment first: if it cannot be called off, nothing was undone yet and the order can
/// still go forward. Money comes before stock, because its owner waits for it.
pub const BACKWARD: [Step; 4] = [Step::CancelShipment, Step::Refund, Step::Void, Step::Release];

/// What a return asks for, in order.
pub const RETURN: [Step; 2] = [Step::Refund, Step::Restock];

/// The row of a step.
#[must_use]
pub const fn spec(step: Step) -> &'static StepSpec {
    &STEPS[step as usize]
}

/// Does the step belong to the way forward?
#[must_use]
pub const fn is_forward(step: Step) -> bool {
    matches!(spec(step).direction, Direction::Forward)
}

impl Role {
    /// Who performs `step`.
    #[must_use]
    pub const fn of(step: Step) -> Self {
        spec(step).role
    }
}

const fn count(ways: &[Step], step: Step) -> usize {
    let (mut at, mut found) = (0, 0);
    while at < ways.len() {
        if ways[at] as usize == step as usize {
            found += 1;
        }
        at += 1;
    }
    found
}

// What the rows say of each other, and of the ways.
const _: () = {
    let mut at = 0;
    while at < STEPS.len() {
        let row = &STEPS[at];
        assert!(row.step as usize == at, "the rows stand in the order of their numbers");
        let place = match row.direction {
            Direction::Forward => count(&FORWARD, row.step),
            Direction::Backward => count(&BACKWARD, row.step),
            Direction::Return => count(&RETURN, row.step),
        };
        assert!(place == 1, "a step stands once on the way of its direction");
        let others = count(&FORWARD, row.step) + count(&BACKWARD, row.step);
        assert!(others <= 1, "no step goes forward and back");
        if let Some(compensation) = row.compensation() {
            assert!(count(&BACKWARD, compensation) == 1, "a compensation that is never run");
            match spec(compensation).acts_on {
                Some(undone) => assert!(undone as usize == at, "a compensation of another step"),
                None => panic!("a compensation of nothing"),
            }
        }
        if matches!(row.direction, Direction::Backward) {
            assert!(row.acts_on.is_some(), "the way back undoes something");
        }
        at += 1;
    }
};
