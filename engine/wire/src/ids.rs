//! Names of things: a value of these types is well formed, wherever it came from.
//!
//! The grammar is frozen: it is part of every log's first record, and ids are tokens of NATS subjects,
//! where `.`, `*`, `>` and white space would change who gets the message.

use std::fmt;
use std::sync::Arc;

/// Version of the id grammar; stored in the first record of each log.
pub const ID_GRAMMAR_VERSION: u16 = 1;

/// The source of the engine's own commands, as stored.
pub const ENGINE_SOURCE: &str = "urn:retailflow:engine";

/// What sources of the engine's own begin with, beside [`ENGINE_SOURCE`]; events have such sources, too.
const ENGINE_SOURCES: &str = "/retailflow/";

/// The source of an operator's command that names none.
pub const OPERATOR_SOURCE: &str = "/http/admin";

/// The tenant of the engine's own orders, which are placed to measure how long that takes.
pub const PROBE_TENANT: &str = "probe";

/// Why a string is not an id. The text says what the grammar is, so that it can be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {shown:?} is not valid: expected {grammar}")]
pub struct IdError {
    what: &'static str,
    shown: String,
    grammar: &'static str,
}

impl IdError {
    fn new(what: &'static str, text: &str, grammar: &'static str) -> Self {
        // A caller chose this text: only its beginning is repeated.
        let mut shown: String = text.chars().take(80).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { what, shown, grammar }
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $grammar:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The grammar in words, as shown in errors and schemas.
            pub const GRAMMAR: &'static str = $grammar;

            /// Checks the grammar.
            ///
            /// # Errors
            /// [`IdError`] when `text` does not follow [`Self::GRAMMAR`].
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let check: fn(&[u8]) -> bool = $check;
                if check(text.as_bytes()) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(IdError::new($what, text, $grammar))
                }
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &self.0)
            }
        }
    };
}

fn is_tenant(b: &[u8]) -> bool {
    (1..=63).contains(&b.len())
        && b[0] != b'-'
        && b.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-')
}

fn is_order(b: &[u8]) -> bool {
    (1..=64).contains(&b.len()) && b.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
}

fn is_command_id(b: &[u8]) -> bool {
    (1..=128).contains(&b.len()) && b.iter().all(|c| (0x20..=0x7e).contains(c))
}

fn is_source(b: &[u8]) -> bool {
    (1..=256).contains(&b.len()) && b.iter().all(u8::is_ascii_graphic)
}

id_type!(
    /// A tenant: a shop, a brand, a marketplace.
    TenantId, "tenant", "1 to 63 of a-z, 0-9 and '-', not beginning with '-'", is_tenant
);
id_type!(
    /// A process that runs partitions.
    NodeId, "node", "1 to 63 of a-z, 0-9 and '-', not beginning with '-'", is_tenant
);
id_type!(
    /// An order within its tenant; case-sensitive.
    OrderId, "order", "1 to 64 of A-Z, a-z, 0-9, '_' and '-'", is_order
);
id_type!(
    /// A command's id, unique per [`Source`] within its order.
    CommandId, "command id", "1 to 128 printable ASCII characters", is_command_id
);
id_type!(
    /// Who made a command (the CloudEvents `source`).
    Source, "source", "1 to 256 visible ASCII characters (a URI reference without spaces)", is_source
);

impl TenantId {
    /// Whether this is the engine's own tenant, under which nobody else may send.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_str() == PROBE_TENANT
    }
}

impl Source {
    /// Whether only the engine itself makes commands of this source.
    #[must_use]
    pub fn is_engines(&self) -> bool {
        self.as_str() == ENGINE_SOURCE || self.as_str().starts_with(ENGINE_SOURCES)
    }

    /// Whether only operators make commands of this source.
    #[must_use]
    pub fn is_operators(&self) -> bool {
        self.as_str() == OPERATOR_SOURCE
    }
}

/// One order, named in full: the address of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderRef {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its id within the tenant.
    pub order: OrderId,
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.order)
    }
}

/// A command's identity within its order: promise 2 gives each such pair one outcome, forever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandKey {
    /// Who made it.
    pub source: Source,
    /// The id that this source gave it.
    pub id: CommandId,
}

impl fmt::Display for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.source, self.id)
    }
}

/// A partition: the unit of ownership and of group commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z; it comes in through the `Clock` port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// Later by `ms`; saturates rather than overflows.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_what_the_contract_says() {
        for good in ["a", "cdnow", "0-9", &"a".repeat(63)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a.b", "a*", "a>", "a b", "ä", &"a".repeat(64)] {
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
        assert!(OrderId::parse("A_z-9").is_ok());
        for bad in ["", "a.b", "a/b", "a b", &"a".repeat(65)] {
            assert!(OrderId::parse(bad).is_err(), "{bad}");
        }
        assert!(CommandId::parse("any printable ~ text").is_ok());
        for bad in ["", "tab\t", "é", &"a".repeat(129)] {
            assert!(CommandId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_repeats_only_the_beginning() {
        let text = TenantId::parse(&"A".repeat(1_000_000)).unwrap_err().to_string();
        assert!(text.len() < 300 && text.contains("a-z"), "{text}");
    }
}
