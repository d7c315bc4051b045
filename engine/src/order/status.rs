//! Where an order stands as a whole.

/// Where an order stands as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderStatus {
    /// Nothing was placed under this id.
    #[default]
    Absent,
    /// Placed, and on its way.
    Open,
    /// All was done.
    Completed,
    /// What was done is being undone.
    Canceling,
    /// All that was done has been undone.
    Canceled,
}
