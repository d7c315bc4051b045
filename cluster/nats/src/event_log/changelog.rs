//! What of a partition stands now, in memory: its park marks ([`super::parks`]) and its deadlines ([`super::deadlines`]).
//!
//! Each is made of the stream when it is first asked for, kept current by our own groups, and read again when the last fence
//! shows that someone else has written. Reading a large partition takes seconds, and groups go on meanwhile: each leaves what it
//! changed in [`Changelog`], which is taken in before anything is shown.

use parking_lot::Mutex;
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::Group;

/// What is read at once, in bytes.
pub(super) const PIECE_BYTES: usize = 4 << 20;
/// Changes that may wait until somebody looks; beyond them all is read again.
const SINCE_MAX: usize = 100_000;

/// What is kept of a partition.
pub(super) trait Indexed {
    /// What a group changes of it.
    type Change;

    /// The fence up to which it is current; none before it is made.
    fn at(&mut self) -> &mut Option<Hash>;

    fn apply(&mut self, change: Self::Change);
}

/// A group of ours that was stored: what it changed.
struct OfGroup<C> {
    previous: Hash,
    hash: Hash,
    changes: Vec<C>,
}

/// What our own groups changed since anybody looked.
pub(super) struct Changelog<C> {
    /// Whether it is kept, or will be.
    wanted: bool,
    groups: Vec<OfGroup<C>>,
    size: usize,
}

impl<C> Default for Changelog<C> {
    fn default() -> Self {
        Self { wanted: false, groups: Vec::new(), size: 0 }
    }
}

impl<C> Changelog<C> {
    /// A group of ours was stored.
    pub(super) fn note(&mut self, group: &Group, hash: &Hash, changes: impl Iterator<Item = C>) {
        if !self.wanted {
            return;
        }
        let changes: Vec<C> = changes.collect();
        match self.groups.last_mut().filter(|last| last.hash == group.fence.previous) {
            // Most groups change nothing of one kind. (Who is current up to the one before reads all again: see `catch_up`.)
            Some(last) if changes.is_empty() => last.hash = *hash,
            _ => {
                self.size += 1 + changes.len();
                self.groups.push(OfGroup { previous: group.fence.previous, hash: *hash, changes });
            }
        }
        if self.size > SINCE_MAX {
            // Nobody has looked for long: whoever does so reads all of it.
            *self = Self::default();
        }
    }

    fn take(&mut self) -> Vec<OfGroup<C>> {
        self.wanted = true;
        self.size = 0;
        std::mem::take(&mut self.groups)
    }
}

/// Takes in what our groups changed, as far as it follows what is kept.
pub(super) fn catch_up<K: Indexed>(kept: &mut K, since: &Mutex<Changelog<K::Change>>) {
    let groups = since.lock().take();
    for group in groups {
        if *kept.at() == Some(group.previous) {
            group.changes.into_iter().for_each(|change| kept.apply(change));
            *kept.at() = Some(group.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use retailflow_engine::codec::fence::Fence;
    use retailflow_engine::ids::PartitionId;
    use retailflow_engine::memory::next_fence;
    use retailflow_engine::ports::PartitionHead;

    use super::*;

    #[derive(Default)]
    struct Sum {
        at: Option<Hash>,
        seen: Vec<u64>,
    }

    impl Indexed for Sum {
        type Change = u64;

        fn at(&mut self) -> &mut Option<Hash> {
            &mut self.at
        }

        fn apply(&mut self, change: u64) {
            self.seen.push(change);
        }
    }

    fn group(previous: u8) -> Group {
        let head = PartitionHead { fence: None, hash: [previous; 32] };
        let fence: Fence = next_fence(&head, PartitionId(0), 1);
        Group { fence, records: Vec::new(), controls: Vec::new() }
    }

    #[test]
    fn changes_are_taken_in_as_far_as_they_follow() {
        let (mut sum, since) = (Sum::default(), Mutex::new(Changelog::default()));
        since.lock().note(&group(0), &[1; 32], [1].into_iter());
        catch_up(&mut sum, &since);
        assert!(sum.seen.is_empty(), "nobody wanted it");
        sum.at = Some([1; 32]);
        let note = |previous: u8, hash: u8| {
            since.lock().note(&group(previous), &[hash; 32], [u64::from(hash)].into_iter());
        };
        note(0, 1);
        note(1, 2);
        note(2, 3);
        catch_up(&mut sum, &since);
        assert_eq!((sum.at, sum.seen.clone()), (Some([3; 32]), vec![2, 3]));
        note(8, 9);
        catch_up(&mut sum, &since);
        assert_eq!((sum.at, sum.seen.len()), (Some([3; 32]), 2), "a group is missing in between");
    }

    #[test]
    fn no_more_changes_wait_than_may() {
        let (mut sum, since) =
            (Sum { at: Some([0; 32]), ..Sum::default() }, Mutex::new(Changelog::default()));
        catch_up(&mut sum, &since);
        since.lock().note(&group(0), &[1; 32], 0..SINCE_MAX as u64);
        catch_up(&mut sum, &since);
        assert_eq!((sum.at, sum.seen.len()), (Some([0; 32]), 0), "all is read again");
    }
}
