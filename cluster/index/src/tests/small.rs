//! Single promises.

use super::poll::until;
use super::*;

#[test]
fn a_new_index_knows_nothing_and_says_so_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (index, stored) = Index::open(folder.path(), options(10), LOG).unwrap();
    assert_eq!(stored, Cursor::default());
    assert_eq!(index.lookup(&key(1)), Lookup::Absent);
    assert_eq!((index.meta(), index.cursor()), (None, Cursor::default()));
    index.flush_blocking().unwrap();
    assert_eq!(index.stats().flushes, 0);
}

#[test]
fn many_changes_of_an_order_are_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(100), LOG).unwrap().0;
    for position in 1..=5_000 {
        let update = OrderUpdate { key: key(position % 10), place: place(position, None) };
        index.apply(&[update], cursor(position), None).unwrap();
    }
    index.flush_blocking().unwrap();
    assert_eq!((index.stats().order_entries, index.stats().flushes), (10, 1));
    assert_eq!(index.lookup(&key(3)), Lookup::AskDisk);
    assert_eq!(index.lookup_blocking(&key(3)).unwrap(), Some(place(4_993, None)));
}

#[test]
fn the_interval_flushes_even_a_lone_change() {
    let folder = tempfile::tempdir().unwrap();
    let index =
        Index::open(folder.path(), IndexOptions { flush_interval_ms: 20, ..options(100) }, LOG).unwrap().0;
    index.apply(&[], cursor(9), None).unwrap();
    assert!(until(|| index.stats().flushes == 1));
    drop(index);
    assert_eq!(Index::open(folder.path(), options(100), LOG).unwrap().1, cursor(9));
}

#[test]
fn closed_is_closed_and_can_be_opened_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(100), LOG).unwrap().0;
    index.put_control(b"k", b"v").unwrap();
    index.apply(&[OrderUpdate { key: key(1), place: place(1, Some(5)) }], cursor(1), Some(vec![1])).unwrap();
    assert!(matches!(Index::open(folder.path(), options(100), LOG), Err(IndexError::InUse(_))));
    index.close().unwrap();
    index.close().unwrap();
    assert_eq!(index.lookup(&key(1)), Lookup::AskDisk);
    assert_eq!(index.lookup_blocking(&key(1)), Err(IndexError::Closed));
    assert_eq!(index.apply(&[], cursor(2), None), Err(IndexError::Closed));
    assert_eq!(index.flush_blocking(), Err(IndexError::Closed));
    assert_eq!(index.deadlines(9, None, 9), Err(IndexError::Closed));
    assert_eq!(index.get_control(b"k"), Err(IndexError::Closed));
    let (again, stored) = Index::open(folder.path(), options(100), LOG).unwrap();
    assert_eq!(stored, cursor(1));
    assert_eq!(again.get_control(b"k").unwrap(), Some(b"v".to_vec()));
    assert_eq!(again.deadlines(9, None, 9).unwrap(), [(5, key(1), 1)]);
    assert_eq!(again.meta(), Some(vec![1]));
}

#[test]
fn limits_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(100), LOG).unwrap().0;
    assert!(matches!(index.put_control(&[0; 513], b""), Err(IndexError::TooLarge(_))));
    assert!(matches!(index.put_control(b"k", &[0; 4_097]), Err(IndexError::TooLarge(_))));
    index.put_control(&[255; 512], &[1; 4_096]).unwrap();
    index.put_control(b"", b"").unwrap();
    index.flush_blocking().unwrap();
    assert_eq!(index.list_controls(b"", None, 9).unwrap().len(), 2);
}

#[test]
fn snapshots_come_back_or_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let small = IndexOptions { snapshots_max_bytes: 400_000, ..options(100) };
    let index = Index::open(folder.path(), small.clone(), LOG).unwrap().0;
    assert_eq!(index.load_snapshot(&key(1)), None);
    index.save_snapshot(key(1), vec![1; 102_400]);
    index.save_snapshot(key(2), Vec::new());
    index.save_snapshot(key(3), vec![1; (2 << 20) + 1]);
    assert_eq!(index.stats().snapshots_dropped, 1);
    assert_eq!(index.load_snapshot(&key(1)), Some(vec![1; 102_400]));
    index.save_snapshot(key(1), vec![2; 20_000]);
    assert_eq!(index.load_snapshot(&key(1)), Some(vec![2; 20_000]));
    index.close().unwrap();
    let index = Index::open(folder.path(), small, LOG).unwrap().0;
    assert_eq!(index.load_snapshot(&key(1)), Some(vec![2; 20_000]));
    assert_eq!(index.load_snapshot(&key(2)), Some(Vec::new()));
    assert_eq!(index.load_snapshot(&key(3)), None);
    // Far more than fits: the newest are there, the oldest are not.
    for n in 10..50 {
        let dropped = index.stats().snapshots_dropped;
        index.save_snapshot(key(n), vec![u8::try_from(n).unwrap(); 50_000]);
        assert_eq!(index.stats().snapshots_dropped, dropped);
        assert!(until(|| index.shared.snapshots.is_idle()));
    }
    assert_eq!(index.load_snapshot(&key(49)), Some(vec![49; 50_000]));
    assert_eq!(index.load_snapshot(&key(10)), None);
}

#[test]
fn destroy_takes_only_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    Index::destroy(&dir).unwrap();
    drop(Index::open(&dir, options(10), LOG).unwrap());
    Index::destroy(&dir).unwrap();
    assert!(!dir.exists());
    drop(Index::open(&dir, options(10), LOG).unwrap());
    std::fs::write(dir.join("letter.txt"), "mine").unwrap();
    Index::destroy(&dir).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
}
