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
    /// Another version's format. It may be whole, and is never cut.
    #[error(
        "{place} is of log format {found}{}; this is RetailFlow {}, which reads format {known}. Nothing was changed; use \
         the RetailFlow that wrote it, or a newer one",
        writer.as_deref().map(|writer| format!(" (written by RetailFlow {writer})")).unwrap_or_default(),
        env!("CARGO_PKG_VERSION")
    )]
    Unsupported {
        /// Where.
        place: Place,
        /// The format found.
        found: u16,
        /// The format that this build reads.
        known: u16,
        /// The version of RetailFlow that made the segment, where it says so.
        writer: Option<String>,
    },
    /// Something beside the log says that it was durable further than it goes.
    #[error(
        "the log lost data: {source_name} says that it was durable up to {seen}, and it ends at {end}{}. Outcomes that were \
         given may be among what is lost. Nothing was changed: put the newer log back, or see what `retailflow repair \
         --dry-run` says",
        reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    Lost {
        /// Who says so.
        source_name: String,
        /// Up to where it was durable.
        seen: Position,
        /// Where it ends.
        end: Position,
        /// What stands at the end instead.
        reason: Option<String>,
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
    /// Whether it is that nothing can be written there.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let kinds = [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied];
        matches!(self, Self::Io { source, .. } if kinds.contains(&source.kind()))
    }

    /// The same again, if it is another version's format.
    pub(crate) fn unsupported(&self) -> Option<Self> {
        let Self::Unsupported { place, found, known, writer } = self else { return None };
        Some(Self::Unsupported { place: *place, found: *found, known: *known, writer: writer.clone() })
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn unsupported_frame(position: Position, found: u16) -> Self {
        Self::Unsupported { place: Place(position), found, known: super::frame::VERSION.into(), writer: None }
    }

    pub(crate) fn damaged(position: Position, reason: impl Into<String>) -> Self {
        Self::Damaged { place: Place(position), reason: reason.into() }
    }
}
