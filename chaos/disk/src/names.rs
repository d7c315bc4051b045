//! Which names lead to which files: in the cache, and on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// A folder's and a name's inode.
pub(crate) type Place = (u64, OsString);

/// What one call changed: each name, and what it leads to then. It is on the disk as a whole or not at all.
#[derive(Debug, Clone)]
struct Change(Vec<(Place, Option<u64>)>);

/// All names of a disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    cached: BTreeMap<Place, u64>,
    durable: BTreeMap<Place, u64>,
    pending: Vec<Change>,
}

impl Names {
    /// What this name leads to.
    pub(crate) fn find(&self, folder: u64, name: &OsStr) -> Option<u64> {
        self.cached.get(&(folder, name.to_owned())).copied()
    }

    /// A folder's names in order.
    pub(crate) fn list(&self, folder: u64) -> impl Iterator<Item = (&OsStr, u64)> {
        let names = self.cached.range((folder, OsString::new())..);
        names
            .take_while(move |((of, _), _)| *of == folder)
            .map(|((_, name), inode)| (name.as_os_str(), *inode))
    }

    /// A place that leads to this inode: where it is, for messages and faults.
    pub(crate) fn place(&self, inode: u64) -> Option<&Place> {
        self.cached.iter().find(|(_, found)| **found == inode).map(|(place, _)| place)
    }

    /// Changes names, all at once.
    pub(crate) fn change(&mut self, changes: Vec<(Place, Option<u64>)>) {
        let change = Change(changes);
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    /// Makes a folder's names durable.
    pub(crate) fn sync(&mut self, folder: u64) {
        self.pending.retain(|change| {
            let here = change.0.iter().any(|((of, _), _)| *of == folder);
            if here {
                change.apply(&mut self.durable);
            }
            !here
        });
    }

    /// What is found after the power went: the changes up to some moment, in order, as a journal keeps them.
    pub(crate) fn cut(&mut self, new_percent: u32, rng: &mut fastrand::Rng) {
        let kept = match new_percent {
            0 => 0,
            100 => self.pending.len(),
            _ => rng.usize(..=self.pending.len()),
        };
        for change in self.pending.drain(..).take(kept) {
            change.apply(&mut self.durable);
        }
        self.cached = self.durable.clone();
    }

    /// The inodes that some name leads to, or may lead to after a cut.
    pub(crate) fn named(&self) -> BTreeSet<u64> {
        let pending = self.pending.iter().flat_map(|change| change.0.iter().filter_map(|(_, inode)| *inode));
        self.cached.values().chain(self.durable.values()).copied().chain(pending).collect()
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<Place, u64>) {
        for (place, inode) in &self.0 {
            match inode {
                Some(inode) => drop(names.insert(place.clone(), *inode)),
                None => drop(names.remove(place)),
            }
        }
    }
}
