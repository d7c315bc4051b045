//! Who sent a command that cannot be read: an outcome must have somewhere to go.

use super::error::Address;
use crate::ids::{CommandId, OrderId, Source, TenantId};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Reads as much of the address as can be read, up to where the text stops being JSON.
pub(super) fn best_effort_ids(text: &str) -> Address {
    struct BestEffortIds<'a>(&'a mut Address);

    impl<'de> Visitor<'de> for BestEffortIds<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                if !matches!(key.as_str(), "tenant" | "subject" | "source" | "id") {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                let Ok(value) = serde_json::from_str::<String>(map.next_value::<&RawValue>()?.get()) else {
                    continue;
                };
                match key.as_str() {
                    "tenant" => self.0.tenant = TenantId::parse(&value).ok(),
                    "subject" => self.0.order = OrderId::parse(&value).ok(),
                    "source" => self.0.source = Source::parse(&value).ok(),
                    _ => self.0.id = CommandId::parse(&value).ok(),
                }
            }
            Ok(())
        }
    }

    let mut address = Address::default();
    // How far it came is in the address; that it failed is known.
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(BestEffortIds(&mut address));
    address
}
