//! Stored bytes and frozen derivations against the files in `engine/golden/`.
//!
//! A file that no longer fits means that logs written before can't be read, or that an order moves to another
//! partition: what was frozen stays, and a change is a new version. `RETAILFLOW_BLESS=1` writes the files; that is
//! right for a new file and wrong for almost everything else.

mod corpus;
mod files;
mod keys;
mod properties;
mod random;
mod raw;
mod values;
mod variants;
