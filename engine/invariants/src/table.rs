//! Orders by their names, close together: a checker holds millions.
//!
//! Entries lie in 256 shards by the first byte of their name, so that a checker which runs out of memory can put some
//! off to a later pass. A shard is a list that grows by an eighth, with an index of numbers beside it (linear probing):
//! a hash map of such entries would keep up to half of its places free, each as large as an entry.

use super::names::Name;

/// Into how many shards orders are divided.
pub(super) const SHARDS: u16 = 256;
/// No number: numbers begin at 1.
const FREE: u32 = 0;

/// The shard of a name.
pub(super) fn shard_of(name: &Name) -> u16 {
    u16::from(name[0])
}

#[derive(Debug)]
struct Shard<T> {
    entries: Vec<(Name, T)>,
    /// Numbers of entries, from 1, at a place that follows from the name. Its length is a power of two.
    index: Vec<u32>,
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: Vec::new() }
    }
}

/// Names are spread evenly already.
fn home(name: &Name, places: usize) -> usize {
    let word = u32::from_le_bytes([name[1], name[2], name[3], name[4]]);
    word as usize & (places - 1)
}

impl<T> Shard<T> {
    fn find(&self, name: &Name) -> Option<usize> {
        if self.index.is_empty() {
            return None;
        }
        let mut place = home(name, self.index.len());
        loop {
            let number = self.index[place];
            if number == FREE {
                return None;
            }
            let at = number as usize - 1;
            if self.entries[at].0 == *name {
                return Some(at);
            }
            place = (place + 1) & (self.index.len() - 1);
        }
    }

    fn push(&mut self, name: Name, value: T) -> usize {
        let length = self.entries.len();
        if length == self.entries.capacity() {
            self.entries.reserve_exact((length / 8).max(4));
        }
        self.entries.push((name, value));
        if self.entries.len() * 4 > self.index.len() * 3 {
            self.index = vec![FREE; (self.index.len() * 2).max(8)];
            (0..self.entries.len()).for_each(|at| self.link(at));
        } else {
            self.link(length);
        }
        length
    }

    fn link(&mut self, at: usize) {
        let mut place = home(&self.entries[at].0, self.index.len());
        while self.index[place] != FREE {
            place = (place + 1) & (self.index.len() - 1);
        }
        // A shard of 2^32 entries would be a terabyte.
        self.index[place] = u32::try_from(at + 1).unwrap_or(u32::MAX);
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(Name, T)>() + self.index.len() * size_of::<u32>()
    }
}

/// Values by name.
#[derive(Debug)]
pub(super) struct Table<T> {
    shards: Vec<Shard<T>>,
    bytes: usize,
    length: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), bytes: 0, length: 0 }
    }
}

impl<T> Table<T> {
    pub(super) fn get(&self, name: &Name) -> Option<&T> {
        let shard = &self.shards[usize::from(shard_of(name))];
        shard.find(name).map(|at| &shard.entries[at].1)
    }

    pub(super) fn get_mut(&mut self, name: &Name) -> Option<&mut T> {
        let shard = &mut self.shards[usize::from(shard_of(name))];
        shard.find(name).map(|at| &mut shard.entries[at].1)
    }

    pub(super) fn get_or_default(&mut self, name: Name) -> &mut T
    where
        T: Default,
    {
        let shard = &mut self.shards[usize::from(shard_of(&name))];
        let at = match shard.find(&name) {
            Some(at) => at,
            None => {
                let before = shard.bytes();
                let at = shard.push(name, T::default());
                self.bytes += shard.bytes() - before;
                self.length += 1;
                at
            }
        };
        &mut shard.entries[at].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &T)> {
        self.shards.iter().flat_map(|shard| shard.entries.iter().map(|(name, value)| (name, value)))
    }

    /// Takes a shard's values out.
    pub(super) fn take_shard(&mut self, shard: u16) -> Vec<(Name, T)> {
        let taken = std::mem::take(&mut self.shards[usize::from(shard)]);
        self.bytes -= taken.bytes();
        self.length -= taken.entries.len();
        taken.entries
    }

    /// The same names with other values, shard by shard, so that memory for both is never held.
    pub(super) fn map<U>(mut self, mut value: impl FnMut(T) -> U) -> Table<U> {
        let mut mapped = Table::default();
        for shard in 0..SHARDS {
            let taken = self.take_shard(shard);
            let to: &mut Shard<U> = &mut mapped.shards[usize::from(shard)];
            to.entries.reserve_exact(taken.len());
            for (name, old) in taken {
                to.push(name, value(old));
            }
            mapped.bytes += to.bytes();
            mapped.length += to.entries.len();
        }
        mapped
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// What it holds of memory, beside what its values point to.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut table, mut model) = (Table::<u64>::default(), BTreeMap::new());
        for _ in 0..100_000 {
            // Few homes, so that names share places.
            let mut name = [0; 16];
            name[0] = rng.u8(0..3);
            name[1] = rng.u8(..);
            name[15] = rng.u8(0..8);
            let add = rng.u64(0..10);
            *table.get_or_default(name) += add;
            *model.entry(name).or_insert(0) += add;
        }
        assert_eq!(table.len(), model.len());
        assert!(model.iter().all(|(name, value)| table.get(name) == Some(value)));
        assert_eq!(table.iter().map(|(name, value)| (*name, *value)).collect::<BTreeMap<_, _>>(), model);
        let mut doubled = table.map(|value| (value * 2, [0_u8; 64]));
        assert!(model.iter().all(|(name, value)| doubled.get(name).map(|value| value.0) == Some(value * 2)));
        let first = doubled.take_shard(1);
        assert_eq!(first.len(), model.keys().filter(|name| name[0] == 1).count());
        assert_eq!(doubled.len(), model.len() - first.len());
        (0..SHARDS).for_each(|shard| drop(doubled.take_shard(shard)));
        assert_eq!((doubled.len(), doubled.bytes()), (0, 0));
    }

    #[test]
    fn little_of_it_is_free() {
        let mut table = Table::<[u64; 20]>::default();
        for number in 0..200_000_u64 {
            let mut name = [0; 16];
            name[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            table.get_or_default(name);
        }
        assert!(table.bytes() / table.len() <= 208, "{} bytes an entry of 176", table.bytes() / table.len());
    }
}
