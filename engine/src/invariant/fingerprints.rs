//! Sets of fingerprints: 8 bytes a command for most orders, and fast for the hot ones.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// For keys that are parts of SHA-256 digests already: their first bytes are the hash.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
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

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }

    fn write_usize(&mut self, _length: usize) {}
}

pub(super) type DigestMap<K, V> = HashMap<K, V, BuildHasherDefault<DigestHasher>>;

/// Above this many a list is no longer searched one by one.
const LIST_MAX: usize = 32;

/// The commands of one order.
#[derive(Debug, Default)]
pub(super) enum Fingerprints {
    #[default]
    None,
    /// Most orders have one command, and no heap of their own.
    One(u64),
    Few(Vec<u64>),
    Many(HashSet<u64, BuildHasherDefault<DigestHasher>>),
}

impl Fingerprints {
    pub(super) fn contains(&self, fingerprint: u64) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => *one == fingerprint,
            Self::Few(few) => few.contains(&fingerprint),
            Self::Many(many) => many.contains(&fingerprint),
        }
    }

    /// False when it was there before.
    pub(super) fn insert(&mut self, fingerprint: u64) -> bool {
        if self.contains(fingerprint) {
            return false;
        }
        match self {
            Self::None => *self = Self::One(fingerprint),
            Self::One(one) => *self = Self::Few(vec![*one, fingerprint]),
            Self::Few(few) if few.len() < LIST_MAX => {
                few.reserve_exact(few.len().min(LIST_MAX - few.len()));
                few.push(fingerprint);
            }
            Self::Few(few) => {
                let many = few.drain(..).chain([fingerprint]).collect();
                *self = Self::Many(many);
            }
            Self::Many(many) => return many.insert(fingerprint),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_any_size_knows_what_it_holds() {
        let mut set = Fingerprints::default();
        for number in 0..1000_u64 {
            let fingerprint = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert!(!set.contains(fingerprint) && set.insert(fingerprint));
            assert!(set.contains(fingerprint) && !set.insert(fingerprint));
        }
        assert!(std::mem::size_of::<Fingerprints>() <= 40);
    }
}
