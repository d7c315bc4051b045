//! Sets of names: no heap for one, 16 bytes each for a few, and fast for many.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::names::Name;

/// For names, which are secret and spread evenly already: their first bytes are the hash.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

type Set = HashSet<Name, BuildHasherDefault<NameHasher>>;

/// Above this many a list is no longer searched one by one.
const LIST_MAX: usize = 32;

/// The commands of one order, or its keys.
#[derive(Debug, Default)]
pub(super) enum Names {
    #[default]
    None,
    /// Most orders have one command, and no heap of their own.
    One(Name),
    Few(Vec<Name>),
    /// In a box: few orders have so many, and all pay for the room.
    Many(Box<Set>),
}

impl Names {
    pub(super) fn contains(&self, name: &Name) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == name,
            Self::Few(few) => few.contains(name),
            Self::Many(many) => many.contains(name),
        }
    }

    /// False when it was there before.
    pub(super) fn insert(&mut self, name: Name) -> bool {
        if self.contains(&name) {
            return false;
        }
        match self {
            Self::None => *self = Self::One(name),
            Self::One(one) => *self = Self::Few(vec![*one, name]),
            Self::Few(few) if few.len() < LIST_MAX => {
                few.reserve_exact(few.len().min(LIST_MAX - few.len()));
                few.push(name);
            }
            Self::Few(few) => {
                let many = few.drain(..).chain([name]).collect();
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => return many.insert(name),
        }
        true
    }

    /// What it holds beside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Few(few) => few.capacity() * size_of::<Name>(),
            Self::Many(many) => size_of::<Set>() + many.capacity() * 8 / 7 * (size_of::<Name>() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_any_size_knows_what_it_holds() {
        let mut set = Names::default();
        for number in 0..1000_u64 {
            let mut name = [7; 16];
            name[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            assert!(!set.contains(&name) && set.insert(name));
            assert!(set.contains(&name) && !set.insert(name));
        }
        assert!(set.heap_bytes() >= 16_000);
        assert!(size_of::<Names>() <= 24);
    }
}
