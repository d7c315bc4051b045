//! The rules that decisions follow, and what a decision may know besides state and command.

use crate::ids::TimestampMs;
use crate::wire::flow_rules::FlowRules;
use crate::wire::payment_rules::PaymentRules;
use crate::wire::return_rules::ReturnRules;

/// The rules in force, recorded with each decision by their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which rules.
    pub version: u32,
    /// How long an order may wait for its next step before someone must look, in milliseconds.
    pub step_deadline_ms: u64,
    /// Decisions in an order's life at most. Operators and the engine itself have a reserve beyond it.
    pub decisions_max: u64,
    /// Generations of a forward step before it is given up and the order turns back.
    pub step_attempts_max: u32,
    /// How often an authorization that is over is asked for anew.
    pub renewals_max: u32,
    /// An authorization that ends within this time is not captured any more, in milliseconds.
    pub authorization_margin_ms: u64,
    /// How often an order that waits for people is brought to mind, in milliseconds.
    pub reminder_ms: u64,
    /// By which rules shipping, tax and fees come back with returns: the tenant's, for an order that is placed now. An order
    /// that was placed before keeps those that were recorded with it.
    pub returns: ReturnRules,
    /// By which rules payments are paid back, and what a declined one does: as with returns, of an order that is placed now.
    pub payments: PaymentRules,
    /// In which order steps are asked for, and how often: as with returns, of an order that is placed now.
    pub flow: FlowRules,
    /// A mistake made on purpose: open orders get no deadline.
    #[cfg(feature = "mutants")]
    pub forgets_deadlines: bool,
    /// A mistake made on purpose: an operator's "not done" is believed at once, whatever is in flight.
    #[cfg(feature = "mutants")]
    pub believes_operators: bool,
}

impl Policy {
    /// The first rules.
    #[must_use]
    pub const fn v1() -> Self {
        Self {
            version: 1,
            step_deadline_ms: 15 * 60 * 1000,
            decisions_max: 100_000,
            step_attempts_max: 6,
            renewals_max: 5,
            authorization_margin_ms: 5_000,
            reminder_ms: 3600 * 1000,
            returns: ReturnRules::NEVER,
            payments: PaymentRules::DEFAULT,
            flow: FlowRules::DEFAULT,
            #[cfg(feature = "mutants")]
            forgets_deadlines: false,
            #[cfg(feature = "mutants")]
            believes_operators: false,
        }
    }
}

/// What a decision may know besides state and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// When the command was taken in.
    pub now: TimestampMs,
    /// The rules in force.
    pub policy: Policy,
}
