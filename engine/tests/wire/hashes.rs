use crate::{PLACE, engine_dir, pinned};
use retailflow_engine::keys::hex;
use retailflow_engine::wire::{CommandType, decode_command, decode_data};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn hash(command: &str) -> String {
    hex(&decode_command(command.as_bytes()).unwrap_or_else(|e| panic!("{e}")).content_hash())
}

fn hash_of(command: &Value) -> String {
    hash(&command.to_string())
}

/// Commands that are answered `unsupported_command` as yet.
const NOT_BUILT: [&str; 1] = ["exchange"];

#[test]
fn the_golden_vectors_hold() {
    let path = engine_dir().join("golden/content_hash.json");
    let vectors: Vec<BTreeMap<String, Value>> =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let now: Vec<BTreeMap<String, Value>> = vectors
        .into_iter()
        .map(|mut vector| {
            let kind = CommandType::parse(vector["type"].as_str().unwrap()).unwrap();
            let data = decode_data(kind, vector["data"].to_string().as_bytes()).unwrap();
            vector.insert("sha256".to_owned(), hex(&retailflow_engine::wire::content_hash(&data)).into());
            vector
        })
        .collect();
    for kind in CommandType::ALL.iter().filter(|kind| !NOT_BUILT.contains(&kind.verb())) {
        assert!(now.iter().any(|vector| vector["type"] == kind.as_str()), "no vector for {kind}");
    }
    pinned(path, &(serde_json::to_string_pretty(&now).unwrap() + "\n"));
}

#[test]
fn spelling_does_not_change_it() {
    let one = hash(PLACE);
    let value: Value = serde_json::from_str(PLACE).unwrap();
    // `Value` sorts its fields and prints without white space.
    assert_eq!(hash_of(&value), one);
    assert_eq!(hash(&PLACE.replace("1177", "1.177e3")), one);
    assert_eq!(hash(&PLACE.replace("1177", "1177.0")), one);
    assert_eq!(hash(&PLACE.replace("\"standard\"", "\"\\u0073tandard\"")), one);
    for (name, other) in [
        ("id", json!("c-other")),
        ("source", json!("/elsewhere")),
        ("tenant", json!("other")),
        ("subject", json!("18")),
        ("time", json!("2001-01-01T00:00:00Z")),
        ("traceparent", json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")),
        ("extension1", json!(7)),
        ("dataschema", json!("urn:x")),
    ] {
        let mut changed = value.clone();
        changed[name] = other;
        assert_eq!(hash_of(&changed), one, "{name}");
    }
    let (mut null, mut absent) = (value.clone(), value);
    null["data"]["delivery"] = Value::Null;
    absent["data"].as_object_mut().unwrap().remove("delivery");
    assert_eq!(hash_of(&null), hash_of(&absent));
}

/// Changes each leaf, and takes away each optional part, one at a time.
#[test]
fn each_field_changes_it() {
    let vectors: Vec<Value> = serde_json::from_str(
        &std::fs::read_to_string(engine_dir().join("golden/content_hash.json")).unwrap(),
    )
    .unwrap();
    let mut checked = 0;
    for vector in &vectors {
        let kind = CommandType::parse(vector["type"].as_str().unwrap()).unwrap();
        let data = decode_data(kind, vector["data"].to_string().as_bytes()).unwrap();
        let one = hex(&retailflow_engine::wire::content_hash(&data));
        for pointer in pointers(&vector["data"]) {
            for changed in changes(&vector["data"], &pointer) {
                // A change that breaks a rule (parts that add up) is no command; the rest must differ.
                let Ok(data) = decode_data(kind, changed.to_string().as_bytes()) else { continue };
                checked += 1;
                let other = hex(&retailflow_engine::wire::content_hash(&data));
                assert_ne!(other, one, "{kind} {pointer}");
            }
        }
    }
    assert!(checked > 60, "only {checked} changes were commands");
}

fn pointers(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => return Vec::new(),
    };
    let mut all = Vec::new();
    for (name, child) in children {
        all.push(format!("/{name}"));
        all.extend(pointers(child).into_iter().map(|below| format!("/{name}{below}")));
    }
    all
}

fn changes(data: &Value, pointer: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut without = data.clone();
    match without.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(list) => drop(list.remove(name.parse().unwrap())),
        _ => {}
    }
    all.push(without);
    let others = match data.pointer(pointer).unwrap() {
        Value::Number(n) => vec![json!(n.as_i64().unwrap() + 1)],
        Value::String(_) => [
            "other",
            "EUR",
            "tax",
            "fee",
            "void",
            "done",
            "failed",
            "not_done",
            "2001-01-01T00:00:00Z",
            "Zm9v",
        ]
        .into_iter()
        .map(Value::from)
        .filter(|v| Some(v) != data.pointer(pointer))
        .collect(),
        _ => vec![],
    };
    for other in others {
        let mut changed = data.clone();
        *changed.pointer_mut(pointer).unwrap() = other;
        all.push(changed);
    }
    all
}
