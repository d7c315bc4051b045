//! From a message to a command: a CloudEvent in JSON, or one in headers. What they say is read by the engine's binding, as at
//! every other door.
//!
//! Invariants:
//! - The subject says which order a command is for. A header or body that names another one is refused.
//! - A header is looked at only if it is one of [`NAMES`] or an attribute of a CloudEvent; a thousand others change nothing. One
//!   that is given twice is refused, for either could be meant.
//! - Whatever a caller wrote ends in a command or in a reason, never in a panic.

use async_nats::HeaderMap;
use retailflow_engine::ids::{IdError, OrderId, OrderRef, TenantId};
use retailflow_engine::wire::binding::{Attributes, Door, Form, MessageHeaders, is_attribute};
use retailflow_engine::wire::limits::EXTENSIONS_MAX;
use retailflow_engine::wire::{Code, CommandEvent, DecodeError, decode_command};

use super::filter::UNREADABLE;

/// How long the caller waits, in milliseconds.
pub(super) const TIMEOUT: &str = "rf-timeout-ms";
/// Asks what would be decided.
pub(super) const DRY_RUN: &str = "rf-dry-run";
/// Where a published command's outcome is to be sent.
pub(super) const REPLY_TO: &str = "rf-reply-to";
const CONTENT_TYPE: &str = "content-type";

/// The headers that are looked at, in lower case: callers write them in any.
const NAMES: &[&str] = &[
    CONTENT_TYPE,
    "content-encoding",
    TIMEOUT,
    DRY_RUN,
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
    // Events have these.
    "ce-sequence",
    "ce-causationid",
    "ce-eventnumber",
    "ce-causationsource",
    "ce-actor",
    "traceparent",
    "tracestate",
];

/// The headers of a message that mean something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers {
    kept: Vec<(&'static str, String)>,
    /// Attributes that the contract does not name, one more than are allowed at most.
    extensions: Vec<(String, String)>,
    /// They cannot be read at all.
    broken: bool,
}

impl Headers {
    pub(super) fn of(map: Option<&HeaderMap>) -> Self {
        let broken = map.is_some_and(|map| map.get(UNREADABLE).is_some());
        let mut headers = Self { broken, ..Self::default() };
        for (name, values) in map.into_iter().flat_map(HeaderMap::iter) {
            values.iter().for_each(|value| headers.keep(name.as_ref(), value.as_str()));
        }
        headers
    }

    /// Of their text as it stands in a stream, in which nobody has looked at it yet.
    pub(super) fn parse(text: &[u8]) -> Self {
        let broken = Self { broken: true, ..Self::default() };
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
        } else if is_attribute(name) && self.extensions.len() <= EXTENSIONS_MAX {
            self.extensions.push((name.to_owned(), value.trim().to_owned()));
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

    /// What an attribute of one of our own events says, as it was written: percent-encoded.
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

impl MessageHeaders for Headers {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, &'a [u8])) {
        self.kept.iter().for_each(|(name, value)| take(name, value.as_bytes()));
        self.extensions.iter().for_each(|(name, value)| take(name, value.as_bytes()));
    }
}

/// Is only asked what would be decided? Another word than the two is refused: the command could be carried out by mistake.
pub(super) fn is_dry_run(headers: &Headers) -> Result<bool, DecodeError> {
    match headers.single(DRY_RUN)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(DecodeError::new(Code::InvalidField, DRY_RUN, "expected one of false, true")),
    }
}

/// A command out of the stream is carried out, sooner or later; what asks for a dry run is not.
pub(super) fn must_be_carried_out(headers: &Headers, command: &CommandEvent) -> Result<(), DecodeError> {
    let asked = is_dry_run(headers).and_then(|dry_run| match dry_run {
        false => Ok(()),
        true => {
            let text = format!(
                "what is published is carried out, and a dry run is not: nothing was done. Send it as a request to {}",
                super::subjects::ask(&command.order)
            );
            Err(DecodeError::new(Code::InvalidField, DRY_RUN, text))
        }
    });
    asked.map_err(|mut error| {
        error.address.tenant = Some(command.order.tenant.clone());
        error.address.order = Some(command.order.order.clone());
        error.address.source = Some(command.key.source.clone());
        error.address.id = Some(command.key.id.clone());
        error
    })
}

/// A published command says who made it.
const DOOR: Door<'static> = Door { address: "subject of the message", source: None };

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
    if headers.broken {
        let text = "the headers of the message cannot be read; send names and values in ASCII, a line each";
        return Err(envelope(DecodeError::new(Code::InvalidField, "headers", text)));
    }
    let attributes = Attributes::of(headers);
    // Without a content type, and without an envelope in the headers, it can only be in the body.
    let structured = match attributes.form().map_err(envelope)? {
        Some(Form::Structured) => true,
        Some(Form::Data) | None => !attributes.is_envelope(),
    };
    let mut command = if structured {
        let command = decode_command(body).map_err(|error| NoCommand::Body(place(error)))?;
        attributes.beside(&command, order, &DOOR).map_err(envelope)?;
        command
    } else {
        attributes.binary(order, body, &DOOR).map_err(envelope)?
    };
    // The header is of this hop; the attribute may be of an earlier one.
    let hop = attributes.hop();
    let retraced = hop.traceparent.is_some() && hop != command.trace;
    if retraced {
        command.trace = hop;
    }
    Ok(Read { command, whole: structured && !retraced })
}

#[cfg(test)]
mod tests;
