//! The three forms in which a command may come: a CloudEvent in JSON, a CloudEvent in headers, or bare data.
//!
//! The path says which order a command is for; whatever else names a tenant or an order must agree with it.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef, Source};
use retailflow_engine::wire::limits::DATASCHEMA_MAX_CHARS;
use retailflow_engine::wire::time::parse_time;
use retailflow_engine::wire::{Code, CommandEvent, CommandType, Trace, decode_command, decode_data};

use crate::answer::Refusal;
use crate::headers::{IDEMPOTENCY_KEY, attribute, idempotency_key, single, trace};

/// The form of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A CloudEvent in structured JSON.
    Structured,
    /// The data alone; the rest is in headers.
    Data,
}

/// What the content type says, before the body is read.
pub(crate) fn form(headers: &HeaderMap, no_body: bool) -> Result<Form, Refusal> {
    let wrong = |text: &str| Refusal::new(Code::UnsupportedMediaType, text).at("content-type");
    let Some(text) = single(headers, CONTENT_TYPE.as_str())? else {
        // Operators' commands may have no data at all.
        return if no_body { Ok(Form::Data) } else { Err(wrong(EXPECTED)) };
    };
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    for parameter in parts {
        let value = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        if value.is_some_and(|(_, value)| !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")) {
            return Err(wrong("only UTF-8 is taken"));
        }
    }
    if kind.eq_ignore_ascii_case("application/cloudevents+json") {
        Ok(Form::Structured)
    } else if kind.eq_ignore_ascii_case("application/json") {
        Ok(Form::Data)
    } else {
        Err(wrong(EXPECTED))
    }
}

const EXPECTED: &str = "application/cloudevents+json or application/json is expected";

/// Reads a command for `order`. `source` is who made a command that does not say so.
pub(crate) fn read(
    order: &OrderRef,
    form: Form,
    headers: &HeaderMap,
    body: &[u8],
    source: &str,
) -> Result<CommandEvent, Refusal> {
    let mut command = match form {
        Form::Structured => structured(order, headers, body)?,
        Form::Data => from_headers(order, headers, body, source)?,
    };
    // The header is of this hop; the attribute may be of an earlier one.
    let trace = trace(headers);
    if trace.traceparent.is_some() {
        command.trace = trace;
    }
    Ok(command)
}

fn structured(order: &OrderRef, headers: &HeaderMap, body: &[u8]) -> Result<CommandEvent, Refusal> {
    let command = decode_command(body).map_err(|error| Refusal::from(&error).of(order))?;
    agree("tenant", command.order.tenant.as_str(), order.tenant.as_str())?;
    agree("subject", command.order.order.as_str(), order.order.as_str())?;
    same_id(idempotency_key(headers)?.as_deref(), &command.key.id)?;
    same_id(attribute(headers, "ce-id")?.as_deref(), &command.key.id)?;
    Ok(command)
}

fn from_headers(
    order: &OrderRef,
    headers: &HeaderMap,
    body: &[u8],
    default_source: &str,
) -> Result<CommandEvent, Refusal> {
    let event = single(headers, "ce-specversion")?;
    if event.is_some_and(|version| version != "1.0") {
        let text = "the version 1.0 of CloudEvents is expected";
        return Err(Refusal::new(Code::NotACloudevent, text).at("ce-specversion"));
    }
    let kind = command_type(headers)?;
    let ce_id = attribute(headers, "ce-id")?;
    let key = idempotency_key(headers)?;
    let (id, id_name) = match (&ce_id, &key) {
        (Some(id), _) => (id, "ce-id"),
        (None, Some(key)) if event.is_none() => (key, IDEMPOTENCY_KEY),
        (None, _) if event.is_some() => return Err(missing("ce-id")),
        (None, _) => {
            let text = "give each command an id of its own: sent again under it, the command has one outcome";
            return Err(Refusal::new(Code::MissingField, text).at(IDEMPOTENCY_KEY));
        }
    };
    let id = CommandId::parse(id).map_err(|error| invalid(&error, id_name))?;
    same_id(key.as_deref(), &id)?;
    let source = match attribute(headers, "ce-source")? {
        Some(source) => source,
        None if event.is_some() => return Err(missing("ce-source")),
        None => Cow::Borrowed(default_source),
    };
    let source = Source::parse(&source).map_err(|error| invalid(&error, "ce-source"))?;
    if let Some(tenant) = attribute(headers, "ce-tenant")? {
        agree("ce-tenant", &tenant, order.tenant.as_str())?;
    }
    if let Some(subject) = attribute(headers, "ce-subject")? {
        agree("ce-subject", &subject, order.order.as_str())?;
    }
    // Nothing that these say must be said.
    let optional = kind.is_operator() && kind != CommandType::ResolveStep;
    let body = if body.is_empty() && optional { b"{}" } else { body };
    let data = decode_data(kind, body).map_err(|mut error| {
        error.address.source = Some(source.clone());
        error.address.id = Some(id.clone());
        Refusal::from(&error).of(order)
    })?;
    let mut command = CommandEvent::new(order.clone(), CommandKey { source, id }, data);
    if event.is_some() {
        beside(headers, &mut command)?;
    }
    Ok(command)
}

fn command_type(headers: &HeaderMap) -> Result<CommandType, Refusal> {
    let Some(name) = attribute(headers, "ce-type")? else {
        let text = "say which command it is, such as retailflow.order.place.v1; a CloudEvent in the body is \
                    sent as application/cloudevents+json";
        return Err(Refusal::new(Code::MissingField, text).at("ce-type"));
    };
    CommandType::parse(&name).ok_or_else(|| {
        let known: Vec<_> = CommandType::ALL.iter().map(|kind| kind.as_str()).collect();
        Refusal::new(Code::UnknownType, format!("expected one of {}", known.join(", "))).at("ce-type")
    })
}

/// The attributes that a command can do without.
fn beside(headers: &HeaderMap, command: &mut CommandEvent) -> Result<(), Refusal> {
    if let Some(time) = attribute(headers, "ce-time")? {
        let time = parse_time(&time).map_err(|text| Refusal::new(Code::InvalidField, text).at("ce-time"))?;
        command.time = Some(time);
    }
    if let Some(schema) = attribute(headers, "ce-dataschema")? {
        if schema.chars().count() > DATASCHEMA_MAX_CHARS {
            let text = format!("at most {DATASCHEMA_MAX_CHARS} characters are allowed");
            return Err(Refusal::new(Code::TooLong, text).at("ce-dataschema"));
        }
        command.dataschema = Some(schema.into_owned());
    }
    let parent = attribute(headers, "ce-traceparent")?;
    let state = attribute(headers, "ce-tracestate")?;
    command.trace = Trace::from_headers(parent.as_deref(), state.as_deref());
    Ok(())
}

fn missing(name: &'static str) -> Refusal {
    Refusal::new(Code::MissingField, "a CloudEvent 1.0 in headers has this one").at(name)
}

fn invalid(error: &retailflow_engine::ids::IdError, name: &str) -> Refusal {
    Refusal::new(Code::InvalidId, error.to_string()).at(name)
}

fn agree(name: &str, said: &str, path: &str) -> Result<(), Refusal> {
    if said == path {
        return Ok(());
    }
    let text = "the path of the request names another one; send it to where it belongs, or the reverse";
    Err(Refusal::new(Code::MismatchedAddress, text).at(name))
}

fn same_id(said: Option<&str>, id: &CommandId) -> Result<(), Refusal> {
    if said.is_none_or(|said| said == id.as_str()) {
        return Ok(());
    }
    let text = "Idempotency-Key and the command's id differ; give one of them, or the same in both";
    Err(Refusal::new(Code::MismatchedId, text))
}
