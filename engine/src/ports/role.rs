//! Who carries steps out. Which role a step belongs to stands in `fulfillment::steps`.

/// The kinds of participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Stock: reserve, release, restock.
    Inventory,
    /// Money: authorize, capture, void, refund.
    Payments,
    /// Parcels: book, cancel the shipment.
    Shipping,
    /// Fraud and the like: review.
    Review,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inventory, Self::Payments, Self::Shipping, Self::Review];

    /// Its name, in metrics, sources of reports and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Payments => "payments",
            Self::Shipping => "shipping",
            Self::Review => "review",
        }
    }
}
