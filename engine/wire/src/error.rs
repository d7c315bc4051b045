//! Why a command could not be read: a code, the place, and what to do.

use super::code::Code;
use super::limits::SHOWN_MAX_CHARS;
use crate::ids::{CommandId, OrderId, Source, TenantId};
use serde_json::error::Category;

/// Longest path in an error.
const PATH_MAX_CHARS: usize = 200;

/// As much as could be read of who sent which command for which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The order.
    pub order: Option<OrderId>,
    /// Who made the command.
    pub source: Option<Source>,
    /// The command's id.
    pub id: Option<CommandId>,
}

/// A command that cannot be read. The text repeats at most the beginning of what the caller wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}: {message}", path.as_ref().map(|p| format!(" at {p}")).unwrap_or_default())]
pub struct DecodeError {
    /// The code.
    pub code: Code,
    /// Which part is wrong, such as `data.lines[0].quantity`; absent for the whole.
    pub path: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
    /// Where an outcome can be sent to.
    pub address: Address,
}

impl DecodeError {
    /// An error about the part at `path`; an empty path means the whole.
    #[must_use]
    pub fn new(code: Code, path: &str, message: impl Into<String>) -> Self {
        let path = (!path.is_empty() && path != ".").then(|| cut(path, PATH_MAX_CHARS));
        Self { code, path, message: message.into(), address: Address::default() }
    }

    /// The same with its path beginning at `prefix`.
    pub(super) fn within(mut self, prefix: &str) -> Self {
        if !prefix.is_empty() {
            self.path = Some(self.path.map_or_else(|| prefix.to_owned(), |path| format!("{prefix}.{path}")));
        }
        self
    }

    /// The same, with the digits that the caller wrote where a reader tells of the float that it made of them.
    pub(super) fn with_digits(mut self, number: Option<&str>) -> Self {
        let after = self.message.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.eE".contains(c));
        if let Some(number) = number.filter(|_| after.len() < self.message.len() && after.starts_with(" is "))
        {
            self.message = format!("{}{after}", cut(number, SHOWN_MAX_CHARS));
        }
        self
    }

    /// Reads what serde has to say. `prefix` is where `error`'s path begins.
    pub(super) fn from_json(prefix: &str, path: &str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let place = text.rfind(" at line ").unwrap_or(text.len());
        let (message, place) = text.split_at(place);
        let path = match (prefix, path) {
            (_, "." | "") => prefix.to_owned(),
            ("", path) => path.to_owned(),
            (prefix, path) if path.starts_with('[') => format!("{prefix}{path}"),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        match error.classify() {
            Category::Data => Self::from_message(&path, message),
            Category::Syntax if message == "number out of range" => {
                let code =
                    if path.ends_with("amount_minor") { Code::AmountOverflow } else { Code::InvalidField };
                Self::new(code, &path, "the number is too large; amounts end at 2^53 - 1")
            }
            Category::Syntax | Category::Eof | Category::Io => {
                let what = if message == "EOF while parsing a value" && place == " at line 1 column 0" {
                    "the text is empty; a JSON object is expected".to_owned()
                } else {
                    format!("not JSON: {}{place}; put it right and send again", cut(message, SHOWN_MAX_CHARS))
                };
                // The place is told by line and column; a path would name what came before it.
                Self::new(Code::MalformedJson, prefix, what)
            }
        }
    }

    fn from_message(path: &str, message: &str) -> Self {
        let coded = message.strip_prefix('[').and_then(|m| m.split_once("] "));
        if let Some((code, text)) = coded.and_then(|(name, text)| Some((Code::parse(name)?, text))) {
            return Self::new(code, path, text);
        }
        let named = |start: &str| message.strip_prefix(start).map(|rest| rest.trim_end_matches('`'));
        let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if let Some(name) = named("missing field `") {
            return Self::new(Code::MissingField, &within(name), format!("{name:?} must be given"));
        }
        if let Some(name) = named("duplicate field `") {
            return Self::new(
                Code::DuplicateField,
                &within(name),
                format!("{name:?} is given twice; give it once"),
            );
        }
        let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
        let expected = expected.replace('`', "");
        if let Some(name) = found.strip_prefix("unknown field `") {
            let name = shown(name.trim_end_matches('`'));
            let text = format!("{name} is not a field of the contract; expected {expected}");
            return Self::new(Code::UnknownField, path, text);
        }
        if let Some(name) = found.strip_prefix("unknown variant `") {
            let name = shown(name.trim_end_matches('`'));
            return Self::new(Code::InvalidField, path, format!("{name} is not known; expected {expected}"));
        }
        let (start, code) = match found {
            f if f.starts_with("invalid type: ") => ("invalid type: ", Code::WrongType),
            f if f.starts_with("invalid length ") => ("invalid length ", Code::WrongType),
            _ => ("invalid value: ", Code::InvalidField),
        };
        let found = found.strip_prefix(start).unwrap_or(found);
        // Of a wrong value only its kind is told: the value is the caller's.
        let kind = found.split(['"', '`']).next().unwrap_or_default().trim();
        let kind = match kind {
            "map" => "an object",
            "sequence" => "a list",
            "unit value" => "null",
            other => other,
        };
        let expected = if expected.starts_with("struct ") { "an object" } else { expected.as_str() };
        Self::new(code, path, format!("{expected} is expected here, not {}", cut(kind, SHOWN_MAX_CHARS)))
    }
}

/// The beginning of a caller's text; what does not print must not break a log line.
fn cut(text: &str, max_chars: usize) -> String {
    let mut rest = text.chars();
    let mut cut: String =
        rest.by_ref().take(max_chars).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if rest.next().is_some() {
        cut.push('…');
    }
    cut
}

/// The beginning of a caller's text, in quotes.
pub(super) fn shown(text: &str) -> String {
    format!("\"{}\"", cut(text, SHOWN_MAX_CHARS))
}
