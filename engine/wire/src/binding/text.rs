//! The text of a header, and what it says.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::{Code, DecodeError};

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
    // The library passes over a sign with no digits behind it; an attribute must not be guessed at.
    let begins_two_digits = |at: usize| {
        text.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.match_indices('%').all(|(at, _)| begins_two_digits(at)) {
        return Err(wrong());
    }
    let said = percent_decode_str(&text).decode_utf8().map_err(|_| wrong())?;
    Ok(Cow::Owned(said.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::decoded;

    /// Byte by byte, as RFC 3986 section 2.1 has it, and refused where it has nothing.
    fn read(text: &str) -> Option<String> {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        loop {
            rest = match rest {
                [] => return String::from_utf8(bytes).ok(),
                [b'%', high, low, rest @ ..] => {
                    let digit = |byte: &u8| char::from(*byte).to_digit(16);
                    bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                    rest
                }
                [b'%', ..] => return None,
                [byte, rest @ ..] => {
                    bytes.push(*byte);
                    rest
                }
            };
        }
    }

    #[test]
    fn each_percent_sign_begins_two_digits_of_a_byte_of_utf_8() {
        let mut texts = vec![String::new()];
        for _ in 0..6 {
            let longer = |text: &String| "%2cCgF3".chars().map(|c| format!("{text}{c}")).collect::<Vec<_>>();
            texts = texts.iter().flat_map(longer).collect();
            for text in &texts {
                assert_eq!(decoded(text, "id").ok().as_deref(), read(text).as_deref(), "{text}");
            }
        }
        for (text, said) in
            [("%C3%a9 %25", "é %"), ("a%2541", "a%41"), ("%00", "\0"), ("+", "+"), ("%e2%82%ac", "€")]
        {
            assert_eq!(decoded(text, "id").unwrap(), said);
        }
        for bad in ["%", "%2", "%%41", "%+1", "% 1", "%2\u{e9}", "%C3", "%ff", "a%C3z", "%ed%a0%80"] {
            let error = decoded(bad, "id").unwrap_err();
            assert!(error.message.starts_with("a percent sign begins two"), "{bad}: {error}");
        }
    }
}
