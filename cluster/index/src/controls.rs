//! Control entries: few and small, as plain keys of the main tree, beside the manifest.
//!
//! Each has a checksum of its own; the manifest holds their number and the sum of their digests, so that one that is
//! missing, or came back older, is seen when the index is opened.

use std::collections::BTreeMap;
use std::ops::Bound;

use sha2::{Digest, Sha256};

use super::{
    manifest::ControlSum,
    shared::Shared,
    store::{self, Store, guarded},
    types::{ControlPair, IndexError},
};

/// Longest key, in bytes.
pub(super) const KEY_MAX_BYTES: usize = 512;
/// Longest value, in bytes. 17 of them with their keys fit one of sled's leaves below 128 KB (see `snapshots.rs`).
pub(super) const VALUE_MAX_BYTES: usize = 4_096;
const PREFIX: u8 = b'c';

type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn stored_key(key: &[u8]) -> Vec<u8> {
    [&[PREFIX], key].concat()
}

fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), value);
    [&crc.to_le_bytes(), value].concat()
}

fn unseal(key: &[u8], stored: &[u8]) -> Result<Vec<u8>, IndexError> {
    let value = stored.get(4..).unwrap_or_default();
    if seal(key, value) == stored {
        return Ok(value.to_vec());
    }
    Err(IndexError::Damaged("a control entry is not the one written".into()))
}

impl ControlSum {
    fn digest(key: &[u8], value: &[u8]) -> u64 {
        let mut hash = Sha256::new();
        hash.update((key.len() as u64).to_le_bytes());
        hash.update(key);
        hash.update(value);
        hash.finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_add(1);
        self.digests = self.digests.wrapping_add(Self::digest(key, value));
    }

    fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.digests = self.digests.wrapping_sub(Self::digest(key, value));
    }
}

/// Number and digests of what is stored, entry by entry.
pub(super) fn sum(store: &Store) -> Result<ControlSum, IndexError> {
    let mut sum = ControlSum::default();
    scan(store, &[], None, |key, value| {
        sum.add(&key, &value);
        true
    })?;
    Ok(sum)
}

/// Puts changes into the batch and says what the sum is with them.
pub(super) fn write(
    store: &Store,
    changes: &Changes,
    mut sum: ControlSum,
    batch: &mut sled::Batch,
) -> Result<ControlSum, IndexError> {
    for (key, value) in changes {
        if let Some(former) = stored(store, key)? {
            sum.remove(key, &former);
        }
        match value {
            Some(value) => {
                sum.add(key, value);
                batch.insert(stored_key(key), seal(key, value));
            }
            None => batch.remove(stored_key(key)),
        }
    }
    Ok(sum)
}

fn stored(store: &Store, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
    store::get(store.main(), &stored_key(key))?.map(|value| unseal(key, &value)).transpose()
}

/// Gives stored entries with that prefix, after that key, to `take`, until it says no.
fn scan(
    store: &Store,
    prefix: &[u8],
    after: Option<&[u8]>,
    mut take: impl FnMut(Vec<u8>, Vec<u8>) -> bool,
) -> Result<(), IndexError> {
    let from = stored_key(after.map_or(prefix, |after| after.max(prefix)));
    let mut entries = store.main().range(from..vec![PREFIX + 1]);
    loop {
        let Some((key, value)) = guarded("list", || entries.next().transpose())? else { return Ok(()) };
        let key = key.get(1..).unwrap_or_default();
        if after.is_some_and(|after| key <= after) {
            continue;
        }
        if !key.starts_with(prefix) || !take(key.to_vec(), unseal(key, &value)?) {
            return Ok(());
        }
    }
}

/// Of changes with that prefix, after that key, those up to the `limit`-th that leaves something there; of later sets the later
/// change. Whoever goes through all of them page by page looks at each once.
fn first_live<'a>(
    newest_last: impl Iterator<Item = &'a Changes>,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Changes {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut sets: Vec<_> = newest_last
        .map(|changes| {
            let there = changes.range::<[u8], _>((from, Bound::Unbounded));
            there.take_while(|(key, _)| key.starts_with(prefix)).peekable()
        })
        .collect();
    let (mut first, mut live) = (Changes::new(), 0);
    while live < limit {
        let next = sets.iter_mut().filter_map(|set| set.peek().map(|(key, _)| *key)).min();
        let Some(next) = next else { break };
        let of_key = sets.iter_mut().filter_map(|set| set.next_if(|(key, _)| *key == next));
        let Some((key, value)) = of_key.last() else { break };
        live += usize::from(value.is_some());
        first.insert(key.clone(), value.clone());
    }
    first
}

impl Shared {
    pub(super) fn control(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let (store, pending) = self.read(|state| {
            let frozen = || state.frozen.iter().rev().find_map(|frozen| frozen.controls().get(key));
            state.active.controls().get(key).or_else(frozen).cloned()
        })?;
        pending.map_or_else(|| stored(&store, key), Ok)
    }

    pub(super) fn controls(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ControlPair>, IndexError> {
        let (store, mut pending) = self.read(|state| {
            let newest_last = state.frozen.iter().map(AsRef::as_ref).chain([&state.active]);
            first_live(newest_last.map(|memtable| memtable.controls()), prefix, after, limit)
        })?;
        let mut found = Vec::new();
        scan(&store, prefix, after, |key, value| {
            // Pending ones that come before it.
            while let Some(entry) = pending.first_entry().filter(|entry| *entry.key() < key) {
                let (key, value) = entry.remove_entry();
                found.extend(value.map(|value| (key, value)));
            }
            match pending.remove(&key) {
                Some(changed) => found.extend(changed.map(|value| (key, value))),
                None => found.push((key, value)),
            }
            found.len() < limit
        })?;
        found.extend(pending.into_iter().filter_map(|(key, value)| Some((key, value?))));
        // Those still pending after an early end come later than all found; those found too many go.
        found.truncate(limit);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Page by page, and however the changes are spread over sets, all that is left is found once and in order.
    #[test]
    fn pages_of_pending_changes_are_all_of_them_once() {
        let mut rng = fastrand::Rng::with_seed(7);
        for round in 0..200 {
            let mut sets = vec![Changes::new(); 3];
            for set in &mut sets {
                for _ in 0..rng.usize(0..40) {
                    let key = vec![rng.u8(b'k'..b'n'), rng.u8(0..30)];
                    set.insert(key, rng.bool().then(|| vec![rng.u8(..)]));
                }
            }
            let mut whole = Changes::new();
            sets.iter().for_each(|set| whole.extend(set.clone()));
            let prefix = b"l".to_vec();
            whole.retain(|key, value| key.starts_with(&prefix) && value.is_some());
            let limit = rng.usize(1..10);
            let (mut found, mut after) = (Changes::new(), None);
            loop {
                let page = first_live(sets.iter(), &prefix, after.as_deref(), limit);
                let live = page.values().filter(|value| value.is_some()).count();
                assert!(live <= limit, "round {round}");
                let Some(last) = page.keys().next_back().cloned() else { break };
                found.extend(page.into_iter().filter(|(_, value)| value.is_some()));
                after = Some(last);
            }
            assert_eq!(found, whole, "round {round}");
        }
    }
}
