//! The public contract, held in place: golden JSON, golden hashes, schemas beside those of the last release, the table of codes, bad input.

mod bad_input;
mod baseline;
mod compatible;
mod golden;
mod hashes;
mod numbers;
mod random;

use std::path::{Path, PathBuf};

/// The full example of the contract.
pub(crate) const PLACE: &str = include_str!("../../golden/wire/command.place.json");

pub(crate) fn engine_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Asserts that the file holds this text; with `RETAILFLOW_BLESS=1`, writes it.
pub(crate) fn pinned(path: PathBuf, now: &str) {
    if std::env::var_os("RETAILFLOW_BLESS").is_some() {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(&path, now).unwrap();
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(now, then, "{} is not current; RETAILFLOW_BLESS=1 writes it anew", path.display());
}
