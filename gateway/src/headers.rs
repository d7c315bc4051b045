//! What request headers say, each at most once.

use std::time::Duration;

use hyper::HeaderMap;
use retailflow_config::Http;
use retailflow_engine::wire::{Code, Trace};

use crate::answer::Refusal;

/// How long the caller waits, in milliseconds.
pub(crate) const TIMEOUT: &str = "rf-timeout-ms";
/// Who acts at the operators' door.
pub(crate) const OPERATOR: &str = "rf-operator";
/// The event that a stream goes on after.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

const OPERATOR_MAX_CHARS: usize = 64;

/// The value of a header; given twice it is refused, for either of the two could be meant.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(Code::DuplicateField, "the header is given twice; give it once").at(name));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(Refusal::new(Code::InvalidField, "only printable ASCII is allowed").at(name)),
    }
}

/// The time that a request has.
pub(crate) fn timeout(headers: &HeaderMap, limits: &Http) -> Result<Duration, Refusal> {
    let Some(text) = single(headers, TIMEOUT)? else {
        return Ok(Duration::from_millis(limits.request_timeout_ms));
    };
    let max = limits.request_timeout_max_ms;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(ms) if digits && (1..=max).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => {
            let text = format!("a whole number of milliseconds from 1 to {max} is expected");
            Err(Refusal::new(Code::InvalidField, text).at(TIMEOUT))
        }
    }
}

/// The trace that a request is part of.
pub(crate) fn trace(headers: &HeaderMap) -> Trace {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text("traceparent") {
        None => Trace::default(),
        parent => Trace::from_headers(parent, text("tracestate")),
    }
}

/// Who acts at the operators' door: it is recorded with what is done.
pub(crate) fn operator(headers: &HeaderMap) -> Result<&str, Refusal> {
    operator_name(single(headers, OPERATOR)?)
}

/// The same from a form: a name is what a header can hold, so that both ways record the same.
pub(crate) fn operator_name(name: Option<&str>) -> Result<&str, Refusal> {
    match name {
        None | Some("") => {
            let text = "say who you are: what operators do is recorded with their name";
            Err(Refusal::new(Code::MissingField, text).at(OPERATOR))
        }
        Some(name) if name.len() > OPERATOR_MAX_CHARS => {
            let text = format!("at most {OPERATOR_MAX_CHARS} characters are allowed");
            Err(Refusal::new(Code::TooLong, text).at(OPERATOR))
        }
        Some(name) if name.bytes().any(|b| b != b' ' && !b.is_ascii_graphic()) => {
            Err(Refusal::new(Code::InvalidField, "only printable ASCII is allowed").at(OPERATOR))
        }
        Some(name) => Ok(name),
    }
}
