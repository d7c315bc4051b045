//! A data directory that is being made from a backup: none that could be opened until all of it is there.
//!
//! Invariant: it grows in `DATA/restoring`, beside a mark that says whose that is, and the log takes its name in `DATA` last
//! and at once, when everything is synced. So a restore that is killed, or whose machine goes down, leaves either no log in
//! `DATA` (and the next restore takes the rest away), or the whole. Nothing is removed but what stands behind such a
//! mark. It grows inside the directory so that `DATA` may be `.`, a mount of its own, or a symlink.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::durable_file::{create_folders, sync_folder};
use crate::exit::{ExitStatus, Failure, OrExit};

/// Where it grows, below the data directory.
const GROWING: &str = "restoring";
/// Says, in there, that a restore of ours made it; holds the names that it was about to give, one a line.
const MARK: &str = "unfinished-restore";
/// What a new file system holds by itself.
const LOST_FOUND: &str = "lost+found";
/// What makes a folder a data directory.
const LOG: &str = "log";

/// A data directory that is being made. Dropped before [`NewDataDir::finish`], it leaves things as they were.
pub struct NewDataDir {
    data: PathBuf,
    growing: PathBuf,
    /// Folders that were not there before, the deepest first.
    made: Vec<PathBuf>,
    mark: Option<File>,
}

/// Refuses a data directory that a broken-off restore has left: opening it would make an empty log there.
///
/// # Errors
/// A [`Failure`] that says what to do.
pub fn refuse_unfinished(data: &Path) -> Result<(), Failure> {
    if !data.join(LOG).exists() && data.join(GROWING).join(MARK).exists() {
        let data = data.display();
        return Err(Failure::refused(format!(
            "a restore into {data} was broken off and there is no log yet: run `retailflow restore` again, or remove {data}/{GROWING}"
        )));
    }
    Ok(())
}

impl NewDataDir {
    /// Begins a data directory at `data`, which must not exist, or be empty.
    ///
    /// # Errors
    /// A [`Failure`] that says what is in the way; nothing was removed but the rest of a broken-off restore.
    pub fn begin(data: &Path) -> Result<Self, Failure> {
        let cannot = || format!("cannot make {}", data.display());
        let made = missing(data);
        if made.is_empty() && !data.is_dir() {
            let text = format!(
                "{} is no folder, or a symlink to nothing: name a new data directory",
                data.display()
            );
            return Err(Failure::refused(text));
        }
        create_folders(data).or_exit(ExitStatus::Unreachable, cannot)?;
        let data = fs::canonicalize(data).or_exit(ExitStatus::Unreachable, cannot)?;
        let mut new = Self { growing: data.join(GROWING), data, made, mark: None };
        let ours = new.leftovers().or_exit(ExitStatus::Unreachable, cannot)?;
        new.refuse_occupied(&ours)?;
        new.claim().or_exit(ExitStatus::Refused, cannot)?;
        for name in ours {
            remove(&new.data.join(name)).or_exit(ExitStatus::Unreachable, cannot)?;
        }
        new.empty().and_then(|()| sync_folder(&new.data)).or_exit(ExitStatus::Unreachable, cannot)?;
        Ok(new)
    }

    /// The folder that is filled as a data directory would be.
    pub fn path(&self) -> &Path {
        &self.growing
    }

    /// Makes all that stands in [`NewDataDir::path`] the data directory, durably.
    ///
    /// # Errors
    /// A [`Failure`]; nothing of it is left then, or the whole where only the last sync failed.
    pub fn finish(mut self) -> Result<(), Failure> {
        let made = self.give_names();
        made.or_exit(ExitStatus::Unreachable, || format!("cannot make {}", self.data.display()))
    }

    fn give_names(&mut self) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.growing)? {
            let name = entry?.file_name();
            if name != MARK && name != LOG {
                names.push(name);
            }
        }
        if let Some(mark) = &mut self.mark {
            for name in &names {
                writeln!(mark, "{}", name.to_string_lossy())?;
            }
            mark.sync_all()?;
        }
        sync_tree(&self.growing)?;
        for name in &names {
            fs::rename(self.growing.join(name), self.data.join(name))?;
        }
        sync_folder(&self.data)?;
        // From here on it is a data directory.
        fs::rename(self.growing.join(LOG), self.data.join(LOG))?;
        self.made.clear();
        sync_folder(&self.data)?;
        sync_folder(&self.growing)
    }

    /// What an earlier restore had given names to before it was broken off.
    fn leftovers(&self) -> io::Result<Vec<String>> {
        if !is_ours(&self.growing)? || self.data.join(LOG).exists() {
            return Ok(Vec::new());
        }
        match fs::read_to_string(self.growing.join(MARK)) {
            Ok(text) => Ok(text.lines().filter(|name| is_plain(name)).map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn refuse_occupied(&self, ours: &[String]) -> Result<(), Failure> {
        let cannot = || format!("cannot read {}", self.data.display());
        let growing_is_ours = is_ours(&self.growing).or_exit(ExitStatus::Unreachable, cannot)?;
        for entry in fs::read_dir(&self.data).or_exit(ExitStatus::Unreachable, cannot)? {
            let name = entry.or_exit(ExitStatus::Unreachable, cannot)?.file_name();
            let name = name.to_string_lossy();
            let free =
                name == LOST_FOUND || (name == GROWING && growing_is_ours) || ours.iter().any(|n| *n == name);
            if !free {
                let text = format!(
                    "{} is not empty, it holds {name:?}: name a new data directory",
                    self.data.display()
                );
                return Err(Failure::refused(text));
            }
        }
        Ok(())
    }

    /// Makes the growing folder and its mark, or takes over a broken-off restore's.
    fn claim(&mut self) -> io::Result<()> {
        create_folders(&self.growing)?;
        let mut options = OpenOptions::new();
        let path = self.growing.join(MARK);
        let mark = options.append(true).read(true).create(true).mode(0o600).open(&path)?;
        match mark.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // Not ours to take away at the end.
                self.made.clear();
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another restore into it is under way",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        self.mark = Some(mark);
        Ok(())
    }

    /// Takes everything out of the growing folder but the mark, which is emptied last.
    fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.growing)? {
            let entry = entry?;
            if entry.file_name() != MARK {
                remove(&entry.path())?;
            }
        }
        if let Some(mark) = &self.mark {
            mark.set_len(0)?;
            mark.sync_all()?;
        }
        sync_folder(&self.growing)
    }

    fn clear(&mut self) -> io::Result<()> {
        if self.mark.is_none() {
            return Ok(());
        }
        if !self.data.join(LOG).exists() {
            for name in self.leftovers()? {
                remove(&self.data.join(name))?;
            }
        }
        self.empty()?;
        fs::remove_file(self.growing.join(MARK))?;
        fs::remove_dir(&self.growing)
    }
}

impl Drop for NewDataDir {
    fn drop(&mut self) {
        // What can't be taken away is behind the mark, and the next restore tries again.
        drop(self.clear());
        for folder in &self.made {
            // Only an empty folder goes.
            drop(fs::remove_dir(folder));
        }
    }
}

/// Whether `growing` was made by a restore: it holds the mark, or nothing yet.
fn is_ours(growing: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(growing).is_ok_and(|found| found.is_dir()) {
        return Ok(false);
    }
    let marked = fs::symlink_metadata(growing.join(MARK)).is_ok_and(|found| found.is_file());
    Ok(marked || fs::read_dir(growing)?.next().is_none())
}

/// A name that leads nowhere else.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && ![".", "..", LOG, LOST_FOUND, GROWING].contains(&name)
}

/// The folders on the way to `path` that are not there, the deepest first.
fn missing(path: &Path) -> Vec<PathBuf> {
    let not_there = |folder: &&Path| !folder.as_os_str().is_empty() && fs::symlink_metadata(folder).is_err();
    path.ancestors().take_while(not_there).map(Path::to_owned).collect()
}

/// Removes a file or a folder; a symlink itself, not what it leads to.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes all below `folder` the owner's alone, and durable, contents and names.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o700))?;
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            let file = File::open(entry.path())?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.sync_all()?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(new: &NewDataDir) {
        for (folder, file) in [(LOG, "segment"), ("index", "db")] {
            fs::create_dir(new.path().join(folder)).unwrap();
            fs::write(new.path().join(folder).join(file), "x").unwrap();
        }
    }

    fn refused(data: &Path) -> String {
        let failure = NewDataDir::begin(data).err().expect("it is refused");
        assert_eq!(failure.code, ExitStatus::Refused);
        failure.to_string()
    }

    #[test]
    fn it_is_made_whole_and_a_failed_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/b");
        let new = NewDataDir::begin(&data).unwrap();
        fill(&new);
        drop(new);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let new = NewDataDir::begin(&data).unwrap();
        fill(&new);
        assert!(!data.join(LOG).exists() && !data.join("index").exists());
        assert!(refuse_unfinished(&data).is_err(), "it cannot be opened yet");
        assert!(refused(&data).contains("under way"));
        assert!(data.exists(), "the second one took nothing away");
        new.finish().unwrap();
        refuse_unfinished(&data).unwrap();
        assert!(data.join("log/segment").exists() && data.join("index/db").exists());
        assert!(!data.join(GROWING).exists());
        assert!(refused(&data).contains("is not empty"));
    }

    #[test]
    fn what_a_killed_restore_left_is_taken_away_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        // Killed between the names: the index has its own, the log has not.
        for made in ["index", "restoring/log", "lost+found"] {
            fs::create_dir_all(data.join(made)).unwrap();
        }
        fs::write(data.join(GROWING).join(MARK), "index\nviews\n../../elsewhere\nlost+found\n").unwrap();
        fs::write(data.join("lost+found/kept"), "x").unwrap();
        assert!(refuse_unfinished(&data).is_err());
        let new = NewDataDir::begin(&data).unwrap();
        assert!(!data.join("index").exists() && !new.path().join(LOG).exists());
        fill(&new);
        new.finish().unwrap();
        assert!(data.join("log/segment").exists() && data.join("lost+found/kept").exists());

        let foreign = folder.path().join("foreign");
        fs::create_dir_all(foreign.join(GROWING)).unwrap();
        fs::write(foreign.join(GROWING).join("mine"), "x").unwrap();
        assert!(refused(&foreign).contains("restoring"));
        assert!(foreign.join(GROWING).join("mine").exists());
    }

    #[test]
    fn a_symlink_to_a_folder_is_filled_and_one_to_nothing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(refused(&link).contains("symlink to nothing"));
        fs::create_dir(&real).unwrap();
        let new = NewDataDir::begin(&link).unwrap();
        fill(&new);
        new.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && real.join("log/segment").exists());
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(refused(&file).contains("is no folder"));
    }
}
