//! Giving a running node's log away to a backup: what there is, and its bytes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use retailflow_engine::ports::{BackupError, BackupSource};
use retailflow_engine::wire::Code;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::answer::{Refusal, found};
use crate::connections::{Connection, RequestGuard};
use crate::edge::{Open, Shared};
use crate::headers;
use crate::query::Query;
use crate::read_failure::timed_out;

/// The media type of a part's bytes.
pub(crate) const BYTES: &str = "application/octet-stream";
/// Beyond what any disk holds, and whole in every JSON reader.
pub(crate) const BYTES_MAX: u64 = (1 << 53) - 1;
/// Read and held in memory at once, for each answer under way.
const CHUNK_BYTES: usize = 1 << 20;
/// So long one chunk may take to be read: a disk that hangs keeps no copy's place for ever.
const CHUNK_MAX: Duration = Duration::from_secs(30);

/// `GET /v1/admin/backup`
pub(crate) async fn cut(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    Query::parse(request.uri().query(), &[])?;
    let time = headers::timeout(request.headers(), &shared.limits)?;
    let cut = timeout(time, shared.edge.backup.cut()).await.map_err(|_| timed_out())?;
    Ok(found(&cut.map_err(refusal)?))
}

/// `GET /v1/admin/backup/bytes`
pub(crate) async fn bytes(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["part", "from", "until"])?;
    let missing = |name: &'static str| Refusal::new(Code::MissingField, "give it as the cut has it").at(name);
    let part = query.token("part")?.ok_or_else(|| missing("part"))?.to_owned();
    let from = query.number("from", 0, BYTES_MAX)?.unwrap_or(0);
    let until = query.number("until", 1, BYTES_MAX)?.ok_or_else(|| missing("until"))?;
    if from >= until {
        return Err(Refusal::new(Code::InvalidField, "it comes after \"from\"").at("until"));
    }
    let permit = Arc::clone(&shared.copies).try_acquire_owned().map_err(|_| {
        let text = "as many parts as the node can give at once are being copied; come again, later";
        Refusal::new(Code::Overloaded, text)
    })?;
    let mut copy = Copy {
        source: Arc::clone(&shared.edge.backup),
        part,
        next: from,
        until,
        stop: shared.stop.child_token(),
        _permit: permit,
        _busy: request.extensions().get::<Arc<Connection>>().map(Connection::busy),
        _open: Open::stream(&shared.edge.counts),
    };
    // What is refused is refused with a problem: the first bytes are read before anything is answered.
    let first = copy.read().await.map_err(refusal)?;
    let rest = stream::try_unfold(copy, |mut copy| async move {
        if copy.next >= copy.until {
            return Ok(None);
        }
        // Broken off, not ended: the caller must not take it for the whole.
        let read = copy.read().await.map_err(io::Error::other)?;
        Ok::<_, io::Error>(Some((read, copy)))
    });
    let first = stream::once(async { Ok(first) });
    let mut response = Response::new(Body::from_stream(stream::StreamExt::chain(first, rest)));
    let answered = response.headers_mut();
    answered.insert(CONTENT_TYPE, HeaderValue::from_static(BYTES));
    answered.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn refusal(error: BackupError) -> Refusal {
    match error {
        BackupError::Elsewhere(text) | BackupError::NoSuchPart(text) => Refusal::new(Code::NotFound, text),
        BackupError::Unavailable(text) => Refusal::new(Code::Unavailable, text),
    }
}

struct Copy {
    source: Arc<dyn BackupSource>,
    part: String,
    next: u64,
    until: u64,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
    _busy: Option<RequestGuard>,
    _open: Open,
}

impl Copy {
    async fn read(&mut self) -> Result<Bytes, BackupError> {
        let wanted = usize::try_from(self.until - self.next).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let read = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(BackupError::Unavailable("the node stops".into())),
            read = timeout(CHUNK_MAX, self.source.read(&self.part, self.next, wanted)) => read.map_err(|_| {
                BackupError::Unavailable(format!("{} could not be read in time; ask again, later", self.part))
            })??,
        };
        if read.is_empty() {
            return Err(BackupError::NoSuchPart(format!("{} has no byte {}", self.part, self.next)));
        }
        self.next += read.len() as u64;
        Ok(Bytes::from(read))
    }
}
