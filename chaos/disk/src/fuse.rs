//! The disk as a folder of this machine.
//!
//! Files are opened with `FOPEN_DIRECT_IO` and nothing is kept by the kernel: the cache is the model's.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::mount::{UnmountFlags, unmount};

use crate::disk::{Disk, Facts, Kind, Node};
use crate::pages::{PAGE_BYTES, SECTOR_BYTES};

/// Threads that answer: so many syncs can be held while others go on.
const THREADS: usize = 8;
/// Nothing is remembered by the kernel: after a cut it would be wrong.
const NOT_KEPT: Duration = Duration::ZERO;
const NAME_BYTES_MAX: u32 = 255;
/// As a file system with many files tells it; no number here is a limit.
const FILES: u64 = 1 << 20;

/// A disk that can be seen at a folder, as long as this lives.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
    _session: BackgroundSession,
}

impl Mount {
    /// Shows `disk` at `folder`, which exists. Needs `/dev/fuse`, and root or `fusermount3`.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(disk: &Disk, folder: &Path) -> io::Result<Self> {
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::FSName("retailflow-chaos-disk".into()), MountOption::NoAtime];
        config.n_threads = Some(THREADS);
        let session = fuser::spawn_mount(Volume(disk.clone()), folder, &config)?;
        Ok(Self { folder: folder.to_owned(), _session: session })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that still has files there must not keep the folder: detached, it goes with the last of them. Without
        // the right to do so, the session's own end does it.
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}

struct Volume(Disk);

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_i32(error.raw_os_error())
}

fn attributes(facts: &Facts) -> FileAttr {
    // The disk has no clock: it counts its changes.
    let changed = UNIX_EPOCH + Duration::from_secs(1) + Duration::from_millis(facts.changed);
    FileAttr {
        ino: INodeNo(facts.inode),
        size: facts.size,
        blocks: facts.room_bytes.div_ceil(SECTOR_BYTES as u64),
        atime: changed,
        mtime: changed,
        ctime: changed,
        crtime: changed,
        kind: kind(facts.kind),
        perm: facts.mode as u16,
        nlink: if facts.kind == Kind::Folder { 2 } else { 1 },
        uid: facts.owner.0,
        gid: facts.owner.1,
        rdev: 0,
        blksize: PAGE_BYTES as u32,
        flags: 0,
    }
}

fn kind(kind: Kind) -> FileType {
    match kind {
        Kind::Folder => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Link => FileType::Symlink,
    }
}

fn has(flags: OpenFlags, flag: OFlags) -> bool {
    flags.0 as u32 & flag.bits() == flag.bits()
}

fn owner(request: &Request) -> (u32, u32) {
    (request.uid(), request.gid())
}

fn entry(reply: ReplyEntry, facts: Result<Facts, rustix::io::Errno>) {
    match facts {
        Ok(facts) => reply.entry(&NOT_KEPT, &attributes(&facts), Generation(0)),
        Err(error) => reply.error(errno(error)),
    }
}

fn attribute(reply: ReplyAttr, facts: Result<Facts, rustix::io::Errno>) {
    match facts {
        Ok(facts) => reply.attr(&NOT_KEPT, &attributes(&facts)),
        Err(error) => reply.error(errno(error)),
    }
}

fn done(reply: ReplyEmpty, result: Result<(), rustix::io::Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

impl Filesystem for Volume {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.0.find(parent.0, name));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attribute(reply, self.0.facts(ino.0));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        attribute(reply, self.0.change(ino.0, size, mode, (uid, gid)));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.0.link_target(ino.0) {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mkdir(&self, of: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        entry(reply, self.0.create(parent.0, name, Node::Folder, mode, owner(of), 0));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.0.remove(parent.0, name, false));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.0.remove(parent.0, name, true));
    }

    fn symlink(&self, of: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        entry(reply, self.0.create(parent.0, name, Node::Link(target.to_owned()), 0o777, owner(of), 0));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let known = RenameFlags::RENAME_NOREPLACE;
        if !known.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        let replace = !flags.contains(known);
        done(reply, self.0.rename((parent.0, name), (new_parent.0, new_name), replace));
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.open(ino.0) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn create(
        &self,
        of: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.0.create(parent.0, name, Node::File(Default::default()), mode, owner(of), 1) {
            Ok(facts) => {
                let attributes = attributes(&facts);
                let flags = FopenFlags::FOPEN_DIRECT_IO;
                reply.created(&NOT_KEPT, &attributes, Generation(0), FileHandle(0), flags);
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.read(ino.0, offset, size as usize, has(flags, OFlags::DIRECT)) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut written = self.0.write(ino.0, offset, data, has(flags, OFlags::DIRECT));
        if written.is_ok() && has(flags, OFlags::DSYNC) {
            written = self.0.sync(ino.0);
        }
        match written {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.close(ino.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(reply, self.0.sync(ino.0));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(reply, self.0.sync_folder(ino.0));
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = match self.0.list(ino.0) {
            Ok(entries) => entries,
            Err(error) => return reply.error(errno(error)),
        };
        let own = [".", ".."].map(|name| (name.into(), ino.0, FileType::Directory));
        let others = entries.into_iter().map(|(name, facts)| (name, facts.inode, kind(facts.kind)));
        for (at, (name, inode, kind)) in own.into_iter().chain(others).enumerate().skip(offset as usize) {
            if reply.add(INodeNo(inode), at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let unit = PAGE_BYTES as u64;
        let (room, free) = self.0.room();
        let (room, free) = (room / unit, free / unit);
        reply.statfs(room, free, free, FILES, FILES, PAGE_BYTES as u32, NAME_BYTES_MAX, PAGE_BYTES as u32);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let keep_size = FallocateFlags::KEEP_SIZE.bits() as i32;
        if mode & !keep_size != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        done(reply, self.0.reserve(ino.0, offset + length, mode & keep_size != 0));
    }
}
