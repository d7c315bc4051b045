//! Free data: a map of bounded strings.

use super::code::Code;
use super::error::shown;
use super::limits::ATTRIBUTES_MAX;
use super::scalar::coded;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

struct Attributes;

impl<'de> Visitor<'de> for Attributes {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut attributes = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if attributes.len() == ATTRIBUTES_MAX {
                return Err(coded(
                    Code::TooMany,
                    format_args!("at most {ATTRIBUTES_MAX} entries are allowed"),
                ));
            }
            if attributes.contains_key(&key) {
                return Err(coded(
                    Code::DuplicateField,
                    format_args!("{} is given twice; give it once", shown(&key)),
                ));
            }
            attributes.insert(key, value);
        }
        Ok(attributes)
    }
}

/// Reads `attributes`; readers of maps would otherwise let the last of two equal names win, silently.
pub(super) fn attributes<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    from.deserialize_map(Attributes)
}
