//! Time on the wire: RFC 3339 text, to the millisecond, in UTC when we write it.

use super::code::Code;
use super::scalar::Parse;
use crate::ids::TimestampMs;
use serde::Serializer;
use serde::de::{Deserialize, Deserializer};

const EXPECTED: &str = "expected a time as RFC 3339 has it, such as \"1997-01-12T00:00:00Z\"";

/// Longest text that can be a time.
const TIME_MAX_BYTES: usize = 40;

/// The first time that has a text: RFC 3339 knows no year before 0.
pub const TIME_MIN: TimestampMs = TimestampMs(-62_167_219_200_000);
/// The last time that has a text, a day before the year 10000: in any offset from UTC it has four digits.
pub const TIME_MAX: TimestampMs = TimestampMs(253_402_207_200_000);

/// Reads an RFC 3339 time; parts of a millisecond are dropped.
///
/// # Errors
/// What is expected instead.
pub fn parse_time(text: &str) -> Result<TimestampMs, &'static str> {
    let at = |i: usize, set: &[u8]| text.as_bytes().get(i).is_some_and(|b| set.contains(b));
    // jiff also reads ISO 8601 forms and zone names, which the contract does not have.
    let separators = at(4, b"-") && at(7, b"-") && at(10, b"Tt") && at(13, b":") && at(16, b":");
    let digits = text.as_bytes().iter().take(4).all(u8::is_ascii_digit);
    if !separators || !digits || text.len() > TIME_MAX_BYTES || text.contains(['[', ',']) {
        return Err(EXPECTED);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| EXPECTED)?;
    Ok(TimestampMs(time.as_millisecond()))
}

/// Writes an RFC 3339 time in UTC, always to the millisecond, so that times sort as their texts do; a time outside the years that the format has becomes the nearest inside.
#[must_use]
pub fn format_time(time: TimestampMs) -> String {
    let inside = time.0.clamp(TIME_MIN.0, TIME_MAX.0);
    // Every time in between has a text.
    format!("{:.3}", jiff::Timestamp::from_millisecond(inside).unwrap_or_default())
}

pub(super) fn parse_coded(text: &str) -> Result<TimestampMs, (Code, String)> {
    parse_time(text).map_err(|expected| (Code::InvalidField, expected.to_owned()))
}

/// For `#[serde(with)]` on a time that must be there.
pub(super) mod required {
    use super::{Deserializer, Parse, Serializer, TimestampMs, format_time, parse_coded};

    pub(in super::super) fn serialize<S: Serializer>(time: &TimestampMs, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_time(*time))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TimestampMs, D::Error> {
        from.deserialize_str(Parse(parse_coded, "a time"))
    }
}

/// For `#[serde(with)]` on a time that may be absent.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Serializer, TimestampMs, required};

    struct Time(TimestampMs);

    impl<'de> Deserialize<'de> for Time {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            required::deserialize(from).map(Self)
        }
    }

    pub(in super::super) fn serialize<S: Serializer>(
        time: &Option<TimestampMs>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => required::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<TimestampMs>, D::Error> {
        Ok(Option::<Time>::deserialize(from)?.map(|time| time.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_and_written() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1997-01-12T00:00:00.5Z", 853_027_200_500),
            ("1997-01-12t01:00:00+01:00", 853_027_200_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse_time(text), Ok(TimestampMs(ms)), "{text}");
            let written = format_time(TimestampMs(ms));
            assert_eq!(parse_time(&written), Ok(TimestampMs(ms)));
            assert_eq!(written.len(), "1970-01-01T00:00:00.000Z".len(), "{written}");
        }
        for bad in ["", "1997-01-12", "19970112T000000Z", "1997-01-12T00:00:00", "1997-13-12T00:00:00Z"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        assert!(parse_time("1997-01-12T00:00:00+01:00[Europe/Paris]").is_err());
    }

    /// Whoever writes a time must be able to read it again, whatever his clock said.
    #[test]
    fn every_time_has_a_text_that_reads_as_the_nearest_one() {
        let year = 31_556_952_000;
        for ms in [i64::MIN, -62_167_219_200_001, -year * 3000, -1, 0, year * 100, year * 8030, i64::MAX] {
            let text = format_time(TimestampMs(ms));
            let nearest = TimestampMs(ms.clamp(TIME_MIN.0, TIME_MAX.0));
            assert_eq!(parse_time(&text), Ok(nearest), "{ms}: {text}");
            assert_eq!(format_time(nearest), text, "one spelling");
        }
        assert_eq!(format_time(TIME_MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(format_time(TimestampMs(i64::MAX)), "9999-12-30T22:00:00.000Z");
    }
}
