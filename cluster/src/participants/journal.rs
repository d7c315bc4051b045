//! Books in files: one a participant, a line an entry, appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use retailflow_engine::memory::participants::{BookEntry, BookError, Journal};
use retailflow_engine::ports::{Role, StoreError};

/// Longest line of a book, in bytes: an order has at most a thousand lines.
const LINE_MAX_BYTES: usize = 1 << 20;

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
    #[error("the book {path} is damaged at line {line}: {cause}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
        /// How.
        cause: BookError,
    },
}

fn path_of(folder: &Path, role: Role) -> PathBuf {
    folder.join(format!("{}.book", role.as_str()))
}

/// Appends to the books of a folder.
pub(super) struct FileJournal(Vec<Mutex<File>>);

impl FileJournal {
    /// Opens the books, making those that are not there. What a crash left of a last line is cut: nobody was told of it.
    pub(super) fn open(folder: &Path) -> Result<Self, BookFileError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| BookFileError::Io { path, cause }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let mut files = Vec::new();
        for role in Role::ALL {
            let path = path_of(folder, role);
            let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
            let mut file = file.map_err(failed(&path))?;
            cut_torn_line(&mut file).map_err(failed(&path))?;
            files.push(Mutex::new(file));
        }
        Ok(Self(files))
    }
}

fn cut_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let tail = length.min(LINE_MAX_BYTES as u64);
    file.seek(SeekFrom::Start(length - tail))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let kept = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if kept < bytes.len() {
        file.set_len(length - (bytes.len() - kept) as u64)?;
    }
    Ok(())
}

impl Journal for FileJournal {
    fn append(&self, entries: &[BookEntry]) -> Result<(), StoreError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let mut text = String::with_capacity(192 * entries.len());
        entries.iter().for_each(|entry| entry.encode(&mut text));
        let file = self.0.get(first.role() as usize);
        let file = file.ok_or_else(|| StoreError::Unavailable("there is no such book".into()))?;
        // One write: a line is there whole, or not at all, unless the machine itself goes down.
        file.lock().write_all(text.as_bytes()).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

/// Reads a book to its end; a torn last line is no part of it, and a book that is not there is empty.
pub(super) fn read(folder: &Path, role: Role, take: &mut dyn FnMut(BookEntry)) -> Result<(), BookFileError> {
    let path = path_of(folder, role);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(BookFileError::Io { path, cause }),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = reader.by_ref().take(LINE_MAX_BYTES as u64).read_until(b'\n', &mut bytes);
        read.map_err(|cause| BookFileError::Io { path: path.clone(), cause })?;
        let Some(whole) = bytes.strip_suffix(b"\n") else { return Ok(()) };
        let entry = BookEntry::decode(whole);
        take(entry.map_err(|cause| BookFileError::Damaged { path: path.clone(), line, cause })?);
    }
    Ok(())
}
