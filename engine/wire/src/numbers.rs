//! Numbers by their digits. A JSON reader makes a float of all that has a point or an exponent, and a float of
//! 124461.99999999999 cannot be told from one of 124462, nor one of 1e-400 from none at all.
//!
//! So readers of numbers take whole numbers as digits alone, and no float. A text that is not taken is looked at once more:
//! what is exactly a whole number (`1.0`, `1e3`, `-0`) is put into plain digits, and the text is read again. Who writes plain
//! digits pays nothing for it.

use super::code::Code;
use super::error::DecodeError;

/// Longest whole number that is put into plain digits: all that any field takes are shorter.
const DIGITS_MAX: usize = 20;

/// Reads a text; and again with its whole numbers in plain digits, if it has others and was not taken.
pub(super) fn by_digits<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    read(text).or_else(|first| match plain(text).filter(|_| first.code != Code::MalformedJson) {
        Some(plain) => read(&plain),
        None => Err(first),
    })
}

/// The text with each whole number in plain digits; `None` where all are already.
#[cold]
fn plain(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = at + bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                let token = &text[at..end];
                if let Some(whole) = whole(token).filter(|whole| whole != token) {
                    plain += &text[copied..at];
                    plain += &whole;
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| plain + &text[copied..])
}

/// Can it stand in a number?
fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Where the string that begins at `at` has ended.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// A number in plain digits, if it is one of JSON and exactly whole. `-0` is nothing, as `0` is.
fn whole(token: &str) -> Option<String> {
    let (sign, rest) = token.strip_prefix('-').map_or(("", token), |rest| ("-", rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (rest, 0),
    };
    let (before, after) =
        mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
    let digits_alone = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = before.len() > 1 && before.starts_with('0');
    if !digits_alone(before) || leading_zero || after.is_some_and(|part| !digits_alone(part)) {
        return None;
    }
    let after = after.unwrap_or_default();
    // Digits without zeros at either end, times a power of ten.
    let all = || before.bytes().chain(after.bytes());
    let zeros = all().rev().take_while(|digit| *digit == b'0').count();
    let kept = before.len() + after.len() - zeros;
    let digits: String = all().take(kept).skip_while(|digit| *digit == b'0').map(char::from).collect();
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let power =
        i64::try_from(zeros).ok()?.checked_sub(i64::try_from(after.len()).ok()?)?.checked_add(exponent)?;
    let power = usize::try_from(power).ok()?;
    (digits.len().saturating_add(power) <= DIGITS_MAX).then(|| format!("{sign}{digits}{}", "0".repeat(power)))
}

/// An exponent; one that no 64 bits hold is as far away as one can be.
fn exponent_of(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX / 2);
    Some(if negative { -size } else { size })
}

/// The number that ends at a place which a reader names, as the caller wrote it.
pub(super) fn number_at(text: &str, line: usize, column: usize) -> Option<&str> {
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let upto = text.get(..before + column)?;
    let start = upto.len() - upto.bytes().rev().take_while(|byte| is_of_number(*byte)).count();
    Some(&upto[start..]).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_put_into_digits() {
        for (token, digits) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e7", "0"),
            ("0e400", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("-1.50e1", "-15"),
            ("100e-2", "1"),
            ("1177.000", "1177"),
            ("9007199254740993.0", "9007199254740993"),
            ("0.001e3", "1"),
            ("1e19", "10000000000000000000"),
        ] {
            assert_eq!(whole(token).as_deref(), Some(digits), "{token}");
        }
        for token in [
            "1.5",
            "124461.99999999999",
            "1e-400",
            "1e-1",
            "1e20",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "01",
            "01.0",
            "1.",
            ".5",
            "1e",
            "1e+",
            "--1",
            "1.0.0",
            "+1",
            "1-1",
            "",
            "-",
        ] {
            assert_eq!(whole(token), None, "{token}");
        }
    }

    #[test]
    fn texts_and_plain_numbers_stay_as_they_are() {
        assert_eq!(plain(r#"{"a":[1,-2,3.5],"b":"1.0 \" 2e3","2.0":null}"#), None);
        let text = "{\"a\" : 1.0,\n\"é 7.0\":\"\\\\\",\"b\":[2e2,0.5]}";
        assert_eq!(plain(text).as_deref(), Some("{\"a\" : 1,\n\"é 7.0\":\"\\\\\",\"b\":[200,0.5]}"));
        assert_eq!(plain("\"open \\"), None);
        assert_eq!(number_at("{\n\"a\": 1.5}", 2, 8), Some("1.5"));
        assert_eq!(number_at("{}", 1, 1), None);
    }
}
