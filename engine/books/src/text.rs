//! The written form of an entry: one line of fields between tabs, its checksum last.
//!
//! Plain text, so that people read it with the tools they have. Frozen: the first field names the version.

use std::fmt::Write as _;
use std::sync::Arc;

use super::entry::{BookEntry, BookKind, BookLine};
use super::why::Why;
use retailflow_engine::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use retailflow_engine::money::Currency;
use retailflow_engine::wire::command::Step;

const VERSION: &str = "1";
/// What stands for nothing. A text that is this is written with its code.
const NONE: &str = "-";

/// Why a line is not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// Torn or damaged.
    #[error("the checksum does not match")]
    Checksum,
    /// Written by someone else.
    #[error("the field {0} cannot be read")]
    Field(&'static str),
}

impl BookEntry {
    /// Adds the entry to `to`, as a line with its end.
    pub fn encode(&self, to: &mut String) {
        let start = to.len();
        let text = |to: &mut String, text: Option<&str>| {
            to.push('\t');
            match text {
                None => to.push_str(NONE),
                Some(text) => escape(to, text),
            }
        };
        // Writing into memory does not fail.
        let _ = write!(to, "{VERSION}\t{}\t{}", self.kind.as_str(), self.step.as_str());
        text(to, Some(&self.key));
        text(to, Some(self.order.tenant.as_str()));
        text(to, Some(self.order.order.as_str()));
        text(to, self.target.as_deref());
        let currency = self.currency.map_or(NONE, Currency::code);
        let _ = write!(to, "\t{}\t{currency}\t{}\t", self.amount_minor, self.units);
        for (i, line) in self.lines.iter().enumerate() {
            to.push_str(if i == 0 { "" } else { "," });
            escape(to, &line.line_id);
            to.push(':');
            escape(to, &line.sku);
            let _ = write!(to, ":{}", line.units);
        }
        to.push_str(if self.lines.is_empty() { NONE } else { "" });
        text(to, self.why.map(Why::code));
        let _ = write!(to, "\t{}\t", self.expires.0);
        let _ = match self.until {
            None => write!(to, "{NONE}"),
            Some(until) => write!(to, "{}", until.0),
        };
        let _ = write!(to, "\t{}\t", self.at.0);
        let sum = crc32c::crc32c(&to.as_bytes()[start..]);
        let _ = writeln!(to, "{sum:08x}");
    }

    /// Reads a line, given without its end.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn decode(line: &[u8]) -> Result<Self, BookError> {
        let (body, sum) = line.split_at_checked(line.len().wrapping_sub(8)).ok_or(BookError::Checksum)?;
        if format!("{:08x}", crc32c::crc32c(body)).as_bytes() != sum {
            return Err(BookError::Checksum);
        }
        let body = std::str::from_utf8(body).map_err(|_| BookError::Field("text"))?;
        let mut fields = body.split('\t');
        let mut next = |name: &'static str| fields.next().ok_or(BookError::Field(name));
        if next("version")? != VERSION {
            return Err(BookError::Field("version"));
        }
        let kind = next("kind")?;
        let kind = BookKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let kind = kind.ok_or(BookError::Field("kind"))?;
        let step = step_of(next("step")?).ok_or(BookError::Field("step"))?;
        let key = text(next("key")?, "key")?;
        let tenant = TenantId::parse(next("tenant")?).map_err(|_| BookError::Field("tenant"))?;
        let order = OrderId::parse(&text(next("order")?, "order")?).map_err(|_| BookError::Field("order"))?;
        let target = some(next("target")?).map(|field| text(field, "target")).transpose()?;
        let amount_minor = number(next("amount")?, "amount")?;
        let currency = some(next("currency")?).map(Currency::parse).transpose();
        let currency = currency.map_err(|_| BookError::Field("currency"))?;
        let units = number(next("units")?, "units")?;
        let lines = some(next("lines")?).map(lines_of).transpose()?.unwrap_or_default();
        let why =
            some(next("why")?).map(|code| Why::of_code(code).ok_or(BookError::Field("why"))).transpose()?;
        let expires = TimestampMs(number(next("expires")?, "expires")?);
        let until = some(next("until")?).map(|field| number(field, "until")).transpose()?.map(TimestampMs);
        let at = TimestampMs(number(next("at")?, "at")?);
        let order = OrderRef { tenant, order };
        Ok(Self {
            kind,
            step,
            key,
            order,
            target,
            amount_minor,
            currency,
            units,
            lines,
            why,
            expires,
            until,
            at,
        })
    }
}

fn step_of(name: &str) -> Option<Step> {
    Step::ALL.into_iter().find(|step| step.as_str() == name)
}

fn lines_of(field: &str) -> Result<Vec<BookLine>, BookError> {
    let bad = BookError::Field("lines");
    let line = |part: &str| {
        let (line_id, rest) = part.split_once(':').ok_or(bad)?;
        let (sku, units) = rest.split_once(':').ok_or(bad)?;
        let (line_id, sku) = (text(line_id, "lines")?, text(sku, "lines")?);
        Ok(BookLine { line_id, sku, units: number(units, "lines")? })
    };
    field.split(',').map(line).collect()
}

fn some(field: &str) -> Option<&str> {
    (field != NONE).then_some(field)
}

fn number<N: std::str::FromStr>(field: &str, name: &'static str) -> Result<N, BookError> {
    field.parse().map_err(|_| BookError::Field(name))
}

/// Callers choose ids of lines and names of goods: whatever would end a field, a list or a line is written as `%xx`.
fn escape(to: &mut String, text: &str) {
    if text == NONE {
        to.push_str("%2d");
        return;
    }
    for c in text.chars() {
        if c.is_ascii_control() || matches!(c, '%' | ',' | ':') {
            let _ = write!(to, "%{:02x}", u32::from(c));
        } else {
            to.push(c);
        }
    }
}

fn text(field: &str, name: &'static str) -> Result<Arc<str>, BookError> {
    if !field.contains('%') {
        return Ok(field.into());
    }
    let mut parts = field.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).ok_or(BookError::Field(name))?;
        let code = u8::from_str_radix(code, 16).map_err(|_| BookError::Field(name))?;
        plain.push(char::from(code));
        plain.push_str(rest);
    }
    Ok(plain.into())
}
