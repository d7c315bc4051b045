//! The disk is as faithful as it says: through FUSE, with the calls that storage makes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::TempDir;

use crate::{Disk, Effect, Fault, Mount, Operation, SECTOR_BYTES};

/// Of seeds, those that keep nothing and all that was not synced.
const NOTHING: u64 = 1;
const ALL: u64 = 2;
const PAGE: usize = 4096;

struct Mounted {
    disk: Disk,
    mount: Mount,
    _folder: TempDir,
}

/// A disk of its own; says so where there is no FUSE.
fn mounted() -> Option<Mounted> {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(1);
    match Mount::new(&disk, folder.path()) {
        Ok(mount) => Some(Mounted { disk, mount, _folder: folder }),
        Err(error) => {
            // Straight to standard error: what a passing test prints is not shown.
            drop(writeln!(std::io::stderr(), "chaos disk: skipped: no FUSE here: {error}"));
            None
        }
    }
}

impl Mounted {
    fn path(&self, name: &str) -> PathBuf {
        self.mount.folder().join(name)
    }

    /// A file with a durable name and these durable bytes.
    fn file(&self, name: &str, bytes: &[u8]) -> File {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(name)).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file.sync_data().unwrap();
        File::open(self.mount.folder()).unwrap().sync_all().unwrap();
        file
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// What is read past the cache.
    fn direct(&self, name: &str) -> Vec<u8> {
        let flags = OFlags::DIRECT.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.path(name)).unwrap();
        let mut bytes = vec![0; PAGE];
        let length = file.read_at(&mut bytes, 0).unwrap();
        bytes.truncate(length);
        bytes
    }

    fn fail(&self, at: Operation, path: &str, effect: Effect) {
        self.disk.arm(Fault { at, path: path.into(), passes: 0, strikes: 1, effect });
    }
}

#[test]
fn only_what_was_synced_survives() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    file.write_all_at(&[2; PAGE], 0).unwrap();
    file.write_all_at(&[2; PAGE], PAGE as u64).unwrap();
    fs::write(it.path("unsynced"), "x").unwrap();
    assert_eq!(it.read("f"), [2; 2 * PAGE]);
    drop(file);
    it.disk.power_off();
    assert!(fs::read(it.path("f")).is_err());
    it.disk.reboot(NOTHING);
    assert_eq!(it.read("f"), [1; PAGE]);
    assert!(!it.path("unsynced").exists());
}

#[test]
fn what_was_not_synced_may_survive_and_be_torn() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    let (mut new, mut old, mut torn) = (0, 0, 0);
    for seed in 0..40 {
        file.write_all_at(&[1; PAGE], 0).unwrap();
        file.sync_data().unwrap();
        file.write_all_at(&[2; PAGE], 0).unwrap();
        it.disk.power_off();
        it.disk.reboot(seed);
        for sector in it.read("f").chunks(SECTOR_BYTES) {
            let twos = sector.iter().filter(|byte| **byte == 2).count();
            assert!(sector[..twos].iter().all(|byte| *byte == 2), "torn at one place");
            match twos {
                0 => old += 1,
                SECTOR_BYTES => new += 1,
                _ => torn += 1,
            }
        }
    }
    assert!(new > 50 && old > 50 && torn > 5, "{new} new, {old} old, {torn} torn");
}

#[test]
fn a_failed_sync_leaves_clean_pages_that_are_not_on_the_disk() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    file.write_all_at(&[2; PAGE], 0).unwrap();
    it.fail(Operation::Sync, "/f", Effect::Fail { written_percent: 0 });
    assert!(file.sync_data().is_err());
    assert!(it.disk.is_idle());
    // Well again, and read from the cache, by whoever opens it anew; the disk has the old bytes.
    drop(file);
    let file = OpenOptions::new().read(true).write(true).open(it.path("f")).unwrap();
    file.sync_data().unwrap();
    assert_eq!(it.read("f"), [2; PAGE]);
    assert_eq!(it.direct("f"), [1; PAGE]);
    // The same bytes written again are dirty again.
    file.write_all_at(&[2; SECTOR_BYTES], 0).unwrap();
    assert_eq!(it.direct("f")[..2 * SECTOR_BYTES], [[2; SECTOR_BYTES], [1; SECTOR_BYTES]].concat());
    file.sync_data().unwrap();
    it.disk.reboot(ALL);
    assert_eq!(it.read("f"), [vec![2; SECTOR_BYTES], vec![1; PAGE - SECTOR_BYTES]].concat());
}

#[test]
fn a_disk_may_lie_about_its_last_sector() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    file.write_all_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
    it.fail(Operation::Sync, "/f", Effect::LoseLastSector);
    file.sync_data().unwrap();
    fs::write(it.path("g"), "g").unwrap();
    it.disk.write_back();
    it.disk.reboot(NOTHING);
    assert_eq!(it.read("g"), b"g");
    assert_eq!(it.read("f"), [vec![2; SECTOR_BYTES], vec![1; PAGE - SECTOR_BYTES]].concat());
}

#[test]
fn the_power_goes_at_a_sync() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    for (effect, found) in [(Effect::PowerOff, 1), (Effect::PowerOffAfter, 2)] {
        file.write_all_at(&[2; PAGE], 0).unwrap();
        it.fail(Operation::Sync, "/f", effect);
        assert!(file.sync_data().is_err());
        assert!(it.disk.is_off());
        it.disk.reboot(NOTHING);
        assert_eq!(it.read("f"), [found; PAGE]);
    }
}

#[test]
fn names_are_durable_once_their_folder_is_synced() {
    let Some(it) = mounted() else { return };
    drop(it.file("old", b"old"));
    drop(it.file("new", b"new"));
    fs::rename(it.path("new"), it.path("old")).unwrap();
    assert_eq!((it.read("old"), it.path("new").exists()), (b"new".to_vec(), false));
    it.disk.reboot(NOTHING);
    assert_eq!((it.read("old"), it.read("new")), (b"old".to_vec(), b"new".to_vec()));
    fs::rename(it.path("new"), it.path("old")).unwrap();
    it.fail(Operation::SyncFolder, "", Effect::Fail { written_percent: 0 });
    let folder = File::open(it.mount.folder()).unwrap();
    assert!(folder.sync_all().is_err());
    folder.sync_all().unwrap();
    it.disk.reboot(NOTHING);
    assert_eq!((it.read("old"), it.path("new").exists()), (b"new".to_vec(), false));
    fs::remove_file(it.path("old")).unwrap();
    fs::create_dir_all(it.path("a/b")).unwrap();
    it.disk.reboot(ALL);
    assert_eq!((it.path("old").exists(), it.path("a/b").is_dir()), (false, true));
}

#[test]
fn sizes_shrink_and_grow_as_files_do() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE + 10]);
    file.set_len(10).unwrap();
    file.set_len(20).unwrap();
    assert_eq!(it.read("f"), [[1; 10], [0; 10]].concat());
    it.disk.reboot(NOTHING);
    assert_eq!(it.read("f"), [1; PAGE + 10]);
    file.set_len(10).unwrap();
    file.set_len(20).unwrap();
    file.sync_data().unwrap();
    it.disk.reboot(NOTHING);
    assert_eq!(it.read("f"), [[1; 10], [0; 10]].concat());
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 1 << 20).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 1 << 20);
}

#[test]
fn a_full_disk_takes_nothing_new_until_there_is_room() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    it.disk.set_full(true);
    file.write_all_at(&[2; PAGE], 0).unwrap();
    let full = file.write_all_at(&[2; 1], PAGE as u64).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fs::write(it.path("g"), "x").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    it.disk.set_full(false);
    file.write_all_at(&[2; 1], PAGE as u64).unwrap();
}

#[test]
fn a_sync_can_hang_while_others_go_on() {
    let Some(it) = mounted() else { return };
    let (file, other) = (it.file("f", &[1; PAGE]), it.file("g", &[1; PAGE]));
    it.disk.hold_syncs("/f");
    std::thread::scope(|scope| {
        let held = scope.spawn(|| file.sync_data());
        assert!(it.disk.wait_for_held_sync(Duration::from_secs(10)));
        other.sync_data().unwrap();
        assert_eq!(it.read("f"), [1; PAGE]);
        it.disk.release();
        held.join().unwrap().unwrap();
    });
}

#[test]
fn a_sector_can_be_unreadable_until_it_is_written() {
    let Some(it) = mounted() else { return };
    let file = it.file("f", &[1; PAGE]);
    assert!(it.disk.spoil("f".as_ref(), 1));
    let mut sector = [0; SECTOR_BYTES];
    file.read_exact_at(&mut sector, 0).unwrap();
    assert!(file.read_exact_at(&mut sector, SECTOR_BYTES as u64).is_err());
    file.write_all_at(&[3; SECTOR_BYTES], SECTOR_BYTES as u64).unwrap();
    file.read_exact_at(&mut sector, SECTOR_BYTES as u64).unwrap();
    assert_eq!(sector, [3; SECTOR_BYTES]);
}
