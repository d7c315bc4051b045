//! Which currency amounts are in. It is said: by a column or by the caller. A default is taken only where nothing in the file could say otherwise.

use retailflow_engine::money::Currency;
use retailflow_server::exit::Failure;

use crate::column::Column;
use crate::fault::Fault;
use crate::records::Record;
use crate::{Settings, shown};

/// The currency where neither a flag nor the file says one.
const OTHERWISE: &str = "USD";
/// What columns of currencies are called, in the letters and digits of their names.
const NAMES: [&str; 14] = [
    "currency",
    "currencycode",
    "curr",
    "ccy",
    "cur",
    "isocurrency",
    "waehrung",
    "währung",
    "devise",
    "moneda",
    "moeda",
    "valuta",
    "valuuta",
    "monnaie",
];

/// Where the currency of a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CurrencyRule {
    /// In this column.
    Column(Column),
    /// The caller said it; these columns could say another, and must not.
    Said(Currency, Vec<Column>),
    /// Nobody said it, and no name of a column did: as long as the cells of none are all currencies.
    Assumed(Currency),
}

impl CurrencyRule {
    /// Finds it out of flags and header.
    ///
    /// # Errors
    /// The file has a column that could say it, and nobody said which currency it is.
    pub(crate) fn find(
        header: &[String],
        column: Option<Column>,
        amount: &Column,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        if let Some(column) = column {
            return Ok(Self::Column(column));
        }
        let could = header.iter().enumerate().filter(|(_, name)| could_name(name));
        let could: Vec<Column> = could.map(|(index, name)| Column { index, name: name.clone() }).collect();
        if let Some(said) = settings.currency {
            return Ok(Self::Said(said, could));
        }
        if let Some(column) = could.first() {
            return Err(refused(&settings.file, &column.name));
        }
        let file = &settings.file;
        if let Some(code) = code_within(&amount.name) {
            return Err(Failure::usage(format!(
                "{file}: the column {} may say that its amounts are in {code}: say --currency {code}, or which it is",
                shown(&amount.name)
            )));
        }
        if settings.preset.is_some() {
            return Err(Failure::usage(format!(
                "{file}: no column says which currency its amounts are in: say --currency CODE, or --currency-column COLUMN"
            )));
        }
        let otherwise = Currency::parse(OTHERWISE);
        otherwise.map(Self::Assumed).map_err(|error| Failure::usage(error.to_string()))
    }

    /// What a row says, `None` where its cell is empty.
    ///
    /// # Errors
    /// What is wrong with its cell.
    pub(crate) fn read<'r>(
        &self,
        text: impl Fn(&Column) -> Result<&'r str, Fault>,
    ) -> Result<Option<Currency>, Fault> {
        match self {
            Self::Assumed(currency) => Ok(Some(*currency)),
            Self::Said(said, columns) => {
                for column in columns {
                    let cell = text(column)?;
                    if !cell.is_empty() && !cell.eq_ignore_ascii_case(said.code()) {
                        let text = format!(
                            "{} is not {said}, which --currency says; --currency-column takes what the column says",
                            shown(cell)
                        );
                        return Err(Fault::in_column(&column.name, text));
                    }
                }
                Ok(Some(*said))
            }
            Self::Column(column) => {
                let cell = text(column)?;
                if cell.is_empty() {
                    return Ok(None);
                }
                let read = Currency::parse(&cell.to_ascii_uppercase());
                read.map(Some).map_err(|error| Fault::in_column(&column.name, error.to_string()))
            }
        }
    }
}

fn refused(file: &str, column: &str) -> Failure {
    Failure::usage(format!(
        "{file}: the column {} could say which currency amounts are in: name it (--currency-column {}), or say the currency of all of them \
         (--currency CODE)",
        shown(column),
        shown(column)
    ))
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a column of this name could hold currencies.
fn could_name(name: &str) -> bool {
    let name = letters(name);
    let holds = name.contains("currency") || name.contains("waehrung") || name.contains("währung");
    NAMES.contains(&name.as_str()) || (holds && !name.contains("rate"))
}

/// The code of a currency that stands in a name as a word of its own, or as its sign.
fn code_within(name: &str) -> Option<&'static str> {
    let signs = [('€', "EUR"), ('£', "GBP"), ('₹', "INR"), ('₩', "KRW"), ('₺', "TRY"), ('¥', "JPY")];
    let words = name.split(|c: char| !c.is_alphanumeric());
    let mut codes =
        words.filter_map(|word| Currency::parse(&word.to_ascii_uppercase()).ok()).map(Currency::code);
    codes.next().or_else(|| signs.iter().find(|(sign, _)| name.contains(*sign)).map(|(_, code)| *code))
}

/// Looks whether all cells of a column are currencies: then it could say them, whatever it is called.
#[derive(Debug)]
pub(crate) struct Search {
    /// By column: whether it may still be one, and whether it had a cell that is not empty.
    columns: Vec<(bool, bool)>,
}

impl Search {
    /// Looks at all columns but those that hold something else.
    pub(crate) fn new(rule: &CurrencyRule, columns: usize, used: &[usize]) -> Self {
        let searched = matches!(rule, CurrencyRule::Assumed(_));
        let columns = (0..columns).map(|index| (searched && !used.contains(&index), false)).collect();
        Self { columns }
    }

    pub(crate) fn observe(&mut self, record: &Record) {
        for (index, (may, seen)) in self.columns.iter_mut().enumerate().filter(|(_, (may, _))| *may) {
            let cell = record.cell(index).unwrap_or_default().trim_ascii();
            if cell.is_empty() {
                continue;
            }
            *seen = true;
            let text = std::str::from_utf8(cell).ok().filter(|text| text.len() == 3);
            *may = text.is_some_and(|text| Currency::parse(text).is_ok());
        }
    }

    /// # Errors
    /// A column could say the currencies.
    pub(crate) fn end(&self, header: &[String], file: &str) -> Result<(), Failure> {
        match self.columns.iter().position(|(may, seen)| *may && *seen) {
            Some(index) => Err(refused(file, header.get(index).map_or("", String::as_str))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_could_say_it_are_known_by_their_names() {
        for name in [
            "currency",
            "Currency",
            "order_currency_code",
            "Currency Code",
            "CCY",
            "Währung",
            "presentment_currency",
        ] {
            assert!(could_name(name), "{name}");
        }
        for name in ["current", "amount", "exchange_rate", "currency_rate", "country"] {
            assert!(!could_name(name), "{name}");
        }
        let cases = [
            ("amount_eur", Some("EUR")),
            ("Total (CHF)", Some("CHF")),
            ("Preis in €", Some("EUR")),
            ("amount_cents", None),
            ("amount", None),
        ];
        for (name, code) in cases {
            assert_eq!(code_within(name), code, "{name}");
        }
    }
}
