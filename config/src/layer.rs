//! One source of settings: read, flattened to leaf keys, and each key and value checked.

use std::net::SocketAddr;

use toml::{Table, Value};

use crate::error::{ConfigError, Problem};
use crate::limits::{self, Allowed, LIMITS};
use crate::lists;
use crate::origin::Origin;
use crate::suggest::nearest;

/// What the names of environment variables begin with; the levels of a key are separated by `__`.
pub const ENV_PREFIX: &str = "RETAILFLOW__";

/// Checked settings of one origin.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) origin: Origin,
    pub(crate) settings: Vec<(&'static str, Value)>,
}

impl Layer {
    /// Settings of a TOML text. Mistakes in keys and values go to `problems`.
    pub(crate) fn from_toml(
        text: &str,
        origin: Origin,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|e: toml::de::Error| ConfigError::NotToml {
            from: origin.clone(),
            reason: e.to_string().trim_end().to_string(),
        })?;
        let mut layer = Self { origin, settings: Vec::new() };
        layer.add_table("", table, problems);
        Ok(layer)
    }

    /// One setting given as text: a flag or an environment variable.
    pub(crate) fn from_text(key: &str, text: &str, origin: Origin, problems: &mut Vec<Problem>) -> Self {
        let mut layer = Self { origin, settings: Vec::new() };
        let value = match limits::allowed(key) {
            Some(Allowed::Number { .. } | Allowed::Numbers(_)) => number(text),
            Some(allowed) if lists::is_list(allowed) => lists::from_text(unquoted(text)),
            _ => Value::String(unquoted(text).to_string()),
        };
        layer.add(key, value, problems);
        layer
    }

    fn add_table(&mut self, path: &str, table: Table, problems: &mut Vec<Problem>) {
        for (name, value) in table {
            let key = if path.is_empty() { name } else { format!("{path}.{name}") };
            match value {
                Value::Table(inner) if limits::sections().contains(&key.as_str()) => {
                    self.add_table(&key, inner, problems);
                }
                value => self.add(&key, value, problems),
            }
        }
    }

    fn add(&mut self, key: &str, value: Value, problems: &mut Vec<Problem>) {
        let what = match LIMITS.iter().find(|limit| limit.key == key) {
            None => unknown(key, &value, &self.origin),
            Some(limit) => match checked(value, limit.allowed) {
                Ok(value) => {
                    self.settings.push((limit.key, value));
                    return;
                }
                Err(found) => format!("{found}; allowed is {}", limit.allowed),
            },
        };
        problems.push(Problem { key: shown(key), origin: self.origin.clone(), what });
    }
}

/// The key that an environment variable's name, with [`ENV_PREFIX`] taken off, stands for.
pub(crate) fn key_of_env(rest: &str) -> String {
    rest.to_ascii_lowercase().replace("__", ".")
}

/// The environment variable that sets `key`.
#[must_use]
pub fn env_of_key(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// The value as it is kept, or why it is not allowed, in words that say what was found.
fn checked(value: Value, allowed: Allowed) -> Result<Value, String> {
    if lists::is_list(allowed) {
        let joined = lists::joined(&value, allowed);
        return joined.map(Value::String).ok_or_else(|| format!("found {}", found(&value)));
    }
    match check(&value, allowed) {
        Ok(()) => Ok(value),
        Err(found) => Err(found),
    }
}

fn check(value: &Value, allowed: Allowed) -> Result<(), String> {
    let fits = match (allowed, value) {
        (Allowed::Number { min, max }, Value::Integer(n)) => {
            u64::try_from(*n).is_ok_and(|n| (min..=max).contains(&n))
        }
        (Allowed::Choice(words), Value::String(s)) => words.contains(&s.as_str()),
        (Allowed::Name { max_chars }, Value::String(s)) => {
            s.len() <= max_chars
                && s.starts_with(|c: char| c.is_ascii_lowercase())
                && s.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        }
        (Allowed::Numbers(numbers), Value::Integer(n)) => {
            u64::try_from(*n).is_ok_and(|n| numbers.contains(&n))
        }
        (Allowed::Server(schemes), Value::String(s)) => s == "off" || lists::is_address(s, schemes),
        (Allowed::Address, Value::String(s)) => s.parse::<SocketAddr>().is_ok(),
        (Allowed::Text { max_chars }, Value::String(s)) => {
            (1..=max_chars).contains(&s.chars().count()) && !s.chars().any(char::is_control)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("found {}", found(value))) }
}

fn found(value: &Value) -> String {
    match value {
        Value::Integer(n) => format!("the number {n}"),
        Value::String(s) => format!("the text {:?}", shown(s)),
        Value::Float(x) => format!("the fraction {x}"),
        Value::Boolean(b) => format!("the truth value {b}"),
        Value::Datetime(_) => "a date".to_string(),
        Value::Array(items) if items.iter().any(|item| !item.is_str()) => {
            "a list of other things than texts".to_string()
        }
        Value::Array(_) => format!("the list {}", shown(&value.to_string())),
        Value::Table(_) => "a table".to_string(),
    }
}

fn unknown(key: &str, value: &Value, origin: &Origin) -> String {
    let sections = limits::sections();
    if sections.contains(&key) {
        return format!("is a section and has no value of its own, found {}", found(value));
    }
    if value.is_table() {
        return match nearest(key, sections.iter().copied()) {
            Some(name) => format!("there is no such section; did you mean [{name}]?"),
            None => format!("there is no such section; there are {}", sections.join(", ")),
        };
    }
    match nearest(key, LIMITS.iter().map(|limit| limit.key)) {
        Some(name) if matches!(origin, Origin::Env(_)) => {
            format!("there is no such key; did you mean {}?", env_of_key(name))
        }
        Some(name) => format!("there is no such key; did you mean {name}?"),
        None => "there is no such key; `retailflow config show` lists all".to_string(),
    }
}

/// A number as people write it, `65_536` included; what is none stays text, so that the error can show it.
fn number(text: &str) -> Value {
    let text = unquoted(text);
    match text.replace('_', "").parse() {
        Ok(n) => Value::Integer(n),
        Err(_) => Value::String(text.to_string()),
    }
}

/// Without the quotes of a TOML string, which a shell may have left.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote| text.strip_prefix(quote).and_then(|t: &str| t.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// Text from outside, short enough for an error message.
fn shown(text: &str) -> String {
    let text = &*lists::without_users(text);
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
