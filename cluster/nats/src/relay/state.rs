//! What the readers of a relay share with its task.

use std::sync::Arc;

use retailflow_engine::keys::sha256;
use retailflow_engine::ports::RelayError;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::answers::ApiFailure;
use crate::api::StreamInfo;
use crate::connect::{Connections, EdgeConnection};

/// Limits of a relay.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// Between two looks at the stream's end, in milliseconds.
    pub look_every_ms: u64,
    /// About how much one read may hold, in bytes.
    pub batch_max_bytes: usize,
    /// Readers that read at a time; the others wait for their turn.
    pub reads_max: usize,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self { look_every_ms: 200, batch_max_bytes: 1 << 20, reads_max: 16 }
    }
}

/// What the task saw last: the stream's state, or why not.
pub(super) type Looked = Option<Result<Arc<StreamInfo>, String>>;

pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) edge: EdgeConnection,
    pub(super) options: RelayOptions,
    /// Whoever waits holds a receiver.
    pub(super) looked: watch::Sender<Looked>,
    pub(super) waits: Notify,
    pub(super) reads: Semaphore,
    pub(super) stop: CancellationToken,
}

/// Names a stream in tokens.
pub(super) fn log_id(info: &StreamInfo) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(&[b"rf-evt-1\0", info.created.as_bytes()].concat())[..16]);
    id
}

pub(super) fn unavailable(failure: &ApiFailure) -> RelayError {
    RelayError::Unavailable(failure.to_string())
}

#[cfg(test)]
mod tests {
    use retailflow_engine::keys::hex;
    use serde_json::Value;

    use super::*;

    /// Golden: readers keep tokens for years.
    #[test]
    fn a_streams_name_in_tokens_is_frozen() {
        let info = StreamInfo {
            config: Value::Null,
            created: "2026-11-28T12:00:00.123456789Z".into(),
            first_sequence: 1,
            deleted: 0,
            last_sequence: 7,
            subjects: 1,
            leaderless: false,
            bytes: 0,
            bytes_max: None,
        };
        assert_eq!(hex(&log_id(&info)), "df9be0b5a0735696f69df54016f1c607");
    }
}
