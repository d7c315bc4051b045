//! What goes wrong with a log.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Position;
use super::sector;

/// A place in words that lead a person there: the segment file and the byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub Position);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = sector::physical(self.0.offset().into());
        write!(f, "segment {:016}, byte {byte} (position {})", self.0.segment(), self.0)
    }
}

/// Why a log was not opened, or not read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system said no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process, or another part of this one, has the log open.
    #[error("the log in {dir} is in use by process {holder}: stop it first")]
    InUse {
        /// The log's folder.
        dir: PathBuf,
        /// Who has it, as written in the lock file.
        holder: String,
    },
    /// The bytes are not those that were written. Nothing was changed.
    #[error("the log is damaged at {place}: {reason}. Nothing was changed; `verify` lists what is lost")]
    Damaged {
        /// Where.
        place: Place,
        /// What is wrong there.
        reason: String,
    },
    /// A segment file is not there, and later ones are.
    #[error(
        "segment {0:016} of the log is missing, and later ones are there. Nothing was changed; put it back"
    )]
    MissingSegment(u32),
    /// A newer version wrote this; it is whole.
    #[error("{place} was written by a newer RetailFlow (log format {found}, this one reads up to {known})")]
    Unsupported {
        /// Where.
        place: Place,
        /// The version found.
        found: u16,
        /// The newest version known.
        known: u16,
    },
    /// The log ends before, or differs at, a frame that was seen in it.
    #[error("the log lost data: a frame was seen at {seen}, but {found}")]
    Regressed {
        /// Where the frame was.
        seen: Position,
        /// What is there now.
        found: String,
    },
    /// Whoever was given the frames would not take one.
    #[error("{place}: {reason}")]
    Refused {
        /// The frame's place.
        place: Place,
        /// Why.
        reason: String,
    },
}

impl LogError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn damaged(position: Position, reason: impl Into<String>) -> Self {
        Self::Damaged { place: Place(position), reason: reason.into() }
    }
}
