//! Public events to readers, out of their stream.
//!
//! Invariants:
//! - Each event of the tenant that the stream holds behind a reader's place is given once, in the stream's order: so those of one order
//!   come in the order of their versions. Events of different orders stand in the order in which they were published.
//! - A reader's place is a sequence of `RF_EVT`; its token says of which stream, and which event stood there. A place in another stream,
//!   one that was trimmed away, and one where another event stands now are told ([`RelayError::Gone`]).
//! - A message that is no event of ours stops the readers of its tenant before it. It is never left out without a word.
//! - A reader keeps its place and nothing else: one that takes nothing costs nothing. At most `reads_max` read at a time.
//!
//! How it waits: a reader that has had all waits for one task of the relay's, which asks for the stream's end while anybody waits. When
//! that has moved, the reader asks for its own next event; there mostly is none, as it was another tenant's.

mod reader;
mod told;

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::TenantId;
use retailflow_engine::keys::sha256;
use retailflow_engine::ports::{EventReader, EventRelay, PortFuture, ReadFrom, RelayError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::reader::Reader;
use super::api::{Api, StreamInfo, Trouble};
use super::connect::EdgeConnection;
use super::{Connections, subjects};

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
type Looked = Option<Result<Arc<StreamInfo>, String>>;

struct Shared {
    connections: Connections,
    edge: EdgeConnection,
    options: RelayOptions,
    /// Whoever waits holds a receiver.
    looked: watch::Sender<Looked>,
    waits: Notify,
    reads: Semaphore,
    stop: CancellationToken,
}

/// Gives public events from `RF_EVT`.
pub struct NatsRelay {
    shared: Arc<Shared>,
    task: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl NatsRelay {
    /// On a stream that is there ([`super::DoorStreams::provision`]). Must be called within a runtime. `edge` is its own: any client
    /// of the account could have published what breaks it.
    #[must_use]
    pub fn open(connections: &Connections, edge: EdgeConnection, options: RelayOptions) -> Self {
        let shared = Arc::new(Shared {
            connections: connections.clone(),
            edge,
            looked: watch::Sender::new(None),
            waits: Notify::new(),
            reads: Semaphore::new(options.reads_max.max(1)),
            options,
            stop: CancellationToken::new(),
        });
        let task = tokio::spawn(keep_looking(shared.clone()));
        Self { shared, task: parking_lot::Mutex::new(Some(task)) }
    }

    /// Ends all readers ([`RelayError::Unavailable`]), waits `at_most` for the task and the connection. Says whether they ended in time.
    pub async fn close(&self, at_most: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + at_most;
        self.shared.stop.cancel();
        let Some(mut task) = self.task.lock().take() else { return true };
        let in_time = tokio::time::timeout_at(deadline, &mut task).await.is_ok();
        if !in_time {
            task.abort();
            drop(task.await);
        }
        in_time & tokio::time::timeout_at(deadline, self.shared.edge.client.drain()).await.is_ok()
    }
}

impl Drop for NatsRelay {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        if let Some(task) = self.task.get_mut().take() {
            task.abort();
        }
    }
}

/// Looks at the stream's end while somebody waits for it to move.
async fn keep_looking(shared: Arc<Shared>) {
    let api = Api::new(shared.connections.read.clone(), shared.connections.request_timeout);
    let every = Duration::from_millis(shared.options.look_every_ms.max(1));
    let looking = async {
        loop {
            while shared.looked.receiver_count() == 0 {
                shared.waits.notified().await;
            }
            tokio::time::sleep(every).await;
            let info = api.info(subjects::EVENTS).await;
            let looked = Some(info.map(Arc::new).map_err(|trouble| trouble.to_string()));
            shared.looked.send_if_modified(|before| {
                // Whoever waits hears of each failure: an old one is none of his.
                let news = *before != looked || matches!(looked, Some(Err(_)));
                *before = looked;
                news
            });
        }
    };
    tokio::select! {
        () = shared.stop.cancelled() => {}
        () = looking => {}
    }
}

/// Names a stream in tokens.
fn log_id(info: &StreamInfo) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(&[b"rf-evt-1\0", info.created.as_bytes()].concat())[..16]);
    id
}

fn unavailable(trouble: &Trouble) -> RelayError {
    RelayError::Unavailable(trouble.to_string())
}

impl EventRelay for NatsRelay {
    fn open<'a>(
        &'a self,
        tenant: &'a TenantId,
        from: ReadFrom,
    ) -> PortFuture<'a, Result<Box<dyn EventReader>, RelayError>> {
        Box::pin(async move {
            let after = match &from {
                ReadFrom::After(token) => {
                    let cursor = Cursor::from_token(token);
                    Some(cursor.map_err(|error| RelayError::BadToken(error.to_string()))?)
                }
                _ => None,
            };
            let reader = Reader::open(self.shared.clone(), tenant, &from, after).await?;
            Ok(Box::new(reader) as Box<dyn EventReader>)
        })
    }
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
