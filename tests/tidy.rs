//! The rules of this repository, as tests: who may depend on whom, where drivers may be used, how long a file
//! may be, and that the documents tell the truth about what is there.
//!
//! A rule that fails names each place and says what to do about it.

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/drawing.rs"]
mod drawing;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/repo.rs"]
mod repo;
#[path = "tidy/sources.rs"]
mod sources;
