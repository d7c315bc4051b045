//! Holds of one order. Most orders have none, and keep nothing here.

use super::violation::InvariantId;

/// The holds that stand.
#[derive(Debug, Default)]
pub(super) struct Holds {
    names: Vec<String>,
}

impl Holds {
    pub(super) fn stand(&self) -> bool {
        !self.names.is_empty()
    }

    /// A hold is put on an order that is `open`, or not.
    pub(super) fn put(&mut self, name: &str, open: bool, wrong: &mut impl FnMut(InvariantId, String)) {
        if !open || self.names.iter().any(|other| other == name) {
            wrong(
                InvariantId::Transitions,
                format!("hold {name} was put, open {open}, beside {:?}", self.names),
            );
        }
        self.names.push(name.to_owned());
    }

    /// Somebody was told of a hold; `ends`: it ends.
    pub(super) fn named(&mut self, name: &str, ends: bool, wrong: &mut impl FnMut(InvariantId, String)) {
        if !self.names.iter().any(|other| other == name) {
            wrong(InvariantId::Transitions, format!("hold {name} was named, and does not stand"));
        }
        if ends {
            self.names.retain(|other| other != name);
        }
    }
}
