//! When an order was placed, from what the file says.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::wire::time::parse_time;

use crate::shown;

/// How times are written.
#[derive(Clone, Debug)]
pub struct Times {
    /// As `strftime` has it; a text that fits one of them is read by it. None: a date, or RFC 3339.
    pub formats: Vec<String>,
    /// Where clocks showed it, unless the text says so itself.
    pub zone: TimeZone,
}

impl Times {
    /// The instant that a text names. A time that clocks showed twice is the first of both; one that they left out is as much later.
    ///
    /// # Errors
    /// What is expected.
    pub fn read(&self, text: &str) -> Result<TimestampMs, String> {
        if self.formats.is_empty() {
            return self.plain(text);
        }
        let found = self.formats.iter().find_map(|format| self.by(format, text));
        found.ok_or_else(|| {
            let formats: Vec<String> = self.formats.iter().map(|format| shown(format)).collect();
            format!("{} is not a time as {} has it (--time-format)", shown(text), formats.join(" or "))
        })
    }

    fn plain(&self, text: &str) -> Result<TimestampMs, String> {
        let is_date = text.len() == "1997-01-12".len();
        let read = match is_date {
            true => self.by("%Y-%m-%d", text),
            false => parse_time(text).ok(),
        };
        read.ok_or_else(|| {
            format!(
                "{} is not a time; expected a date such as 1997-01-12, or RFC 3339 such as 1997-01-12T08:26:00Z; --time-format says another \
                 form",
                shown(text)
            )
        })
    }

    fn by(&self, format: &str, text: &str) -> Option<TimestampMs> {
        let parts = BrokenDownTime::parse(format, text).ok()?;
        let instant = match parts.to_timestamp() {
            Ok(instant) => instant,
            // It has no offset of its own. Without a time of day it is midnight.
            Err(_) if parts.offset().is_none() => self.at(parts.to_datetime().ok()?)?,
            Err(_) => return None,
        };
        // A year before 0 has no text in the contract.
        let ms = TimestampMs(instant.as_millisecond());
        (ms >= retailflow_engine::wire::time::TIME_MIN && ms <= retailflow_engine::wire::time::TIME_MAX)
            .then_some(ms)
    }

    fn at(&self, shown: DateTime) -> Option<jiff::Timestamp> {
        self.zone.to_zoned(shown).ok().map(|zoned| zoned.timestamp())
    }
}

/// Reads `--time-format`.
///
/// # Errors
/// It has a directive that is not known, or does not say a day.
pub fn format(text: &str) -> Result<String, String> {
    let expected = "expected one such as \"%d.%m.%Y %H:%M\"";
    // What it writes it must be able to read, as a day.
    let written = jiff::fmt::strtime::format(text, &jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
    let written = written.map_err(|error| format!("{error}; {expected}"))?;
    let day = BrokenDownTime::parse(text, &written).and_then(|parts| parts.to_date());
    day.map(|_| text.to_owned()).map_err(|_| format!("it does not say a day of a year; {expected}"))
}

/// Reads `--time-zone`: a name of the IANA database, or an offset.
///
/// # Errors
/// There is none of this name.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    let offset = || {
        let tm = BrokenDownTime::parse("%:z", text).or_else(|_| BrokenDownTime::parse("%z", text)).ok()?;
        tm.offset().map(TimeZone::fixed)
    };
    TimeZone::get(text).ok().or_else(offset).ok_or_else(|| {
        "expected the name of a time zone such as Europe/Berlin, or an offset such as +01:00".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(formats: &[&str], in_zone: &str) -> Times {
        Times {
            formats: formats.iter().map(|text| (*text).to_owned()).collect(),
            zone: zone(in_zone).unwrap(),
        }
    }

    #[test]
    fn a_date_is_midnight_in_its_zone() {
        let midnight = TimestampMs(853_027_200_000);
        let utc = times(&[], "UTC");
        assert_eq!(utc.read("1997-01-12"), Ok(midnight));
        assert_eq!(utc.read("1997-01-12T01:00:00+01:00"), Ok(midnight));
        for bad in ["", "12.01.1997", "1997-13-01", "1997-02-29", "1997/01/12", "1997-01-12 08:26", "ééééé"]
        {
            assert!(utc.read(bad).unwrap_err().contains("1997-01-12"), "{bad}");
        }
        let berlin = times(&[], "Europe/Berlin");
        assert_eq!(berlin.read("1997-01-12"), Ok(TimestampMs(midnight.0 - 3_600_000)));
        assert_eq!(berlin.read("1997-01-12T00:00:00Z"), Ok(midnight), "it says its own");
    }

    #[test]
    fn a_format_is_read_in_the_zone_that_is_said() {
        let summer = TimestampMs(1_720_000_800_000);
        for (formats, zone, text) in [
            (&["%d.%m.%Y %H:%M"][..], "Europe/Berlin", "03.07.2024 12:00"),
            (&["%Y-%m-%d %H:%M:%S %z"], "Asia/Tokyo", "2024-07-03 06:00:00 -0400"),
            (&["%Y-%m-%d %H:%M:%S", "%b %d, %Y %I:%M:%S %p"], "-0400", "Jul 3, 2024 6:00:00 AM"),
            (&["%m/%d/%Y %H:%M"], "+05:30", "07/03/2024 15:30"),
        ] {
            assert_eq!(times(formats, zone).read(text), Ok(summer), "{text}");
        }
        let refused = times(&["%d.%m.%Y"], "UTC").read("2024-07-03").unwrap_err();
        assert!(refused.contains("\"%d.%m.%Y\"") && refused.contains("--time-format"), "{refused}");
        assert!(format("%d.%m.%Y").is_ok());
        for bad in ["%!", "%H:%M", "%d.%m.", "when"] {
            assert!(format(bad).is_err(), "{bad}");
        }
        assert!(zone("Europe/Nowhere").is_err());
    }
}
