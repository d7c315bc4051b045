//! Mending a book that cannot be opened: what is whole in it goes on, and the book as it was is kept beside it.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retailflow_engine::ports::Role;
use retailflow_testkit::simulated::BookEntry;

use super::book_file::{self, BookFileError, LINE_MAX_BYTES, Sequential, copy};
use retailflow_os::files::{DiskFile, Files, LockError};

/// Damaged books of one participant that are kept; with so many, somebody has to look.
const KEPT_MAX: u32 = 100;

/// What became of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRepair {
    /// Whole lines, which go on.
    pub lines: u64,
    /// Pieces that are no line of a book, and were left out.
    pub left_out: u64,
    /// The book as it was, where there was one.
    pub kept: Option<PathBuf>,
}

/// Makes of the book of `role` one that can be opened, of all its whole lines in their order. What was left out is in no book any
/// more: the participant has not heard of it, and `retailflow reconcile` says which steps that are.
///
/// # Errors
/// [`BookFileError`]: it cannot be read or written, or is in use. It is as it was then.
pub fn repair_book(files: &dyn Files, folder: &Path, role: Role) -> Result<BookRepair, BookFileError> {
    let path = book_file::path_of(folder, role);
    let failed = || BookFileError::io(&path);
    let _lock = files.try_lock(&folder.join("lock")).map_err(|error| match error {
        LockError::Held { holder } => BookFileError::InUse { folder: folder.to_owned(), holder },
        LockError::Io(cause) => failed()(cause),
    })?;
    let new_path = path.with_extension("book.new");
    // Of a mending that was broken off.
    match files.remove(&new_path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed()(error)),
        _ => {}
    }
    let new = files.create(&new_path, 0).map_err(failed())?;
    let copied = old(files, &path).and_then(|old| {
        let copied = old.map_or(Ok((0, 0, 0)), |old| copy_whole(old, &new));
        new.sync_data().and(copied)
    });
    let (lines, left_out, bytes) = match copied {
        Ok(copied) => copied,
        Err(error) => {
            drop(files.remove(&new_path));
            return Err(failed()(error));
        }
    };
    let kept = keep(files, folder, &path).map_err(failed())?;
    files.rename(&new_path, &path).and_then(|()| files.sync_dir(folder)).map_err(failed())?;
    // Last: until then the marks say that the book is not what it was.
    let mark = book_file::mark_path(&path);
    match files.remove(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(BookFileError::io(&mark)(error)),
        _ => {}
    }
    book_file::keep_mark(files, folder, role, bytes)?;
    Ok(BookRepair { lines, left_out, kept })
}

/// Copies the whole lines: how many, how many pieces are none, and how many bytes.
fn copy_whole(old: Arc<dyn DiskFile>, new: &Arc<dyn DiskFile>) -> io::Result<(u64, u64, u64)> {
    let mut reader = BufReader::with_capacity(1 << 16, Sequential { file: old, offset: 0 });
    let (mut lines, mut left_out, mut bytes) = (0, 0, 0u64);
    let (mut line, mut out) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        reader.by_ref().take(LINE_MAX_BYTES as u64).read_until(b'\n', &mut line)?;
        let at_end = line.is_empty();
        if !at_end && line.strip_suffix(b"\n").is_some_and(|line| BookEntry::decode(line).is_ok()) {
            lines += 1;
            out.extend_from_slice(&line);
        } else if !at_end {
            left_out += 1;
        }
        if out.len() >= LINE_MAX_BYTES || at_end {
            new.write_all_at(bytes, &out)?;
            bytes += out.len() as u64;
            out.clear();
        }
        if at_end {
            return Ok((lines, left_out, bytes));
        }
    }
}

/// The book, if it is there.
fn old(files: &dyn Files, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
    match files.open(path, false) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Copies the book as it is to another name. Not renamed: at each moment there is one, and a mending that is broken off is done again.
fn keep(files: &dyn Files, folder: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    let Some(book) = old(files, path)? else { return Ok(None) };
    for number in 1..=KEPT_MAX {
        let name = path.with_extension(format!("book.damaged-{number}"));
        let to = match files.create(&name, 0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        let copied = copy(&book, 0, book.size_bytes()?, &to).and_then(|()| files.sync_dir(folder));
        if copied.is_err() {
            drop(files.remove(&name));
        }
        return copied.map(|()| Some(name));
    }
    Err(io::Error::other(format!(
        "{KEPT_MAX} damaged books are kept already: look at them, and move them away"
    )))
}
