//! CloudEvents in headers: what the headers of a message say, whatever carried it.
//!
//! - **One reading for every door** that takes messages with headers (HTTP, NATS): the same attributes, spellings and limits,
//!   and those of the structured form.
//! - A header that the contract names and that is given twice is refused, for either could be meant.
//! - Extension attributes (`ce-` and a name of their own) are held to their limits and dropped, as in the structured form.

mod text;

use super::code::Code;
use super::command_type::CommandType;
use super::dry_run::{DRY_RUN, NO_DRY_RUN};
use super::envelope::{CommandEvent, decode_command, decode_data};
use super::error::{DecodeError, shown};
use super::limits::*;
use super::raw_envelope::is_json;
use super::time::parse_time;
use super::trace::Trace;
use crate::ids::{CommandId, CommandKey, IdError, OrderRef, Source};
use std::borrow::Cow;
use text::{decoded, printable, unquoted};

/// The headers of a message.
pub trait MessageHeaders {
    /// Gives each header away: its name in any case, and its value as it came.
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, &'a [u8]));
}

/// The form of a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A CloudEvent in structured JSON.
    Structured,
    /// The data alone; the rest is in headers.
    Data,
}

/// What a door adds to what the headers say.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// What says which order a message is for, such as "path of the request".
    pub address: &'static str,
    /// Who made a command that comes without an envelope and does not say so; none where an envelope must be there.
    pub source: Option<&'a str>,
}

macro_rules! names {
    ($($name:ident $text:literal)*) => {
        /// The headers that mean something.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Name {
            $($name,)*
        }

        impl Name {
            const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            fn parse(lower: &str) -> Option<Self> {
                match lower {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    ContentType "content-type"
    ContentEncoding "content-encoding"
    IdempotencyKey "idempotency-key"
    Specversion "ce-specversion"
    Id "ce-id"
    Source "ce-source"
    Type "ce-type"
    Tenant "ce-tenant"
    Subject "ce-subject"
    Time "ce-time"
    Dataschema "ce-dataschema"
    Traceparent "ce-traceparent"
    Tracestate "ce-tracestate"
    HopTraceparent "traceparent"
    HopTracestate "tracestate"
}

impl Name {
    /// That of a header, in any case.
    fn of(header: &str) -> Option<Self> {
        // Over HTTP all are in lower case already.
        let in_another_case = || {
            let is_other = header.bytes().any(|byte| byte.is_ascii_uppercase());
            is_other.then(|| Self::parse(&header.to_ascii_lowercase())).flatten()
        };
        Self::parse(header).or_else(in_another_case)
    }
}

const NAMES: usize = Name::ALL.len();
/// What attributes' headers begin with.
const PREFIX: &str = "ce-";

/// The value of a header, as often as it was given.
#[derive(Clone, Copy, Debug, Default)]
enum Given<'a> {
    #[default]
    Never,
    Once(&'a [u8]),
    Repeated,
}

/// What the headers of a message say.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    given: [Given<'a>; NAMES],
    /// Of attributes that the contract does not name: their headers' names and values, not looked at yet.
    extensions: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Attributes<'a> {
    /// Of these headers.
    #[must_use]
    pub fn of(headers: &'a dyn MessageHeaders) -> Self {
        let mut all = Self::default();
        headers.each(&mut |name, value| all.keep(name, value));
        all
    }

    fn keep(&mut self, name: &'a str, value: &'a [u8]) {
        if let Some(known) = Name::of(name) {
            let given = &mut self.given[known as usize];
            *given = match given {
                Given::Never => Given::Once(value),
                Given::Once(_) | Given::Repeated => Given::Repeated,
            };
        } else if is_attribute(name) && self.extensions.len() <= EXTENSIONS_MAX {
            // One more than are allowed shows that there are too many.
            self.extensions.push((name, value));
        }
    }

    /// Whether the headers are an envelope, or a part of one.
    #[must_use]
    pub fn is_envelope(&self) -> bool {
        self.has(Name::Specversion) || self.has(Name::Type)
    }

    /// Whether they say that they are a CloudEvent.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.has(Name::Specversion)
    }

    fn has(&self, name: Name) -> bool {
        !matches!(self.given[name as usize], Given::Never)
    }

    /// What a header says, without the space around it.
    fn single(&self, name: Name) -> Result<Option<&'a str>, DecodeError> {
        match self.given[name as usize] {
            Given::Never => Ok(None),
            Given::Once(value) => printable(value, name.as_str()).map(Some),
            Given::Repeated => {
                let text = "the header is given twice; give it once";
                Err(DecodeError::new(Code::DuplicateField, name.as_str(), text))
            }
        }
    }

    /// What an attribute's header says: within quotes or not, then percent-encoded, as the CloudEvents bindings have it.
    fn attribute(&self, name: Name) -> Result<Option<Cow<'a, str>>, DecodeError> {
        self.single(name)?.map(|text| decoded(text, name.as_str())).transpose()
    }

    /// The form that the content type names, if there is one.
    ///
    /// # Errors
    /// `unsupported_media_type` for another one, another character set, or content that is encoded.
    pub fn form(&self) -> Result<Option<Form>, DecodeError> {
        self.is_plain()?;
        let Some(text) = self.single(Name::ContentType)? else { return Ok(None) };
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        if !parts.all(is_utf8) {
            return Err(unsupported(Name::ContentType, "only UTF-8 is taken"));
        }
        if kind.eq_ignore_ascii_case("application/cloudevents+json") {
            Ok(Some(Form::Structured))
        } else if kind.eq_ignore_ascii_case("application/json") {
            Ok(Some(Form::Data))
        } else {
            Err(Self::without_form())
        }
    }

    /// What is told where no form can be made out.
    #[must_use]
    pub fn without_form() -> DecodeError {
        unsupported(Name::ContentType, "application/cloudevents+json or application/json is expected")
    }

    fn is_plain(&self) -> Result<(), DecodeError> {
        let encodings = match self.given[Name::ContentEncoding as usize] {
            Given::Never => return Ok(()),
            Given::Once(value) => std::str::from_utf8(value).unwrap_or("?"),
            Given::Repeated => "?",
        };
        if encodings
            .split(',')
            .all(|one| matches!(one.trim(), "") || one.trim().eq_ignore_ascii_case("identity"))
        {
            return Ok(());
        }
        Err(unsupported(
            Name::ContentEncoding,
            "the body is taken as it is, and not compressed: send it without an encoding",
        ))
    }

    /// The trace of this hop; what is given twice is none.
    #[must_use]
    pub fn hop(&self) -> Trace {
        let text = |name| self.single(name).ok().flatten();
        Trace::from_headers(text(Name::HopTraceparent), text(Name::HopTracestate))
    }

    /// Reads a command for `order`.
    ///
    /// # Errors
    /// What is wrong, and in which header or where in the body.
    pub fn read(
        &self,
        order: &OrderRef,
        form: Form,
        body: &[u8],
        door: &Door<'_>,
    ) -> Result<CommandEvent, DecodeError> {
        let mut command = match form {
            Form::Structured => {
                let command = decode_command(body)?;
                self.beside(&command, order, door)?;
                command
            }
            Form::Data => self.binary(order, body, door)?,
        };
        // The header is of this hop; the attribute may be of an earlier one.
        let hop = self.hop();
        if hop.traceparent.is_some() {
            command.trace = hop;
        }
        Ok(command)
    }

    /// Whether what stands beside a command in structured JSON agrees with it.
    ///
    /// # Errors
    /// `mismatched_address`, `mismatched_id`, or that a header cannot be read.
    pub fn beside(
        &self,
        command: &CommandEvent,
        order: &OrderRef,
        door: &Door<'_>,
    ) -> Result<(), DecodeError> {
        self.agrees(command, order, door).map_err(|error| about(error, &command.key))
    }

    fn agrees(&self, command: &CommandEvent, order: &OrderRef, door: &Door<'_>) -> Result<(), DecodeError> {
        door.agree("tenant", command.order.tenant.as_str(), order.tenant.as_str())?;
        door.agree("subject", command.order.order.as_str(), order.order.as_str())?;
        same_id(self.idempotency_key()?.as_deref(), &command.key.id, Name::IdempotencyKey)?;
        same_id(self.attribute(Name::Id)?.as_deref(), &command.key.id, Name::Id)
    }

    /// As it is, or as the quoted string of a structured field.
    fn idempotency_key(&self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        let Some(text) = self.single(Name::IdempotencyKey)? else { return Ok(None) };
        unquoted(text, Name::IdempotencyKey.as_str(), Code::InvalidId).map(Some)
    }

    /// Reads a command whose envelope is in the headers, or that has none.
    ///
    /// # Errors
    /// What is wrong, and in which header or where in the data.
    pub fn binary(
        &self,
        order: &OrderRef,
        body: &[u8],
        door: &Door<'_>,
    ) -> Result<CommandEvent, DecodeError> {
        let is_event = match self.attribute(Name::Specversion)? {
            Some(version) if version != "1.0" => {
                let text = "the version 1.0 of CloudEvents is expected";
                return Err(DecodeError::new(Code::NotACloudevent, Name::Specversion.as_str(), text));
            }
            version => version.is_some(),
        };
        if !is_event && door.source.is_none() {
            return Err(missing(Name::Specversion));
        }
        let kind = self.command_type(is_event)?;
        let id = self.id(is_event)?;
        let source = match (self.attribute(Name::Source)?, door.source) {
            (Some(source), _) => source,
            (None, Some(source)) if !is_event => Cow::Borrowed(source),
            (None, _) => return Err(missing(Name::Source)),
        };
        let source = Source::parse(&source).map_err(|error| invalid(&error, Name::Source))?;
        let key = CommandKey { source, id };
        let command = self.rest(order, kind, &key, body, door);
        command.map_err(|error| about(error, &key))
    }

    fn command_type(&self, is_event: bool) -> Result<CommandType, DecodeError> {
        let path = Name::Type.as_str();
        let Some(name) = self.attribute(Name::Type)? else {
            if is_event {
                return Err(missing(Name::Type));
            }
            let text = "say which command it is, such as retailflow.order.place.v1; a CloudEvent in the body is \
                        sent as application/cloudevents+json";
            return Err(DecodeError::new(Code::MissingField, path, text));
        };
        CommandType::parse(&name).ok_or_else(|| {
            let known: Vec<_> = CommandType::ALL.iter().map(|kind| kind.as_str()).collect();
            DecodeError::new(Code::UnknownType, path, format!("expected one of {}", known.join(", ")))
        })
    }

    fn id(&self, is_event: bool) -> Result<CommandId, DecodeError> {
        let key = self.idempotency_key()?;
        let (id, name) = match (self.attribute(Name::Id)?, &key) {
            (Some(id), _) => (id, Name::Id),
            (None, Some(key)) if !is_event => (Cow::Borrowed(&**key), Name::IdempotencyKey),
            (None, _) if is_event => return Err(missing(Name::Id)),
            (None, _) => {
                let text =
                    "give each command an id of its own: sent again under it, the command has one outcome";
                return Err(DecodeError::new(Code::MissingField, Name::IdempotencyKey.as_str(), text));
            }
        };
        let id = CommandId::parse(&id).map_err(|error| invalid(&error, name))?;
        same_id(key.as_deref(), &id, Name::IdempotencyKey)?;
        Ok(id)
    }

    /// What comes after the command's identity.
    fn rest(
        &self,
        order: &OrderRef,
        kind: CommandType,
        key: &CommandKey,
        body: &[u8],
        door: &Door<'_>,
    ) -> Result<CommandEvent, DecodeError> {
        for (name, own) in [(Name::Tenant, order.tenant.as_str()), (Name::Subject, order.order.as_str())] {
            if let Some(said) = self.attribute(name)? {
                door.agree(name.as_str(), &said, own)?;
            }
        }
        let wrong = |code, name: Name, text: &str| DecodeError::new(code, name.as_str(), text);
        let time = self.attribute(Name::Time)?.map(|time| parse_time(&time)).transpose();
        let time = time.map_err(|text| wrong(Code::InvalidField, Name::Time, text))?;
        let dataschema = self.attribute(Name::Dataschema)?;
        if dataschema.as_ref().is_some_and(|schema| schema.chars().count() > DATASCHEMA_MAX_CHARS) {
            let text = format!("at most {DATASCHEMA_MAX_CHARS} characters are allowed");
            return Err(wrong(Code::TooLong, Name::Dataschema, &text));
        }
        self.check_extensions()?;
        let (parent, state) = (self.attribute(Name::Traceparent)?, self.attribute(Name::Tracestate)?);
        let trace = Trace::from_headers(parent.as_deref(), state.as_deref());
        // Nothing that these say must be said.
        let optional = kind.is_operator() && kind != CommandType::ResolveStep;
        let data = decode_data(kind, if body.is_empty() && optional { b"{}" } else { body })?;
        let dataschema = dataschema.map(Cow::into_owned);
        Ok(CommandEvent { time, dataschema, trace, ..CommandEvent::new(order.clone(), key.clone(), data) })
    }

    fn check_extensions(&self) -> Result<(), DecodeError> {
        for (at, (header, value)) in self.extensions.iter().enumerate() {
            let (path, name) = (header.to_ascii_lowercase(), &header[PREFIX.len()..]);
            let wrong = |code, text: String| DecodeError::new(code, &path, text);
            if at == EXTENSIONS_MAX {
                return Err(wrong(Code::TooMany, format!("at most {EXTENSIONS_MAX} extensions are allowed")));
            }
            if matches!(&path[PREFIX.len()..], "data" | "data_base64") {
                return Err(wrong(Code::UnknownField, "the data is the body of the message".into()));
            }
            if &path[PREFIX.len()..] == DRY_RUN {
                return Err(wrong(Code::UnknownField, NO_DRY_RUN.into()));
            }
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric());
            if !plain || name.is_empty() || name.len() > EXTENSION_NAME_MAX_CHARS {
                let name = shown(name);
                let text =
                    format!("{name} is no CloudEvents attribute name; those have at most 64 of a-z and 0-9");
                return Err(wrong(Code::UnknownField, text));
            }
            if self.extensions[..at].iter().any(|(other, _)| other.eq_ignore_ascii_case(header)) {
                return Err(wrong(Code::DuplicateField, "the header is given twice; give it once".into()));
            }
            let said = decoded(printable(value, &path)?, &path)?;
            if said.len() > EXTENSION_VALUE_MAX_CHARS {
                let text = format!("at most {EXTENSION_VALUE_MAX_CHARS} characters are allowed");
                return Err(wrong(Code::TooLong, text));
            }
            if &path[PREFIX.len()..] == "datacontenttype" && !is_json(&said) {
                return Err(wrong(Code::UnsupportedMediaType, "\"application/json\" is expected".into()));
            }
        }
        Ok(())
    }
}

impl Door<'_> {
    fn agree(&self, name: &str, said: &str, address: &str) -> Result<(), DecodeError> {
        if said == address {
            return Ok(());
        }
        let (said, address) = (shown(said), shown(address));
        let text = format!(
            "{name} is {said}, and the {} says {address}; send it to where it belongs, or the reverse",
            self.address
        );
        Err(DecodeError::new(Code::MismatchedAddress, name, text))
    }
}

/// Whether a header holds an attribute of a CloudEvent.
#[must_use]
pub fn is_attribute(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// Whether a parameter of a content type leaves the text in UTF-8.
fn is_utf8(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return true };
    let value = value.trim().trim_matches('"');
    let spelled = ["utf-8", "utf8"].iter().any(|name| value.eq_ignore_ascii_case(name));
    !name.trim().eq_ignore_ascii_case("charset") || spelled
}

fn unsupported(name: Name, text: &str) -> DecodeError {
    DecodeError::new(Code::UnsupportedMediaType, name.as_str(), text)
}

fn missing(name: Name) -> DecodeError {
    DecodeError::new(Code::MissingField, name.as_str(), "a CloudEvent 1.0 in headers has this one")
}

fn invalid(error: &IdError, name: Name) -> DecodeError {
    DecodeError::new(Code::InvalidId, name.as_str(), error.to_string())
}

fn same_id(said: Option<&str>, id: &CommandId, name: Name) -> Result<(), DecodeError> {
    if said.is_none_or(|said| said == id.as_str()) {
        return Ok(());
    }
    let text = "the header and the command's id differ; give one of them, or the same in both";
    Err(DecodeError::new(Code::MismatchedId, name.as_str(), text))
}

/// Which command an error is about.
fn about(mut error: DecodeError, key: &CommandKey) -> DecodeError {
    error.address.source = Some(key.source.clone());
    error.address.id = Some(key.id.clone());
    error
}

#[cfg(test)]
mod tests;
