//! How often what is made up.

/// How many orders or commands meet what, of a thousand.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Orders that are canceled.
    pub cancel_permille: u64,
    /// Orders of which something comes back; canceled ones are not among them.
    pub return_permille: u64,
    /// Commands that come again.
    pub duplicate_permille: u64,
    /// Places that come again thousands of lines later.
    pub late_permille: u64,
    /// Orders whose place's id is used for another place.
    pub reuse_permille: u64,
    /// Cancels that come before their place.
    pub early_permille: u64,
    /// Orders whose payment is declined.
    pub decline_permille: u64,
    /// Orders whose payment is reviewed.
    pub review_permille: u64,
    /// Of these, reviews that are reported to have ended badly.
    pub report_permille: u64,
    /// Of the declined ones, orders for which another payment comes.
    pub pay_permille: u64,
    /// Orders that are paid in parts.
    pub split_permille: u64,
    /// Orders of which money goes back without goods.
    pub refund_permille: u64,
    /// Orders that are held, and released.
    pub hold_permille: u64,
    /// Orders that are changed.
    pub amend_permille: u64,
    /// Orders of which a unit is canceled.
    pub cancel_units_permille: u64,
    /// Orders of which a fact is recorded.
    pub record_permille: u64,
    /// Orders of which units are exchanged for others.
    pub exchange_permille: u64,
    /// Orders whose goods go in parts.
    pub parts_permille: u64,
}

impl Shares {
    /// Orders of which something else becomes than a cancel or a return: one thing of each.
    pub const fn extras_permille(self) -> u64 {
        self.refund_permille
            + self.hold_permille
            + self.amend_permille
            + self.cancel_units_permille
            + self.record_permille
            + self.exchange_permille
    }
}
