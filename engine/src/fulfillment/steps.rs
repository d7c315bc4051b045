//! The steps and what undoes them.
//!
//! A step without a compensation, or without the mark that it needs none, is no step:
//!
//! ```compile_fail,E0046
//! use retailflow_engine::fulfillment::steps::{SagaStep, StepSpec};
//! use retailflow_engine::wire::command::Step;
//!
//! struct Wrap;
//! impl SagaStep for Wrap {
//!     const STEP: Step = Step::Book;
//! }
//! const SPEC: StepSpec = StepSpec::of::<Wrap>();
//! ```
//!
//! Nor is one whose undoing is something of the author's own, such as "we'll see":
//!
//! ```compile_fail,E0277
//! use retailflow_engine::fulfillment::steps::{SagaStep, StepSpec};
//! use retailflow_engine::wire::command::Step;
//!
//! struct Wrap;
//! struct WeWillSee;
//! impl SagaStep for Wrap {
//!     const STEP: Step = Step::Book;
//!     type Undo = WeWillSee;
//! }
//! const SPEC: StepSpec = StepSpec::of::<Wrap>();
//! ```
//!
//! With either it compiles:
//!
//! ```
//! use retailflow_engine::fulfillment::steps::{CancelShipment, CompensatedBy, Irreversible, SagaStep, StepSpec};
//! use retailflow_engine::wire::command::Step;
//!
//! struct Wrap;
//! impl SagaStep for Wrap {
//!     const STEP: Step = Step::Book;
//!     type Undo = CompensatedBy<CancelShipment>;
//! }
//! struct Ship;
//! impl SagaStep for Ship {
//!     const STEP: Step = Step::Book;
//!     type Undo = Irreversible;
//! }
//! const SPECS: [StepSpec; 2] = [StepSpec::of::<Wrap>(), StepSpec::of::<Ship>()];
//! assert_eq!(SPECS.map(|spec| spec.compensation), [Some(Step::CancelShipment), None]);
//! ```

use std::marker::PhantomData;

use crate::order::Order;
use crate::wire::command::Step;

mod sealed {
    pub trait Sealed {}
}

/// A step of the saga.
pub trait SagaStep {
    /// Which step.
    const STEP: Step;
    /// What undoes it.
    type Undo: Undo;
}

/// A step that undoes another.
pub trait Compensation {
    /// Which step.
    const STEP: Step;
}

/// What undoes a step: [`CompensatedBy`] another, or [`Irreversible`].
pub trait Undo: sealed::Sealed {
    /// The compensating step, if there is one.
    const COMPENSATION: Option<Step>;
}

/// The step is undone by another.
pub struct CompensatedBy<C>(PhantomData<C>);

/// The step cannot be undone, and need not be: nothing comes after it that could make it wrong.
pub struct Irreversible;

impl<C> sealed::Sealed for CompensatedBy<C> {}
impl sealed::Sealed for Irreversible {}

impl<C: Compensation> Undo for CompensatedBy<C> {
    const COMPENSATION: Option<Step> = Some(C::STEP);
}

impl Undo for Irreversible {
    const COMPENSATION: Option<Step> = None;
}

/// A step as the saga's tables hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSpec {
    /// Which step.
    pub step: Step,
    /// What undoes it.
    pub compensation: Option<Step>,
}

impl StepSpec {
    /// The entry of a step.
    #[must_use]
    pub const fn of<S: SagaStep>() -> Self {
        Self { step: S::STEP, compensation: <S::Undo as Undo>::COMPENSATION }
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident undone by $undo:ty;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl SagaStep for $name {
            const STEP: Step = Step::$name;
            type Undo = $undo;
        }
    )*};
}

macro_rules! compensations {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Compensation for $name {
            const STEP: Step = Step::$name;
        }
    )*};
}

compensations! {
    /// The shipment is called off.
    CancelShipment;
    /// What was captured is paid back.
    Refund;
    /// The authorization is given up.
    Void;
    /// The stock is given back.
    Release;
}

steps! {
    /// Stock is set aside.
    Reserve undone by CompensatedBy<Release>;
    /// The payment is authorized.
    Authorize undone by CompensatedBy<Void>;
    /// A shipment is booked. The parcel leaves only when the payment is captured.
    Book undone by CompensatedBy<CancelShipment>;
    /// The payment is captured.
    Capture undone by CompensatedBy<Refund>;
    /// Returned units go back into stock: they are there, whatever happens next.
    Restock undone by Irreversible;
}

/// What is paid back for a return: the customer has it.
pub struct PayBack;

impl SagaStep for PayBack {
    const STEP: Step = Step::Refund;
    type Undo = Irreversible;
}

/// The way forward, in order.
pub const FORWARD: [StepSpec; 4] = [
    StepSpec::of::<Reserve>(),
    StepSpec::of::<Authorize>(),
    StepSpec::of::<Book>(),
    StepSpec::of::<Capture>(),
];

/// The way back, in order. The shipment first: if it cannot be called off, nothing was undone yet and the order can
/// still go forward. Money comes before stock, because its owner waits for it.
pub const BACKWARD: [Step; 4] = [Step::CancelShipment, Step::Refund, Step::Void, Step::Release];

/// What a return asks for, in order.
pub const RETURN: [StepSpec; 2] = [StepSpec::of::<PayBack>(), StepSpec::of::<Restock>()];

const fn is_on_the_way_back(step: Step) -> bool {
    let mut at = 0;
    while at < BACKWARD.len() {
        if BACKWARD[at] as usize == step as usize {
            return true;
        }
        at += 1;
    }
    false
}

const _: () = {
    let mut at = 0;
    while at < FORWARD.len() {
        if let Some(compensation) = FORWARD[at].compensation {
            assert!(is_on_the_way_back(compensation), "a compensation that is never run");
        }
        at += 1;
    }
};

/// Does the step belong to the way forward?
#[must_use]
pub fn is_forward(step: Step) -> bool {
    FORWARD.iter().any(|spec| spec.step == step)
}

/// Does the order go through the step at all? A free order has nothing to pay.
#[must_use]
pub fn goes_through(order: &Order, step: Step) -> bool {
    let free = order.placed.as_ref().is_none_or(|placed| placed.total_minor == 0);
    match step {
        Step::Reserve | Step::Book | Step::CancelShipment | Step::Release | Step::Restock => true,
        Step::Authorize | Step::Capture | Step::Void | Step::Refund => !free,
    }
}

/// The next step forward, if any is left.
#[must_use]
pub fn forward(order: &Order) -> Option<Step> {
    let left = |spec: &&StepSpec| goes_through(order, spec.step) && !order.saga.is_done(spec.step);
    FORWARD.iter().find(left).map(|spec| spec.step)
}

/// The next compensation, if anything is left to be undone.
#[must_use]
pub fn backward(order: &Order) -> Option<Step> {
    let saga = &order.saga;
    BACKWARD.into_iter().find(|step| match step {
        Step::CancelShipment => saga.is_done(Step::Book),
        Step::Refund => saga.is_done(Step::Capture),
        // What was captured is no longer only authorized.
        Step::Void => saga.is_done(Step::Authorize) && saga.totals.captured_minor == 0,
        Step::Release => saga.is_done(Step::Reserve),
        _ => false,
    })
}
