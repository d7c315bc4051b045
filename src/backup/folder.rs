//! The folder of a backup: whose it is, and what is under way in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{BOOKS, LOG};
use retailflow_server::backup_manifest::Manifest;
use retailflow_server::durable_file::{create_folders, sync_folder};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// What has been read and not yet verified.
const INCOMING: &str = "incoming";
/// Says whose the folder is, and is locked while a backup is made.
const LOCK: &str = "backup.lock";

/// A backup's folder that nobody else writes.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// The backup that is there already.
    pub(super) before: Option<Manifest>,
    _lock: File,
}

impl Folder {
    /// Takes a folder that holds a backup, or is empty, or is not there.
    ///
    /// # Errors
    /// A [`Failure`] when it holds anything else, or somebody writes it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = || format!("cannot use {}", path.display());
        create_folders(path).or_exit(ExitStatus::Unreachable, cannot)?;
        let before = Manifest::read(path)?;
        // A first backup that was broken off has its lock, and nothing that is not of a backup.
        let ours = [INCOMING, LOCK, LOG, BOOKS];
        for entry in fs::read_dir(path).or_exit(ExitStatus::Unreachable, cannot)? {
            let name = entry.or_exit(ExitStatus::Unreachable, cannot)?.file_name();
            let name = name.to_string_lossy();
            let free = before.is_some()
                || name == "lost+found"
                || (path.join(LOCK).is_file() && ours.contains(&name.as_ref()));
            if !free {
                return Err(Failure::refused(format!(
                    "{} holds {name:?} and no backup: name a folder of its own",
                    path.display()
                )));
            }
        }
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock = lock.or_exit(ExitStatus::Unreachable, cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::refused(format!("another backup into {} is under way", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(error).or_exit(ExitStatus::Unreachable, cannot),
        }
        let folder = Self { path: path.to_owned(), before, _lock: lock };
        let made = folder.clear().and_then(|()| {
            [INCOMING, LOG, BOOKS].into_iter().try_for_each(|name| create_folders(&folder.path.join(name)))
        });
        made.or_exit(ExitStatus::Unreachable, cannot)?;
        Ok(folder)
    }

    /// Where a part is read to.
    pub(super) fn incoming(&self) -> PathBuf {
        self.path.join(INCOMING)
    }

    /// Moves verified parts to their place, in this order.
    pub(super) fn take_over<'a>(&self, place: &str, names: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let place = self.path.join(place);
        for name in names {
            fs::rename(self.incoming().join(name), place.join(name))?;
        }
        sync_folder(&place)
    }

    /// Takes away what a backup has read and not taken over.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.incoming()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is taken away by the next one.
        drop(self.clear());
    }
}
