//! The schemas of commands and events beside those of the last release: who wrote or read by those goes on.
//!
//! `engine/golden/baseline` holds them. At a release, when all is compatible,
//! `RETAILFLOW_BASELINE=1 cargo test -p retailflow-engine --test wire baseline` moves it: what the release says is promised from
//! then on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use retailflow_engine::wire::schema::all_schemas;
use serde_json::{Value, json};

use crate::compatible::{Breaks, Kind, incompatible};
use crate::engine_dir;

fn folder() -> PathBuf {
    engine_dir().join("golden/baseline")
}

fn kind(name: &str) -> Option<Kind> {
    match name.split('.').next() {
        Some("command") => Some(Kind::Command),
        Some("event") => Some(Kind::Event),
        _ => None,
    }
}

/// Each change that breaks somebody, with the name of its schema.
fn broken(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Vec<String> {
    let mut told = Vec::new();
    for (name, old) in old {
        match new.get(name) {
            Some(new) => {
                let found = incompatible(kind(name).unwrap(), old, new);
                told.extend(found.iter().map(|change| format!("{name} {change}")));
            }
            None => told.push(format!("{name} is gone")),
        }
    }
    told
}

fn current() -> BTreeMap<String, Value> {
    all_schemas().into_iter().filter(|(name, _)| kind(name).is_some()).collect()
}

fn baseline() -> BTreeMap<String, Value> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    std::fs::read_dir(folder()).unwrap().map(read).collect()
}

#[test]
fn the_schemas_break_nobody_who_went_by_the_baseline() {
    let told = broken(&baseline(), &current());
    assert!(
        told.is_empty(),
        "incompatible with the last release: give the type a new version, or keep what was promised \
         (docs/events.md, \"What is promised\")\n{}",
        told.join("\n")
    );
    if std::env::var_os("RETAILFLOW_BASELINE").is_some() {
        for (name, schema) in current() {
            std::fs::write(folder().join(name), serde_json::to_string_pretty(&schema).unwrap() + "\n")
                .unwrap();
        }
    }
    // A type that nobody was promised yet is held from the next release on.
    assert!(baseline().len() >= 30, "{}", baseline().len());
}

/// Who reads events lets pass what they do not know, and so do the schemas that they check them with.
#[test]
fn schemas_of_events_let_pass_what_is_added_later() {
    fn closed(path: &str, schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(members) => {
                for (key, value) in members {
                    let words = ["enum", "oneOf"].contains(&key.as_str());
                    if words || (key == "additionalProperties" && *value == Value::Bool(false)) {
                        found.push(format!("{path}/{key}"));
                    }
                    closed(&format!("{path}/{key}"), value, found);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| closed(path, element, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (name, schema) in current().iter().filter(|(name, _)| kind(name) == Some(Kind::Event)) {
        closed(name, schema, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

/// A schema with one of everything that those of commands and events hold.
fn sample() -> Value {
    json!({
        "$defs": {
            "Line": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "sku": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[a-z]+$"},
                    "quantity": {"type": "integer", "format": "uint32", "minimum": 1, "maximum": 1000},
                    "step": {"oneOf": [{"const": "book", "type": "string"}, {"const": "void", "type": "string"}]},
                    "part": {"$ref": "#/$defs/Line"},
                },
                "required": ["sku", "quantity"],
            },
        },
        "type": "object",
        "properties": {
            "type": {"const": "retailflow.order.x.v1"},
            "time": {"type": ["string", "null"], "format": "date-time"},
            "actor": {"enum": ["tenant", "operator"]},
            "word": {"type": "string", "x-extensible-enum": ["a", "b"]},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "minItems": 1, "maxItems": 10},
            "delivery": {"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}]},
            "attributes": {
                "type": "object",
                "maxProperties": 16,
                "propertyNames": {"maxLength": 64},
                "additionalProperties": {"type": "string", "maxLength": 256},
            },
            "open": {"type": "object", "properties": {"a": {"type": "number"}}},
            "amount": {"type": "number", "exclusiveMinimum": 0},
        },
        "patternProperties": {"^[a-z]+$": true},
        "additionalProperties": false,
        "required": ["type", "lines"],
    })
}

/// The sample with one place changed: a value put there, or with `null` taken away.
fn changed(pointer: &str, value: Value) -> Value {
    let mut schema = sample();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = schema.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.remove(key).unwrap()),
        value => drop(parent.insert(key.to_owned(), value)),
    }
    schema
}

fn told(kind: Kind, old: &Value, new: &Value) -> Vec<(String, Breaks)> {
    incompatible(kind, old, new).into_iter().map(|change| (change.path, change.breaks)).collect()
}

/// Each way to take something away: where the schema is changed and to what, and where in documents that is told.
fn narrowings() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/properties/time", Value::Null, "/time"),
        ("/properties/time/type", json!("string"), "/time"),
        ("/properties/time/format", json!("date"), "/time"),
        ("/properties/type/const", json!("retailflow.order.x.v2"), "/type"),
        ("/properties/actor/enum", json!(["tenant"]), "/actor"),
        ("/properties/word/x-extensible-enum", json!(["a", "c"]), "/word"),
        ("/properties/word/enum", json!(["a", "b"]), "/word"),
        ("/properties/lines/minItems", json!(2), "/lines"),
        ("/properties/lines/maxItems", json!(9), "/lines"),
        ("/properties/lines/uniqueItems", json!(true), "/lines"),
        ("/properties/lines/items", json!({"type": "string"}), "/lines/*"),
        ("/properties/delivery/anyOf", json!([{"$ref": "#/$defs/Line"}]), "/delivery"),
        ("/properties/attributes/maxProperties", json!(15), "/attributes"),
        ("/properties/attributes/propertyNames", json!({"maxLength": 63}), "/attributes"),
        ("/properties/attributes/additionalProperties/maxLength", json!(255), "/attributes/*"),
        ("/properties/attributes/additionalProperties", json!({"type": "integer"}), "/attributes/*"),
        ("/properties/open/additionalProperties", json!(false), "/open"),
        ("/properties/open/additionalProperties", json!({"type": "string"}), "/open/*"),
        ("/properties/open/required", json!(["a"]), "/open/a"),
        ("/properties/open/properties/a/type", json!("integer"), "/open/a"),
        ("/properties/open/properties/a/multipleOf", json!(5), "/open/a"),
        ("/properties/open/properties/a", json!(false), "/open/a"),
        ("/properties/amount/exclusiveMinimum", json!(1), "/amount"),
        ("/properties/amount/not", json!({"const": 7}), "/amount"),
        ("/required", json!(["type", "lines", "time"]), "/time"),
        ("/patternProperties", Value::Null, ""),
        ("/patternProperties/^[a-z]+$", json!({"type": "string"}), "/*"),
        ("/$defs/Line/properties/sku/minLength", json!(2), "/lines/*/sku"),
        ("/$defs/Line/properties/sku/maxLength", json!(127), "/lines/*/sku"),
        ("/$defs/Line/properties/sku/pattern", json!("^[b-z]+$"), "/lines/*/sku"),
        ("/$defs/Line/properties/quantity/minimum", json!(2), "/lines/*/quantity"),
        ("/$defs/Line/properties/quantity/maximum", json!(999), "/lines/*/quantity"),
        ("/$defs/Line/properties/quantity/format", json!("uint8"), "/lines/*/quantity"),
        ("/$defs/Line/properties/step/oneOf", json!([{"const": "book", "type": "string"}]), "/lines/*/step"),
        ("/$defs/Line/properties/part", Value::Null, "/lines/*/part"),
        ("/$defs/Line/required", json!(["sku", "quantity", "step"]), "/lines/*/step"),
    ]
}

#[test]
fn each_kind_of_narrowing_is_told_with_its_place() {
    for kind in [Kind::Command, Kind::Event] {
        assert_eq!(told(kind, &sample(), &sample()), []);
        for (pointer, value, path) in narrowings() {
            let found = told(kind, &sample(), &changed(pointer, value.clone()));
            let wanted = (path.to_owned(), Breaks::OldDocuments);
            assert!(found.contains(&wanted), "{kind:?} {pointer} = {value}: {found:?}");
        }
    }
}

/// What was a narrowing is a widening the other way round: no caller minds, and those who check events by the older schema do,
/// but where that lets it pass.
#[test]
fn a_widening_breaks_no_caller_and_is_told_to_readers_who_would_refuse_it() {
    for (pointer, value, path) in narrowings() {
        let narrow = changed(pointer, value.clone());
        let for_callers = told(Kind::Command, &narrow, &sample());
        // Of commands, what is unknown stays refused, and names of extensions stay their callers'.
        let stays = [
            "/properties/open/additionalProperties",
            "/patternProperties",
            "/patternProperties/^[a-z]+$",
            "/properties/time",
        ];
        // Neither is a part of the other.
        let other = [
            "/properties/time/format",
            "/properties/type/const",
            "/properties/lines/items",
            "/properties/attributes/propertyNames",
            "/$defs/Line/properties/sku/pattern",
            "/properties/amount/not",
            "/properties/attributes/additionalProperties",
            "/properties/word/x-extensible-enum",
        ];
        if !stays.contains(&pointer) && !other.contains(&pointer) {
            assert_eq!(for_callers, [], "{pointer} = {value}");
        }
        let for_readers = told(Kind::Event, &narrow, &sample());
        let is_let_pass = ["/properties/word/x-extensible-enum", "/properties/time", "/patternProperties"];
        if !is_let_pass.contains(&pointer) {
            let wanted = (path.to_owned(), Breaks::OldReaders);
            assert!(for_readers.contains(&wanted), "{pointer} = {value}: {for_readers:?}");
        }
    }
}

#[test]
fn what_may_be_added_is_not_told() {
    let open = |more: Value| changed("/properties/open/properties", more);
    for new in [
        open(json!({"a": {"type": "number"}, "b": {"type": "string", "maxLength": 3}})),
        changed("/properties/word/x-extensible-enum", json!(["c", "b", "a"])),
        changed("/properties/time/description", json!("anything")),
        changed("/title", json!("X")),
    ] {
        assert_eq!(told(Kind::Event, &sample(), &new), []);
        assert_eq!(told(Kind::Command, &sample(), &new), []);
    }
}

#[test]
fn what_readers_would_refuse_is_told() {
    let new_field = json!({"type": "string"});
    let closed = changed("/$defs/Line/properties/gift", new_field.clone());
    let at = |path: &str| (path.to_owned(), Breaks::OldReaders);
    assert!(
        told(Kind::Event, &sample(), &closed).contains(&at("/lines/*/gift")),
        "its line lets nothing pass"
    );
    assert_eq!(told(Kind::Command, &sample(), &closed), [], "who does not send it goes on");
    let optional = changed("/$defs/Line/required", json!(["sku"]));
    assert!(
        told(Kind::Event, &sample(), &optional).contains(&at("/lines/*/quantity")),
        "readers count on it"
    );
    assert_eq!(told(Kind::Command, &sample(), &optional), []);
}

#[test]
fn commands_stay_strict_and_extensions_stay_free() {
    let open = changed("/$defs/Line/additionalProperties", json!(true));
    let at = |path: &str| (path.to_owned(), Breaks::OldDocuments);
    assert!(told(Kind::Command, &sample(), &open).contains(&at("/lines/*")), "a slip of the pen would pass");
    let named = changed("/properties/priority", json!({"type": "integer"}));
    assert!(
        told(Kind::Command, &sample(), &named).contains(&at("/priority")),
        "somebody's extension has that name"
    );
    let all = BTreeMap::from([("command.x.v1.json".to_owned(), sample())]);
    assert_eq!(broken(&all, &BTreeMap::new()), ["command.x.v1.json is gone"]);
}
