//! Every field that a command may have is read: something that somebody sees comes out otherwise when it is said otherwise.
//!
//! The fields are those of the published schemas. A new one fails here until a case says it, and until it is honored or refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::saga::world::*;
use super::{the_order, with_data};
use crate::order::{Actor, Incoming, history, view_of};
use crate::samples::author::place;
use crate::wire::command::*;
use crate::wire::schema::all_schemas;
use crate::wire::{CommandType, decode_data};

/// An order somewhere on its way, and a command that says as much as it can.
struct Case {
    kind: CommandType,
    given: fn() -> World,
    says: Value,
}

/// What nobody is to see but who has the key: it is kept with the order, and given out with the records alone.
const SEALED: [&str; 2] = ["sealed.ciphertext_base64", "sealed.key_id"];

fn cases() -> Vec<Case> {
    let case = |kind, given: fn() -> World, says| Case { kind, given, says };
    let placing = json!({
        "customer": "c", "currency": "EUR", "available_from": "2024-06-01T00:00:00Z", "placed_at": "1997-01-12T00:00:00Z", "attributes": { "channel": "web" },
        "lines": [{ "line_id": "a", "sku": "s", "quantity": 2, "amount_minor": 1000,
            "components": [{ "kind": "goods", "amount_minor": 900 }, { "kind": "tax", "amount_minor": 100 }] }],
        "components": [{ "kind": "shipping", "amount_minor": 500 }],
        "payments": [{ "payment_id": "p", "token_ref": "t", "amount_minor": 1500 }],
        "delivery": { "method": "m", "address_ref": "r" },
        "deliveries": [{ "line_ids": ["a"], "method": "m", "address_ref": "r", "available_from": "2024-06-01T00:00:00Z" }],
        "sealed": { "key_id": "k", "ciphertext_base64": "Zm9v" },
        "relates_to": { "kind": "replacement_of", "order": "o-0" },
        "expected_version": 0,
    });
    let back =
        json!({ "lines": [{ "line_id": "a", "quantity": 1, "amount_minor": 10 }], "reason": "too small" });
    let capture = json!({ "step": "capture", "reference": "p-1", "outcome": "done", "amount_minor": 1500,
        "lines": [{ "line_id": "a", "quantity": 3 }, { "line_id": "b", "quantity": 1 }] });
    let with_amounts = json!({ "step": "capture", "reference": "p-1", "outcome": "done",
        "lines": [{ "line_id": "a", "quantity": 3, "amount_minor": 1000 }] });
    let declined = json!({ "step": "capture", "reference": "p-1", "outcome": "declined", "reason": "no" });
    let later = json!({ "step": "capture", "reference": "p-1", "outcome": "pending",
        "until": "2024-06-01T00:00:00Z", "reason": "a review" });
    let handed_over =
        json!({ "step": "book", "reference": "ref", "outcome": "done", "shipment": "handed_over" });
    let resolved = json!({ "step": "capture", "as": "done", "evidence": "by phone", "part": "p1" });
    let why = || json!({ "reason": "because" });
    let stalled = || {
        let mut world = World::at(Step::Capture);
        world.deadline_passes();
        world
    };
    let archived = || {
        let mut world = World::completed();
        assert_eq!(world.ask(archive()), Code::Applied);
        world
    };
    let with_shipping = || {
        let mut data = basket();
        data["components"] = json!([{ "kind": "shipping", "amount_minor": 500 }]);
        let mut world = World::placed_as(data);
        world.runs_out();
        world
    };
    let waiting = || {
        let mut world = World::empty();
        world.context.policy.payments.on_decline = crate::wire::payment_rules::OnDecline::Wait;
        assert_eq!(world.ask(place_of(basket())), Code::Applied);
        world.answer(done());
        world.answer(super::saga::world::declined("no"));
        world
    };
    let reserved = || World::at(Step::Authorize);
    let with_free_units = || {
        let mut data = basket();
        data["lines"][0]["amount_minor"] = json!(0);
        let mut world = World::placed_as(data);
        world.answer(done());
        world
    };
    let amending = json!({ "reason": "because", "note": "ring twice", "attributes": { "gift": "yes" },
        "delivery": { "method": "m", "address_ref": "r" },
        "lines": [{ "line_id": "a", "quantity": 2, "amount_minor": 1100 }],
        "add_lines": [{ "line_id": "c", "sku": "u", "quantity": 1, "amount_minor": 300,
            "components": [{ "kind": "goods", "amount_minor": 300 }] }],
        "payments": [{ "payment_id": "x", "token_ref": "t", "amount_minor": 400 }] });
    let some_units = json!({ "reason": "because", "lines": [{ "line_id": "a", "quantity": 1 }] });
    vec![
        case(CommandType::Amend, reserved, amending),
        case(CommandType::Cancel, with_free_units, some_units),
        case(CommandType::Place, World::empty, placing),
        case(CommandType::Cancel, World::placed, why()),
        case(CommandType::Return, World::completed, back),
        case(CommandType::Report, pending_capture, capture),
        case(CommandType::Report, pending_capture, with_amounts),
        case(CommandType::Report, pending_capture, declined),
        case(CommandType::Report, pending_capture, later),
        case(CommandType::Report, || World::at(Step::Capture), handed_over),
        case(CommandType::Resume, stalled, why()),
        case(CommandType::ResolveStep, stalled, resolved),
        case(CommandType::Compensate, World::placed, why()),
        case(CommandType::Archive, World::completed, why()),
        case(CommandType::Restore, archived, why()),
        case(
            CommandType::Refund,
            World::completed,
            json!({ "amount_minor": 20, "reason": "late",
            "lines": [{ "line_id": "a", "amount_minor": 20 }] }),
        ),
        case(
            CommandType::Refund,
            with_shipping,
            json!({ "amount_minor": 20, "reason": "late",
            "components": [{ "kind": "shipping", "amount_minor": 20 }], "payment_id": "payment" }),
        ),
        case(
            CommandType::Pay,
            waiting,
            json!({ "reason": "another card",
            "payments": [{ "payment_id": "x", "token_ref": "t", "amount_minor": 1500 }] }),
        ),
    ]
    .into_iter()
    .chain(cases_of_shops())
    .collect()
}

fn pending_capture() -> World {
    let mut world = World::at(Step::Capture);
    world.answer(pending("p-1", None));
    world
}

/// What shops do beside.
fn cases_of_shops() -> Vec<Case> {
    let case = |kind, given: fn() -> World, says| Case { kind, given, says };
    let on_hold = || {
        let mut world = World::placed();
        assert_eq!(world.ask(hold("fraud", None)), Code::Applied);
        world
    };
    let exchanging = json!({ "reason": "too small",
        "lines": [{ "line_id": "b", "quantity": 1, "amount_minor": 400, "restock": "no", "condition": "worn" }],
        "add_lines": [{ "line_id": "c", "sku": "u", "quantity": 1, "amount_minor": 700,
            "components": [{ "kind": "goods", "amount_minor": 700 }] }],
        "payments": [{ "payment_id": "x", "token_ref": "t", "amount_minor": 300 }] });
    vec![
        case(CommandType::Exchange, World::completed, exchanging),
        case(
            CommandType::Hold,
            World::placed,
            json!({ "name": "fraud", "reason": "a new address", "until": "1998-01-12T00:00:00Z" }),
        ),
        case(
            CommandType::Return,
            World::completed,
            json!({ "lines": [{ "line_id": "a", "quantity": 1, "restock": "no", "condition": "opened" }],
            "restock": "no", "fee_minor": 10, "reason": "too small" }),
        ),
        case(
            CommandType::Return,
            World::completed,
            json!({ "lines": [{ "line_id": "a", "quantity": 1 }], "restock": "no", "reason": "too small" }),
        ),
        case(
            CommandType::Report,
            pending_capture,
            json!({ "step": "capture", "reference": "p-1", "outcome": "done",
            "lines": [{ "line_id": "a", "quantity": 3, "restock": "no", "condition": "opened" },
                { "line_id": "b", "quantity": 1 }] }),
        ),
        case(
            CommandType::Record,
            World::completed,
            json!({ "kind": "chargeback", "amount_minor": 100, "reference": "case-9", "payment_id": "payment",
            "line_id": "a", "happened_at": "1998-01-12T00:00:00Z", "reason": "not me" }),
        ),
        case(CommandType::ReleaseHold, on_hold, json!({ "name": "fraud", "reason": "all is well" })),
    ]
}

/// The fields that a schema says, as `lines[].quantity`; those of a map as `attributes.*`.
fn fields(whole: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return fields(whole, whole.pointer(name.trim_start_matches('#')).unwrap(), path, found);
    }
    let any = ["anyOf", "allOf"].iter().filter_map(|word| schema[*word].as_array()).flatten();
    let branches: Vec<&Value> = any.filter(|branch| branch["type"] != "null").collect();
    for branch in &branches {
        fields(whole, branch, path, found);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let dot = if path.is_empty() { "" } else { "." };
        for (name, schema) in properties {
            fields(whole, schema, &format!("{path}{dot}{name}"), found);
        }
    } else if schema["items"].is_object() {
        fields(whole, &schema["items"], &format!("{path}[]"), found);
    } else if schema["additionalProperties"].is_object() {
        found.insert(format!("{path}.*"));
    } else if branches.is_empty() {
        found.insert(path.to_owned());
    }
}

/// The same data with its first value at `path` said otherwise; `None` where it says nothing there.
fn otherwise(data: &Value, path: &str) -> Option<Value> {
    let mut changed = data.clone();
    let mut at = &mut changed;
    for part in path.split('.') {
        let name = part.trim_end_matches("[]");
        at = match name {
            "*" => at.as_object_mut()?.values_mut().next()?,
            name => at.get_mut(name)?,
        };
        if part.ends_with("[]") {
            at = at.get_mut(0)?;
        }
    }
    *at = match (path.rsplit('.').next()?, &*at) {
        ("step", _) => json!("void"),
        ("restock", _) => json!("yes"),
        ("shipment", _) => json!("lost"),
        ("outcome", _) => json!("failed"),
        ("as", _) => json!("not_done"),
        ("kind", Value::String(kind)) if kind == "chargeback" => json!("loss"),
        ("kind", Value::String(kind)) if kind == "replacement_of" => json!("exchange_of"),
        ("kind", _) => json!("fee"),
        ("currency", _) => json!("USD"),
        ("placed_at" | "happened_at", _) => json!("1998-01-13T00:00:00Z"),
        ("available_from" | "until", _) => json!("2024-07-01T00:00:00Z"),
        ("ciphertext_base64", _) => json!("YmFy"),
        (_, Value::String(text)) => json!(format!("{text}x")),
        (_, Value::Number(number)) => json!(number.as_i64()? + 1),
        _ => return None,
    };
    Some(changed)
}

/// What becomes of a command: what its sender is told, what everybody sees of the order then, and what is stored.
fn becomes(case: &Case, data: &Value) -> (Value, Vec<Vec<u8>>) {
    let World { mut aggregate, mut log, context, .. } = (case.given)();
    let data = match case.kind {
        // A sum that is not right is told before anything is decided; here it is the fields that count.
        CommandType::Place => CommandData::Place(serde_json::from_value(data.clone()).unwrap()),
        kind => match decode_data(kind, data.to_string().as_bytes()) {
            Ok(data) => data,
            Err(error) => return (json!({ "told": error.to_string() }), Vec::new()),
        },
    };
    let mut command = with_data(&place(&the_order(), "said"), data);
    if command.data.kind().is_operator() {
        command.actor = Actor::Operator("ops".into());
    }
    let mut draft = Draft::new(&aggregate);
    let told = match draft.decide(&aggregate, &command, &context, true) {
        Drafted::Decided(index) => {
            let verdict = draft.outcome(index).clone();
            let sealed = draft.seal(&aggregate).unwrap();
            log.push(sealed.bytes.to_vec());
            aggregate.fold(&sealed.bytes, 10).unwrap();
            format!("{} {} {:?}", verdict.code(), verdict.message(), verdict.path())
        }
        Drafted::Refused(code, message) => format!("{code} {message}"),
        other => panic!("{other:?}"),
    };
    let asked = next(&the_order(), &aggregate.order).map(|effect| {
        let request = effect.request;
        format!("{:?} {} {} {:?}", effect.mode, request.key, request.amount_minor, request.units)
    });
    let mut replayed = Aggregate::new(the_order());
    let mut events = Vec::new();
    for bytes in &log {
        let published = Incoming::read(bytes).unwrap().publish(&mut replayed).unwrap();
        events.extend(published.into_iter().map(|published| json!(published.event)));
    }
    let seen = json!({
        "told": told,
        "view": view_of(&aggregate, None).unwrap(),
        "history": history(&log, 0, 100).unwrap(),
        "asked": asked,
        "events": events,
    });
    (seen, log)
}

#[test]
fn every_field_of_every_command_is_read() {
    let mut unread: BTreeMap<String, &str> = BTreeMap::new();
    for kind in CommandType::ALL {
        let name = format!("command.{}.v1.json", kind.verb());
        let (_, schema) = all_schemas().into_iter().find(|(file, _)| *file == name).unwrap();
        let mut found = BTreeSet::new();
        fields(&schema, &schema["properties"]["data"], "", &mut found);
        assert!(found.contains("expected_version"), "{name}: {found:?}");
        for field in found {
            let mut said = false;
            let read = cases().iter().filter(|case| case.kind == *kind).any(|case| {
                let mut data = case.says.clone();
                if data["expected_version"].is_null() {
                    data["expected_version"] = json!((case.given)().order().version);
                }
                let Some(changed) = otherwise(&data, &field) else { return false };
                said = true;
                let ((seen, stored), (otherwise, stored_otherwise)) =
                    (becomes(case, &data), becomes(case, &changed));
                if SEALED.contains(&&*field) {
                    assert_eq!(seen, otherwise, "{field} is nobody's business");
                    return stored != stored_otherwise;
                }
                seen != otherwise
            });
            if !read {
                let why = if said { "is accepted and read by nobody" } else { "is said by no case here" };
                unread.insert(format!("{} {field}", kind.verb()), why);
            }
        }
    }
    assert!(unread.is_empty(), "{unread:#?}");
}
