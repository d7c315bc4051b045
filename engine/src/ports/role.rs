//! Who carries steps out. Which role a step belongs to stands in `fulfillment::steps`.

/// The three kinds of participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Stock: reserve, release, restock.
    Inventory,
    /// Money: authorize, capture, void, refund.
    Payments,
    /// Parcels: book, cancel the shipment.
    Shipping,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inventory, Self::Payments, Self::Shipping];

    /// Its name, in metrics, sources of reports and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Payments => "payments",
            Self::Shipping => "shipping",
        }
    }
}
