//! RetailFlow: what adapters need of the operating system: files that a test can break, randomness, lines that are not repeated.

pub mod files;
pub mod random;
pub mod repeated;
