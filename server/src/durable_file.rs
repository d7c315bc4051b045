//! Files that somebody would miss: at any moment the old one or the new one stands under the name, whole.
//!
//! Invariant: what is written stands beside its place under the name `FILE.new` until it is all there and synced; then it
//! takes the name, and the folder is synced, so that a power cut gives none of it back. Whatever fails before leaves
//! what stood under the name as it was.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Only the owner reads and writes: orders name customers.
const FILE_MODE: u32 = 0o600;
/// Only the owner looks into a folder.
const FOLDER_MODE: u32 = 0o700;
/// What is written gathers so many bytes.
const BUFFER_BYTES: usize = 1 << 18;

/// A file that is being written. Dropped before [`DurableFile::finish`], it leaves nothing behind.
pub struct DurableFile {
    sink: BufWriter<File>,
    /// Where it grows, and the name that it takes; none where it is written in place.
    place: Option<(PathBuf, PathBuf)>,
}

impl DurableFile {
    /// Begins a file that takes the name `path` at its end. A symlink stays, and the file that it leads to is replaced.
    /// What is no file (a pipe, a terminal) is written as it comes.
    ///
    /// # Errors
    /// What the system says; `ResourceBusy` when somebody else is writing the same file.
    pub fn create(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            let file = OpenOptions::new().write(true).open(path)?;
            return Ok(Self { sink: BufWriter::with_capacity(BUFFER_BYTES, file), place: None });
        }
        let path = target(path)?;
        let growing = beside(&path, ".new");
        let file = open_growing(&growing)?;
        Ok(Self { sink: BufWriter::with_capacity(BUFFER_BYTES, file), place: Some((growing, path)) })
    }

    /// As [`DurableFile::create`]; but where there is nothing to lose yet, it grows under its own name, to be read by
    /// others meanwhile, and what is there stays if it does not come to its end.
    ///
    /// # Errors
    /// As [`DurableFile::create`].
    pub fn create_growing(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() && found.len() > 0 => Self::create(path),
            Ok(found) if !found.is_file() => Self::create(path),
            _ => {
                let path = target(path)?;
                let file = private().write(true).create(true).truncate(true).open(&path)?;
                file.set_permissions(Permissions::from_mode(FILE_MODE))?;
                Ok(Self {
                    sink: BufWriter::with_capacity(BUFFER_BYTES, file),
                    place: Some((path.clone(), path)),
                })
            }
        }
    }

    /// Makes it durable and gives it its name.
    ///
    /// # Errors
    /// What the system says; what stood under the name is as it was, or whole and new where only the last sync failed.
    pub fn finish(mut self) -> io::Result<()> {
        self.sink.flush()?;
        let Some((growing, path)) = &self.place else { return Ok(()) };
        self.sink.get_ref().sync_all()?;
        if growing != path {
            fs::rename(growing, path)?;
        }
        let path = path.clone();
        self.place = None;
        sync_folder_of(&path)
    }
}

impl Write for DurableFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Drop for DurableFile {
    fn drop(&mut self) {
        if let Some((growing, path)) = &self.place
            && growing != path
        {
            drop(fs::remove_file(growing));
        }
    }
}

/// Puts `bytes` in a file's place.
///
/// # Errors
/// As [`DurableFile::finish`].
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = DurableFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// Makes a folder and those above it where they are missing, for the owner alone, durably.
///
/// # Errors
/// What the system says.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        // Whoever made it may have been killed before its name was durable.
        return match sync_folder_of(folder) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        };
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folders(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
        // The umask may have taken the owner's own bits.
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?,
    }
    sync_folder_of(folder)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes the name of `path` durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or_else(|| Path::new(".")))
}

/// The file's own path, behind symlinks: a rename would replace the link.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(io::Error::new(error.kind(), "it is a symlink to a file that is not there"))
            }
            found => found,
        },
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Ok(path.to_owned()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// The empty file at `path`, which is this process's until it is closed. What a killed one left there is taken over.
fn open_growing(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        let text = format!("{} is in the way and no file", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let file = private().write(true).create(true).truncate(false).open(path)?;
    let busy = || {
        let text = format!("another process is writing {}", path.display());
        io::Error::new(io::ErrorKind::ResourceBusy, text)
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever had it may just have given it its name: then this is their file.
    let (ours, named) = (file.metadata()?, fs::symlink_metadata(path));
    if !named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
        return Err(busy());
    }
    file.set_len(0)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        fs::write(&path, "old").unwrap();
        let mut file = DurableFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let second = DurableFile::create(&path).err().map(|error| error.kind());
        assert_eq!(second, Some(io::ErrorKind::ResourceBusy), "two writers");
        drop(file);
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"old".to_vec(), vec!["backup".into()])
        );
        // What a killed writer left is taken over.
        fs::write(folder.path().join("backup.new"), "a longer rest than what comes").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"new".to_vec(), vec!["backup".into()])
        );
        assert_eq!(mode(&path), FILE_MODE);
    }

    #[test]
    fn a_file_in_place_grows_there_and_an_older_one_is_replaced_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes");
        let mut file = DurableFile::create_growing(&path).unwrap();
        file.write_all(b"one").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        file.finish().unwrap();
        let mut file = DurableFile::create_growing(&path).unwrap();
        file.write_all(b"two").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        file.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), FILE_MODE));
    }

    #[test]
    fn links_stay_and_pipes_are_written_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        replace(Path::new("/dev/null"), b"gone").unwrap();
        fs::remove_file(&real).unwrap();
        assert!(replace(&link, b"new").is_err(), "a link to nothing is not followed into it");
        assert!(replace(folder.path(), b"new").is_err(), "a folder is no file");
    }

    #[test]
    fn folders_are_the_owners() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        create_folders(&deep).unwrap();
        create_folders(&deep).unwrap();
        assert_eq!((mode(&deep), mode(&folder.path().join("a"))), (FOLDER_MODE, FOLDER_MODE));
    }
}
