//! One reader's way through the stream.

use std::sync::Arc;

use retailflow_engine::codec::cursor::{BEHIND, Cursor};
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{EventReader, PortFuture, ReadFrom, RelayError, RelayedEvent};

use super::event;
use super::state::{Shared, log_id, unavailable};
use crate::api::StreamInfo;
use crate::foreign::{self, ForeignMessage};
use crate::subjects;

/// Events given at once, at most.
const EVENTS_MAX: usize = 256;

pub(super) struct Reader {
    shared: Arc<Shared>,
    source: foreign::Reader,
    tenant: TenantId,
    log_id: [u8; 16],
    /// When the stream was made.
    created: String,
    /// All up to this sequence was given, or is none of the tenant's.
    at: u64,
    /// Which event stands there; `BEHIND` where none was given.
    mark: u32,
    /// The stream's last sequence when it was last looked at.
    last: u64,
    /// Nothing came behind `at` when the reader last looked.
    at_end: bool,
}

fn gone(why: impl std::fmt::Display) -> RelayError {
    RelayError::Gone(format!("{why}: begin again without a token"))
}

impl Reader {
    pub(super) async fn open(
        shared: Arc<Shared>,
        tenant: &TenantId,
        from: &ReadFrom,
        after: Option<Cursor>,
    ) -> Result<Self, RelayError> {
        if shared.stop.is_cancelled() {
            return Err(closed());
        }
        let filter = subjects::events_of(tenant);
        let source = foreign::Reader::new(&shared.connections, &shared.edge, subjects::EVENTS, filter);
        let info = source.info().await.map_err(|failure| unavailable(&failure))?;
        let log_id = log_id(&info);
        let (at, mark) = match &after {
            Some(cursor) if cursor.log_id != log_id => return Err(gone("the token belongs to another log")),
            Some(cursor) => (cursor.position, cursor.index),
            None if *from == ReadFrom::Now => (info.last_sequence, BEHIND),
            None => (info.first_sequence.saturating_sub(1), BEHIND),
        };
        let (last, at_end) = (info.last_sequence, at == info.last_sequence);
        let (tenant, created) = (tenant.clone(), info.created.clone());
        let reader = Self { shared, source, tenant, log_id, created, at, mark, last, at_end };
        reader.check(&info)?;
        reader.check_mark().await?;
        Ok(reader)
    }

    /// Does the stream still hold all behind the reader's place?
    fn check(&self, info: &StreamInfo) -> Result<(), RelayError> {
        let (at, first, last) = (self.at, info.first_sequence, info.last_sequence);
        if info.created != self.created {
            return Err(gone("the stream of events was made anew"));
        }
        if at > last {
            return Err(gone(format!("no event stands at {at} in this log, which ends at {last}")));
        }
        if at.saturating_add(1) < first {
            return Err(gone(format!(
                "events behind {at} are not in this log any more, which begins at {first}"
            )));
        }
        Ok(())
    }

    /// Is the event that stands at the reader's place the one that it was given? One that was purged is believed to have been.
    async fn check_mark(&self) -> Result<(), RelayError> {
        if self.mark == BEHIND {
            return Ok(());
        }
        let found = match self.at {
            0 => return Err(gone("nothing stands before the first event")),
            at => self.source.at(at).await.map_err(|failure| unavailable(&failure))?,
        };
        let other = |found: ForeignMessage| event::read(&found).map(|event| event.mark) != Ok(self.mark);
        if found.is_some_and(other) {
            return Err(gone(format!("no event of this token stands at {} in this log", self.at)));
        }
        Ok(())
    }

    async fn next_events(&mut self) -> Result<Vec<RelayedEvent>, RelayError> {
        loop {
            if self.at_end {
                self.wait().await?;
            }
            let turn = self.shared.reads.acquire().await.map_err(|_| closed())?;
            let max_bytes = self.shared.options.batch_max_bytes;
            let piece = self.source.piece(self.at.saturating_add(1), EVENTS_MAX, max_bytes).await;
            let piece = piece.map_err(|failure| unavailable(&failure))?;
            drop(turn);
            // After the read: what was there before it, and is not there now, may have been missed.
            let info = self.source.info().await.map_err(|failure| unavailable(&failure))?;
            self.check(&info)?;
            let last_before = std::mem::replace(&mut self.last, info.last_sequence);
            if piece.is_empty() {
                self.pass(last_before);
                self.at_end = true;
                continue;
            }
            return self.give(&piece);
        }
    }

    /// Nothing of the tenant's stands up to there.
    fn pass(&mut self, to: u64) {
        if to > self.at {
            (self.at, self.mark) = (to, BEHIND);
        }
    }

    /// Waits until something of the tenant's stands behind the reader's place, or the stream is not what it was.
    async fn wait(&mut self) -> Result<(), RelayError> {
        let mut looks = self.shared.looked.subscribe();
        self.shared.waits.notify_one();
        // The last look may be an old one, from before the reader came: it says something only where it shows more than the reader knows.
        let mut looked = looks.borrow_and_update().clone().and_then(Result::ok);
        looked = looked.filter(|info| info.created == self.created && info.last_sequence > self.at);
        loop {
            if let Some(info) = looked {
                if info.created != self.created || info.last_sequence < self.at {
                    // The reader's own look will tell.
                    break;
                }
                self.check(&info)?;
                if info.last_sequence > self.at {
                    let next = self.source.single(self.at.saturating_add(1)).await;
                    if next.map_err(|failure| unavailable(&failure))?.is_some() {
                        break;
                    }
                    self.pass(info.last_sequence);
                }
            }
            looks.changed().await.map_err(|_| closed())?;
            let now = looks.borrow_and_update().clone();
            looked = now.transpose().map_err(RelayError::Unavailable)?;
        }
        self.at_end = false;
        Ok(())
    }

    /// The events of a piece up to the first message that is none.
    fn give(&mut self, piece: &[ForeignMessage]) -> Result<Vec<RelayedEvent>, RelayError> {
        let mut given = Vec::with_capacity(piece.len());
        for arrived in piece {
            let event = match event::read(arrived) {
                Ok(event) => event,
                Err(_) if !given.is_empty() => break,
                Err(why) => {
                    let sequence = arrived.sequence;
                    let text = format!("{}, sequence {sequence}: no event of ours: {why}", subjects::EVENTS);
                    tracing::error!(
                        event = "foreign_event",
                        sequence,
                        subject = arrived.subject,
                        why,
                        "no public event"
                    );
                    return Err(RelayError::Unavailable(text));
                }
            };
            (self.at, self.mark) = (arrived.sequence, event.mark);
            let (token, tenant) = (self.token().into(), self.tenant.clone());
            given.push(RelayedEvent { token, tenant, kind: event.kind, json: event.json });
        }
        Ok(given)
    }

    fn token(&self) -> String {
        let cursor = Cursor { log_id: self.log_id, position: self.at, index: self.mark };
        // Only what is too large cannot be encoded, and a cursor never is.
        cursor.to_token().unwrap_or_default()
    }
}

fn closed() -> RelayError {
    RelayError::Unavailable("it is closed".into())
}

impl EventReader for Reader {
    fn next(&mut self) -> PortFuture<'_, Result<Vec<RelayedEvent>, RelayError>> {
        let stop = self.shared.stop.clone();
        Box::pin(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(closed()),
                events = self.next_events() => events,
            }
        })
    }

    fn position(&self) -> String {
        self.token()
    }
}
