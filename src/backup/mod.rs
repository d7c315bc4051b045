//! Backups of a running server: a folder with the log's segments, the participants' books, and a manifest that says up to
//! where they go.
//!
//! ```text
//! DIR/manifest.json    what the backup is; written last, in place of the one before
//! DIR/log/             segments, as a data directory has them
//! DIR/participants/    books of participants that live beside the server
//! DIR/incoming/        what a backup under way has read and not yet verified; no part of the backup
//! ```
//! Invariant: what the manifest says is there, whole, at any moment. A log only grows and so do books: a later segment or book
//! that already stands in the place of an earlier one begins with the same bytes, and the manifest says how many count.

mod create;
mod folder;
mod restore;
pub(crate) mod verb;

pub(crate) use create::{Created, create};
pub(crate) use restore::fill;
pub(crate) use retailflow_server::backup_manifest::{BOOKS, LastFrame, Manifest};

/// The folder of the log's segments, here and in a data directory.
const LOG: &str = "log";
