//! What stands for an order or a command inside a checker: 128 bits of a hash that nobody else can compute.
//!
//! Invariant: two different texts have the same name with a chance of 2^-128, whoever chose them. Callers choose ids, and
//! two ids with the same 64 bits of a plain hash are a matter of minutes; so each checker hashes under a secret of its
//! own. The engine has no randomness: the secret comes from outside.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::keyed_name;

/// 128 bits of a keyed hash.
pub(super) type Name = [u8; 16];

/// The secret of a checker.
#[derive(Clone, Copy, Default)]
pub struct CheckKey([u8; 16]);

impl CheckKey {
    /// For tests, whose texts nobody chose to collide.
    pub const FIXED: Self = Self([0; 16]);

    /// A secret of these bytes. They MUST be drawn anew for each process, from what callers cannot guess.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// What stands for an order.
    #[must_use]
    pub fn order(&self, order: &OrderRef) -> [u8; 16] {
        self.name(b'o', &[order.tenant.as_str(), order.order.as_str()])
    }

    /// What stands for a command within its order.
    pub(super) fn command(&self, source: &str, id: &str) -> Name {
        self.name(b'c', &[source, id])
    }

    /// The same of a name as controls carry it: source, zero byte, id.
    pub(super) fn stored_command(&self, name: &str) -> Name {
        self.name(b'c', &[name])
    }

    /// What stands for an idempotency key within its order.
    pub(super) fn effect(&self, key: &str) -> Name {
        self.name(b'e', &[key])
    }

    fn name(&self, kind: u8, parts: &[&str]) -> Name {
        keyed_name(&self.0, kind, parts)
    }
}

/// Secrets are not shown.
impl std::fmt::Debug for CheckKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_name_is_that_of_its_parts_and_each_secret_has_its_own() {
        let (one, other) = (CheckKey::new([1; 16]), CheckKey::new([2; 16]));
        assert_eq!(one.command("/s", "a b"), one.stored_command("/s\0a b"));
        assert_ne!(one.command("/s", "a b"), other.command("/s", "a b"));
        assert_ne!(one.command("/s", "a"), one.effect("/s\0a"));
        assert_eq!(format!("{one:?}"), "CheckKey");
    }
}
