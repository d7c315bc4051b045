//! What is remembered of idempotency keys: 48 bytes each, and an index of 4 bytes a place.
//!
//! Invariant: a key is forgotten only when its window is over, and then the oldest first. Millions of keys are held, so
//! no key's text is: keys are known by 128 bits of their hash, and lie in the order in which they came, in chunks that
//! are never moved. The index is a table with linear probing of the numbers under which they came.

use std::collections::VecDeque;

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::sha256;

/// 128 bits of a key's hash.
pub(super) type KeyHash = [u64; 2];

/// The hash of a key.
pub(super) fn key_hash(key: &str) -> KeyHash {
    let digest = sha256(key.as_bytes());
    let half = |at: usize| digest[at..at + 8].iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    [half(0), half(8)]
}

/// What was decided under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyState {
    Done,
    Declined,
    Refused,
    Pending,
    Settled,
}

/// What was done under a key, as far as later steps depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that a later step acts on.
    None,
    /// Stock: a release takes from what is left.
    Reservation { units: u64, released: u64 },
    /// Money promised, until a time (`i64::MAX`: for ever).
    Authorization { state: AuthorizationState, amount: i64, until: i64 },
    /// Money taken: a refund takes from what is left.
    Captured { amount: i64, refunded: i64 },
    /// A parcel, and what is still to be paid before it may go.
    Parcel { state: ParcelState, units: u64, due: i64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthorizationState {
    Open,
    Captured,
    Voided,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParcelState {
    Booked,
    Canceled,
    HandedOver,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: KeyHash,
    /// Seconds since 1970, rounded up; the greatest number stands for "never".
    forget_after_s: u32,
    pub(super) state: KeyState,
    /// Index into `Why::ALL`, for what was declined or refused.
    pub(super) why: u8,
    /// How often it was done.
    pub(super) runs: u8,
    pub(super) effect: Effect,
}

impl Entry {
    pub(super) fn new(key: KeyHash, state: KeyState, forget_after: TimestampMs) -> Self {
        let seconds = forget_after.0.max(0).div_euclid(1000).saturating_add(1);
        let forget_after_s = u32::try_from(seconds).unwrap_or(u32::MAX);
        Self { key, forget_after_s, state, why: 0, runs: 0, effect: Effect::None }
    }

    /// Whether its window is over. What is pending is not forgotten.
    pub(super) fn is_forgotten(&self, now: TimestampMs) -> bool {
        let never = self.forget_after_s == u32::MAX || self.state == KeyState::Pending;
        !never && now.0.div_euclid(1000) >= i64::from(self.forget_after_s)
    }
}

const CHUNK: u32 = 4096;
/// No number: numbers begin at 1.
const FREE: u32 = 0;

/// The keys of a participant.
pub(super) struct Keys {
    /// Numbers of entries, at a place that follows from their hash. Its length is a power of two.
    index: Vec<u32>,
    chunks: VecDeque<Vec<Entry>>,
    /// The number of the first entry of the first chunk.
    base: u32,
    /// The oldest entry that is there.
    oldest: u32,
    /// What the next one gets.
    next: u32,
    max: u32,
}

impl Keys {
    /// Room for `max` keys.
    pub(super) fn new(max: u32) -> Self {
        let (index, chunks) = (vec![FREE; 64], VecDeque::new());
        Self { index, chunks, base: 1, oldest: 1, next: 1, max }
    }

    pub(super) fn len(&self) -> u32 {
        self.next - self.oldest
    }

    /// The entry of that number, unless it has been dropped.
    pub(super) fn at(&self, number: u32) -> Option<&Entry> {
        if number < self.oldest || number >= self.next {
            return None;
        }
        let place = number - self.base;
        self.chunks.get((place / CHUNK) as usize)?.get((place % CHUNK) as usize)
    }

    pub(super) fn at_mut(&mut self, number: u32) -> Option<&mut Entry> {
        if number < self.oldest || number >= self.next {
            return None;
        }
        let place = number - self.base;
        self.chunks.get_mut((place / CHUNK) as usize)?.get_mut((place % CHUNK) as usize)
    }

    /// The number of the key's entry.
    pub(super) fn find(&self, key: KeyHash) -> Option<u32> {
        self.place(key).map(|place| self.index[place])
    }

    pub(super) fn get(&self, key: KeyHash) -> Option<&Entry> {
        self.at(self.find(key)?)
    }

    pub(super) fn get_mut(&mut self, key: KeyHash) -> Option<&mut Entry> {
        self.at_mut(self.find(key)?)
    }

    /// Whether there is room for one more; drops what is forgotten, where room is needed. Says what was dropped.
    pub(super) fn make_room(&mut self, now: TimestampMs) -> Result<Option<KeyHash>, ()> {
        if self.next == u32::MAX {
            return Err(());
        }
        if self.len() < self.max {
            return Ok(None);
        }
        let oldest = self.at(self.oldest).filter(|entry| entry.is_forgotten(now)).map(|entry| entry.key);
        let key = oldest.ok_or(())?;
        self.unlink(key);
        self.oldest += 1;
        if self.oldest - self.base == CHUNK {
            self.chunks.pop_front();
            self.base += CHUNK;
        }
        Ok(Some(key))
    }

    /// Adds an entry whose key is not there, and says its number. Whether there is room, [`Self::make_room`] says.
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        if self.chunks.back().is_none_or(|chunk| chunk.len() == CHUNK as usize) {
            self.chunks.push_back(Vec::with_capacity(CHUNK as usize));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(entry);
        }
        let number = self.next;
        self.next += 1;
        // At most three quarters full, so that probes stay short and always meet a free place.
        if self.len() as usize > self.index.len() / 4 * 3 {
            self.grow();
        } else {
            self.link(entry.key, number);
        }
        number
    }

    fn mask(&self) -> usize {
        self.index.len() - 1
    }

    /// Where a key would like to be. Its hash is spread evenly already.
    fn home(&self, key: KeyHash) -> usize {
        key[0] as usize & self.mask()
    }

    fn place(&self, key: KeyHash) -> Option<usize> {
        let mut place = self.home(key);
        loop {
            match self.index[place] {
                FREE => return None,
                number if self.at(number).is_some_and(|entry| entry.key == key) => return Some(place),
                _ => place = (place + 1) & self.mask(),
            }
        }
    }

    fn link(&mut self, key: KeyHash, number: u32) {
        let mut place = self.home(key);
        while self.index[place] != FREE {
            place = (place + 1) & self.mask();
        }
        self.index[place] = number;
    }

    /// Takes a key out of the index, and moves up those behind it that would not be found any more (Knuth, 6.4 R).
    fn unlink(&mut self, key: KeyHash) {
        let Some(mut hole) = self.place(key) else { return };
        let mut place = hole;
        loop {
            place = (place + 1) & self.mask();
            let number = self.index[place];
            if number == FREE {
                break;
            }
            let home = self.at(number).map_or(place, |entry| self.home(entry.key));
            let from_home = place.wrapping_sub(home) & self.mask();
            let from_hole = place.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                self.index[hole] = number;
                hole = place;
            }
        }
        self.index[hole] = FREE;
    }

    fn grow(&mut self) {
        self.index = vec![FREE; self.index.len() * 2];
        for number in self.oldest..self.next {
            if let Some(key) = self.at(number).map(|entry| entry.key) {
                self.link(key, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn entry(key: KeyHash, at_s: i64) -> Entry {
        Entry::new(key, KeyState::Done, TimestampMs(at_s * 1000 - 1))
    }

    #[test]
    fn an_entry_takes_48_bytes() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    /// A million orders with four keys each: 192 MB of entries, and an index of at most 2^22 + 2 * 2^21 places.
    #[test]
    fn the_index_stays_small() {
        let mut keys = Keys::new(u32::MAX);
        for number in 0..200_000u64 {
            keys.push(entry(key_hash(&number.to_string()), 1));
        }
        assert!(keys.index.len() <= 1 << 19 && keys.chunks.len() == 49);
    }

    /// Against a plain map, with keys that share places, a bound that makes it forget, and clusters that wrap around.
    #[test]
    fn it_is_a_map_that_forgets_the_oldest() {
        for seed in 0..20 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut keys = Keys::new(3000);
            let mut model: BTreeMap<KeyHash, u32> = BTreeMap::new();
            let mut order = VecDeque::new();
            for round in 0..12_000i64 {
                let now = TimestampMs(round * 1000);
                let key = [rng.u64(0..9000) * if seed % 2 == 0 { 1 } else { 0x7fff_ffff }, rng.u64(0..2)];
                assert_eq!(keys.find(key), model.get(&key).copied(), "seed {seed}, round {round}");
                if model.contains_key(&key) {
                    continue;
                }
                if let Some(dropped) = keys.make_room(now).unwrap() {
                    assert_eq!(order.pop_front(), Some(dropped));
                    model.remove(&dropped);
                    assert!(keys.get(dropped).is_none());
                }
                model.insert(key, keys.push(entry(key, round + 1)));
                order.push_back(key);
                assert_eq!(keys.len() as usize, order.len());
            }
            for (key, number) in &model {
                assert_eq!(keys.find(*key), Some(*number));
                assert_eq!(keys.get_mut(*key).map(|entry| entry.key), Some(*key));
            }
        }
    }

    #[test]
    fn what_is_in_its_window_is_not_dropped() {
        let mut keys = Keys::new(2);
        keys.push(entry([1, 1], 100));
        keys.push(entry([2, 2], 50));
        assert_eq!(keys.make_room(TimestampMs(99_999)), Err(()), "the oldest is remembered until 100 s");
        assert_eq!(keys.make_room(TimestampMs(100_000)), Ok(Some([1, 1])));
        assert!(
            !Entry::new([1, 1], KeyState::Done, TimestampMs(i64::MAX)).is_forgotten(TimestampMs(i64::MAX))
        );
        assert!(!Entry::new([1, 1], KeyState::Pending, TimestampMs(0)).is_forgotten(TimestampMs(i64::MAX)));
    }
}
