//! A disk that does what a test says.

use std::io;

use parking_lot::{Condvar, Mutex};

/// What becomes of writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disk {
    /// All are done.
    #[default]
    Well,
    /// No write and no sync succeeds, for this reason.
    Failing(rustix::io::Errno),
    /// The same, but the runs' files can be written: sled alone fails.
    FailingStore(rustix::io::Errno),
    /// No write and no sync comes back.
    Hanging,
}

/// What tests change while an index is open.
#[derive(Debug, Default)]
pub struct Faults {
    disk: Mutex<Disk>,
    changed: Condvar,
}

impl Faults {
    /// From now on, writes fare so; those that hang go on.
    pub fn set(&self, disk: Disk) {
        *self.disk.lock() = disk;
        self.changed.notify_all();
    }

    /// Before a write or a sync of a run's file.
    pub(super) fn file(&self) -> io::Result<()> {
        self.pass(false)
    }

    /// Before a write of sled.
    pub(super) fn store(&self) -> io::Result<()> {
        self.pass(true)
    }

    fn pass(&self, store: bool) -> io::Result<()> {
        let mut disk = self.disk.lock();
        loop {
            match *disk {
                Disk::Failing(errno) => return Err(errno.into()),
                Disk::FailingStore(errno) if store => return Err(errno.into()),
                Disk::Well | Disk::FailingStore(_) => return Ok(()),
                Disk::Hanging => self.changed.wait(&mut disk),
            }
        }
    }
}
