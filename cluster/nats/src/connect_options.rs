//! How to reach the servers, and why there is no connection.

use std::path::PathBuf;

/// The oldest server that has atomic batches.
pub const SERVER_MIN: (i64, i64, i64) = (2, 12, 0);

/// How to reach the servers.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// Addresses, `nats://host:port` or `nats://user:password@host:port` each; one that answers is enough.
    pub servers: Vec<String>,
    /// How this process is called in the servers' lists.
    pub name: String,
    /// A file of credentials, as `nsc` makes them, or with one line `user:password`. It counts more than an address.
    pub credentials: Option<PathBuf>,
    /// A file with certificates that are believed beside the system's.
    pub ca: Option<PathBuf>,
    /// What answers are addressed to; permissions of the account may ask for another one.
    pub inbox_prefix: String,
    /// For a connection to stand, in milliseconds.
    pub connect_timeout_ms: u64,
    /// For one answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// Between two pings, in milliseconds; a dead connection is noticed after two.
    pub ping_interval_ms: u64,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            name: "retailflow".into(),
            credentials: None,
            ca: None,
            inbox_prefix: "_INBOX".into(),
            connect_timeout_ms: 5_000,
            request_timeout_ms: 5_000,
            ping_interval_ms: 5_000,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address is not one.
    #[error("{address:?} is no address of a NATS server: {why}")]
    Address {
        /// As it was given, without a user and a password.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file of credentials cannot be used.
    #[error("the credentials in {} cannot be used: {why}", file.display())]
    Credentials {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers, or not to us.
    #[error("no NATS server answers: {0}")]
    Unreachable(String),
    /// The server has no atomic batches.
    #[error(
        "the NATS server is {found}; {}.{}.{} or later is needed",
        SERVER_MIN.0,
        SERVER_MIN.1,
        SERVER_MIN.2
    )]
    TooOld {
        /// Its version.
        found: String,
    },
}

impl ConnectError {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
