//! The public contract: names, amounts, metrics, and the types that commands, outcomes, events and views have as JSON.
//!
//! These are the project's only types with a JSON form. What is stored has frozen shapes of its own (the engine's
//! `codec`), so that the contract can grow without touching a stored byte. JSON Schemas and the table of codes are made
//! from here ([`schema`]); golden files pin them. The engine shows all of it as `wire`, `ids`, `money` and `metric`.

/// Declares a unit type that is one fixed string in JSON and refuses every other.
macro_rules! schema_tag {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name;

        impl $name {
            /// The string.
            pub const NAME: &'static str = $text;
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str($text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                if text == $text {
                    return Ok(Self);
                }
                Err(serde::de::Error::custom(concat!("this reader knows only ", $text)))
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "const": $text })
            }
        }
    };
}
use schema_tag;

pub mod admin;
mod attributes;
pub mod base64;
mod best_effort_ids;
pub mod binding;
mod change_commands;
pub mod change_events;
pub mod code;
mod code_table;
pub mod command;
pub mod command_type;
pub mod dry_run;
pub mod envelope;
pub mod error;
pub mod event;
pub mod event_data;
mod event_data_more;
pub mod flow_rules;
pub mod hash;
pub mod history;
pub mod ids;
pub mod limits;
pub mod metric;
pub mod money;
mod money_commands;
mod numbers;
mod object;
pub mod order;
mod order_beside;
pub mod order_list;
pub mod outcome;
pub mod payment_rules;
pub mod problem;
mod raw_envelope;
pub mod report;
pub mod return_rules;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod scalar;
pub mod schema;
pub mod shipment;
pub mod steps;
pub mod time;
mod trace;
pub mod validate;
mod validate_more;

pub use code::{Code, Retry, Status};
pub use command::CommandData;
pub use command_type::CommandType;
pub use envelope::{CommandEvent, DecodedCommand, decode_command, decode_data, decode_tenant_change};
pub use error::{Address, DecodeError};
pub use hash::content_hash;
pub use outcome::{Durability, DurabilityClass, Outcome};
pub use report::RunReport;
pub use trace::Trace;
