//! Keeping data: out and in again, repaired, and opened by one process only.

mod archive;
mod backup;
mod books;
mod doors;
mod repair;
