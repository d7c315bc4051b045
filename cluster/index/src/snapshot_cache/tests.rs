use std::path::PathBuf;

use retailflow_testkit::author::order;
use retailflow_testkit::{Subject, snapshots};

use super::*;
use crate::store::folder_bytes;

fn small() -> SnapshotCacheOptions {
    SnapshotCacheOptions { max_bytes: 1 << 20, cache_bytes: 1 << 20, ..SnapshotCacheOptions::default() }
}

fn open(dir: &Path, options: &SnapshotCacheOptions) -> SnapshotCache {
    SnapshotCache::open(dir, options, [1; 16]).unwrap()
}

async fn found(cache: &SnapshotCache, name: &str) -> Option<Vec<u8>> {
    cache.load(&order("shop", name)).await
}

/// Caches in folders of their own, reopened in turn in three ways.
struct Caches {
    folder: Option<tempfile::TempDir>,
    cache: Option<Arc<SnapshotCache>>,
    reopened: usize,
}

impl Caches {
    fn dir(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("snapshots")
    }

    fn start(&mut self) -> snapshots::Port {
        let cache = Arc::new(open(&self.dir(), &small()));
        self.cache = Some(Arc::clone(&cache));
        cache
    }
}

impl Subject for Caches {
    type Port = snapshots::Port;

    fn fresh(&mut self) -> PortFuture<'_, snapshots::Port> {
        self.cache = None;
        self.folder = Some(tempfile::tempdir().unwrap());
        let port = self.start();
        Box::pin(std::future::ready(port))
    }

    fn reopen(&mut self, port: snapshots::Port) -> PortFuture<'_, snapshots::Port> {
        drop(port);
        self.reopened += 1;
        let cache = self.cache.take().unwrap();
        match self.reopened % 3 {
            1 => drop(cache),
            2 => cache.close(),
            _ => {
                drop(cache);
                std::fs::remove_dir_all(self.dir()).unwrap();
            }
        }
        let port = self.start();
        Box::pin(std::future::ready(port))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_keeps_the_contract() {
    snapshots::suite(&mut Caches { folder: None, cache: None, reopened: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_saved_outlives_a_close_and_nothing_is_taken_after_it() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4_u8 {
        let cache = open(folder.path(), &small());
        if round > 0 {
            assert_eq!(found(&cache, "a").await, Some(vec![round - 1; 20_000]));
            assert_eq!(found(&cache, "b").await, None);
        }
        cache.save(&order("shop", "a"), vec![round; 20_000]);
        assert!(matches!(
            SnapshotCache::open(folder.path(), &small(), [1; 16]).err(),
            Some(IndexError::InUse(_))
        ));
        cache.close();
        cache.close();
        cache.save(&order("shop", "b"), vec![round]);
        for name in ["a", "b"] {
            assert_eq!(found(&cache, name).await, None);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_good_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for round in 0..5 {
        let cache = open(dir, &small());
        assert_eq!(found(&cache, "a").await, None, "round {round}");
        for name in ["a", "b", "c"] {
            cache.save(&order("shop", name), vec![7; 300_000]);
        }
        cache.close();
        assert_eq!(found(&open(dir, &small()), "a").await, Some(vec![7; 300_000]));
        match round {
            0 => drop(SnapshotCache::open(dir, &small(), [2; 16]).unwrap()),
            1 => {
                // Its files have grown too large; while it is open they are nobody else's to throw away.
                let cache = open(dir, &small());
                std::fs::create_dir_all(dir.join("blobs")).unwrap();
                let large = std::fs::File::create(dir.join("blobs").join("1")).unwrap();
                large.set_len(FOLDER_MIN_BYTES * FOLDER_FACTOR + 1).unwrap();
                let other = SnapshotCache::open(dir, &small(), [1; 16]).err();
                assert!(matches!(other, Some(IndexError::InUse(_))), "it is another's: {other:?}");
                cache.close();
            }
            2 => {
                let store = Store::open(dir, 1 << 20).unwrap();
                let mut batch = sled::Batch::default();
                batch.insert(META_KEY, &[VERSION; META_BYTES]);
                store::write(store.main(), batch).unwrap();
                store.flush().unwrap();
            }
            _ => {
                let db = std::fs::File::options().write(true).open(dir.join("db")).unwrap();
                db.set_len(1_000).unwrap();
                std::fs::write(dir.join("conf"), b"strange").unwrap();
            }
        }
    }
}

/// The older half goes, and the files do not grow without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_it_takes_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (mut kept, mut largest) = (0, 0);
    for round in 0..12 {
        let cache = open(folder.path(), &small());
        kept += usize::from(found(&cache, "0").await.is_some());
        for number in 0..100 {
            // Each its own order: nothing takes an older one's place.
            cache.save(&order("shop", &format!("{round}-{number}")), vec![round; 50_000]);
        }
        cache.save(&order("shop", "0"), vec![round; 1_000]);
        cache.close();
        largest = largest.max(folder_bytes(folder.path()));
    }
    assert!(kept > 0, "it keeps something");
    assert!(largest <= FOLDER_MIN_BYTES * FOLDER_FACTOR, "{largest} bytes");
}

#[test]
fn what_is_stored_of_the_whole_is_checked() {
    let meta = Meta { log_id: [3; 16], turn: (1, 77) };
    let bytes = meta.encode();
    assert_eq!(Meta::decode(&bytes), Some(meta));
    for at in 0..bytes.len() {
        let mut other = bytes;
        other[at] ^= 1;
        assert_eq!(Meta::decode(&other), None, "byte {at}");
        assert_eq!(Meta::decode(&bytes[..at]), None);
    }
}
