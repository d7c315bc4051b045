//! The envelope's attributes, with `data` still as text.

use super::code::Code;
use super::command_type::CommandType;
use super::dry_run::{DRY_RUN, NO_DRY_RUN};
use super::error::{Address, shown};
use super::limits::*;
use super::scalar::{Parse, coded};
use super::time::parse_coded;
use super::trace::{Trace, is_traceparent};
use crate::ids::{CommandId, CommandKey, OrderId, OrderRef, Source, TenantId, TimestampMs};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A CloudEvent as it is read.
pub(super) struct Envelope<'a> {
    pub(super) order: OrderRef,
    pub(super) key: CommandKey,
    pub(super) kind: CommandType,
    pub(super) time: Option<TimestampMs>,
    pub(super) dataschema: Option<String>,
    pub(super) trace: Trace,
    pub(super) data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    pub(super) fn into_address(self) -> Address {
        let OrderRef { tenant, order } = self.order;
        let CommandKey { source, id } = self.key;
        Address { tenant: Some(tenant), order: Some(order), source: Some(source), id: Some(id) }
    }
}

macro_rules! names {
    ($($name:ident $text:literal)*) => {
        /// The attributes that the contract names.
        #[derive(Clone, Copy)]
        enum Name {
            $($name,)*
        }

        impl Name {
            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Specversion "specversion"
    Id "id"
    Source "source"
    Type "type"
    Tenant "tenant"
    Subject "subject"
    Time "time"
    Datacontenttype "datacontenttype"
    Dataschema "dataschema"
    Traceparent "traceparent"
    Tracestate "tracestate"
    Data "data"
}

/// A name of the contract, or an extension's.
enum Key {
    Known(Name),
    Extension(String),
}

fn parse_key(text: &str) -> Result<Key, (Code, String)> {
    if let Some(name) = Name::parse(text) {
        return Ok(Key::Known(name));
    }
    if text == "data_base64" {
        return Err((Code::UnknownField, "data_base64 is not taken; give data as a JSON object".to_owned()));
    }
    if text == DRY_RUN {
        return Err((Code::UnknownField, NO_DRY_RUN.to_owned()));
    }
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if plain && !text.is_empty() && text.len() <= EXTENSION_NAME_MAX_CHARS {
        return Ok(Key::Extension(text.to_owned()));
    }
    let name = shown(text);
    let text = format!("{name} is no CloudEvents attribute name; those have at most 64 of a-z and 0-9");
    Err((Code::UnknownField, text))
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_identifier(Parse(parse_key, "an attribute's name"))
    }
}

/// Text that is checked and dropped, or checked and kept.
struct Text<T>(T);

macro_rules! text_attribute {
    ($($value:ty, $parse:expr;)*) => {$(
        impl<'de> Deserialize<'de> for Text<$value> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(Parse($parse, "a string")).map(Self)
            }
        }
    )*};
}

struct Version1;
struct JsonContent;
struct Schema(String);

text_attribute! {
    Version1, |text| match text {
        "1.0" => Ok(Version1),
        _ => Err((Code::NotACloudevent, format!("specversion is {}; \"1.0\" is expected", shown(text)))),
    };
    CommandType, |text| CommandType::parse(text).ok_or_else(|| {
        let known: Vec<_> = CommandType::ALL.iter().map(|kind| kind.as_str()).collect();
        (Code::UnknownType, format!("{} is no command; expected one of {}", shown(text), known.join(", ")))
    });
    JsonContent, |text| {
        if is_json(text) {
            return Ok(JsonContent);
        }
        let text = format!("datacontenttype is {}; \"application/json\" is expected", shown(text));
        Err((Code::UnsupportedMediaType, text))
    };
    TimestampMs, parse_coded;
    Schema, |text| {
        if text.chars().count() > DATASCHEMA_MAX_CHARS {
            return Err((Code::TooLong, format!("at most {DATASCHEMA_MAX_CHARS} characters are allowed")));
        }
        Ok(Schema(text.to_owned()))
    };
    Option<String>, |text| Ok((text.len() <= TRACESTATE_MAX_CHARS).then(|| text.to_owned()));
}

/// Whether a content type is JSON's.
pub(super) fn is_json(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The value of an extension: CloudEvents has only text, numbers and truth values there.
struct Scalar;

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl Visitor<'_> for Scalar {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a whole number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        if text.len() > EXTENSION_VALUE_MAX_CHARS {
            return Err(coded(
                Code::TooLong,
                format_args!("at most {EXTENSION_VALUE_MAX_CHARS} characters are allowed"),
            ));
        }
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent: an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut seen = 0u32;
        let mut extensions: Vec<String> = Vec::new();
        let (mut version, mut id, mut source, mut kind, mut tenant, mut order) =
            (None, None, None, None, None, None);
        let (mut time, mut dataschema, mut data) = (None, None, None);
        let mut trace = Trace::default();
        while let Some(key) = map.next_key::<Key>()? {
            let name = match key {
                Key::Known(name) => name,
                Key::Extension(name) => {
                    if extensions.contains(&name) {
                        let text = format_args!("{} is given twice; give it once", shown(&name));
                        return Err(coded(Code::DuplicateField, text));
                    }
                    if extensions.len() == EXTENSIONS_MAX {
                        return Err(coded(
                            Code::TooMany,
                            format_args!("at most {EXTENSIONS_MAX} extensions are allowed"),
                        ));
                    }
                    map.next_value::<Scalar>()?;
                    extensions.push(name);
                    continue;
                }
            };
            if seen & (1 << name as u32) != 0 {
                return Err(A::Error::duplicate_field(name.as_str()));
            }
            seen |= 1 << name as u32;
            match name {
                Name::Specversion => version = map.next_value::<Option<Text<Version1>>>()?,
                Name::Id => id = map.next_value::<Option<CommandId>>()?,
                Name::Source => source = map.next_value::<Option<Source>>()?,
                Name::Type => kind = map.next_value::<Option<Text<CommandType>>>()?,
                Name::Tenant => tenant = map.next_value::<Option<TenantId>>()?,
                Name::Subject => order = map.next_value::<Option<OrderId>>()?,
                Name::Time => time = map.next_value::<Option<Text<TimestampMs>>>()?,
                Name::Datacontenttype => _ = map.next_value::<Option<Text<JsonContent>>>()?,
                Name::Dataschema => dataschema = map.next_value::<Option<Text<Schema>>>()?,
                Name::Traceparent => {
                    let text = map.next_value::<Option<Text<Option<String>>>>()?.and_then(|text| text.0);
                    trace.traceparent = text.filter(|text| is_traceparent(text));
                }
                Name::Tracestate => {
                    trace.tracestate =
                        map.next_value::<Option<Text<Option<String>>>>()?.and_then(|text| text.0);
                }
                Name::Data => data = map.next_value::<Option<&'de RawValue>>()?,
            }
        }
        if trace.traceparent.is_none() {
            // As in headers: without a trace its state says nothing.
            trace.tracestate = None;
        }
        let missing = A::Error::missing_field;
        if version.is_none() {
            let text = "specversion is missing: a CloudEvent 1.0 is expected, with \"specversion\":\"1.0\"";
            return Err(coded(Code::NotACloudevent, text));
        }
        Ok(Envelope {
            key: CommandKey {
                id: id.ok_or_else(|| missing("id"))?,
                source: source.ok_or_else(|| missing("source"))?,
            },
            kind: kind.ok_or_else(|| missing("type"))?.0,
            order: OrderRef {
                tenant: tenant.ok_or_else(|| missing("tenant"))?,
                order: order.ok_or_else(|| missing("subject"))?,
            },
            time: time.map(|time| time.0),
            dataschema: dataschema.map(|schema| schema.0.0),
            trace,
            data,
        })
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(EnvelopeVisitor)
    }
}
