//! How far a file of commands was published, in a file beside it.

use std::cell::Cell;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable_file;
use crate::exit::{ExitStatus, Failure, OrExit};

/// The version of the file.
pub(super) const VERSION: u16 = 1;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) v: u16,
    /// The first command's hash: another file's mark is no use here.
    pub(super) begins: String,
    /// All lines up to this one are done with.
    pub(super) lines: u64,
}

/// A file with a mark, and the mark found in it.
pub(crate) struct Resume {
    path: PathBuf,
    found: Option<Mark>,
    saved: Cell<Option<u64>>,
}

impl Resume {
    /// Reads the mark; a file that is not there is one of nothing.
    ///
    /// # Errors
    /// When it cannot be read, or is no mark.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
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
        Ok(Self { path: path.to_owned(), found, saved: Cell::new(None) })
    }

    /// All lines up to this one are done with.
    pub(crate) fn lines(&self) -> u64 {
        self.found.as_ref().map_or(0, |mark| mark.lines)
    }

    /// Whether the mark is one of the file that begins so.
    pub(super) fn belongs_to(&self, begins: &str, name: &str) -> Result<(), Failure> {
        match &self.found {
            Some(mark) if mark.begins != begins => Err(Failure::refused(format!(
                "{} tells how far another file was published than {name}, which begins otherwise: name the right one",
                self.path.display()
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
        none.save(&Mark { v: VERSION, begins: "ab".into(), lines: 7 }).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"v\":1,\"begins\":\"ab\",\"lines\":7}\n", "it is frozen");
        let found = Resume::open(&path).unwrap();
        assert_eq!(found.lines(), 7);
        found.belongs_to("ab", "it").unwrap();
        assert_eq!(found.belongs_to("cd", "it").unwrap_err().code, ExitStatus::Refused);
        for (bad, code) in [
            ("", ExitStatus::Usage),
            ("7", ExitStatus::Usage),
            ("{\"v\":2,\"begins\":\"ab\",\"lines\":7}", ExitStatus::Refused),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(Resume::open(&path).err().map(|failure| failure.code), Some(code), "{bad:?}");
        }
    }
}
