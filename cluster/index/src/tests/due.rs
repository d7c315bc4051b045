//! Deadlines: order, supersession, annihilation, cost.

use super::poll::until;
use super::*;

fn set(index: &Index, position: u64, n: u64, deadline_ms: Option<i64>) {
    let update = OrderUpdate { key: key(n), place: place(position, deadline_ms) };
    index.apply(&[update], cursor(position), None).unwrap();
}

#[test]
fn the_most_overdue_come_first_from_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(1_000), LOG).unwrap().0;
    set(&index, 1, 1, Some(30));
    set(&index, 2, 2, Some(-10));
    index.flush_blocking().unwrap();
    set(&index, 3, 3, Some(20));
    set(&index, 4, 4, Some(i64::MIN));
    index.flush_blocking().unwrap();
    set(&index, 5, 5, Some(i64::MAX));
    set(&index, 6, 6, Some(20));
    let all = index.deadlines(i64::MAX, None, 10).unwrap();
    let mut same_time = [(20, key(3), 3), (20, key(6), 6)];
    same_time.sort_unstable();
    let ends = [(30, key(1), 1), (i64::MAX, key(5), 5)];
    let expected = [&[(i64::MIN, key(4), 4), (-10, key(2), 2)], &same_time[..], &ends].concat();
    assert_eq!(all, expected);
    assert_eq!(index.deadlines(20, None, 10).unwrap(), expected[..4]);
    assert_eq!(index.deadlines(19, None, 10).unwrap(), expected[..2]);
    assert_eq!(index.deadlines(i64::MAX, None, 3).unwrap(), expected[..3]);
    let third = (expected[2].0, expected[2].1);
    assert_eq!(index.deadlines(i64::MAX, Some(third), 2).unwrap(), expected[3..5]);
    assert_eq!(index.deadlines(i64::MAX, Some((i64::MAX, [255; 16])), 2).unwrap(), []);
    assert_eq!(index.deadlines(i64::MAX, None, 0).unwrap(), []);
}

#[test]
fn a_superseded_one_is_not_listed_whatever_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(1_000), LOG).unwrap().0;
    set(&index, 1, 1, Some(10));
    index.flush_blocking().unwrap();
    set(&index, 2, 1, Some(50));
    assert_eq!(index.deadlines(100, None, 10).unwrap(), [(50, key(1), 2)]);
    index.flush_blocking().unwrap();
    assert_eq!(index.deadlines(100, None, 10).unwrap(), [(50, key(1), 2)]);
    set(&index, 3, 1, None);
    assert_eq!(index.deadlines(100, None, 10).unwrap(), []);
    index.flush_blocking().unwrap();
    assert_eq!(index.deadlines(100, None, 10).unwrap(), []);
    // Back to a time that it has had before.
    set(&index, 4, 1, Some(10));
    index.flush_blocking().unwrap();
    assert_eq!(index.deadlines(100, None, 10).unwrap(), [(10, key(1), 4)]);
    // A new place with the same deadline moves the position, and writes no entry.
    let entries = index.stats().deadline_entries;
    set(&index, 5, 1, Some(10));
    index.flush_blocking().unwrap();
    assert_eq!(index.deadlines(100, None, 10).unwrap(), [(10, key(1), 5)]);
    assert_eq!(index.stats().deadline_entries, entries);
}

#[test]
fn set_and_cleared_between_flushes_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(10_000), LOG).unwrap().0;
    for n in 0..500 {
        for (step, deadline) in [Some(10), Some(20), Some(30), Some(40), None].into_iter().enumerate() {
            set(&index, n * 5 + step as u64 + 1, n, deadline);
        }
    }
    assert_eq!(index.deadlines(i64::MAX, None, 10).unwrap(), []);
    index.flush_blocking().unwrap();
    let stats = index.stats();
    assert_eq!((stats.order_entries, stats.deadline_entries, stats.runs), (500, 0, 1));
}

#[test]
fn dead_entries_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(100), LOG).unwrap().0;
    let mut position = 0;
    for n in 0..1_000 {
        // Set now, cleared half a thousand orders later: set and clearing never meet in memory.
        position += 2;
        set(&index, position - 1, n, Some(n.cast_signed()));
        if n >= 500 {
            set(&index, position, n - 500, None);
        }
    }
    index.flush_blocking().unwrap();
    assert_eq!(index.deadlines(i64::MAX, None, usize::MAX).unwrap().len(), 500);
    // 500 stand. Tombstones of a quarter of all that were set start a merge, so at most 167 of them hide 167.
    let most = 500 + 2 * 167;
    assert!(until(|| index.stats().deadline_entries <= most), "{}", index.stats().deadline_entries);
}
