//! The server as a process: under load, killed, stopped, and as its documents say.

mod documents;
mod load;
mod secrets;
