//! The real file system.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::process::{Resource, Rlimit};

use super::{DiskFile, Files, LockError, LockGuard};

/// For an open file to be there, where others hold them all.
const FILE_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks for one.
const FILE_LOOK: Duration = Duration::from_millis(5);

fn is_out_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

/// How room for a new file is reserved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preallocate {
    /// `fallocate`: at once, but the first sync of each block then goes through the file system's journal. Measured
    /// on ext4: groups of 16 records at p50 0.21 ms, against 0.14 ms with zeros written; beside other writers the
    /// distance grows to 4 ms against 0.16 ms.
    Reserve,
    /// Zeros are written: costs the writing of the file once, and syncs are then plain overwrites.
    #[default]
    WriteZeros,
}

/// `std::fs` with `fallocate`, `fdatasync` and advisory locks.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles {
    /// How room is reserved.
    pub preallocate: Preallocate,
}

/// Lets this process have as many open files as the system allows it; answers how many. Connections and segments both
/// need some, and the usual limit is that of a shell.
pub fn raise_open_files() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

/// A lock that is held is tried again so often, in case that somebody only looks at it.
const LOOKERS_MAX: usize = 10;
/// How long a look may take.
const LOOK_TIME: Duration = Duration::from_millis(1);

/// What is stored is the owner's alone, whatever the umask.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

struct RealFile(File);

struct RealLock {
    _file: File,
    _dir: Option<File>,
}

impl LockGuard for RealLock {}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn read_past_cache_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        let flags = OFlags::DIRECT.bits().cast_signed();
        let Ok(direct) = OpenOptions::new().read(true).custom_flags(flags).open(path) else {
            return Ok(None);
        };
        // Offset, length and memory in whole blocks, as direct reads want them.
        let first = offset / BLOCK_BYTES * BLOCK_BYTES;
        let end = (offset + buffer.len() as u64).div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
        let length = usize::try_from(end - first).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut memory = vec![0; length + BLOCK_BYTES as usize];
        let aligned = memory.as_ptr().align_offset(BLOCK_BYTES as usize);
        let Some(blocks) = memory.get_mut(aligned..aligned + length) else { return Ok(None) };
        let read = match direct.read_at(blocks, first) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
            read => read?,
        };
        let skipped = (offset - first) as usize;
        let there = blocks[..read].get(skipped..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(Some(length))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}

/// The unit of direct reads, in bytes: no disk has larger ones.
const BLOCK_BYTES: u64 = 4096;

static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
/// Zeros are written in the background of commits: without pauses their sync would hold up those of the commits.
const SYNC_EVERY_BYTES: u64 = 1 << 20;

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let mut offset = 0;
    while offset < bytes {
        let length = usize::try_from(bytes - offset).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..length], offset)?;
        offset += length as u64;
        if offset.is_multiple_of(SYNC_EVERY_BYTES) {
            file.sync_data()?;
        }
    }
    Ok(())
}

impl RealFiles {
    fn reserve(self, file: &File, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        // Reserved first in both modes: that is where a full disk says so at once.
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) if self.preallocate == Preallocate::Reserve => Ok(()),
            // Some file systems cannot reserve; zeros do the same, slower.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write_zeros(file, bytes),
            Err(error) => Err(error.into()),
        }
    }
}

impl Files for RealFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        // Whatever they are: a link in the place of a file must not look as if there were none.
        for entry in std::fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if dir.is_dir() {
            // Whoever made it may have been killed before its name was durable.
            return match self.sync_dir(parent.unwrap_or_else(|| Path::new("."))) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            };
        }
        if let Some(parent) = parent {
            self.create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent.unwrap_or_else(|| Path::new(".")))
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        if let Err(error) = self.reserve(&file, bytes) {
            // Without its room the file is of no use, and it would hold what little room there is.
            drop(std::fs::remove_file(path));
            return Err(error);
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        // A pipe would be waited for, without an end.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let opened = OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path);
        let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => io::Error::other(
                "it is a symbolic link, and only files themselves are believed here: put the file in its place",
            ),
            _ => error,
        })?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file: put the file itself in its place"));
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Nothing was tried yet where there is no file to open the folder by: who waits for one loses nothing, while a folder that
        // is not synced after a file was made in it ends the log.
        let until = Instant::now() + FILE_WITHIN;
        loop {
            match File::open(dir) {
                Err(error) if is_out_of_files(&error) && Instant::now() < until => thread::sleep(FILE_LOOK),
                opened => return opened?.sync_all(),
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn try_lock(&self, path: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        // The folder first: a lock file can be deleted under its holder and made anew, the folder cannot while it is in use.
        let dir = lock_dir(path)?;
        let mut file = options.open(path)?;
        if !matches!(dir, Locked::ByOther) && patiently(|| file.try_lock())? {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())?;
            let _dir = match dir {
                Locked::Ours(dir) => Some(dir),
                _ => None,
            };
            return Ok(Box::new(RealLock { _file: file, _dir }));
        }
        let mut holder = String::new();
        (&mut file).take(64).read_to_string(&mut holder)?;
        let holder = if holder.is_empty() { "unknown".into() } else { holder };
        Err(LockError::Held { holder })
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        for looked_at in [path.parent().filter(|dir| !dir.as_os_str().is_empty()), Some(path)] {
            let Some(looked_at) = looked_at else { continue };
            let file = match File::open(looked_at) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            // Linux has no way to look at such a lock without taking it. Shared, so that lookers do not see each other; given
            // back when the file is closed, a moment later.
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(true),
                Err(TryLockError::Error(_)) if looked_at != path => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Whether the folder of a lock file is locked.
enum Locked {
    Ours(File),
    ByOther,
    /// The file system locks no folders: then the lock file alone counts.
    Cannot,
}

fn lock_dir(path: &Path) -> io::Result<Locked> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let dir = File::open(dir)?;
    Ok(match patiently(|| dir.try_lock()) {
        Ok(true) => Locked::Ours(dir),
        Ok(false) => Locked::ByOther,
        Err(_) => Locked::Cannot,
    })
}

/// Takes a lock, if need be a few times: it may be held by someone who only looks ([`Files::is_locked`]) and is gone at
/// once. Says whether it was had.
fn patiently(mut lock: impl FnMut() -> Result<(), TryLockError>) -> io::Result<bool> {
    for _ in 0..LOOKERS_MAX {
        match lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_TIME),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (files, dir) = (RealFiles::default(), folder.path().join("a/b"));
        files.create_dir_all(&dir).unwrap();
        files.create(&dir.join("file"), 10).unwrap();
        let _lock = files.try_lock(&dir.join("lock")).unwrap();
        assert_eq!([mode(&dir), mode(&folder.path().join("a"))], [0o700; 2]);
        assert_eq!([mode(&dir.join("file")), mode(&dir.join("lock"))], [0o600; 2]);
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for writable in [false, true] {
            let error = RealFiles::default().open(&pipe, writable).err().unwrap();
            assert!(error.to_string().contains("no file"), "{error}");
        }
        assert!(RealFiles::default().open(folder.path(), false).is_err());
    }

    #[test]
    fn a_lock_holds_although_its_file_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let (files, path) = (RealFiles::default(), folder.path().join("lock"));
        let lock = files.try_lock(&path).unwrap();
        assert!(files.is_locked(&path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(files.is_locked(&path).unwrap(), "followers see the writer, too");
        for _ in 0..2 {
            assert!(matches!(files.try_lock(&path), Err(LockError::Held { .. })));
        }
        drop(lock);
        assert!(!files.is_locked(&path).unwrap());
        drop(files.try_lock(&path).unwrap());
    }
}
