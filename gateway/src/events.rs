//! Public events as a stream of server-sent events, from any position on.
//!
//! Flat memory a stream: the next events are asked for only when the connection has taken the last ones; one that takes
//! nothing is cut by the time limit on writing (`conn.rs`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{EventReader, ReadFrom, RelayError, RelayedEvent};
use retailflow_engine::wire::Code;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::connections::{Connection, RequestGuard};
use crate::edge::{Open, Shared};
use crate::headers::{self, LAST_EVENT_ID};
use crate::path::{self, Names};
use crate::query::Query;
use crate::token::{self, TokenKind, Tokens};

/// The media type of a stream.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// How long a client waits before it comes again, in milliseconds.
const RETRY_MS: u32 = 2000;

/// About as long is a token.
const TOKEN_CHARS: usize = 130;

#[derive(Clone, Copy)]
enum From {
    Beginning,
    Now,
}

impl From {
    const ALL: &'static [Self] = &[Self::Beginning, Self::Now];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Beginning => "beginning",
            Self::Now => "now",
        }
    }
}

/// `GET /v1/tenants/{tenant}/events`
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let tenant = path::tenant(&names)?;
    let query = Query::parse(request.uri().query(), &["after", "from"])?;
    let from = where_from(&query, headers::single(request.headers(), LAST_EVENT_ID)?)?;
    let time = headers::timeout(request.headers(), &shared.limits)?;
    shared.require_tenant(&tenant)?;
    let from = match from {
        ReadFrom::After(token) => {
            let place = shared.tokens.open(TokenKind::Event, &tenant, &token);
            ReadFrom::After(place.map_err(|refusal| refusal.at(LAST_EVENT_ID))?)
        }
        from => from,
    };
    let of_tenant = shared.tenant_streams.try_take(&tenant).ok_or_else(|| {
        let text = "as many streams as one tenant can have are open; end some, or come again, later";
        Refusal::new(Code::Overloaded, text)
    })?;
    let of_all = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        Refusal::new(Code::Overloaded, "as many streams as the node can take are open; come again, later")
    })?;
    let opened = timeout(time, shared.edge.relay.open(&tenant, from)).await;
    let reader = opened.map_err(|_| unavailable())?.map_err(refusal)?;
    let feed = Feed {
        reader,
        tenant,
        tokens: Arc::clone(&shared.tokens),
        heartbeat: Duration::from_millis(shared.limits.stream_heartbeat_ms),
        stop: shared.stop.child_token(),
        begun: false,
        until: Instant::now() + Duration::from_millis(shared.limits.stream_max_ms),
        _permits: (of_tenant, of_all),
        _busy: request.extensions().get::<Arc<Connection>>().map(Connection::busy),
        _open: Open::stream(&shared.edge.counts),
    };
    let pieces = stream::unfold(feed, |mut feed| async move {
        let piece = feed.next().await?;
        Some((Ok::<Bytes, Infallible>(piece), feed))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let answered = response.headers_mut();
    answered.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    answered.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers before they pass them on are told not to.
    answered.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The header wins: a browser that comes again sends it with the address that it began with.
fn where_from(query: &Query<'_>, last_id: Option<&str>) -> Result<ReadFrom, Refusal> {
    let after = query.token("after")?;
    let from = query.word("from", From::ALL, From::as_str)?;
    if after.is_some() && from.is_some() {
        return Err(Refusal::new(Code::InvalidField, "give either after or from").at("from"));
    }
    Ok(match (last_id.filter(|id| !id.is_empty()).or(after), from) {
        (Some(token), _) => ReadFrom::After(token.to_owned()),
        (None, Some(From::Now)) => ReadFrom::Now,
        (None, Some(From::Beginning) | None) => ReadFrom::Beginning,
    })
}

fn refusal(error: RelayError) -> Refusal {
    match error {
        // Their texts name places of the log.
        RelayError::BadToken(_) => token::invalid().at(LAST_EVENT_ID),
        RelayError::Gone(_) => Refusal::new(Code::PositionGone, Code::PositionGone.meaning()),
        RelayError::Unavailable(_) => unavailable(),
    }
}

fn unavailable() -> Refusal {
    Refusal::new(Code::Unavailable, "events cannot be read now; come again, later")
}

struct Feed {
    reader: Box<dyn EventReader>,
    tenant: TenantId,
    tokens: Arc<Tokens>,
    heartbeat: Duration,
    stop: CancellationToken,
    begun: bool,
    /// Nobody has a stream for ever.
    until: Instant,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _busy: Option<RequestGuard>,
    _open: Open,
}

impl Feed {
    /// The next piece. Also without an event it says the place, so that a client which comes again misses nothing and does
    /// not have read again what was none of its tenant's: an id without data is no event. The end tells the client to come again with the id of the last event that it has: on a stop to
    /// another node, after trouble to be told of it by a problem.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            return Some(Bytes::from(format!("retry: {RETRY_MS}\nid: {}\n\n", self.position()?)));
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = sleep_until(self.until) => None,
            events = self.reader.next() => self.written(&events.ok()?),
            () = sleep(self.heartbeat) => {
                Some(Bytes::from(format!(": nothing new\nid: {}\n\n", self.position()?)))
            }
        }
    }

    fn position(&self) -> Option<String> {
        self.tokens.seal(TokenKind::Event, &self.tenant, &self.reader.position())
    }

    fn written(&self, events: &[RelayedEvent]) -> Option<Bytes> {
        const FIELDS_BYTES: usize = "id: \nevent: \ndata: \n\n".len() + TOKEN_CHARS;
        let bytes = events.iter().map(|event| event.kind.len() + event.json.len() + FIELDS_BYTES).sum();
        let mut text = String::with_capacity(bytes);
        for event in events {
            let token = self.tokens.seal_event(&self.tenant, &event.token)?;
            for part in ["id: ", &token, "\nevent: ", event.kind, "\ndata: ", &event.json, "\n\n"] {
                text.push_str(part);
            }
        }
        Some(Bytes::from(text))
    }
}
