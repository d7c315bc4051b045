//! From a message to a command: a CloudEvent in JSON, or one in headers.
//!
//! Invariants:
//! - The subject says which order a command is for. A header or body that names another one is refused.
//! - A header is looked at only if it is one of [`NAMES`]; a thousand others change nothing. One of these that is given twice is
//!   refused, for either could be meant.
//! - Whatever a caller wrote ends in a command or in a reason, never in a panic.

use async_nats::HeaderMap;
use retailflow_engine::ids::{CommandId, CommandKey, IdError, OrderId, OrderRef, Source, TenantId};
use retailflow_engine::wire::limits::DATASCHEMA_MAX_CHARS;
use retailflow_engine::wire::time::parse_time;
use retailflow_engine::wire::{
    Code, CommandEvent, CommandType, DecodeError, Trace, decode_command, decode_data,
};

use super::filter::UNREADABLE;

/// How long the caller waits, in milliseconds.
pub(super) const TIMEOUT: &str = "rf-timeout-ms";
/// Where a published command's outcome is to be sent.
pub(super) const REPLY_TO: &str = "rf-reply-to";
const CONTENT_TYPE: &str = "content-type";

/// The headers that are looked at, in lower case: callers write them in any.
const NAMES: &[&str] = &[
    CONTENT_TYPE,
    TIMEOUT,
    REPLY_TO,
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "ce-tenant",
    "ce-subject",
    "ce-time",
    "ce-dataschema",
    "ce-traceparent",
    "ce-tracestate",
    // Events have these two.
    "ce-sequence",
    "ce-causationid",
    "traceparent",
    "tracestate",
];

/// The headers of a message that mean something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers {
    kept: Vec<(&'static str, String)>,
    /// They cannot be read at all.
    broken: bool,
}

impl Headers {
    pub(super) fn of(map: Option<&HeaderMap>) -> Self {
        let broken = map.is_some_and(|map| map.get(UNREADABLE).is_some());
        let mut headers = Self { kept: Vec::new(), broken };
        for (name, values) in map.into_iter().flat_map(HeaderMap::iter) {
            values.iter().for_each(|value| headers.keep(name.as_ref(), value.as_str()));
        }
        headers
    }

    /// Of their text as it stands in a stream, in which nobody has looked at it yet.
    pub(super) fn parse(text: &[u8]) -> Self {
        let broken = Self { kept: Vec::new(), broken: true };
        if text.is_empty() {
            return Self::default();
        }
        let Ok(text) = std::str::from_utf8(text) else { return broken };
        // As the client reads them, so that a message says the same whichever way it comes. A status in the first line, which
        // only servers should send, says nothing.
        let mut lines = text.lines().peekable();
        if !lines.next().is_some_and(|first| first.starts_with("NATS/1.0")) {
            return broken;
        }
        let mut headers = Self::default();
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let Some((name, value)) = line.split_once(':') else { return broken };
            if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return broken;
            }
            let mut value = value.to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
                value.push_str(more);
            }
            headers.keep(name, &value);
        }
        headers
    }

    fn keep(&mut self, name: &str, value: &str) {
        if let Some(known) = NAMES.iter().find(|known| name.eq_ignore_ascii_case(known)) {
            // Two are enough to see that there are too many.
            if self.kept.iter().filter(|(kept, _)| kept == known).count() < 2 {
                self.kept.push((known, value.trim().to_owned()));
            }
        }
    }

    /// What a header says.
    pub(super) fn single(&self, name: &'static str) -> Result<Option<&str>, DecodeError> {
        let mut values = self.kept.iter().filter(|(kept, _)| *kept == name);
        let value = values.next();
        if values.next().is_some() {
            let text = "the header is given twice; give it once";
            return Err(DecodeError::new(Code::DuplicateField, name, text));
        }
        Ok(value.map(|(_, value)| value.as_str()))
    }

    /// What an attribute in a header says: percent-encoded, as the CloudEvents bindings have it.
    pub(super) fn attribute(&self, name: &'static str) -> Result<Option<String>, DecodeError> {
        let Some(text) = self.single(name)? else { return Ok(None) };
        let wrong = || {
            let text =
                "a percent sign begins two hexadecimal digits of a UTF-8 byte; \"%25\" is the sign itself";
            DecodeError::new(Code::InvalidField, name, text)
        };
        let mut bytes = Vec::with_capacity(text.len());
        let mut parts = text.split('%');
        bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            let digits = part.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok()).ok_or_else(wrong)?;
            bytes.push(byte);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).map(Some).map_err(|_| wrong())
    }
}

/// The order that a subject's tokens name.
pub(super) fn order_of(tenant: &str, order: &str) -> Result<OrderRef, DecodeError> {
    let invalid = |error: IdError| DecodeError::new(Code::InvalidId, "subject", error.to_string());
    Ok(OrderRef {
        tenant: TenantId::parse(tenant).map_err(invalid)?,
        order: OrderId::parse(order).map_err(invalid)?,
    })
}

/// Why a message is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoCommand {
    /// Its body is none, and says so wherever it is read.
    Body(DecodeError),
    /// It cannot be taken as it came, though its body alone may look well.
    Envelope(DecodeError),
}

impl NoCommand {
    pub(super) fn into_error(self) -> DecodeError {
        match self {
            Self::Body(error) | Self::Envelope(error) => error,
        }
    }
}

/// A command, and whether its body alone says all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) command: CommandEvent,
    pub(super) whole: bool,
}

/// Reads a command for `order`. An error's address names the order too.
pub(super) fn read(order: &OrderRef, headers: &Headers, body: &[u8]) -> Result<Read, NoCommand> {
    let place = |mut error: DecodeError| {
        error.address.tenant = Some(order.tenant.clone());
        error.address.order = Some(order.order.clone());
        error
    };
    let envelope = |error| NoCommand::Envelope(place(error));
    let structured = is_structured(headers).map_err(envelope)?;
    let mut command = if structured {
        let command = decode_command(body).map_err(|error| NoCommand::Body(place(error)))?;
        agree("tenant", command.order.tenant.as_str(), order.tenant.as_str()).map_err(envelope)?;
        agree("subject", command.order.order.as_str(), order.order.as_str()).map_err(envelope)?;
        if let Some(id) = headers.attribute("ce-id").map_err(envelope)? {
            agree_on_id(&id, &command.key.id).map_err(envelope)?;
        }
        command
    } else {
        binary(order, headers, body).map_err(envelope)?
    };
    // The header is of this hop; the attribute may be of an earlier one.
    let trace = |name| headers.single(name).map_err(envelope);
    let trace = Trace::from_headers(trace("traceparent")?, trace("tracestate")?);
    let retraced = trace.traceparent.is_some() && trace != command.trace;
    if retraced {
        command.trace = trace;
    }
    Ok(Read { command, whole: structured && !retraced })
}

/// In JSON, or in headers? A message without headers can only be the former.
fn is_structured(headers: &Headers) -> Result<bool, DecodeError> {
    if headers.broken {
        let text = "the headers of the message cannot be read; send names and values in ASCII, a line each";
        return Err(DecodeError::new(Code::InvalidField, "headers", text));
    }
    let in_headers = headers.kept.iter().any(|(name, _)| *name == "ce-specversion" || *name == "ce-type");
    let Some(text) = headers.single(CONTENT_TYPE)? else { return Ok(!in_headers) };
    let wrong = |text| DecodeError::new(Code::UnsupportedMediaType, CONTENT_TYPE, text);
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    if !parts.all(utf8) {
        return Err(wrong("only UTF-8 is taken"));
    }
    match () {
        () if kind.eq_ignore_ascii_case("application/cloudevents+json") => Ok(true),
        () if kind.eq_ignore_ascii_case("application/json") => Ok(!in_headers),
        () => Err(wrong("application/cloudevents+json or application/json is expected")),
    }
}

fn binary(order: &OrderRef, headers: &Headers, body: &[u8]) -> Result<CommandEvent, DecodeError> {
    let must = |name: &'static str| {
        let value = headers.attribute(name)?;
        let text = "a CloudEvent 1.0 in headers has this one";
        value.ok_or_else(|| DecodeError::new(Code::MissingField, name, text))
    };
    let id = |name, error: &IdError| DecodeError::new(Code::InvalidId, name, error.to_string());
    if must("ce-specversion")? != "1.0" {
        let text = "the version 1.0 of CloudEvents is expected";
        return Err(DecodeError::new(Code::NotACloudevent, "ce-specversion", text));
    }
    let kind = CommandType::parse(&must("ce-type")?).ok_or_else(|| {
        let known: Vec<_> = CommandType::ALL.iter().map(|kind| kind.as_str()).collect();
        DecodeError::new(Code::UnknownType, "ce-type", format!("expected one of {}", known.join(", ")))
    })?;
    let key = CommandKey {
        source: Source::parse(&must("ce-source")?).map_err(|error| id("ce-source", &error))?,
        id: CommandId::parse(&must("ce-id")?).map_err(|error| id("ce-id", &error))?,
    };
    let of_command = |mut error: DecodeError| {
        error.address.source = Some(key.source.clone());
        error.address.id = Some(key.id.clone());
        error
    };
    for (name, own) in [("ce-tenant", order.tenant.as_str()), ("ce-subject", order.order.as_str())] {
        if let Some(said) = headers.attribute(name)? {
            agree(name, &said, own).map_err(of_command)?;
        }
    }
    let time = headers.attribute("ce-time")?.map(|time| parse_time(&time)).transpose();
    let time = time.map_err(|text| of_command(DecodeError::new(Code::InvalidField, "ce-time", text)))?;
    let dataschema = headers.attribute("ce-dataschema")?;
    if dataschema.as_ref().is_some_and(|schema| schema.chars().count() > DATASCHEMA_MAX_CHARS) {
        let text = format!("at most {DATASCHEMA_MAX_CHARS} characters are allowed");
        return Err(of_command(DecodeError::new(Code::TooLong, "ce-dataschema", text)));
    }
    let (parent, state) = (headers.attribute("ce-traceparent")?, headers.attribute("ce-tracestate")?);
    let trace = Trace::from_headers(parent.as_deref(), state.as_deref());
    let data = decode_data(kind, body).map_err(of_command)?;
    Ok(CommandEvent { time, dataschema, trace, ..CommandEvent::new(order.clone(), key.clone(), data) })
}

fn agree(name: &str, said: &str, subject: &str) -> Result<(), DecodeError> {
    if said == subject {
        return Ok(());
    }
    let text = "the subject of the message names another one; send it to where it belongs, or the reverse";
    Err(DecodeError::new(Code::MismatchedAddress, name, text))
}

fn agree_on_id(said: &str, id: &CommandId) -> Result<(), DecodeError> {
    if said == id.as_str() {
        return Ok(());
    }
    let text = "ce-id and the command's id differ; give one of them, or the same in both";
    Err(DecodeError::new(Code::MismatchedId, "ce-id", text))
}

#[cfg(test)]
mod tests;
