//! A book's file: opening it, reading it, and what a crash or a power cut left at its end.
//!
//! Invariant: nothing of a book is taken away in silence. What was written behind the last point known to be on disk may
//! be torn by a power cut: it is kept in a file beside the book, told, and cut off. Anything else that cannot be read
//! is damage, and the book is not opened.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retailflow_engine::ports::Role;
use retailflow_testkit::simulated::{BookEntry, BookError};

use retailflow_os::files::{DiskFile, Files};

/// Longest line of a book, in bytes: an order has at most a thousand lines.
pub(super) const LINE_MAX_BYTES: usize = 1 << 20;
/// Torn ends of one book that are kept; with so many, somebody has to look.
const TORN_MAX: u32 = 100;

/// A book that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BookFileError {
    /// It cannot be read or written.
    #[error("the book {path} cannot be used: {cause}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line before its end is not what was written.
    #[error(
        "the book {path} is damaged at line {line}: {cause}. `retailflow repair` leaves such lines out, and keeps the book as it is \
         beside it"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
        /// How.
        cause: BookError,
    },
    /// It holds something, and no line of a book.
    #[error(
        "the book {path} has {bytes} bytes and not one whole line: it is left as it is. Move it away to begin a new one, \
         as `retailflow repair` does"
    )]
    NoWholeLine {
        /// Which.
        path: PathBuf,
        /// How long it is.
        bytes: u64,
    },
    /// It ends before what was known to be on disk: an older copy, or its end is gone.
    #[error(
        "the book {path} ends at byte {whole_bytes} and was on disk up to byte {synced_bytes}: this is an older copy, or its \
         end is lost. To go on with it all the same, `retailflow repair`; `retailflow reconcile` says then what is missing"
    )]
    Behind {
        /// Which.
        path: PathBuf,
        /// Where its last whole line ends.
        whole_bytes: u64,
        /// Up to where it was on disk.
        synced_bytes: u64,
    },
    /// Somebody else writes these books.
    #[error("the books in {folder} are in use by process {holder}")]
    InUse {
        /// Where.
        folder: PathBuf,
        /// By whom.
        holder: String,
    },
}

impl BookFileError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { path, cause }
    }
}

pub(super) fn path_of(folder: &Path, role: Role) -> PathBuf {
    folder.join(format!("{}.book", role.as_str()))
}

/// How a book ended when it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BookEnd {
    /// It is there.
    pub exists: bool,
    /// Bytes of its whole lines.
    pub whole_bytes: u64,
    /// Bytes behind them, which are no part of it: a write that a crash cut off.
    pub torn_bytes: u64,
}

/// Reads a book from its start on.
pub(super) struct Sequential {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) offset: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Reads a book to its end. A book that is not there is empty.
pub(super) fn read(
    files: &dyn Files,
    folder: &Path,
    role: Role,
    take: &mut dyn FnMut(BookEntry),
) -> Result<BookEnd, BookFileError> {
    let path = path_of(folder, role);
    let file = match files.open(&path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A mark of what was in it is no book that was never made.
            return match synced_bytes(files, &path)?.filter(|synced| *synced > 0) {
                Some(synced_bytes) => Err(BookFileError::Behind { path, whole_bytes: 0, synced_bytes }),
                None => Ok(BookEnd::default()),
            };
        }
        Err(cause) => return Err(BookFileError::Io { path, cause }),
    };
    let size = file.size_bytes().map_err(BookFileError::io(&path))?;
    let mut reader = BufReader::with_capacity(1 << 16, Sequential { file, offset: 0 });
    let synced = synced_bytes(files, &path)?;
    let mut end = BookEnd { exists: true, ..BookEnd::default() };
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = reader.by_ref().take(LINE_MAX_BYTES as u64).read_until(b'\n', &mut bytes);
        read.map_err(BookFileError::io(&path))?;
        if bytes.is_empty() {
            break;
        }
        let entry = bytes.strip_suffix(b"\n").map(BookEntry::decode);
        match entry {
            Some(Ok(entry)) => take(entry),
            // Behind what is known to be on disk a power cut may leave anything.
            _ if synced.is_some_and(|synced| synced <= end.whole_bytes) => break,
            Some(Err(cause)) => return Err(BookFileError::Damaged { path, line, cause }),
            None if bytes.len() < LINE_MAX_BYTES => break,
            None => {
                return Err(BookFileError::Damaged { path, line, cause: BookError::Field("a line's end") });
            }
        }
        end.whole_bytes += bytes.len() as u64;
    }
    if let Some(synced_bytes) = synced.filter(|synced| *synced > end.whole_bytes) {
        return Err(BookFileError::Behind { path, whole_bytes: end.whole_bytes, synced_bytes });
    }
    end.torn_bytes = size.saturating_sub(end.whole_bytes);
    if end.whole_bytes == 0 && end.torn_bytes > 0 && synced.is_none() {
        return Err(BookFileError::NoWholeLine { path, bytes: end.torn_bytes });
    }
    Ok(end)
}

/// Opens a book for writing, behind its last whole line; makes one that is not there.
pub(super) fn open(
    files: &dyn Files,
    folder: &Path,
    role: Role,
    take: &mut dyn FnMut(BookEntry),
) -> Result<(Arc<dyn DiskFile>, u64), BookFileError> {
    let path = path_of(folder, role);
    let end = read(files, folder, role, take)?;
    let failed = || BookFileError::io(&path);
    if !end.exists {
        let file = files.create(&path, 0).map_err(failed())?;
        file.sync_data().map_err(failed())?;
        keep_mark(files, folder, role, 0)?;
        return Ok((file, 0));
    }
    let file = files.open(&path, true).map_err(failed())?;
    if end.torn_bytes > 0 {
        let kept = keep_torn(files, folder, &path, &file, end).map_err(failed())?;
        file.set_len(end.whole_bytes).map_err(failed())?;
        tracing::warn!(
            event = "book_torn",
            book = %path.display(),
            bytes = end.torn_bytes,
            kept = %kept.display(),
            "the end of a participant's book was torn by a crash; it is kept in a file of its own"
        );
    }
    // What was written last is answered from now. It may be in memory only, and a sync alone does not change that when its
    // write-back failed once: the pages count as clean. So it is written again.
    let synced = synced_bytes(files, &path)?.unwrap_or(0);
    write_again(&file, synced.min(end.whole_bytes), end.whole_bytes).map_err(failed())?;
    keep_mark(files, folder, role, end.whole_bytes)?;
    Ok((file, end.whole_bytes))
}

/// Writes the bytes from `start` to `end` once more, as they are, and syncs them.
fn write_again(book: &Arc<dyn DiskFile>, start: u64, end: u64) -> io::Result<()> {
    let mut piece = vec![0; LINE_MAX_BYTES];
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
        let read = book.read_full_at(at, &mut piece[..length])?;
        if read == 0 {
            break;
        }
        book.write_all_at(at, &piece[..read])?;
        at += read as u64;
    }
    book.sync_data()
}

/// Copies what is cut off into a file beside the book, durably.
fn keep_torn(
    files: &dyn Files,
    folder: &Path,
    path: &Path,
    book: &Arc<dyn DiskFile>,
    end: BookEnd,
) -> io::Result<PathBuf> {
    let mut kept = None;
    for number in 1..=TORN_MAX {
        let name = path.with_extension(format!("book.torn-{number}"));
        match files.create(&name, 0) {
            Ok(file) => {
                kept = Some((name, file));
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    let (name, to) = kept.ok_or_else(|| {
        io::Error::other(format!(
            "{TORN_MAX} torn ends of it are kept already: look at them, and move them away"
        ))
    })?;
    let copied = copy(book, end.whole_bytes, end.torn_bytes, &to).and_then(|()| files.sync_dir(folder));
    if copied.is_err() {
        // Each start on a full disk would leave one behind, until there are too many.
        drop(files.remove(&name));
    }
    copied.map(|()| name)
}

/// Copies `bytes` bytes from `start` on, durably.
pub(super) fn copy(
    book: &Arc<dyn DiskFile>,
    start: u64,
    bytes: u64,
    to: &Arc<dyn DiskFile>,
) -> io::Result<()> {
    let mut piece = vec![0; LINE_MAX_BYTES];
    let mut copied = 0;
    while copied < bytes {
        let read = book.read_full_at(start + copied, &mut piece)?;
        if read == 0 {
            break;
        }
        to.write_all_at(copied, &piece[..read])?;
        copied += read as u64;
    }
    to.sync_data()
}

pub(super) fn mark_path(book: &Path) -> PathBuf {
    book.with_extension("book.synced")
}

/// Where the mark stands that is synced when a book is opened, in bytes: in another sector than the one that is written
/// while it is used, which a power cut may tear. Behind a mark a power cut may leave anything, and before it nothing else
/// than what was written: so there is always one.
const KEPT_MARK_AT: u64 = 512;

/// Keeps, durably, how far a book is on disk now.
pub(super) fn keep_mark(
    files: &dyn Files,
    folder: &Path,
    role: Role,
    synced_bytes: u64,
) -> Result<(), BookFileError> {
    let mark = open_mark(files, folder, role)?;
    let kept = mark.write_all_at(KEPT_MARK_AT, mark_of(synced_bytes).as_bytes());
    let kept = kept.and_then(|()| mark.sync_data()).and_then(|()| files.sync_dir(folder));
    kept.map_err(BookFileError::io(&mark_path(&path_of(folder, role))))
}

/// The file that says how far a book is known to be on disk.
pub(super) fn open_mark(
    files: &dyn Files,
    folder: &Path,
    role: Role,
) -> Result<Arc<dyn DiskFile>, BookFileError> {
    let path = mark_path(&path_of(folder, role));
    let opened = match files.open(&path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => files.create(&path, 0),
        opened => opened,
    };
    opened.map_err(BookFileError::io(&path))
}

/// What a mark says, as text of one length.
pub(super) fn mark_of(synced_bytes: u64) -> String {
    let text = format!("{synced_bytes:020}");
    format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()))
}

/// How much of a book is on disk at least; `None` where no mark says so. The one written in use may be old.
fn synced_bytes(files: &dyn Files, book: &Path) -> Result<Option<u64>, BookFileError> {
    let path = mark_path(book);
    let file = match files.open(&path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(BookFileError::Io { path, cause }),
    };
    let mut furthest = None;
    for at in [0, KEPT_MARK_AT] {
        let mut bytes = [0; 30];
        let read = file.read_full_at(at, &mut bytes).map_err(BookFileError::io(&path))?;
        let text = std::str::from_utf8(&bytes[..read]).unwrap_or_default();
        let synced: Option<u64> = text.get(..20).and_then(|digits| digits.parse().ok());
        furthest = furthest.max(synced.filter(|synced| mark_of(*synced) == text));
    }
    Ok(furthest)
}
