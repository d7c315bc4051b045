//! Cutting a damaged log where it can no longer be believed. The cut bytes are kept beside it.
//!
//! Invariant: a byte is cleared only when a durable copy of it has its final name, and the marks of what was there go last. So
//! a repair that is broken off leaves a log that is refused, and can be run again.

use std::io;
use std::path::{Path, PathBuf};

use super::check::{CheckReport, Lost};
use super::durable;
use super::error::{LogError, Place};
use super::open::{clear, list, lock};
use super::scan::Scanner;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::unreadable::read_around;
use super::{LogOptions, Position, sector};
use retailflow_os::files::Files;

const COPY_BYTES: usize = 1 << 20;

/// What a repair would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairPlan {
    /// All from here on goes.
    pub cut_at: Position,
    /// What can be told about what goes.
    pub lost: Lost,
}

/// Why there is no repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RepairRefused {
    /// There is nothing to do.
    #[error("the log needs no repair")]
    NotNeeded,
    /// Something is of another version's format: it may be whole, and cutting it would lose it.
    #[error(
        "{0} is of another version's format and may be whole: nothing is cut. Use the RetailFlow that wrote it, or a newer one"
    )]
    OtherFormat(Place),
    /// The log's first frame is lost: nothing after it can be believed.
    #[error("the log's identity is lost: restore it from an export or a backup")]
    IdentityLost,
}

/// What a repair after `report` would cut. An unfinished last write needs none: opening takes it away.
///
/// # Errors
/// [`RepairRefused`].
pub fn plan(report: &CheckReport) -> Result<RepairPlan, RepairRefused> {
    if let Some(place) = report.other_format {
        return Err(RepairRefused::OtherFormat(place));
    }
    let Some(cut_at) = report.good_until.filter(|_| !report.is_sound()) else {
        return Err(RepairRefused::NotNeeded);
    };
    if cut_at <= Position::new(1, SEGMENT_HEADER_BYTES) {
        return Err(RepairRefused::IdentityLost);
    }
    Ok(RepairPlan { cut_at, lost: report.after })
}

/// Cuts the log in `dir`, which must not be open, and returns the files in which the cut bytes are kept.
///
/// # Errors
/// [`LogError`]: run it again.
pub fn apply(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    plan: &RepairPlan,
) -> Result<Vec<PathBuf>, LogError> {
    let _lock = lock(files, dir)?;
    let (numbers, _) = list(files, dir)?;
    let mut kept = Vec::new();
    let cut = plan.cut_at;
    let cuts_inside = cut.offset() >= SEGMENT_HEADER_BYTES;
    let inside = if cuts_inside { copy_tail(files, dir, options, cut, &mut kept)? } else { None };
    // The highest first: what is left is a log without a gap at any moment.
    for number in
        numbers.into_iter().rev().filter(|n| *n > cut.segment() || (*n == cut.segment() && !cuts_inside))
    {
        let from = Segment::path(dir, number);
        let to = free_name(files, dir, &format!("cut-{:016x}-segment-{number:016}", cut.0))?;
        files.rename(&from, &to).map_err(LogError::io("rename", &from))?;
        files.sync_dir(dir).map_err(LogError::io("sync", dir))?;
        kept.push(to);
    }
    if let Some((segment, bytes)) = inside {
        clear(&segment, cut, bytes)?;
    }
    // Last of all: while a mark says that more was there, nothing that finds this log half repaired calls it whole.
    durable::forget(files, dir)?;
    Ok(kept)
}

/// Copies what stands from `cut` to the end of its segment; answers the segment and the number of bytes.
fn copy_tail(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    cut: Position,
    kept: &mut Vec<PathBuf>,
) -> Result<Option<(Segment, u64)>, LogError> {
    let mut segment = Segment::open(files, dir, cut.segment(), true)?;
    // What the disk can't read is kept as what it reads as here; clearing it afterwards makes most disks well again.
    read_around(&mut segment);
    let start = sector::physical(cut.offset().into());
    let Some(last) = Scanner::new(&segment, options).last_nonzero(cut.offset())? else { return Ok(None) };
    let bytes = last + 1 - start;
    let to = free_name(files, dir, &format!("cut-{:016x}", cut.0))?;
    let temporary = to.with_extension("tmp");
    match files.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(LogError::io("remove", &temporary)(error));
        }
        _ => {}
    }
    let copy = files.create(&temporary, bytes).map_err(LogError::io("create", &temporary))?;
    let mut chunk = vec![0; COPY_BYTES];
    let mut done = 0;
    while done < bytes {
        let length = (bytes - done).min(COPY_BYTES as u64) as usize;
        let read = segment.file.read_full_at(start + done, &mut chunk[..length]);
        read.map_err(LogError::io("read", &segment.path))?;
        copy.write_all_at(done, &chunk[..length]).map_err(LogError::io("write", &temporary))?;
        done += length as u64;
    }
    copy.sync_data().map_err(LogError::io("sync", &temporary))?;
    files.rename(&temporary, &to).map_err(LogError::io("rename", &temporary))?;
    files.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    kept.push(to);
    Ok(Some((segment, bytes)))
}

/// A name that no earlier repair has taken.
fn free_name(files: &dyn Files, dir: &Path, stem: &str) -> Result<PathBuf, LogError> {
    let taken = files.list(dir).map_err(LogError::io("list", dir))?;
    let names = (1..).map(|n| if n == 1 { format!("{stem}.bin") } else { format!("{stem}-{n}.bin") });
    let free = names.take(taken.len() + 1).find(|name| !taken.contains(name));
    Ok(dir.join(free.unwrap_or_else(|| format!("{stem}-last.bin"))))
}
