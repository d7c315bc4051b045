//! How far a file of commands was published, in a file beside it.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use retailflow_engine::keys::{GENESIS, Hash, hex, sha256};
use retailflow_engine::ports::Body;
use serde::{Deserialize, Serialize};

use retailflow_server::durable_file;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// The version of the file.
pub(super) const VERSION: u16 = 2;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) v: u16,
    /// All lines up to this one are done with.
    pub(super) lines: u64,
    /// The hash of all of them: of another file, or of one that was rewritten, the mark says nothing.
    pub(super) hash: String,
    /// How many of them are stored nowhere: they are no commands, or were refused for good.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) left_out: u64,
}

const fn is_none(left_out: &u64) -> bool {
    *left_out == 0
}

/// The hash of the lines that were read, in their order and with their numbers.
pub(super) struct LinesHash {
    hash: Hash,
    buffer: Vec<u8>,
}

impl LinesHash {
    pub(super) fn new() -> Self {
        Self { hash: GENESIS, buffer: Vec::new() }
    }

    /// Takes in one more line.
    pub(super) fn add(&mut self, line: u64, body: &Body) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.hash);
        self.buffer.extend_from_slice(&line.to_be_bytes());
        let (bytes, length) = match body {
            Body::Bytes(bytes) => (bytes, bytes.len() as u64),
            Body::TooLong { prefix, length_bytes } => (prefix, *length_bytes),
        };
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(bytes);
        self.hash = sha256(&self.buffer);
    }

    pub(super) fn hash(&self) -> Hash {
        self.hash
    }
}

/// Keeps other runs from a mark, by a file beside it that stays.
fn lock(path: &Path) -> Result<File, Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
    let file = opened.or_exit(ExitStatus::Usage, || format!("cannot lock {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::refused(format!(
            "another run publishes with {}: wait until it has ended, or give each file of commands a mark of its own",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(error).or_exit(ExitStatus::Unreachable, || format!("cannot lock {}", path.display()))
        }
    }
}

/// A file with a mark, and the mark found in it.
pub(crate) struct Resume {
    path: PathBuf,
    found: Option<Mark>,
    saved: Cell<Option<u64>>,
    /// Of two runs with one mark each would take the other's progress away. The mark itself is replaced, so it cannot be locked.
    _lock: File,
}

impl Resume {
    /// Reads the mark; a file that is not there is one of nothing. Nobody else has it as long as this lives.
    ///
    /// # Errors
    /// When it cannot be read, is no mark, or another run has it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let lock = lock(path)?;
        let found = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            read => {
                let bytes = read.or_exit(ExitStatus::Usage, || format!("cannot read {}", path.display()))?;
                let mark: Mark = serde_json::from_slice(&bytes).or_exit(ExitStatus::Usage, || {
                    let path = path.display();
                    format!("{path} was not written by `retailflow publish`: name another file, or remove it to begin anew")
                })?;
                if mark.v != VERSION {
                    let (path, v) = (path.display(), mark.v);
                    return Err(Failure::refused(format!(
                        "{path} is of version {v}, and this build knows {VERSION}: go on with the build that wrote it"
                    )));
                }
                Some(mark)
            }
        };
        let saved = Cell::new(found.as_ref().map(|mark| mark.lines));
        Ok(Self { path: path.to_owned(), found, saved, _lock: lock })
    }

    /// All lines up to this one are done with.
    pub(crate) fn lines(&self) -> u64 {
        self.found.as_ref().map_or(0, |mark| mark.lines)
    }

    /// How many of these lines are stored nowhere.
    pub(crate) fn left_out(&self) -> u64 {
        self.found.as_ref().map_or(0, |mark| mark.left_out)
    }

    /// Whether the mark is one of the file whose lines up to the mark have this hash.
    pub(super) fn belongs_to(&self, hash: &Hash, name: &str) -> Result<(), Failure> {
        match &self.found {
            Some(mark) if mark.hash != hex(hash) => Err(Failure::refused(format!(
                "{} tells how far another file was published: the first {} lines of {name} are not those that were published. Name the \
                 right mark. If the file was rewritten, remove the mark to publish all of it: what is the same is decided once, what was \
                 left out before is decided now, and a command that was changed and keeps its id is refused as `id_reused`",
                self.path.display(),
                mark.lines
            ))),
            _ => Ok(()),
        }
    }

    /// Puts a mark in the file's place: at any moment there is the old one or the new one, whole.
    pub(super) fn save(&self, mark: &Mark) -> Result<(), Failure> {
        if self.saved.get() == Some(mark.lines) {
            return Ok(());
        }
        let text = serde_json::to_string(mark).map_err(std::io::Error::from);
        let written = text.and_then(|text| durable_file::replace(&self.path, format!("{text}\n").as_bytes()));
        written.or_exit(ExitStatus::Unreachable, || format!("cannot write {}", self.path.display()))?;
        self.saved.set(Some(mark.lines));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_kept_and_is_one_of_one_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let none = Resume::open(&path).unwrap();
        assert_eq!(none.lines(), 0);
        none.belongs_to(&[1; 32], "it").unwrap();
        let second = Resume::open(&path).err().map(|failure| (failure.code, failure.to_string()));
        assert!(
            second.is_some_and(|(code, told)| code == ExitStatus::Refused && told.contains("another run"))
        );
        none.save(&Mark { v: VERSION, lines: 7, hash: hex(&[0xab; 32]), left_out: 0 }).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let golden = format!("{{\"v\":2,\"lines\":7,\"hash\":\"{}\"}}\n", "ab".repeat(32));
        assert_eq!(text, golden, "it is frozen");
        drop(none);
        let found = Resume::open(&path).unwrap();
        assert_eq!(found.lines(), 7);
        found.belongs_to(&[0xab; 32], "it").unwrap();
        assert_eq!(found.belongs_to(&[0xcd; 32], "it").unwrap_err().code, ExitStatus::Refused);
        assert_eq!(found.left_out(), 0);
        found.save(&Mark { v: VERSION, lines: 9, hash: hex(&[0xab; 32]), left_out: 2 }).unwrap();
        drop(found);
        let found = Resume::open(&path).unwrap();
        assert_eq!((found.lines(), found.left_out()), (9, 2));
        drop(found);
        for (bad, code) in [
            ("", ExitStatus::Usage),
            ("7", ExitStatus::Usage),
            ("{\"v\":3,\"lines\":7,\"hash\":\"ab\"}", ExitStatus::Refused),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(Resume::open(&path).err().map(|failure| failure.code), Some(code), "{bad:?}");
        }
    }
    /// Golden: a mark of an earlier build is one of this build, too.
    #[test]
    fn the_hash_of_lines_is_frozen_and_tells_each_change() {
        let of = |lines: &[(u64, Body)]| {
            let mut hash = LinesHash::new();
            lines.iter().for_each(|(line, body)| hash.add(*line, body));
            hex(&hash.hash())
        };
        let line = |text: &str| Body::Bytes(text.into());
        let long = |length_bytes| Body::TooLong { prefix: b"a".to_vec(), length_bytes };
        let all = of(&[(1, line("a")), (2, line("b"))]);
        assert_eq!(all, "e9cc71e1d408a41b0d80d1b5d5815b4512f3dccca55851c303fae5655125fd54");
        for other in [
            of(&[(1, line("a"))]),
            of(&[(1, line("a")), (3, line("b"))]),
            of(&[(1, line("a")), (2, line("c"))]),
            of(&[(1, line("b")), (2, line("a"))]),
            of(&[(1, line("c")), (2, line("b"))]),
        ] {
            assert_ne!(other, all);
        }
        assert_ne!(of(&[(1, long(7))]), of(&[(1, long(8))]));
    }
}
