//! Answers: an outcome as it is, everything from 400 on as an RFC 9457 problem with the outcome's members.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::wire::problem::{PROBLEM_MEDIA_TYPE, Problem};
use retailflow_engine::wire::{Code, DecodeError, Outcome, Retry};
use serde::Serialize;

/// Says that an outcome is the first one given again.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static(PROBLEM_MEDIA_TYPE);

/// Room for most outcomes and problems, so that they are written without moving them.
const BODY_BYTES: usize = 640;

/// What is told to wait that is not told for how long.
const RETRY_AFTER_MS: u64 = 1000;

/// Why a request gets no other answer: an outcome that was refused at the edge.
#[derive(Debug)]
pub(crate) struct Refusal {
    outcome: Box<Outcome>,
    closes: bool,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { outcome: Box::new(Outcome::unaddressed(code, message)), closes: false }
    }

    /// About one part of the request: a header, a parameter, a member of the body.
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.outcome.path = Some(path.to_owned());
        self
    }

    /// About this order: the path of the request is what counts.
    pub(crate) fn of(mut self, order: &OrderRef) -> Self {
        self.outcome.tenant = Some(order.tenant.clone());
        self.outcome.order = Some(order.order.clone());
        self
    }

    /// To a request that asked for a dry run.
    pub(crate) fn of_dry_run(mut self) -> Self {
        self.outcome.dry_run = true;
        self
    }

    /// The connection can't be used any more: the rest of the request is still on its way.
    pub(crate) fn and_close(mut self) -> Self {
        self.closes = true;
        self
    }

    /// What the caller is told, for whoever tells it another way.
    pub(crate) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::Internal, Code::Internal.meaning())
    }
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        Self { outcome: Box::new(outcome), closes: false }
    }
}

impl From<&DecodeError> for Refusal {
    fn from(error: &DecodeError) -> Self {
        Self { outcome: Box::new(error.to_outcome()), closes: false }
    }
}

/// What a body may be encoded by: nothing.
const PLAIN: HeaderValue = HeaderValue::from_static("identity");

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let encoded = self.outcome.code == Code::UnsupportedMediaType
            && self.outcome.path.as_deref() == Some(CONTENT_ENCODING.as_str());
        let mut response = respond(*self.outcome);
        if encoded {
            response.headers_mut().insert(ACCEPT_ENCODING, PLAIN);
        }
        if self.closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer that gives an outcome.
pub(crate) fn respond(outcome: Outcome) -> Response {
    let status =
        StatusCode::from_u16(outcome.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let replayed = outcome.replayed;
    let retry_after = retry_after_seconds(&outcome);
    let mut response = if status.is_success() {
        written(status, JSON, &outcome)
    } else {
        written(status, PROBLEM, &Problem::from(outcome))
    };
    let headers = response.headers_mut();
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// In whole seconds, rounded up: a second too early is refused again.
fn retry_after_seconds(outcome: &Outcome) -> Option<u64> {
    let busy = matches!(outcome.code.http_status(), 429 | 503);
    let wait_ms = match outcome.retry_after_ms {
        None if busy && outcome.code.retry() == Retry::Later => RETRY_AFTER_MS,
        None => return None,
        Some(wait_ms) => wait_ms,
    };
    Some(wait_ms.div_ceil(1000).max(1))
}

/// What a reader asked for. It is about customers, so nothing in between may keep it.
pub(crate) fn found(value: &impl Serialize) -> Response {
    let mut response = written(StatusCode::OK, JSON, value);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    written(status, JSON, value)
}

/// A problem as it goes over the wire, for a connection that is closed after it. `more` are further lines of its head.
pub(crate) fn written_out(code: Code, message: &str, more: &str) -> Bytes {
    let problem = Problem::from(Outcome::unaddressed(code, message));
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let length = body.len();
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Bytes::from(format!(
        "HTTP/1.1 {status}\r\n{more}Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Type: {PROBLEM_MEDIA_TYPE}\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

fn written(status: StatusCode, kind: HeaderValue, value: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(BODY_BYTES);
    let (status, kind, body) = match serde_json::to_writer(&mut body, value) {
        Ok(()) => (status, kind, body),
        // Our types write into memory without fail; should one ever not, half of it must not look whole.
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, HeaderValue::from_static("text/plain"), Vec::new()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
