//! What a backup says of itself.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use retailflow_engine::keys::{hex, sha256};
use serde::{Deserialize, Serialize};

use crate::durable_file;
use crate::exit::{ExitStatus, Failure, OrExit};

/// The folder of the books, here and in a data directory.
pub const BOOKS: &str = "participants";
const FILE: &str = "manifest.json";
const SCHEMA: &str = "retailflow.backup.v1";
/// All of our schemas of this kind begin so.
const SCHEMA_KIND: &str = "retailflow.backup.";
/// Books are summed up in pieces of this size.
const PIECE_BYTES: u64 = 1 << 20;

/// A backup: both sides' marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name and version of this shape.
    pub schema: String,
    /// Which log, in hexadecimal digits.
    pub log_id: String,
    /// When the backup was made, by the clock of the machine that made it.
    pub made_at: String,
    /// Where the durable part of the log ended.
    pub position: u64,
    /// The last frame before that.
    pub last_frame: LastFrame,
    /// The log's segments, from the first on.
    pub segments: Vec<Segment>,
    /// The participants' books, read after the log.
    pub books: Vec<Book>,
}

/// A frame of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFrame {
    /// Where it begins.
    pub position: u64,
    /// Its number, counted from 1.
    pub number: u64,
    /// Its hash, in hexadecimal digits. It stands for all frames before it.
    pub hash: String,
}

/// A segment, by its number and its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its file.
    pub name: String,
    /// How many of its bytes are part of the backup.
    pub bytes: u64,
    /// The number of its first frame.
    pub first_frame: u64,
    /// The hash of the frame before that.
    pub previous: String,
    /// The number of the frame after its last one.
    pub next_frame: u64,
    /// The hash of its last frame.
    pub last_hash: String,
}

/// A book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Its file.
    pub name: String,
    /// How many of its bytes are part of the backup.
    pub bytes: u64,
    /// Over those: SHA-256 of each MiB's SHA-256 after the sum so far, beginning with nothing.
    pub sha256: String,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Whether a folder holds a backup.
fn is_backup(folder: &Path) -> bool {
    path(folder).is_file()
}

/// Refuses to open a backup as a data directory: what was written there would be in no server's log.
///
/// # Errors
/// A [`Failure`] that says what to do.
pub fn refuse_backup(data: &Path) -> Result<(), Failure> {
    if is_backup(data) && Manifest::read(data).is_ok_and(|found| found.is_some()) {
        let data = data.display();
        return Err(Failure::refused(format!(
            "{data} is a backup and no data directory: `retailflow restore --from {data} --data NEW` makes one of it"
        )));
    }
    Ok(())
}

impl Manifest {
    /// An empty one of this version.
    pub fn new(log_id: &str, made_at: String, position: u64, last_frame: LastFrame) -> Self {
        let (schema, log_id) = (SCHEMA.to_owned(), log_id.to_owned());
        Self { schema, log_id, made_at, position, last_frame, segments: Vec::new(), books: Vec::new() }
    }

    /// The manifest of the backup in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// A [`Failure`] when it can't be read, or is of a newer version.
    pub fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = path(folder);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.or_exit(ExitStatus::Unreachable, || format!("cannot read {}", path.display()))?,
        };
        let no_manifest = || format!("{} is no manifest of a backup", path.display());
        let value: serde_json::Value =
            serde_json::from_slice(&text).or_exit(ExitStatus::Finding, no_manifest)?;
        match value["schema"].as_str() {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with(SCHEMA_KIND) => {
                let text = format!(
                    "{} is of a newer RetailFlow: unsupported here ({other}; this one reads {SCHEMA})",
                    path.display()
                );
                return Err(Failure::refused(text));
            }
            _ => return Err(Failure::finding(no_manifest())),
        }
        serde_json::from_value(value).or_exit(ExitStatus::Finding, no_manifest).map(Some)
    }

    /// What is wrong with the books of the backup in `folder`, in words.
    pub fn check_books(&self, folder: &Path) -> Vec<String> {
        let check = |book: &Book| match sum(&folder.join(BOOKS).join(&book.name), book.bytes) {
            Ok(sum) if sum == book.sha256 => None,
            Ok(_) => Some(format!("the book {} is not the one that was backed up", book.name)),
            Err(error) => Some(format!("the book {} cannot be read: {error}", book.name)),
        };
        self.books.iter().filter_map(check).collect()
    }

    /// Puts it in the place of the one before.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let path = path(folder);
        let cannot = || format!("cannot write {}", path.display());
        let text = serde_json::to_string_pretty(self).or_exit(ExitStatus::Unreachable, cannot)?;
        durable_file::replace(&path, (text + "\n").as_bytes()).or_exit(ExitStatus::Unreachable, cannot)
    }
}

/// The sum over the first `bytes` of a book's file.
///
/// # Errors
/// What the system says; `UnexpectedEof` when there are not so many.
pub fn sum(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut piece = Vec::new();
    let (mut left, mut sum) = (bytes, String::new());
    while left > 0 {
        piece.clear();
        let read = (&mut file).take(left.min(PIECE_BYTES)).read_to_end(&mut piece)? as u64;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sum = hex(&sha256(&[sum.as_bytes(), &sha256(&piece)].concat()));
        left -= read;
    }
    Ok(sum)
}
