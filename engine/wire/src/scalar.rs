//! The JSON forms of ids, amounts and whole numbers, with errors that carry their [`Code`].

use super::code::Code;
use super::limits::{QUANTITY_MAX, VERSION_MAX};
use crate::ids::{CommandId, IdError, OrderId, Source, TenantId};
use crate::money::{AMOUNT_MAX, Amount, Currency, MoneyError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// An error that names its code; `DecodeError` reads it back. Nothing that a caller writes can begin a
/// reader's message, so it cannot be forged.
pub(super) fn coded<E: Error>(code: Code, message: impl fmt::Display) -> E {
    E::custom(format_args!("[{code}] {message}"))
}

/// Reads text without copying it where the reader can lend it, and parses it.
pub(super) struct Parse<T>(pub(super) fn(&str) -> Result<T, (Code, String)>, pub(super) &'static str);

impl<T> Visitor<'_> for Parse<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(|(code, message)| coded(code, message))
    }
}

fn id_error(error: IdError) -> (Code, String) {
    (Code::InvalidId, error.to_string())
}

macro_rules! id_json {
    ($($name:ident $doc:literal $pattern:literal $max:literal)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(Parse(|text| Self::parse(text).map_err(id_error), "a string"))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!($doc, "."), "type": "string",
                    "pattern": $pattern, "minLength": 1, "maxLength": $max
                })
            }
        }
    )*};
}

id_json! {
    TenantId "A tenant" "^[a-z0-9][a-z0-9-]*$" 63
    OrderId "An order within its tenant" "^[A-Za-z0-9_-]+$" 64
    CommandId "A command's id, unique per source" "^[ -~]+$" 128
    Source "Who made a command" "^[!-~]+$" 256
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let parse = |text: &str| Self::parse(text).map_err(|e| (Code::UnknownCurrency, e.to_string()));
        from.deserialize_str(Parse(parse, "a currency code"))
    }
}

impl JsonSchema for Currency {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A currency of ISO 4217 that has minor units.",
            "type": "string", "pattern": "^[A-Z]{3}$"
        })
    }
}

/// Reads a whole number from digits alone: [`super::numbers`] has seen to other spellings of one.
struct Whole {
    min: i64,
    max: i64,
    below: Code,
    above: Code,
}

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.min, self.max)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        let (min, max) = (self.min, self.max);
        let code = if number < min { self.below } else { self.above };
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        Err(coded(
            code,
            format_args!("{number} is outside what is allowed: a whole number from {min} to {max}"),
        ))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A float was made of something else than plain digits, and does not say of what: none is taken. It only serves to tell
    /// what is too large from what is not whole.
    #[expect(clippy::cast_precision_loss, reason = "limits are below 2^53, which a float holds")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        let (min, max) = (self.min, self.max);
        if number > max as f64 || number < min as f64 {
            let code = if number > max as f64 { self.above } else { self.below };
            let text =
                format_args!("{number} is outside what is allowed: a whole number from {min} to {max}");
            return Err(coded(code, text));
        }
        Err(coded(
            self.below,
            format_args!("{number} is not a whole number; one from {min} to {max} is expected"),
        ))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.minor())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (below, above) = (Code::InvalidAmount, Code::AmountOverflow);
        let minor = from.deserialize_i64(Whole { min: -AMOUNT_MAX, max: AMOUNT_MAX, below, above })?;
        Self::new(minor).map_err(|e: MoneyError| coded(Code::AmountOverflow, e))
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount in minor units of the order's currency.",
            "type": "integer", "minimum": (-AMOUNT_MAX), "maximum": AMOUNT_MAX
        })
    }
}

/// Reads a quantity: 1 to [`QUANTITY_MAX`] units.
pub(super) fn quantity<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let (below, above) = (Code::InvalidQuantity, Code::InvalidQuantity);
    let number = from.deserialize_i64(Whole { min: 1, max: i64::from(QUANTITY_MAX), below, above })?;
    u32::try_from(number).map_err(D::Error::custom)
}

/// Reads a version: 0 to [`VERSION_MAX`], or null.
pub(super) fn version<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Version(i64);

    impl<'de> Deserialize<'de> for Version {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let max = i64::try_from(VERSION_MAX).map_err(D::Error::custom)?;
            let (below, above) = (Code::InvalidField, Code::InvalidField);
            from.deserialize_i64(Whole { min: 0, max, below, above }).map(Self)
        }
    }
    Ok(Option::<Version>::deserialize(from)?.and_then(|v| u64::try_from(v.0).ok()))
}
