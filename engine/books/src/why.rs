//! Why a participant decided against a step.

macro_rules! whys {
    ($($(#[$doc:meta])* $name:ident $code:literal $reason:literal)*) => {
        /// Why a step was declined or refused. A closed list, so that a remembered key needs one byte for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Why {
            $($(#[$doc])* $name,)*
        }

        impl Why {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// For programs.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// For people.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }
        }
    };
}

whys! {
    /// Not enough units.
    OutOfStock "out_of_stock" "there are not enough units in stock"
    /// More is released than is still reserved, or nothing was reserved under the reference.
    NotReserved "not_reserved" "so many units are not reserved under this reference"
    /// Units of a line that the order does not have, or more than it has.
    UnknownUnits "unknown_units" "the order has no such line, or not so many units of it"
    /// The card was refused.
    CardDeclined "card_declined" "the means of payment was declined"
    /// An amount below zero.
    InvalidAmount "invalid_amount" "the amount is below zero"
    /// The authorization has run out.
    AuthorizationExpired "authorization_expired" "the authorization has expired"
    /// There is no such authorization, or it was voided.
    NotAuthorized "not_authorized" "there is no such authorization, or it was voided"
    /// The authorization was captured.
    AlreadyCaptured "already_captured" "the authorization was captured before"
    /// More than was authorized.
    OverCapture "over_capture" "more than what was authorized"
    /// There is no such capture.
    NotCaptured "not_captured" "there is no such capture"
    /// More than what is left of the capture.
    OverRefund "over_refund" "more than what is left of the capture"
    /// There is no such parcel, or it was canceled.
    NotBooked "not_booked" "there is no such parcel, or it was canceled"
    /// The parcel has gone.
    HandedOver "handed_over" "the parcel was handed over to the carrier"
    /// Nobody carries it.
    NoCarrier "no_carrier" "no carrier takes the parcel"
    /// It was taken on, and could not be done.
    CouldNotBeDone "could_not_be_done" "it was taken on, and could not be done"
    /// It was judged bad.
    Suspicious "suspicious" "the order looks like fraud"
}

impl Why {
    /// The one of that code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|why| why.code() == code)
    }
}
