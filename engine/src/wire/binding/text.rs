//! The text of a header, and what it says.

use std::borrow::Cow;

use crate::wire::{Code, DecodeError};

pub(super) fn printable<'a>(value: &'a [u8], name: &str) -> Result<&'a str, DecodeError> {
    let plain = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    match std::str::from_utf8(value) {
        Ok(text) if plain => Ok(text.trim()),
        _ => Err(DecodeError::new(Code::InvalidField, name, "only printable ASCII is allowed")),
    }
}

/// A header's text as it is, or what a quoted string says.
pub(super) fn unquoted<'a>(text: &'a str, name: &str, wrong: Code) -> Result<Cow<'a, str>, DecodeError> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return Ok(Cow::Borrowed(text)) };
    if !inner.contains(['"', '\\']) {
        return Ok(Cow::Borrowed(inner));
    }
    let mut said = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '\\' => chars.next().filter(|c| matches!(c, '"' | '\\')),
            '"' => None,
            c => Some(c),
        };
        let Some(literal) = literal else {
            let text = "within quotes, a quote and a backslash are written with a backslash before them";
            return Err(DecodeError::new(wrong, name, text));
        };
        said.push(literal);
    }
    Ok(Cow::Owned(said))
}

/// What an attribute's text says.
pub(super) fn decoded<'a>(text: &'a str, name: &str) -> Result<Cow<'a, str>, DecodeError> {
    let text = unquoted(text, name, Code::InvalidField)?;
    if !text.contains('%') {
        return Ok(text);
    }
    let wrong = || {
        let text = "a percent sign begins two hexadecimal digits of a UTF-8 byte; \"%25\" is the sign itself";
        DecodeError::new(Code::InvalidField, name, text)
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(wrong()) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| wrong())
}
