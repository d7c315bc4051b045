//! What the attributes of a command's envelope may be: one table for all doors, in JSON and in headers.

use serde_json::{Map, Value, json};

use crate::Code;
use crate::limits::{
    DATASCHEMA_MAX_CHARS, EXTENSION_NAME_MAX_CHARS, EXTENSION_VALUE_MAX_CHARS, EXTENSIONS_MAX,
    TRACESTATE_MAX_CHARS,
};

/// The order that all cases are for.
pub const ORDER: (&str, &str) = ("shop", "o-1");
/// Their data.
pub const DATA: &str = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;

/// Attributes that differ from the usual ones, by name.
type Changed = Vec<(String, String)>;

/// An envelope, and whether it is taken.
pub struct AttributeCase {
    /// What is tried.
    pub about: &'static str,
    /// All of its attributes.
    pub attributes: Vec<(String, String)>,
    /// The code of the refusal, if it is refused.
    pub refused: Option<Code>,
}

impl AttributeCase {
    /// The command in structured JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let address = [("tenant", ORDER.0), ("subject", ORDER.1)];
        let mut members: Map<String, Value> =
            address.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        members.extend(self.attributes.iter().map(|(name, value)| (name.clone(), json!(value))));
        members.insert("data".into(), serde_json::from_str(DATA).unwrap_or_default());
        Value::Object(members).to_string().into_bytes()
    }

    /// The attributes as headers, beside [`DATA`] as the body.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let encoded = |value: &str| -> String {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-./:".contains(byte);
            let each = |byte: u8| match plain(&byte) {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            };
            value.bytes().map(each).collect()
        };
        self.attributes.iter().map(|(name, value)| (format!("ce-{name}"), encoded(value))).collect()
    }
}

/// The cases: each limit, what just keeps it and what does not.
#[must_use]
pub fn attribute_cases() -> Vec<AttributeCase> {
    let text = |of: &str, count: usize| of.repeat(count);
    let many = |count: usize| (0..count).map(|n| (format!("ext{n}"), "1".to_owned())).collect();
    let one = |name: &str, value: String| vec![(name.to_owned(), value)];
    let name_max = text("n", EXTENSION_NAME_MAX_CHARS);
    let cases: Vec<(&'static str, Changed, Option<Code>)> = vec![
        ("no more than there must be", vec![], None),
        ("what could mean a dry run", one("dryrun", "true".into()), Some(Code::UnknownField)),
        ("another version", one("specversion", "0.3".into()), Some(Code::NotACloudevent)),
        ("no command", one("type", "retailflow.order.lose.v1".into()), Some(Code::UnknownType)),
        ("the longest id", one("id", text("i", 64)), None),
        ("an id that is too long", one("id", text("i", 1025)), Some(Code::InvalidId)),
        ("an empty id", one("id", String::new()), Some(Code::InvalidId)),
        ("an id that is no ASCII", one("id", "\u{e9}".into()), Some(Code::InvalidId)),
        ("a source that is too long", one("source", text("s", 5000)), Some(Code::InvalidId)),
        ("a source with a space", one("source", "a b".into()), Some(Code::InvalidId)),
        ("another tenant", one("tenant", "other".into()), Some(Code::MismatchedAddress)),
        ("another order", one("subject", "o-2".into()), Some(Code::MismatchedAddress)),
        ("a time", one("time", "1997-01-12T00:00:00.5+01:00".into()), None),
        ("no time", one("time", "yesterday".into()), Some(Code::InvalidField)),
        ("the longest schema", one("dataschema", text("\u{e9}", DATASCHEMA_MAX_CHARS)), None),
        (
            "a schema that is too long",
            one("dataschema", text("\u{e9}", DATASCHEMA_MAX_CHARS + 1)),
            Some(Code::TooLong),
        ),
        ("JSON", one("datacontenttype", "application/json; charset=utf-8".into()), None),
        ("no JSON", one("datacontenttype", "text/plain".into()), Some(Code::UnsupportedMediaType)),
        ("a trace that is none", one("traceparent", "00-x".into()), None),
        ("a state of a trace that is too long", one("tracestate", text("a", TRACESTATE_MAX_CHARS + 1)), None),
        ("an extension", one("com1", "x".into()), None),
        ("the longest name", one(&name_max, "x".into()), None),
        (
            "a name that is too long",
            one(&text("n", EXTENSION_NAME_MAX_CHARS + 1), "x".into()),
            Some(Code::UnknownField),
        ),
        ("a name that is none", one("com_1", "x".into()), Some(Code::UnknownField)),
        ("the longest value", one("com1", text("v", EXTENSION_VALUE_MAX_CHARS)), None),
        (
            "a value that is too long",
            one("com1", text("v", EXTENSION_VALUE_MAX_CHARS + 1)),
            Some(Code::TooLong),
        ),
        ("as many extensions as may be", many(EXTENSIONS_MAX), None),
        ("one too many", many(EXTENSIONS_MAX + 1), Some(Code::TooMany)),
        ("data in base64", one("data_base64", "e30=".into()), Some(Code::UnknownField)),
    ];
    let base = [
        ("specversion", "1.0"),
        ("id", "c-1"),
        ("source", "/shop/web"),
        ("type", "retailflow.order.place.v1"),
    ];
    let whole = |(about, changed, refused): (_, Changed, _)| {
        let kept = base.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
        let kept = kept.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        AttributeCase { about, attributes: kept.chain(changed.clone()).collect(), refused }
    };
    cases.into_iter().map(whole).collect()
}
