//! The [`EventRelay`] port, and the task that looks at the stream's end.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{EventReader, EventRelay, PortFuture, ReadFrom, RelayError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::reader::Reader;
use super::state::{RelayOptions, Shared};
use crate::api::Api;
use crate::connect::{Connections, EdgeConnection};
use crate::subjects;

/// Gives public events from `RF_EVT`.
pub struct NatsRelay {
    shared: Arc<Shared>,
    task: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl NatsRelay {
    /// On a stream that is there ([`crate::DoorStreams::provision`]). Must be called within a runtime. `edge` is its own: any client
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
            let looked = Some(info.map(Arc::new).map_err(|failure| failure.to_string()));
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
