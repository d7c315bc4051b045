//! The disk: files, names, power, and what a kernel does between a process and them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::io::Errno;

use crate::content::{Content, SyncEnd};
use crate::fault::{Effect, Fault, Faults, Operation};
use crate::names::Names;
use crate::pages::SECTOR_BYTES;

/// The inode of the root, as FUSE numbers it.
pub(crate) const ROOT: u64 = 1;
/// Room of the whole disk, as far as it tells.
pub(crate) const ROOM_BYTES: u64 = 1 << 34;

/// What an inode is.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Folder,
    File(Content),
    Link(PathBuf),
}

#[derive(Debug, Clone)]
struct Inode {
    node: Node,
    mode: u32,
    owner: (u32, u32),
    /// When it was last changed, by the disk's own count of changes.
    changed: u64,
    opened: u64,
}

/// What is told about an inode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) inode: u64,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) room_bytes: u64,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) changed: u64,
}

/// Of what kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
    Link,
}

#[derive(Debug)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: Names,
    faults: Faults,
    rng: fastrand::Rng,
    next: u64,
    changes: u64,
    off: bool,
    full: bool,
    /// Syncs of paths with this part do not return.
    held: Option<String>,
    holding: u64,
}

/// A disk. Clones share it.
#[derive(Debug, Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

/// For processes: what FUSE asks for.
impl Disk {
    pub(crate) fn find(&self, folder: u64, name: &OsStr) -> Result<Facts, Errno> {
        let state = self.powered()?;
        let inode = state.names.find(folder, name).ok_or(Errno::NOENT)?;
        state.facts(inode)
    }

    pub(crate) fn facts(&self, inode: u64) -> Result<Facts, Errno> {
        self.powered()?.facts(inode)
    }

    pub(crate) fn list(&self, folder: u64) -> Result<Vec<(OsString, Facts)>, Errno> {
        let state = self.powered()?;
        let names = state.names.list(folder);
        names.map(|(name, inode)| Ok((name.to_owned(), state.facts(inode)?))).collect()
    }

    pub(crate) fn link_target(&self, inode: u64) -> Result<PathBuf, Errno> {
        match &self.powered()?.inode(inode)?.node {
            Node::Link(target) => Ok(target.clone()),
            Node::Folder | Node::File(_) => Err(Errno::INVAL),
        }
    }

    pub(crate) fn create(
        &self,
        folder: u64,
        name: &OsStr,
        node: Node,
        mode: u32,
        owner: (u32, u32),
        opened: u64,
    ) -> Result<Facts, Errno> {
        let mut state = self.powered()?;
        if state.names.find(folder, name).is_some() {
            return Err(Errno::EXIST);
        }
        if state.full {
            return Err(Errno::NOSPC);
        }
        let number = state.next;
        state.next += 1;
        let inode = Inode { node, mode: mode & 0o7777, owner, changed: 0, opened };
        state.inodes.insert(number, inode);
        state.names.change(vec![((folder, name.to_owned()), Some(number))]);
        state.touch(number);
        state.facts(number)
    }

    pub(crate) fn remove(&self, folder: u64, name: &OsStr, is_folder: bool) -> Result<(), Errno> {
        let mut state = self.powered()?;
        let inode = state.names.find(folder, name).ok_or(Errno::NOENT)?;
        match (is_folder, matches!(state.inode(inode)?.node, Node::Folder)) {
            (true, false) => return Err(Errno::NOTDIR),
            (false, true) => return Err(Errno::ISDIR),
            (true, true) if state.names.list(inode).next().is_some() => return Err(Errno::NOTEMPTY),
            (true, true) | (false, false) => {}
        }
        state.names.change(vec![((folder, name.to_owned()), None)]);
        state.forget();
        Ok(())
    }

    pub(crate) fn rename(&self, from: (u64, &OsStr), to: (u64, &OsStr), replace: bool) -> Result<(), Errno> {
        let mut state = self.powered()?;
        let inode = state.names.find(from.0, from.1).ok_or(Errno::NOENT)?;
        match state.names.find(to.0, to.1) {
            Some(there) if there == inode => return Ok(()),
            Some(_) if !replace => return Err(Errno::EXIST),
            Some(there) if state.names.list(there).next().is_some() => return Err(Errno::NOTEMPTY),
            _ => {}
        }
        let (from, to) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        state.names.change(vec![(from, None), (to, Some(inode))]);
        state.forget();
        Ok(())
    }

    pub(crate) fn change(
        &self,
        inode: u64,
        size: Option<u64>,
        mode: Option<u32>,
        owner: (Option<u32>, Option<u32>),
    ) -> Result<Facts, Errno> {
        let mut state = self.powered()?;
        state.touch(inode);
        let found = state.inodes.get_mut(&inode).ok_or(Errno::NOENT)?;
        if let Some(size) = size {
            let Node::File(content) = &mut found.node else { return Err(Errno::ISDIR) };
            content.set_len(size);
        }
        found.mode = mode.map_or(found.mode, |mode| mode & 0o7777);
        found.owner = (owner.0.unwrap_or(found.owner.0), owner.1.unwrap_or(found.owner.1));
        state.facts(inode)
    }

    pub(crate) fn open(&self, inode: u64) -> Result<(), Errno> {
        let mut state = self.powered()?;
        state.inodes.get_mut(&inode).ok_or(Errno::NOENT)?.opened += 1;
        Ok(())
    }

    /// Even without power: processes are killed then.
    pub(crate) fn close(&self, inode: u64) {
        let mut state = self.state.lock();
        if let Some(found) = state.inodes.get_mut(&inode) {
            found.opened = found.opened.saturating_sub(1);
        }
        state.forget();
    }

    pub(crate) fn read(
        &self,
        inode: u64,
        offset: u64,
        length: usize,
        direct: bool,
    ) -> Result<Vec<u8>, Errno> {
        let mut state = self.powered()?;
        let unit = SECTOR_BYTES as u64;
        if direct && !(offset.is_multiple_of(unit) && (length as u64).is_multiple_of(unit)) {
            return Err(Errno::INVAL);
        }
        state.strike(Operation::Read, inode)?;
        state.content(inode)?.read(offset, length, direct)
    }

    pub(crate) fn write(&self, inode: u64, offset: u64, bytes: &[u8], direct: bool) -> Result<(), Errno> {
        let mut state = self.powered()?;
        let unit = SECTOR_BYTES as u64;
        if direct && !(offset.is_multiple_of(unit) && (bytes.len() as u64).is_multiple_of(unit)) {
            return Err(Errno::INVAL);
        }
        let after = state.strike(Operation::Write, inode)?;
        let full = state.full;
        state.content(inode)?.write(offset, bytes, full)?;
        state.touch(inode);
        state.end(after)
    }

    pub(crate) fn reserve(&self, inode: u64, end: u64, keep_size: bool) -> Result<(), Errno> {
        let mut state = self.powered()?;
        let full = state.full;
        state.content(inode)?.reserve(end, keep_size, full)
    }

    pub(crate) fn sync(&self, inode: u64) -> Result<(), Errno> {
        let mut state = self.powered()?;
        let path = state.path(inode);
        while state.held.as_ref().is_some_and(|held| path.contains(held)) {
            state.holding += 1;
            self.changed.notify_all();
            self.changed.wait(&mut state);
            state.holding -= 1;
        }
        if state.off {
            return Err(Errno::IO);
        }
        let after = state.faults.strike(Operation::Sync, &path);
        let end = match after {
            Some(Effect::PowerOff) => return Err(state.power_off()),
            Some(Effect::Lie) => return Ok(()),
            Some(Effect::Fail { written_percent }) => SyncEnd::Clean { written_percent },
            Some(Effect::LoseLastSector) => SyncEnd::LastSectorLost,
            Some(Effect::PowerOffAfter) | None => SyncEnd::Durable,
        };
        let State { inodes, rng, .. } = &mut *state;
        if let Some(Inode { node: Node::File(content), .. }) = inodes.get_mut(&inode) {
            content.sync(end, rng);
        }
        self.changed.notify_all();
        if matches!(end, SyncEnd::Clean { .. }) { Err(Errno::IO) } else { state.end(after) }
    }

    pub(crate) fn sync_folder(&self, folder: u64) -> Result<(), Errno> {
        let mut state = self.powered()?;
        let after = state.strike(Operation::SyncFolder, folder)?;
        if after == Some(Effect::Lie) {
            return Ok(());
        }
        state.names.sync(folder);
        state.end(after)
    }

    pub(crate) fn room(&self) -> (u64, u64) {
        let state = self.state.lock();
        let files = state.inodes.values().filter_map(|inode| match &inode.node {
            Node::File(content) => Some(content.room_bytes()),
            Node::Folder | Node::Link(_) => None,
        });
        let used: u64 = files.sum();
        (ROOM_BYTES, if state.full { 0 } else { ROOM_BYTES.saturating_sub(used) })
    }

    fn powered(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.state.lock();
        if state.off { Err(Errno::IO) } else { Ok(state) }
    }
}

/// For tests: what goes wrong.
impl Disk {
    /// An empty disk; `seed` decides what a failing sync still writes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let root = Inode { node: Node::Folder, mode: 0o755, owner: (0, 0), changed: 0, opened: 0 };
        let state = State {
            inodes: BTreeMap::from([(ROOT, root)]),
            names: Names::default(),
            faults: Faults::default(),
            rng: fastrand::Rng::with_seed(seed),
            next: ROOT + 1,
            changes: 0,
            off: false,
            full: false,
            held: None,
            holding: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }

    /// Puts a fault in wait, beside those that are.
    pub fn arm(&self, fault: Fault) {
        self.state.lock().faults.arm(fault);
    }

    /// Takes all faults back that have not struck.
    pub fn disarm(&self) {
        self.state.lock().faults.disarm();
    }

    /// Whether no fault is in wait: all have struck as often as they should.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state.lock().faults.is_idle()
    }

    /// How often faults have struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.state.lock().faults.struck
    }

    /// Whether there is room: without it nothing new is taken, and what has its room already is.
    pub fn set_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// Lets no sync return of files with this part in their path, until [`Disk::release`].
    pub fn hold_syncs(&self, path: &str) {
        self.state.lock().held = Some(path.to_owned());
    }

    /// Lets held syncs go on.
    pub fn release(&self) {
        self.state.lock().held = None;
        self.changed.notify_all();
    }

    /// Waits until a sync is held; whether that came to be within `bound`.
    #[must_use]
    pub fn wait_for_held_sync(&self, bound: Duration) -> bool {
        let mut state = self.state.lock();
        !self.changed.wait_while_for(&mut state, |state| state.holding == 0, bound).timed_out()
    }

    /// Cuts the power: from now on everything fails, and nothing becomes durable. Also releases what is held.
    pub fn power_off(&self) {
        let mut state = self.state.lock();
        state.power_off();
        state.held = None;
        self.changed.notify_all();
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// Makes all that is dirty durable, as a kernel does after a while.
    pub fn write_back(&self) {
        let mut state = self.state.lock();
        let State { inodes, names, rng, .. } = &mut *state;
        for (&number, inode) in inodes.iter_mut() {
            match &mut inode.node {
                Node::File(content) => content.sync(SyncEnd::Durable, rng),
                Node::Folder => names.sync(number),
                Node::Link(_) => {}
            }
        }
    }

    /// Drops all that is not durable, and gives power again. `seed` decides for each sector and name that was not
    /// synced; some seeds keep all of these, some nothing, for the extremes find other faults than the middle.
    ///
    /// Every process that has files of it open must have ended.
    pub fn reboot(&self, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let new_percent = [50, 0, 100, 10, 90][(seed % 5) as usize];
        let mut state = self.state.lock();
        let state = &mut *state;
        state.names.cut(new_percent, &mut rng);
        state.forget();
        for inode in state.inodes.values_mut() {
            if let Node::File(content) = &mut inode.node {
                content.cut(new_percent, &mut rng);
            }
        }
        state.faults.disarm();
        (state.off, state.held) = (false, None);
        self.changed.notify_all();
    }

    /// Makes a sector of a file unreadable until it is written; false when there is no such file.
    pub fn spoil(&self, path: &Path, sector: u64) -> bool {
        let mut state = self.state.lock();
        let mut inode = ROOT;
        for name in path {
            match state.names.find(inode, name) {
                Some(found) => inode = found,
                None => return false,
            }
        }
        state.content(inode).map(|content| content.spoil(sector)).is_ok()
    }
}

impl State {
    fn inode(&self, inode: u64) -> Result<&Inode, Errno> {
        self.inodes.get(&inode).ok_or(Errno::NOENT)
    }

    fn content(&mut self, inode: u64) -> Result<&mut Content, Errno> {
        match self.inodes.get_mut(&inode).map(|found| &mut found.node) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Folder | Node::Link(_)) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    fn facts(&self, inode: u64) -> Result<Facts, Errno> {
        let found = self.inode(inode)?;
        let (kind, size, room_bytes) = match &found.node {
            Node::Folder => (Kind::Folder, 0, 0),
            Node::File(content) => (Kind::File, content.size, content.room_bytes()),
            Node::Link(target) => (Kind::Link, target.as_os_str().len() as u64, 0),
        };
        let Inode { mode, owner, changed, .. } = *found;
        Ok(Facts { inode, kind, size, room_bytes, mode, owner, changed })
    }

    /// From the root, beginning with a slash; of what has no name any more, empty.
    fn path(&self, mut inode: u64) -> String {
        let mut names = Vec::new();
        while inode != ROOT {
            let Some((folder, name)) = self.names.place(inode) else { return String::new() };
            names.push(name.to_string_lossy());
            inode = *folder;
        }
        names.iter().rev().flat_map(|name| ["/", name]).collect()
    }

    /// What a fault makes of this operation: an error, or something that comes after it.
    fn strike(&mut self, at: Operation, inode: u64) -> Result<Option<Effect>, Errno> {
        if self.faults.is_idle() {
            return Ok(None);
        }
        let path = self.path(inode);
        match self.faults.strike(at, &path) {
            Some(Effect::Fail { .. }) => Err(Errno::IO),
            Some(Effect::PowerOff) => Err(self.power_off()),
            effect => Ok(effect),
        }
    }

    fn end(&mut self, after: Option<Effect>) -> Result<(), Errno> {
        if after == Some(Effect::PowerOffAfter) { Err(self.power_off()) } else { Ok(()) }
    }

    fn power_off(&mut self) -> Errno {
        self.off = true;
        Errno::IO
    }

    fn touch(&mut self, inode: u64) {
        self.changes += 1;
        if let Some(found) = self.inodes.get_mut(&inode) {
            found.changed = self.changes;
        }
    }

    /// Forgets files without a name that nobody has open.
    fn forget(&mut self) {
        let named = self.names.named();
        self.inodes.retain(|number, inode| *number == ROOT || inode.opened > 0 || named.contains(number));
    }
}
