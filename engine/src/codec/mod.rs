//! Stored bytes: versioned, frozen, pinned by golden files in `engine/golden/`.
//!
//! Domain types never derive a stored form. Frozen `v1` structs do, and are converted; a field is never removed or
//! reordered, an enum only grows at its end, and any change is a new version with an upcast from the old one.
//! bincode appears nowhere else (ADR 4).

pub mod control;
pub mod cursor;
pub mod deadline;
pub mod envelope;
pub mod fence;
pub mod identity;
pub mod record;
pub mod snapshot;
mod v0;
pub mod v1;

pub use envelope::{CodecError, Schema, peek};
