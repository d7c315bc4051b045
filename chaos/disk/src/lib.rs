//! A disk for real processes that keeps apart what was written and what is durable, and fails on demand.
//!
//! Invariant: after [`Disk::reboot`] a file has exactly what a successful sync covered, and of everything else, sector
//! by sector and name by name, what the seed says. A process sees it as an ordinary folder, through FUSE ([`Mount`]);
//! the model itself ([`Disk`]) knows nothing of FUSE.
//!
//! What it is faithful to, and the faults that tests here are about:
//! - *Clean after EIO*: a failed sync leaves its pages clean. Buffered reads go on giving what was written, later syncs
//!   succeed, and the disk has none of it. `O_DIRECT` reads give what is on the disk. (Linux since 4.13; see
//!   "Can Applications Recover from fsync Failures?", Rebello and others, 2020.)
//! - *A cut*: of each 512-byte sector that was not synced, the disk has the old or the new content, and one may be
//!   torn. Names that were not synced are there up to some moment, in order, as a journal keeps them.
//! - A disk that lies about its last sector, one that hangs, one that is full, a sector that cannot be read.
//!
//! What it has not: `mmap`, and `posix_fadvise`, which Linux does not pass on. Whoever relies on dropped pages reads the
//! cache here, as on a machine that does not follow the advice.

mod content;
mod disk;
mod fault;
mod names;
mod pages;
#[cfg(test)]
mod tests;

#[cfg(target_os = "linux")]
mod fuse;

pub use disk::Disk;
pub use fault::{Effect, Fault, Operation};
#[cfg(target_os = "linux")]
pub use fuse::Mount;
pub use pages::SECTOR_BYTES;
