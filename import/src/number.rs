//! Numbers of a file, by their digits: never through a float, and nothing is rounded.

use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::wire::limits::QUANTITY_MAX;

use crate::shown;

/// What amounts are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AmountUnit {
    /// Minor units, as 1177 for 11.77 USD
    Minor,
    /// Major units, as 11.77
    Major,
}

/// What an amount is the price of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AmountPer {
    /// All units of the row together
    Row,
    /// One unit: it is multiplied by the quantity
    Unit,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// What amounts are counted in.
    pub unit: AmountUnit,
    /// A comma stands before the decimals, not a point.
    pub decimal_comma: bool,
}

/// An amount as it is written, with a point before its decimals. How many minor units it is, the currency says, which another row may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    digits: String,
    unit: AmountUnit,
}

impl Numbers {
    /// The digits of a number, with a point before its decimals, if it is one.
    fn digits(self, text: &str) -> Option<String> {
        let mark = if self.decimal_comma { ',' } else { '.' };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, decimals) = unsigned.split_once(mark).unwrap_or((unsigned, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (is_digits(whole) && is_digits(decimals)).then(|| text.replacen(mark, ".", 1))
    }

    /// How many units: `2`, and `2.0`, as spreadsheets write it.
    pub fn quantity(self, text: &str) -> Result<u32, String> {
        let expected = format!("expected a whole number from 1 to {QUANTITY_MAX}");
        if text.is_empty() {
            return Err(format!("it is empty; {expected}"));
        }
        let digits = self.digits(text);
        let parts = digits.as_deref().map(|digits| digits.split_once('.').unwrap_or((digits, "")));
        let Some((whole, decimals)) = parts else {
            return Err(format!("{} is not a whole number; {expected}{}", shown(text), self.hint(text)));
        };
        if decimals.bytes().any(|byte| byte != b'0') {
            return Err(format!("{} is not a whole number; {expected}", shown(text)));
        }
        let (negative, whole) = match whole.strip_prefix(['-', '+']) {
            Some(rest) => (whole.starts_with('-'), rest),
            None => (false, whole),
        };
        // What does not fit into the type is beyond the range as well.
        let number: u32 = if negative { 0 } else { whole.parse().unwrap_or(u32::MAX) };
        if (1..=QUANTITY_MAX).contains(&number) {
            return Ok(number);
        }
        Err(format!("{} is out of range; {expected}", shown(text)))
    }

    /// Units that come back: as a quantity, or none.
    pub fn quantity_or_none(self, text: &str) -> Result<u32, String> {
        let none = text.is_empty()
            || self
                .digits(text)
                .is_some_and(|digits| digits.bytes().all(|b| matches!(b, b'0' | b'.' | b'-')));
        if none { Ok(0) } else { self.quantity(text) }
    }

    /// An amount, whatever its currency is.
    pub fn amount(self, text: &str) -> Result<Written, String> {
        if text.is_empty() {
            return Err("it is empty; a free line has the amount 0".to_owned());
        }
        let Some(digits) = self.digits(text) else {
            let hint = self.hint(text);
            return Err(format!(
                "{}: not an amount: expected digits with an optional sign and decimals{hint}",
                shown(text)
            ));
        };
        if self.unit == AmountUnit::Minor && digits.contains('.') {
            let hint = "expected a whole number of minor units; for decimals use --amount-unit major";
            return Err(format!("{}: not an amount; {hint}", shown(text)));
        }
        Ok(Written { digits, unit: self.unit })
    }

    /// What the caller may have meant.
    fn hint(self, text: &str) -> &'static str {
        match self.decimal_comma {
            false if text.contains(',') => {
                "; if a comma stands before its decimals, say --decimal-comma; if it groups thousands, take it out"
            }
            true if text.contains('.') => {
                "; with --decimal-comma a point is no decimal mark: if it groups thousands, take it out"
            }
            _ if text.bytes().any(|byte| byte.is_ascii_digit()) => {
                ", without signs of currencies and without letters"
            }
            _ => "",
        }
    }
}

impl Written {
    /// In minor units of this currency.
    ///
    /// # Errors
    /// It has more decimals than the currency, or is too large: the text says so, and repeats it.
    pub fn minor(&self, currency: Currency) -> Result<Amount, String> {
        let read = match self.unit {
            AmountUnit::Major => Amount::parse_major(&self.digits, currency),
            AmountUnit::Minor => {
                let negative = self.digits.starts_with('-');
                let digits = self.digits.trim_start_matches(['-', '+']);
                let number: i64 = digits.parse().unwrap_or(i64::MAX);
                Amount::new(if negative { -number } else { number })
            }
        };
        read.map_err(|error| format!("{}: {error}", shown(&self.digits)))
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINOR: Numbers = Numbers { unit: AmountUnit::Minor, decimal_comma: false };
    const MAJOR: Numbers = Numbers { unit: AmountUnit::Major, decimal_comma: false };
    const COMMA: Numbers = Numbers { unit: AmountUnit::Major, decimal_comma: true };

    fn amount(numbers: Numbers, text: &str, currency: &str) -> Result<i64, String> {
        numbers.amount(text)?.minor(Currency::parse(currency).unwrap()).map(Amount::minor)
    }

    #[test]
    fn quantities_are_whole_and_in_range() {
        for (text, expected) in
            [("1", 1), ("+7", 7), ("0099", 99), ("1000000", QUANTITY_MAX), ("1.0", 1), ("12.000", 12)]
        {
            assert_eq!(MAJOR.quantity(text), Ok(expected), "{text}");
        }
        assert_eq!(COMMA.quantity("2,0"), Ok(2));
        let cases = [
            ("", "empty"),
            ("0", "range"),
            ("-3", "range"),
            ("1000001", "range"),
            ("1.5", "not a whole"),
            ("1,0", "--decimal-comma"),
            ("1.", "not a whole"),
            (".0", "not a whole"),
            ("1e3", "not a whole"),
        ];
        for (text, part) in cases {
            assert!(MAJOR.quantity(text).unwrap_err().contains(part), "{text}");
        }
        assert!(MAJOR.quantity(&"9".repeat(1000)).unwrap_err().len() < 200);
        assert_eq!((MAJOR.quantity_or_none(""), MAJOR.quantity_or_none("-0.0")), (Ok(0), Ok(0)));
        assert!(MAJOR.quantity_or_none("-1").is_err());
    }

    #[test]
    fn amounts_are_exact() {
        for (text, expected) in
            [("1177", 1177), ("0", 0), ("-0", 0), ("9007199254740991", 9_007_199_254_740_991)]
        {
            assert_eq!(amount(MINOR, text, "USD"), Ok(expected), "{text}");
        }
        let cases = [
            ("", "empty"),
            ("11.77", "--amount-unit major"),
            ("9007199254740992", "2^53"),
            ("99999999999999999999", "2^53"),
            ("-99999999999999999999", "2^53"),
            ("1e3", "not an amount"),
        ];
        for (text, part) in cases {
            let found = amount(MINOR, text, "USD").unwrap_err();
            assert!(found.contains(part), "{text}: {found}");
        }
    }

    /// By the currency's own decimals, and never rounded.
    #[test]
    fn decimals_are_those_of_the_currency() {
        for (text, currency, expected) in [
            ("10.00", "USD", 1000),
            ("1500", "JPY", 1500),
            ("1500.00", "JPY", 1500),
            ("1.234", "KWD", 1234),
            ("-0.01", "USD", -1),
            ("+0.10", "EUR", 10),
        ] {
            assert_eq!(amount(MAJOR, text, currency), Ok(expected), "{text} {currency}");
        }
        assert_eq!(amount(COMMA, "1234,5", "EUR"), Ok(123_450));
        for (numbers, text, currency, part) in [
            (MAJOR, "1.234", "USD", "too many decimals: USD has 2"),
            (MAJOR, "1500.5", "JPY", "too many decimals: JPY has 0"),
            (MAJOR, "8,00", "EUR", "--decimal-comma"),
            (COMMA, "8.00", "EUR", "a point is no decimal mark"),
            (COMMA, "1.234,50", "EUR", "thousands"),
            (MAJOR, "$8.00", "USD", "without signs of currencies"),
            (MAJOR, "8.00 USD", "USD", "without letters"),
            (MAJOR, "1e2", "USD", "not an amount"),
            (MAJOR, "9".repeat(30).as_str(), "USD", "2^53"),
        ] {
            let found = amount(numbers, text, currency).unwrap_err();
            assert!(found.contains(part), "{text}: {found}");
        }
    }
}
