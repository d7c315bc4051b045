//! sled and the runs' files, held at arm's length: each call guarded, each trouble named by what the caller does next.
//!
//! sled panics on damaged files, spins on some, and reports others as errors of the operating system; here all that
//! becomes [`IndexError::Damaged`].

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    files::{self, RunFiles, run_id},
    types::IndexError,
};

pub use sled::{Batch, IVec as Bytes, Tree};

/// The tree of the manifest, its meta blob and the controls: one batch to it is atomic.
const MAIN_TREE: &[u8] = b"main";

/// How long a lock that is held may be sled's own, after an earlier use of the folder by this process.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// An open sled database.
#[derive(Debug)]
pub struct Store {
    db: sled::Db,
    main: Tree,
    dir: PathBuf,
    runs: RunFiles,
}

/// Runs one or more sled calls; a panic becomes `Damaged`.
pub fn guarded<T>(what: &str, calls: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(calls)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(trouble(what, error)),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(IndexError::Damaged(format!("{what}: sled panicked: {}", first_line(said))))
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn trouble(what: &str, error: sled::Error) -> IndexError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            IndexError::InUse(format!("{what}: {error}"))
        }
        sled::Error::Io(error) if is_of_the_system(&error) => IndexError::Io(format!("{what}: {error}")),
        error => IndexError::Damaged(format!("{what}: {}", first_line(&error.to_string()))),
    }
}

/// Whether building the index again would not help. All else that sled reports as an I/O error (a file that ends too
/// early, a read at an impossible place) is damage.
fn is_of_the_system(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // What sled has passed between its threads has lost its code, and shows it only in the text.
    let code = error.raw_os_error().or_else(|| {
        let text = error.to_string();
        text.split_once("Os { code: ")?.1.split(',').next()?.parse().ok()
    });
    let system = [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ACCESS,
        Errno::PERM,
        Errno::ROFS,
        Errno::IO,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
    ];
    system.into_iter().any(|errno| code == Some(errno.raw_os_error()))
}

impl Store {
    /// Opens or creates. May spin for ever on damaged files: call it where that can be borne.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, IndexError> {
        let io_error = |error: io::Error| IndexError::Io(format!("{}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(io_error)?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            let opened = guarded("open", || {
                let db =
                    sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None).open()?;
                let main = db.open_tree(MAIN_TREE)?;
                Ok(Self { db, main, dir: dir.to_owned(), runs: RunFiles::new(dir) })
            });
            match opened {
                // A database that was just dropped is held for a moment by threads of sled's own.
                Err(IndexError::InUse(_)) if Instant::now() < until => std::thread::sleep(LOCK_RETRY),
                opened => return opened,
            }
        }
    }

    /// Removes the files that sled makes, and the folder if nothing else is in it. Not the folder as a whole: a wrong
    /// path must not cost someone's data.
    pub fn destroy(dir: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut foreign = false;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_str() {
                Some("blobs") => fs::remove_dir_all(entry.path())?,
                Some("runs") => foreign |= !destroy_runs(dir)?,
                Some(name) if name == "conf" || name == "db" || name.starts_with("snap.") => {
                    fs::remove_file(entry.path())?;
                }
                _ => foreign = true,
            }
        }
        if foreign { Ok(()) } else { fs::remove_dir(dir) }
    }

    /// The tree that batches go to.
    pub fn main(&self) -> &Tree {
        &self.main
    }

    /// With the disk that a test wants.
    #[cfg(any(test, feature = "faulty"))]
    pub(super) fn set_faults(&mut self, faults: &std::sync::Arc<super::faults::Faults>) {
        self.runs.faults = std::sync::Arc::clone(faults);
    }

    /// The files of runs.
    pub(super) fn runs(&self) -> &RunFiles {
        &self.runs
    }

    /// Removes a run's file. One that stays is removed when the index is opened.
    pub(super) fn remove_run(&self, name: &str) {
        if let Err(error) = self.runs.remove(name) {
            tracing::debug!(name, %error, "a file of the index that is not needed stays");
        }
    }

    /// Applies a batch to the main tree, all or nothing, and hands it to the operating system.
    pub(super) fn commit(&self, batch: Batch) -> Result<(), IndexError> {
        guarded("write", || {
            #[cfg(any(test, feature = "faulty"))]
            self.runs.faults.store()?;
            self.main.apply_batch(batch)?;
            self.db.flush().map(drop)
        })
    }

    /// The tree of that name, made if it is not there.
    pub fn tree(&self, name: &[u8]) -> Result<Tree, IndexError> {
        guarded("open tree", || self.db.open_tree(name))
    }

    /// Drops a tree and what it holds. No one may read it any more.
    pub fn drop_tree(&self, name: &[u8]) -> Result<(), IndexError> {
        guarded("drop tree", || self.db.drop_tree(name).map(drop))
    }

    /// Hands everything to the operating system. No fsync, whatever sled calls it.
    pub fn flush(&self) -> Result<(), IndexError> {
        guarded("flush", || self.db.flush().map(drop))
    }

    /// Bytes of the files; 0 when they can't be counted.
    pub fn disk_bytes(&self) -> u64 {
        folder_bytes(&self.dir)
    }
}

/// Removes the files of runs, and their folder; false when something else is in it.
fn destroy_runs(dir: &Path) -> io::Result<bool> {
    let folder = files::folder(dir);
    let mut own = true;
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Some(name) if name == files::PROBE || run_id(name).is_some() => fs::remove_file(entry.path())?,
            _ => own = false,
        }
    }
    if own {
        fs::remove_dir(folder)?;
    }
    Ok(own)
}

/// Bytes that a folder's files take; unreadable ones count nothing.
pub fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// One value of a tree.
pub fn get(tree: &Tree, key: &[u8]) -> Result<Option<Bytes>, IndexError> {
    guarded("read", || tree.get(key))
}

/// Sets one value of a tree.
pub fn put(tree: &Tree, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
    guarded("write", || tree.insert(key, value).map(drop))
}

/// Applies a batch to one tree, all or nothing.
pub fn write(tree: &Tree, batch: Batch) -> Result<(), IndexError> {
    guarded("write", || tree.apply_batch(batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_damage_however_sled_says_it() {
        let full = io::Error::from_raw_os_error(28);
        let copied = io::Error::new(full.kind(), format!("{full:?}"));
        assert!(matches!(trouble("write", sled::Error::Io(copied)), IndexError::Io(_)));
        assert!(matches!(trouble("write", sled::Error::Io(full)), IndexError::Io(_)));
        let short = io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill buffer");
        assert!(matches!(trouble("read", sled::Error::Io(short)), IndexError::Damaged(_)));
        let panicked = guarded::<()>("read", || panic!("first\nsecond"));
        assert_eq!(panicked, Err(IndexError::Damaged("read: sled panicked: first".into())));
    }
}
