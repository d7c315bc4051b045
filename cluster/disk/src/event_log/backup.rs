//! Giving a running log away, segment by segment, as far as it is durable.
//!
//! Invariant: a segment is given up to the durable end at most, and bytes before that never change; so a cut stays what it
//! is however late it is read. The books of participants are looked at after the log, so that they hold all it knows of.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retailflow_engine::keys::hex;
use retailflow_engine::ports::{BackupError, BackupSource, PortFuture};
use retailflow_engine::wire::admin::{BackupCut, BackupCutSchema, BackupPart};

use super::disk_log::{DiskLog, folders};
use crate::log::segment::Segment;
use crate::log::{LogReader, copy};
use retailflow_os::files::Files;

/// What the files of books end in.
const BOOK_SUFFIX: &str = ".book";
/// The last line of a book is looked for in so many bytes: as long as one can be.
const LINE_MAX_BYTES: u64 = 1 << 20;

/// Gives a log of this disk away, and the books beside it.
#[derive(Clone)]
pub struct DiskBackup {
    reader: LogReader,
    log_id: [u8; 16],
    files: Arc<dyn Files>,
    dir: PathBuf,
    books: Option<PathBuf>,
}

impl DiskLog {
    /// A source of backups of this log, which is in the folder `data`, and of the books in `books`, if there are any.
    #[must_use]
    pub fn backup_source(&self, data: &Path, files: Arc<dyn Files>, books: Option<PathBuf>) -> DiskBackup {
        let (dir, _) = folders(data);
        let inner = &self.inner;
        DiskBackup { reader: inner.reader.clone(), log_id: inner.identity.log_id, files, dir, books }
    }
}

impl DiskBackup {
    fn cut_now(&self) -> Result<BackupCut, BackupError> {
        let end = self.reader.end();
        let mut parts = Vec::with_capacity(end.segment() as usize);
        for number in 1..=end.segment() {
            let name = segment_name(number);
            let bytes = match number == end.segment() {
                true => copy::bytes_until(end),
                false => self.segment(number)?.1,
            };
            parts.push(BackupPart { name, bytes });
        }
        if let Some(folder) = &self.books {
            parts.extend(books(folder).map_err(|error| unreadable(folder, &error))?);
        }
        let log_id = hex(&self.log_id);
        Ok(BackupCut { schema: BackupCutSchema, log_id, position: end.0, parts })
    }

    /// A segment, and the bytes of its file that are durable.
    fn segment(&self, number: u32) -> Result<(Segment, u64), BackupError> {
        let end = self.reader.end();
        if number == 0 || number > end.segment() {
            return Err(BackupError::NoSuchPart(format!("there is no segment {number}")));
        }
        let segment = Segment::open(self.files.as_ref(), &self.dir, number, false);
        let segment = segment.map_err(|error| BackupError::Unavailable(error.to_string()))?;
        let bytes = match number == end.segment() {
            true => copy::bytes_until(end),
            false => segment.file.size_bytes().map_err(|error| unreadable(&segment.path, &error))?,
        };
        Ok((segment, bytes))
    }

    fn read_now(&self, part: &str, from: u64, bytes_max: usize) -> Result<Vec<u8>, BackupError> {
        let beyond = || BackupError::NoSuchPart(format!("{part} has no byte {from}"));
        let room = |bytes: u64| bytes.checked_sub(from).filter(|rest| *rest > 0).ok_or_else(beyond);
        let take = |rest: u64| vec![0; usize::try_from(rest).unwrap_or(usize::MAX).min(bytes_max)];
        if let Some(number) = Segment::number_of(part) {
            let (segment, bytes) = self.segment(number)?;
            let mut buffer = take(room(bytes)?);
            let read = segment.file.read_full_at(from, &mut buffer);
            buffer.truncate(read.map_err(|error| unreadable(&segment.path, &error))?);
            return if buffer.is_empty() { Err(beyond()) } else { Ok(buffer) };
        }
        let folder = self.books.as_ref().ok_or_else(beyond)?;
        // Only names that are there: one from outside leads nowhere else.
        let there = books(folder).map_err(|error| unreadable(folder, &error))?;
        let book = there.iter().find(|book| book.name == part).ok_or_else(beyond)?;
        let mut buffer = take(room(book.bytes)?);
        let path = folder.join(&book.name);
        let read = fs::File::open(&path).and_then(|file| file.read_exact_at(&mut buffer, from));
        read.map_err(|error| unreadable(&path, &error))?;
        Ok(buffer)
    }
}

fn segment_name(number: u32) -> String {
    let path = Segment::path(Path::new(""), number);
    path.display().to_string()
}

fn unreadable(path: &Path, error: &io::Error) -> BackupError {
    BackupError::Unavailable(format!("{}: {error}", path.display()))
}

/// The books in a folder, each up to its last whole line.
fn books(folder: &Path) -> io::Result<Vec<BackupPart>> {
    let mut books = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(books),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && name.ends_with(BOOK_SUFFIX) {
            let bytes = whole_lines(&fs::File::open(entry.path())?)?;
            books.push(BackupPart { name, bytes });
        }
    }
    books.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(books)
}

/// How many bytes of a file stand in whole lines.
fn whole_lines(file: &fs::File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let tail = length.min(LINE_MAX_BYTES);
    let mut bytes = vec![0; tail as usize];
    file.read_exact_at(&mut bytes, length - tail)?;
    let kept = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    Ok(length - tail + kept)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(BackupError::Unavailable("the read ended without an answer".into())))
}

impl BackupSource for DiskBackup {
    fn cut(&self) -> PortFuture<'_, Result<BackupCut, BackupError>> {
        let this = self.clone();
        Box::pin(blocking(move || this.cut_now()))
    }

    fn read(&self, part: &str, from: u64, bytes_max: usize) -> PortFuture<'_, Result<Vec<u8>, BackupError>> {
        let (this, part) = (self.clone(), part.to_owned());
        Box::pin(blocking(move || this.read_now(&part, from, bytes_max)))
    }
}
