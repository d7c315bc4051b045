//! Keeping data: out and in again, repaired, and opened by one process only.

mod archive;
mod doors;
mod repair;
