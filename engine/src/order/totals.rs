//! What was done and undone for an order, added up.

/// What was done and undone, over the order's whole life. The participants' books must say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Set aside in stock, in units.
    pub reserved_units: u64,
    /// Given back to stock before they left, in units.
    pub released_units: u64,
    /// Taken back into stock after a return, in units.
    pub restocked_units: u64,
    /// Authorized, in minor units.
    pub authorized_minor: i64,
    /// Authorized and given up, or expired, in minor units.
    pub voided_minor: i64,
    /// Captured, in minor units.
    pub captured_minor: i64,
    /// Paid back, in minor units.
    pub refunded_minor: i64,
    /// In booked shipments, in units.
    pub booked_units: u64,
    /// Taken out of booked shipments, in units.
    pub canceled_units: u64,
}

/// One of the sums in [`Totals`]: the one that a step adds to when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// None: the step moves neither goods nor money.
    None,
    /// [`Totals::reserved_units`]
    ReservedUnits,
    /// [`Totals::released_units`]
    ReleasedUnits,
    /// [`Totals::restocked_units`]
    RestockedUnits,
    /// [`Totals::authorized_minor`]
    AuthorizedMinor,
    /// [`Totals::voided_minor`]
    VoidedMinor,
    /// [`Totals::captured_minor`]
    CapturedMinor,
    /// [`Totals::refunded_minor`]
    RefundedMinor,
    /// [`Totals::booked_units`]
    BookedUnits,
    /// [`Totals::canceled_units`]
    CanceledUnits,
}

impl Totals {
    /// Adds what a step did: `units` where the sum is of goods, `amount_minor` where it is of money.
    pub(super) fn add(&mut self, total: Total, units: u64, amount_minor: i64) {
        let goods = |sum: &mut u64| *sum = sum.saturating_add(units);
        let money = |sum: &mut i64| *sum = sum.saturating_add(amount_minor);
        match total {
            Total::None => {}
            Total::ReservedUnits => goods(&mut self.reserved_units),
            Total::ReleasedUnits => goods(&mut self.released_units),
            Total::RestockedUnits => goods(&mut self.restocked_units),
            Total::BookedUnits => goods(&mut self.booked_units),
            Total::CanceledUnits => goods(&mut self.canceled_units),
            Total::AuthorizedMinor => money(&mut self.authorized_minor),
            Total::VoidedMinor => money(&mut self.voided_minor),
            Total::CapturedMinor => money(&mut self.captured_minor),
            Total::RefundedMinor => money(&mut self.refunded_minor),
        }
    }
}
