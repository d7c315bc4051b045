//! A disk that is full, fails or hangs: nothing that was applied is lost, and nobody who applies waits.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::faults::Disk;
use super::poll::until;
use super::*;

const ENTRIES: usize = 100;
/// Eight sets and the active one.
const MOST: u64 = 9 * ENTRIES as u64;

/// Frames of ten new orders, each after asking for room, until there is none; says how many orders came.
fn fill(index: &Index, model: &mut Model) -> u64 {
    let begun = model.position();
    while index.room().is_ok() {
        let position = model.position() + 1;
        let updates = (0..10).map(|n| OrderUpdate {
            key: key(position * 10 + n),
            place: place(position, Some((position * 31 % 97).cast_signed())),
        });
        let controls = vec![(position.to_be_bytes().to_vec(), Some(vec![7; 20]))];
        model.push(Frame { updates: updates.collect(), controls, meta: Some(vec![1; 50]) });
        feed(index, model.frames.last().unwrap(), position).unwrap();
        assert!(model.position() - begun < MOST, "there is always room");
    }
    (model.position() - begun) * 10
}

fn keys(model: &Model) -> impl Iterator<Item = u64> + use<> {
    10..model.position() * 10 + 30
}

/// Through trouble and out of it, with one and the same outcome.
fn borne(trouble: Disk) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(ENTRIES);
    let faults = Arc::clone(&options.faults);
    let index = Index::open(folder.path(), options.clone(), LOG).unwrap().0;
    let mut model = Model::default();
    model.push(Frame { controls: vec![(b"k".to_vec(), Some(b"v".to_vec()))], ..Frame::default() });
    feed(&index, &model.frames[0], 1).unwrap();
    index.flush_blocking().unwrap();
    let flushed = index.flushed_cursor();
    assert_eq!(flushed, cursor(1));

    faults.set(trouble);
    let begun = Instant::now();
    let taken = fill(&index, &mut model);
    assert!(begun.elapsed() < Duration::from_secs(5), "applying waited for the disk");
    assert!((MOST - 200..=MOST + 10).contains(&taken), "{taken} orders in memory");
    assert!(matches!(index.room(), Err(IndexError::Io(_))));
    model.check(&index, keys(&model)).unwrap();
    assert_eq!((index.flushed_cursor(), index.stats().flushes), (flushed, 1));
    if trouble != Disk::Hanging {
        assert!(until(|| index.stats().suspended));
        assert!(matches!(index.flush_blocking(), Err(IndexError::Io(_))));
        assert!(matches!(index.wait_for_room(), Err(IndexError::Io(_))));
    }

    faults.set(Disk::Well);
    assert!(until(|| index.room().is_ok() && !index.stats().suspended), "{:?}", index.stats());
    index.wait_for_room().unwrap();
    fill_a_little(&index, &mut model);
    index.flush_blocking().unwrap();
    assert_eq!(index.flushed_cursor(), cursor(model.position()));
    model.check(&index, keys(&model)).unwrap();
    index.close().unwrap();
    let runs = index.stats().runs;
    drop(index);
    let (index, stored) = Index::open(folder.path(), options, LOG).unwrap();
    assert_eq!(stored, cursor(model.position()));
    model.check(&index, keys(&model)).unwrap();
    let files = std::fs::read_dir(folder.path().join("runs")).unwrap().count();
    assert_eq!(files as u64, runs, "files that no manifest names");
}

fn fill_a_little(index: &Index, model: &mut Model) {
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..20 {
        model.push(draw_frame(&mut rng, model.position() + 1, 200));
        feed(index, model.frames.last().unwrap(), model.position()).unwrap();
    }
}

#[test]
fn a_full_disk_is_borne_and_left_behind() {
    borne(Disk::Failing(Errno::NOSPC));
}

#[test]
fn a_disk_that_fails_is_borne_and_left_behind() {
    borne(Disk::Failing(Errno::IO));
}

#[test]
fn sled_that_fails_is_opened_anew() {
    borne(Disk::FailingStore(Errno::NOSPC));
}

#[test]
fn a_disk_that_hangs_holds_nobody_up() {
    borne(Disk::Hanging);
}

#[test]
fn an_index_that_cannot_be_written_can_be_closed_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(ENTRIES);
    let faults = Arc::clone(&options.faults);
    let index = Index::open(folder.path(), options.clone(), LOG).unwrap().0;
    let mut model = Model::default();
    fill_a_little(&index, &mut model);
    index.flush_blocking().unwrap();
    let before = model.clone();
    faults.set(Disk::Failing(Errno::NOSPC));
    fill(&index, &mut model);
    assert!(matches!(index.close(), Err(IndexError::Io(_))));
    drop(index);
    faults.set(Disk::Well);
    let (index, stored) = Index::open(folder.path(), options, LOG).unwrap();
    assert_eq!(stored, cursor(before.position()));
    before.check(&index, 0..400).unwrap();
}
