//! A blocked bloom filter, as runs of the index keep it: 16 bits an entry, all bits of an entry within one cache line.
//!
//! Why blocked: a lookup asks every run, and one cache miss a run is what keeps it below half a microsecond. The price is
//! somewhat more false positives than a plain filter of the same size has. (Putze, Sanders, Singler: "Cache-,
//! Hash- and Space-Efficient Bloom Filters", 2007.)

/// What stands for an order: a hash.
type OrderKey = [u8; 16];

const BITS_PER_ENTRY: u64 = 16;
const WORDS_PER_LINE: usize = 8;
/// Bits set an entry; each takes 9 bits of one 64-bit hash, so 7 is the most.
const PROBES: u32 = 6;

/// A set of orders' keys. Empty means "may hold anything".
#[derive(Debug, Default)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// A filter with room for `entries`.
    pub(crate) fn with_capacity(entries: u64) -> Self {
        let lines = (entries * BITS_PER_ENTRY).div_ceil(64 * WORDS_PER_LINE as u64).max(1);
        let lines = usize::try_from(lines).unwrap_or(usize::MAX / WORDS_PER_LINE / 8);
        Self { words: vec![0; lines * WORDS_PER_LINE] }
    }

    /// The filter with these words, as [`Bloom::words`] gave them; `None` when it can't be one.
    pub(crate) fn from_words(words: Vec<u64>) -> Option<Self> {
        words.len().is_multiple_of(WORDS_PER_LINE).then_some(Self { words })
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds a key's hash (see [`Bloom::hash`]).
    pub(crate) fn insert(&mut self, hash: (u64, u64)) {
        let line = self.line(hash.0);
        for probe in 0..PROBES {
            let bit = (hash.1 >> (9 * probe)) & 511;
            if let Some(word) = self.words.get_mut(line + (bit >> 6) as usize) {
                *word |= 1 << (bit & 63);
            }
        }
    }

    /// False only if the key was never added.
    pub(crate) fn may_hold(&self, hash: (u64, u64)) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let line = self.line(hash.0);
        let Some(line) = self.words.get(line..line + WORDS_PER_LINE) else { return true };
        (0..PROBES).all(|probe| {
            let bit = (hash.1 >> (9 * probe)) & 511;
            line[(bit >> 6) as usize] & (1 << (bit & 63)) != 0
        })
    }

    /// Two independent hashes of a key: one names the line, one the bits. Mixed although keys are hashes already, so
    /// that the filter needs nothing of them.
    pub(crate) fn hash(key: &OrderKey) -> (u64, u64) {
        let whole = u128::from_le_bytes(*key);
        let (low, high) = (whole as u64, (whole >> 64) as u64);
        let first = mix(low ^ high.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (first, mix(first ^ high))
    }

    fn line(&self, hash: u64) -> usize {
        let lines = (self.words.len() / WORDS_PER_LINE) as u128;
        // A multiplication maps the hash evenly to a line; cheaper than a remainder.
        ((u128::from(hash) * lines) >> 64) as usize * WORDS_PER_LINE
    }
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_added_and_little_else() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut draw = || rng.u128(..).to_le_bytes();
        let keys: Vec<OrderKey> = (0..20_000).map(|_| draw()).collect();
        let mut bloom = Bloom::with_capacity(keys.len() as u64);
        keys.iter().for_each(|key| bloom.insert(Bloom::hash(key)));
        assert!(keys.iter().all(|key| bloom.may_hold(Bloom::hash(key))));
        let false_positives = (0..100_000).filter(|_| bloom.may_hold(Bloom::hash(&draw()))).count();
        assert!(false_positives < 2_000, "{false_positives} of 100,000");
    }

    #[test]
    fn keys_that_are_counters_do_as_well() {
        let key = |n: u128| n.to_be_bytes();
        let mut bloom = Bloom::with_capacity(20_000);
        (0..20_000).for_each(|n| bloom.insert(Bloom::hash(&key(n))));
        let false_positives = (20_000..120_000).filter(|n| bloom.may_hold(Bloom::hash(&key(*n)))).count();
        assert!(false_positives < 2_000, "{false_positives} of 100,000");
    }
}
