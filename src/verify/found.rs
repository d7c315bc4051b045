//! What `verify` found, for programs.

use retailflow_engine::wire::report::{BooksReport, InvariantResult};
use serde::Serialize;

use crate::client::remote_log::RemoteLog;
use crate::repair::Compared;
use crate::verify::books::Books;

/// What `verify` found, for programs.
#[derive(Serialize)]
pub(crate) struct Verified {
    pub(crate) sound: bool,
    /// Of a running server: how far was looked, and at what not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) online: Option<Online>,
    pub(crate) segments: u32,
    pub(crate) frames: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) clean_stop: bool,
    /// What the server has read again in the background, where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scrubbed: Option<ScrubbedSegments>,
    pub(crate) groups: u64,
    pub(crate) records: u64,
    pub(crate) orders: u64,
    pub(crate) tenants: Vec<TenantCounts>,
    pub(crate) cuts: Vec<Cut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) books: Option<Books>,
    /// What became of lost decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<Compared>,
    /// Goods and money on both sides' books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sides: Option<BooksReport>,
    pub(crate) problems: Vec<String>,
    pub(crate) invariants: Vec<InvariantResult>,
}

/// What a look at a running server is worth.
#[derive(Serialize)]
pub(crate) struct Online {
    pub(crate) server: String,
    /// All before was durable when the server was asked, and has been checked.
    pub(crate) position: u64,
    pub(crate) not_looked_at: [&'static str; 3],
}

impl Online {
    pub(crate) fn of(log: &RemoteLog) -> Self {
        Self {
            server: log.server.clone(),
            position: log.end.0,
            not_looked_at: [
                "what was recorded after that position",
                "the index and the lists, which are made again from the log where they are damaged",
                "the participants' books, which go on meanwhile: `retailflow verify` on a backup or after a stop, and `retailflow reconcile`, compare them",
            ],
        }
    }
}

/// How far the server's scrubber has come.
#[derive(Serialize)]
pub(crate) struct ScrubbedSegments {
    /// Segments read in the pass under way.
    pub(crate) segments: u32,
    /// When the last whole pass ended, in milliseconds since 1970; 0 for never.
    pub(crate) pass_ended_ms: u64,
}

/// The last fence of a partition.
#[derive(Serialize)]
pub(crate) struct Cut {
    pub(crate) partition: u16,
    pub(crate) epoch: u64,
    pub(crate) group: u64,
}

#[derive(Serialize)]
pub(crate) struct TenantCounts {
    pub(crate) tenant: String,
    pub(crate) applied: u64,
    pub(crate) rejected: u64,
    pub(crate) parked: u64,
}
