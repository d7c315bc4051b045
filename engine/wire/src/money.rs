//! Money: whole minor units of a currency, never a fraction and never a float.
//!
//! Every amount and every sum stays within ±(2^53 − 1), the largest whole number that every JSON reader
//! keeps exactly: an amount that we could write and a caller could not read is not an amount.

use std::fmt;

/// Largest amount, and largest sum of amounts, in minor units (2^53 − 1).
pub const AMOUNT_MAX: i64 = (1 << 53) - 1;

/// Why something is not money. The text repeats at most the beginning of what a caller wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a code of ISO 4217.
    #[error("unknown currency {0:?}: expected a three-letter ISO 4217 code in capitals, such as \"USD\"")]
    UnknownCurrency(String),
    /// A code without minor units (gold, special drawing rights, "no currency").
    #[error("currency {0} has no minor units, so no amount can be given in it")]
    NoExponent(&'static str),
    /// Beyond ±[`AMOUNT_MAX`], in a number or on the way to a sum.
    #[error("the amount is beyond ±9007199254740991 minor units (2^53 - 1)")]
    Overflow,
    /// Not decimal text.
    #[error(
        "{0:?} is not an amount: expected digits with an optional sign and decimal point, such as \"11.77\""
    )]
    NotANumber(String),
    /// More decimals than the currency has, and not all zeros.
    #[error("too many decimals: {code} has {exponent}")]
    TooManyDecimals {
        /// The currency's code.
        code: &'static str,
        /// How many decimals it has.
        exponent: u8,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A currency that amounts can be given in: it has an ISO 4217 code and a number of decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    iso: iso_currency::Currency,
    exponent: u8,
}

impl Currency {
    /// Reads a three-letter code in capitals.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`], or [`MoneyError::NoExponent`] for codes such as XAU and XXX.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        let iso = iso_currency::Currency::from_code(code)
            .ok_or_else(|| MoneyError::UnknownCurrency(shown(code)))?;
        let exponent = iso.exponent().and_then(|e| u8::try_from(e).ok());
        exponent.map(|exponent| Self { iso, exponent }).ok_or(MoneyError::NoExponent(iso.code()))
    }

    /// The ISO 4217 code, such as `USD`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// How many decimals the major unit has: USD 2, JPY 0, KWD 3.
    #[must_use]
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({})", self.code())
    }
}

/// An amount in minor units of a currency known from elsewhere; within ±[`AMOUNT_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(AMOUNT_MAX);

    /// An amount of so many minor units.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond ±[`AMOUNT_MAX`].
    pub const fn new(minor: i64) -> Result<Self, MoneyError> {
        if minor > AMOUNT_MAX || minor < -AMOUNT_MAX { Err(MoneyError::Overflow) } else { Ok(Self(minor)) }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Below zero?
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The sum of both.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond ±[`AMOUNT_MAX`].
    pub const fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        // Both are below 2^53, so the sum itself cannot wrap.
        Self::new(self.0 + other.0)
    }

    /// This less the other.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond ±[`AMOUNT_MAX`].
    pub const fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        Self::new(self.0 - other.0)
    }

    /// So many times this.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond ±[`AMOUNT_MAX`].
    pub fn checked_mul(self, quantity: u64) -> Result<Self, MoneyError> {
        let product = i128::from(self.0) * i128::from(quantity);
        i64::try_from(product).map_err(|_| MoneyError::Overflow).and_then(Self::new)
    }

    /// The sum of all; each partial sum stays in range too, so that the order of adding cannot matter to
    /// another implementation that sums as it reads.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond ±[`AMOUNT_MAX`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Reads major units (`"11.77"`) exactly: what cannot be said in whole minor units is an error, never rounded.
    ///
    /// # Errors
    /// [`MoneyError::NotANumber`], [`MoneyError::TooManyDecimals`] (zeros beyond the exponent are fine),
    /// [`MoneyError::Overflow`].
    pub fn parse_major(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let bad = || MoneyError::NotANumber(shown(text));
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(decimals) {
            return Err(bad());
        }
        let exponent = usize::from(currency.exponent());
        let (kept, beyond) = decimals.split_at(decimals.len().min(exponent));
        if beyond.bytes().any(|b| b != b'0') {
            let (code, exponent) = (currency.code(), currency.exponent());
            return Err(MoneyError::TooManyDecimals { code, exponent });
        }
        let padding = std::iter::repeat_n(b'0', exponent - kept.len());
        let mut minor: i64 = 0;
        for digit in whole.bytes().chain(kept.bytes()).chain(padding) {
            minor = minor * 10 + i64::from(digit - b'0');
            if minor > AMOUNT_MAX {
                return Err(MoneyError::Overflow);
            }
        }
        Self::new(if negative { -minor } else { minor })
    }

    /// Writes major units (`"11.77"`), with all decimals of the currency.
    #[must_use]
    pub fn to_major(self, currency: Currency) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let exponent = usize::from(currency.exponent());
        let digits = format!("{:0width$}", self.0.unsigned_abs(), width = exponent + 1);
        let (whole, decimals) = digits.split_at(digits.len() - exponent);
        if exponent == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{decimals}") }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn currencies_have_the_exponents_of_iso_4217() {
        for (code, exponent) in [("USD", 2), ("JPY", 0), ("KWD", 3), ("EUR", 2), ("CLF", 4)] {
            assert_eq!((currency(code).code(), currency(code).exponent()), (code, exponent));
        }
        for code in ["XAU", "XXX", "XTS", "XDR"] {
            assert_eq!(Currency::parse(code), Err(MoneyError::NoExponent(currency_code(code))));
        }
        for code in ["", "usd", "US", "USDD", "AAA", "€", " USD"] {
            assert!(matches!(Currency::parse(code), Err(MoneyError::UnknownCurrency(_))), "{code}");
        }
    }

    fn currency_code(code: &str) -> &'static str {
        iso_currency::Currency::from_code(code).unwrap().code()
    }

    /// What a code means may not change under stored records when the dependency is updated.
    #[test]
    fn the_list_of_currencies_only_grows() {
        let letters = || (b'A'..=b'Z').map(char::from);
        let mut now = String::new();
        for a in letters() {
            for code in letters().flat_map(|b| letters().map(move |c| [a, b, c].iter().collect::<String>())) {
                if let Ok(c) = Currency::parse(&code) {
                    now += &format!("{code} {}\n", c.exponent());
                }
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/currencies.txt");
        if std::env::var_os("RETAILFLOW_BLESS").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        for line in std::fs::read_to_string(path).unwrap().lines() {
            assert!(now.lines().any(|l| l == line), "{line} has gone or changed");
        }
    }

    #[test]
    fn major_units_are_read_exactly() {
        let cases = [
            ("11.77", "USD", 1177),
            ("11.7", "USD", 1170),
            ("11", "USD", 1100),
            ("11.7700", "USD", 1177),
            ("-0.05", "USD", -5),
            ("+3", "JPY", 3),
            ("100.000", "JPY", 100),
            ("1.234", "KWD", 1234),
            ("90071992547409.91", "USD", AMOUNT_MAX),
            ("-90071992547409.91", "USD", -AMOUNT_MAX),
            ("000000000000000000000000000000001", "USD", 100),
        ];
        for (text, code, minor) in cases {
            assert_eq!(Amount::parse_major(text, currency(code)).map(Amount::minor), Ok(minor), "{text}");
        }
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let usd = currency("USD");
        for text in ["", "-", ".", "1.", ".5", "1,5", "1e3", "0x1", " 1", "1 ", "--1", "1.2.3", "NaN", "١"] {
            assert!(matches!(Amount::parse_major(text, usd), Err(MoneyError::NotANumber(_))), "{text}");
        }
        let too_many = |code, exponent| Err(MoneyError::TooManyDecimals { code, exponent });
        assert_eq!(Amount::parse_major("1.001", usd), too_many("USD", 2));
        assert_eq!(Amount::parse_major("1.5", currency("JPY")), too_many("JPY", 0));
        assert_eq!(Amount::parse_major("90071992547409.92", usd), Err(MoneyError::Overflow));
        assert_eq!(Amount::parse_major(&"9".repeat(10_000), usd), Err(MoneyError::Overflow));
    }

    #[test]
    fn major_units_are_written_as_they_are_read() {
        for (minor, code, text) in [
            (1177, "USD", "11.77"),
            (-5, "USD", "-0.05"),
            (0, "USD", "0.00"),
            (7, "JPY", "7"),
            (0, "JPY", "0"),
            (1, "KWD", "0.001"),
            (AMOUNT_MAX, "USD", "90071992547409.91"),
        ] {
            let amount = Amount::new(minor).unwrap();
            assert_eq!(amount.to_major(currency(code)), text);
            assert_eq!(Amount::parse_major(text, currency(code)), Ok(amount));
        }
    }

    #[test]
    fn arithmetic_is_checked() {
        let one = Amount::new(1).unwrap();
        assert_eq!(Amount::MAX.checked_add(one), Err(MoneyError::Overflow));
        assert_eq!(Amount::new(-AMOUNT_MAX).unwrap().checked_sub(one), Err(MoneyError::Overflow));
        assert_eq!(Amount::new(i64::MIN), Err(MoneyError::Overflow));
        assert_eq!(Amount::MAX.checked_mul(2), Err(MoneyError::Overflow));
        assert_eq!(Amount::MAX.checked_mul(u64::MAX), Err(MoneyError::Overflow));
        assert_eq!(one.checked_mul(3).map(Amount::minor), Ok(3));
        assert_eq!(Amount::sum([one, one]).map(Amount::minor), Ok(2));
        assert_eq!(Amount::sum([Amount::MAX, one]), Err(MoneyError::Overflow));
    }
}
