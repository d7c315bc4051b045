//! Knows when the disk does not answer: a layer over another one that remembers which writes and syncs are under way.
//!
//! Whoever asks never waits for the disk: a lock is held only to note a beginning or an end.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{DiskFile, Files, LockError, LockGuard};

/// Writes and syncs that have begun and not ended.
#[derive(Debug, Default)]
pub struct DiskWatch {
    /// The next number, and what is under way: a few threads' at most.
    under_way: Mutex<(u64, Vec<(u64, Instant)>)>,
}

impl DiskWatch {
    /// How long the disk has not answered, of what is under way for longest; `None` when nothing is.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.under_way.lock().1.iter().map(|(_, begun)| begun.elapsed()).max()
    }

    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let number = {
            let mut under_way = self.under_way.lock();
            under_way.0 += 1;
            let number = under_way.0;
            under_way.1.push((number, Instant::now()));
            number
        };
        let done = work();
        self.under_way.lock().1.retain(|(other, _)| *other != number);
        done
    }
}

/// A layer that watches another one's writes and syncs of files that it opens.
pub struct WatchedFiles {
    inner: Arc<dyn Files>,
    watch: Arc<DiskWatch>,
}

impl WatchedFiles {
    /// Over `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Files>) -> Self {
        Self { inner, watch: Arc::default() }
    }

    /// What is seen.
    #[must_use]
    pub fn watch(&self) -> Arc<DiskWatch> {
        Arc::clone(&self.watch)
    }

    fn watched(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile { inner: file, watch: Arc::clone(&self.watch) })
    }
}

struct WatchedFile {
    inner: Arc<dyn DiskFile>,
    watch: Arc<DiskWatch>,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn read_past_cache_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.inner.read_past_cache_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.watch.during(|| self.inner.write_at(offset, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch.during(|| self.inner.sync_data())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.inner.size_bytes()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.watch.during(|| self.inner.set_len(bytes))
    }
}

impl Files for WatchedFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    /// Not watched: a segment is made ahead, in the background, and writing its zeros may take long.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.create(path, bytes).map(|file| self.watched(file))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.open(path, writable).map(|file| self.watched(file))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.watch.during(|| self.inner.sync_dir(dir))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.watch.during(|| self.inner.rename(from, to))
    }

    fn try_lock(&self, path: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        self.inner.try_lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.inner.is_locked(path)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A file whose syncs end when they are let.
    struct Hanging {
        begun: Sender<()>,
        go_on: Mutex<Receiver<()>>,
    }

    impl DiskFile for Hanging {
        fn read_past_cache_at(&self, _: u64, _: &mut [u8]) -> io::Result<Option<usize>> {
            Ok(None)
        }

        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, _: u64, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn sync_data(&self) -> io::Result<()> {
            self.begun.send(()).unwrap();
            self.go_on.lock().recv().unwrap();
            Err(io::ErrorKind::TimedOut.into())
        }
        fn size_bytes(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sync_that_hangs_shows_until_it_ends_however_it_ends() {
        let (begun, has_begun) = channel();
        let (go_on, waits) = channel();
        let watch = Arc::new(DiskWatch::default());
        let inner = Arc::new(Hanging { begun, go_on: Mutex::new(waits) });
        let file = WatchedFile { inner, watch: Arc::clone(&watch) };
        file.write_at(0, b"x").unwrap();
        assert_eq!(watch.silent_for(), None);
        let syncing = std::thread::spawn(move || file.sync_data());
        has_begun.recv().unwrap();
        let first = watch.silent_for().unwrap();
        assert!(watch.silent_for().unwrap() >= first, "it is silent for ever longer");
        go_on.send(()).unwrap();
        assert!(syncing.join().unwrap().is_err());
        assert_eq!(watch.silent_for(), None);
    }
}
