//! What a checked log came to.

use std::collections::BTreeMap;

use super::order::OrderTail;
use super::{Ledger, Violation};
use retailflow_engine::codec::v1::{AttentionV1, StatusV1};

/// What a checked log came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCheck {
    /// What was recorded, by tenant.
    pub ledger: Ledger,
    /// What does not hold, pass by pass in the order of the log; at most a thousand.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub violation_count: u64,
    /// Groups read.
    pub groups: u64,
    /// Records of orders read.
    pub records: u64,
    /// Orders met.
    pub orders: u64,
    /// Orders that wait for a step, or for people.
    pub open_orders: u64,
    /// Orders under a park mark now.
    pub parked_orders: u64,
    /// Orders whose payment was never asked for.
    pub orders_without_payment: u64,
    /// Orders by their status.
    pub by_status: BTreeMap<&'static str, u64>,
    /// Orders by their attention, park marks aside.
    pub by_attention: BTreeMap<&'static str, u64>,
    /// What all orders of a currency did to goods and money.
    pub effects: BTreeMap<String, EffectSums>,
}

/// Sums over orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectSums {
    /// Captured, in minor units.
    pub captured_minor: i128,
    /// Paid back, in minor units.
    pub refunded_minor: i128,
    /// Authorized and neither captured nor given up, in minor units.
    pub authorized_minor: i128,
    /// Set aside or gone, in units.
    pub reserved_units: u64,
    /// In shipments, in units.
    pub booked_units: u64,
    /// Back in stock, in units.
    pub restocked_units: u64,
    /// Steps of cancellations that were done.
    pub compensations: u64,
}

impl LogCheck {
    /// Adds an order as it stands.
    pub(super) fn order(&mut self, tail: &OrderTail) {
        let life = &tail.life;
        self.orders += 1;
        self.open_orders += u64::from(life.waits());
        self.orders_without_payment += u64::from(!life.effects.payment_asked);
        *self.by_status.entry(status_name(life.status)).or_default() += 1;
        *self.by_attention.entry(attention_name(life.attention.0)).or_default() += 1;
        let currency = String::from_utf8_lossy(&life.currency).into_owned();
        let (sums, effects) = (self.effects.entry(currency).or_default(), &life.effects);
        sums.captured_minor += i128::from(effects.captured_minor);
        sums.refunded_minor += i128::from(effects.refunded_minor);
        sums.authorized_minor += i128::from(effects.authorized_minor);
        sums.reserved_units += u64::from(effects.reserved_units);
        sums.booked_units += u64::from(effects.booked_units);
        sums.restocked_units += u64::from(effects.restocked_units);
        sums.compensations += u64::from(effects.compensations);
    }
}

const fn status_name(status: Option<StatusV1>) -> &'static str {
    match status {
        None | Some(StatusV1::Open) => "open",
        Some(StatusV1::Completed) => "completed",
        Some(StatusV1::Canceling) => "canceling",
        Some(StatusV1::Canceled) => "canceled",
    }
}

const fn attention_name(attention: AttentionV1) -> &'static str {
    match attention {
        AttentionV1::None => "none",
        AttentionV1::Held => "held",
        AttentionV1::Stalled => "stalled",
        AttentionV1::Parked => "parked",
    }
}
