//! Commands as CloudEvents 1.0: read straight into typed values, and once more, with paths, only when that fails.

use super::admin::TenantChange;
use super::best_effort_ids::best_effort_ids;
use super::code::Code;
use super::command::CommandData;
use super::command_type::CommandType;
use super::error::DecodeError;
use super::limits::BODY_MAX_BYTES;
use super::numbers::{by_digits, number_at};
use super::object::object;
use super::raw_envelope::Envelope;
use super::time::format_time;
use super::trace::Trace;
use super::validate::validate;
use crate::ids::{CommandKey, OrderRef, TimestampMs};
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A command with its envelope: well formed and within its limits, but not looked at against an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandEvent {
    /// Which order it is for: `tenant` and `subject`.
    pub order: OrderRef,
    /// Its identity: `source` and `id`.
    pub key: CommandKey,
    /// When it was made.
    pub time: Option<TimestampMs>,
    /// Which schema its data follows, as the caller says; not looked at.
    pub dataschema: Option<String>,
    /// What it is part of.
    pub trace: Trace,
    /// What it says; its type too.
    pub data: CommandData,
}

/// What [`decode_command`] gives.
pub type DecodedCommand = CommandEvent;

impl CommandEvent {
    /// A command without time or trace.
    #[must_use]
    pub fn new(order: OrderRef, key: CommandKey, data: CommandData) -> Self {
        Self { order, key, time: None, dataschema: None, trace: Trace::default(), data }
    }

    /// What it asks for.
    #[must_use]
    pub const fn kind(&self) -> CommandType {
        self.data.kind()
    }

    /// The hash of what it says, by which a second sending is told from another command under the same id.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        super::hash::content_hash(&self.data)
    }
}

impl CommandEvent {
    /// The structured JSON form.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Writing into memory fails only for maps with keys that are no text; there is none.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for CommandEvent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &self.key.id)?;
        map.serialize_entry("source", &self.key.source)?;
        map.serialize_entry("type", self.kind().as_str())?;
        map.serialize_entry("tenant", &self.order.tenant)?;
        map.serialize_entry("subject", &self.order.order)?;
        if let Some(time) = self.time {
            map.serialize_entry("time", &format_time(time))?;
        }
        let optional = [
            ("dataschema", &self.dataschema),
            ("traceparent", &self.trace.traceparent),
            ("tracestate", &self.trace.tracestate),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        map.serialize_entry("data", &self.data)?;
        map.end()
    }
}

/// Reads a command in structured JSON.
///
/// # Errors
/// What is wrong, where, and as much of the address as could be read.
pub fn decode_command(bytes: &[u8]) -> Result<DecodedCommand, DecodeError> {
    by_digits(text_of(bytes)?, decode_structured)
}

fn decode_structured(text: &str) -> Result<DecodedCommand, DecodeError> {
    let envelope: Envelope<'_> = read(text, "").map_err(|mut error| {
        if error.code == Code::WrongType && error.path.is_none() {
            error.code = Code::NotACloudevent;
        }
        DecodeError { address: best_effort_ids(text), ..error }
    })?;
    let kind = envelope.kind;
    let data = match envelope.data {
        Some(raw) => decode_text(kind, raw.get(), "data"),
        // Nothing that these say must be said.
        None if kind.is_operator() && kind != CommandType::ResolveStep => decode_text(kind, "{}", "data"),
        None => Err(DecodeError::new(Code::MissingField, "data", "\"data\" must be given")),
    };
    match data {
        Ok(data) => {
            let Envelope { order, key, time, dataschema, trace, .. } = envelope;
            Ok(CommandEvent { order, key, time, dataschema, trace, data })
        }
        Err(error) => Err(DecodeError { address: envelope.into_address(), ..error }),
    }
}

/// Reads the data of a command whose envelope came another way (HTTP headers, a path). Paths begin at the data.
///
/// # Errors
/// What is wrong and where; no address.
pub fn decode_data(kind: CommandType, data: &[u8]) -> Result<CommandData, DecodeError> {
    by_digits(text_of(data)?, |text| decode_text(kind, text, ""))
}

/// Reads what is to be changed of a tenant.
///
/// # Errors
/// What is wrong and where; no address.
pub fn decode_tenant_change(bytes: &[u8]) -> Result<TenantChange, DecodeError> {
    by_digits(text_of(bytes)?, |text| read(text, ""))
}

/// A byte order mark, which some editors and systems write before UTF-8. It says nothing, and is passed over (RFC 8259
/// section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn text_of(bytes: &[u8]) -> Result<&str, DecodeError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.len() > BODY_MAX_BYTES {
        let text = format!("{} bytes are too many: at most {BODY_MAX_BYTES} are allowed", bytes.len());
        return Err(DecodeError::new(Code::TooLarge, "", text));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let text = format!("not UTF-8 at byte {}; encode as UTF-8 and send again", error.valid_up_to());
        DecodeError::new(Code::InvalidUtf8, "", text)
    })
}

fn decode_text(kind: CommandType, text: &str, prefix: &str) -> Result<CommandData, DecodeError> {
    let data = match kind {
        CommandType::Place => CommandData::Place(read(text, prefix)?),
        CommandType::Cancel => CommandData::Cancel(read(text, prefix)?),
        CommandType::Return => CommandData::Return(read(text, prefix)?),
        CommandType::Report => CommandData::Report(read(text, prefix)?),
        CommandType::Resume => CommandData::Resume(read(text, prefix)?),
        CommandType::ResolveStep => CommandData::ResolveStep(read(text, prefix)?),
        CommandType::Compensate => CommandData::Compensate(read(text, prefix)?),
        CommandType::Archive => CommandData::Archive(read(text, prefix)?),
        CommandType::Restore => CommandData::Restore(read(text, prefix)?),
        CommandType::Refund => CommandData::Refund(read(text, prefix)?),
        CommandType::Hold => CommandData::Hold(read(text, prefix)?),
        CommandType::ReleaseHold => CommandData::ReleaseHold(read(text, prefix)?),
        CommandType::Pay => CommandData::Pay(read(text, prefix)?),
        CommandType::Amend => CommandData::Amend(read(text, prefix)?),
        CommandType::Exchange => CommandData::Exchange(read(text, prefix)?),
        CommandType::Record => CommandData::Record(read(text, prefix)?),
    };
    validate(&data).map_err(|error| error.within(prefix))?;
    Ok(data)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str, prefix: &str) -> Result<T, DecodeError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let first = object(&mut reader).and_then(|value| reader.end().map(|()| value));
    first.map_err(|error| explain::<T>(text, prefix, &error))
}

/// Reads once more to find the place: keeping track of it costs more than reading.
#[cold]
fn explain<'a, T: Deserialize<'a>>(text: &'a str, prefix: &str, first: &serde_json::Error) -> DecodeError {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let second = object::<T, _>(serde_path_to_error::Deserializer::new(&mut reader, &mut track));
    match second {
        Err(error) => {
            let number = number_at(text, error.line(), error.column());
            DecodeError::from_json(prefix, &track.path().to_string(), &error).with_digits(number)
        }
        Ok(_) => DecodeError::from_json(prefix, "", first),
    }
}
