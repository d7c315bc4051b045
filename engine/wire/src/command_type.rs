//! The types of commands and their names on the wire.

use std::fmt;

macro_rules! command_types {
    ($($(#[$doc:meta])* $name:ident $verb:literal $operator:literal;)*) => {
        /// What a command asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CommandType {
            $($(#[$doc])* $name,)*
        }

        impl CommandType {
            /// All types.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name on the wire, such as `retailflow.order.place.v1`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => concat!("retailflow.order.", $verb, ".v1")),* }
            }

            /// The verb alone, such as `place`.
            #[must_use]
            pub const fn verb(self) -> &'static str {
                match self { $(Self::$name => $verb),* }
            }

            /// May only operators send it?
            #[must_use]
            pub const fn is_operator(self) -> bool {
                match self { $(Self::$name => $operator),* }
            }
        }
    };
}

command_types! {
    /// A new order.
    Place "place" false;
    /// Take the order back before it is delivered.
    Cancel "cancel" false;
    /// Units come back.
    Return "return" false;
    /// A participant says how a pending step ended.
    Report "report" false;
    /// An order that is held or stalled goes on.
    Resume "resume" true;
    /// An operator says how a step ended, on evidence.
    ResolveStep "resolve-step" true;
    /// Undo what was done.
    Compensate "compensate" true;
    /// Put an order that has ended into the archive.
    Archive "archive" true;
    /// Take an order out of the archive.
    Restore "restore" true;
    /// Money is paid back without goods.
    Refund "refund" false;
    /// The order's steps wait.
    Hold "hold" false;
    /// A hold ends.
    ReleaseHold "release-hold" false;
    /// Another means of payment.
    Pay "pay" false;
    /// The order is changed.
    Amend "amend" false;
    /// Units come back, and others are ordered in their place.
    Exchange "exchange" false;
    /// What happened outside enters the books.
    Record "record" false;
}

impl CommandType {
    /// Reads a name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let verb = name.strip_prefix("retailflow.order.")?.strip_suffix(".v1")?;
        Self::ALL.iter().copied().find(|kind| kind.verb() == verb)
    }
}

impl fmt::Display for CommandType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in CommandType::ALL {
            assert_eq!(CommandType::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(CommandType::Place.as_str(), "retailflow.order.place.v1");
        assert_eq!(CommandType::ResolveStep.as_str(), "retailflow.order.resolve-step.v1");
        for bad in [
            "",
            "place",
            "retailflow.order.place.v2",
            "retailflow.order.Place.v1",
            "retailflow.order.placed.v1",
        ] {
            assert_eq!(CommandType::parse(bad), None, "{bad}");
        }
    }
}
