//! One file with a bad line of each kind between good ones.

use serde_json::{Value, json};

use crate::support::world::{World, first_time, place};

/// A line, and the code and path that must be told at its place.
type Bad = (Vec<u8>, &'static str, Option<&'static str>);

const AMOUNT: &str = "/data/lines/0/amount_minor";
const AMOUNT_PATH: Option<&str> = Some("data.lines[0].amount_minor");
const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// A good command with one thing in it changed or added.
fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut command = place("bad", "c-bad", 100);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    command.pointer_mut(parent).unwrap()[key.trim_end()] = value;
    command.to_string().into_bytes()
}

fn without(pointer: &str) -> Vec<u8> {
    let mut command = place("bad", "c-bad", 100);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    command.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    command.to_string().into_bytes()
}

fn of_type(order: &str, kind: &str, data: Value) -> Vec<u8> {
    let mut command = place(order, &format!("{kind}-{order}"), 100);
    command["type"] = format!("retailflow.order.{kind}.v1").into();
    command["data"] = data;
    command.to_string().into_bytes()
}

fn line(n: usize, amount_minor: u64) -> Value {
    json!({"line_id": n.to_string(), "sku": "cd", "quantity": 1, "amount_minor": amount_minor})
}

fn payment(n: usize, amount_minor: u64) -> Value {
    json!({"payment_id": n.to_string(), "token_ref": "tok", "amount_minor": amount_minor})
}

/// What cannot be read as a command: dead letters.
fn unreadable() -> Vec<Bad> {
    let huge = String::from_utf8(with("/id", "c-bad".into())).unwrap();
    let huge = huge.replace("\"amount_minor\":100", &format!("\"amount_minor\":1{}", "0".repeat(30)));
    let attributes: Value =
        (0..33).map(|n| (n.to_string(), "v".into())).collect::<serde_json::Map<_, _>>().into();
    let twice = String::from_utf8(with("/id", "c-bad".into())).unwrap();
    let twice = twice.replacen('{', "{\"id\":\"c-other\",", 1);
    vec![
        (b"{\"specversion\":\"1.0\",".to_vec(), "malformed_json", None),
        (b"{}".to_vec(), "not_a_cloudevent", None),
        (b"not a command".to_vec(), "malformed_json", None),
        (b"[1,2]".to_vec(), "not_a_cloudevent", None),
        (b"null".to_vec(), "not_a_cloudevent", None),
        ("[".repeat(200_000).into_bytes(), "not_a_cloudevent", None),
        (b"{\"id\":\"\xff\xfe\"}".to_vec(), "invalid_utf8", None),
        (twice.into_bytes(), "duplicate_field", Some("id")),
        (with("/specversion", "0.3".into()), "not_a_cloudevent", Some("specversion")),
        (with("/type", "retailflow.order.plaice.v1".into()), "unknown_type", Some("type")),
        (with("/data/customer", 5.into()), "wrong_type", Some("data.customer")),
        (with("/data/lines", "x".into()), "wrong_type", Some("data.lines")),
        (with(AMOUNT, "100".into()), "wrong_type", AMOUNT_PATH),
        (with(AMOUNT, json!(1.5)), "invalid_amount", AMOUNT_PATH),
        (without("/data/currency"), "missing_field", Some("data.currency")),
        (with("/data/custmer", "x".into()), "unknown_field", Some("data.custmer")),
        (with("/data/lines/0/skuu", "x".into()), "unknown_field", Some("data.lines[0].skuu")),
        (with("/subject", "a.b".into()), "invalid_id", Some("subject")),
        (with("/subject", "x".repeat(65).into()), "invalid_id", Some("subject")),
        (with("/tenant", "T".into()), "invalid_id", Some("tenant")),
        (with("/id", "x".repeat(129).into()), "invalid_id", Some("id")),
        (with("/id", "a\nb".into()), "invalid_id", Some("id")),
        (with("/data/lines", (0..1001).map(|n| line(n, 1)).collect()), "too_many", Some("data.lines")),
        (with("/data/lines", json!([])), "invalid_field", Some("data.lines")),
        (with("/data/lines", json!([line(1, 1), line(1, 1)])), "duplicate_id", Some("data.lines[1].line_id")),
        (with("/data/attributes", attributes), "too_many", Some("data.attributes")),
        (with("/data/customer", "x".repeat(129).into()), "too_long", Some("data.customer")),
        (with("/data/customer", "x".repeat(3_000_000).into()), "too_large", None),
        (with("/data/lines/0/quantity", 0.into()), "invalid_quantity", Some("data.lines[0].quantity")),
        (with(AMOUNT, (-1).into()), "invalid_amount", AMOUNT_PATH),
        (with(AMOUNT, (AMOUNT_MAX + 1).into()), "amount_overflow", AMOUNT_PATH),
        (with(AMOUNT, u64::MAX.into()), "amount_overflow", AMOUNT_PATH),
        (huge.into_bytes(), "amount_overflow", AMOUNT_PATH),
        (
            with("/data/lines", json!([line(1, AMOUNT_MAX), line(2, 1)])),
            "amount_overflow",
            Some("data.lines"),
        ),
        (
            with("/data/lines/0/components", json!([{"kind": "goods", "amount_minor": 99}])),
            "components_do_not_add_up",
            Some("data.lines[0].components"),
        ),
        (with("/data/payments", json!([payment(1, 99)])), "components_do_not_add_up", Some("data.payments")),
        (with("/data/currency", "ZZZ".into()), "unknown_currency", Some("data.currency")),
        (with("/data/currency", "usd".into()), "unknown_currency", Some("data.currency")),
        (with("/data/currency", "XAU".into()), "unknown_currency", Some("data.currency")),
    ]
}

/// What is a command and is refused: nothing is kept of it. The order `good-0` is there by then.
fn refused() -> Vec<Bad> {
    let mut reused = place("good-0", "c-good-0", 100);
    reused["data"]["customer"] = "other".into();
    vec![
        (reused.to_string().into_bytes(), "id_reused", None),
        (of_type("good-0", "resume", json!({})), "operator_only", None),
        (
            of_type("nowhere", "return", json!({"lines": [{"line_id": "1", "quantity": 1}], "reason": "r"})),
            "order_not_found",
            None,
        ),
        (of_type("nowhere", "cancel", json!({"reason": "r"})), "order_not_found", None),
    ]
}

#[test]
fn every_bad_line_is_told_at_its_place_and_every_good_one_is_applied() {
    let world = World::new();
    let (unreadable, refused) = (unreadable(), refused());
    let (dead, not_taken) = (unreadable.len() as u64, refused.len() as u64);
    let good = dead + not_taken + 1;
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for n in 0..good {
        let (order, id) = (format!("good-{n}"), format!("c-good-{n}"));
        bytes.extend_from_slice(format!("{}\n", place(&order, &id, 100)).as_bytes());
        expected.push(("applied", None));
        if let Some((line, code, path)) = unreadable.iter().chain(&refused).nth(n as usize) {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            expected.push((*code, *path));
        }
    }
    let file = world.file("commands", bytes);

    world.run(&file).run().expect(1);
    let first = world.outcomes();
    let mut wrong = Vec::new();
    for (at, (outcome, (code, path))) in first.iter().zip(&expected).enumerate() {
        let status = if *code == "applied" { "applied" } else { "refused" };
        let told = (outcome["code"].as_str(), outcome.get("path").and_then(Value::as_str));
        let words = outcome["message"].as_str().is_some_and(|text| (10..600).contains(&text.len()));
        if told != (Some(*code), *path) || outcome["status"] != status || !words {
            wrong.push(format!("line {}: expected {code} at {path:?}: {outcome}", at + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(first.len(), expected.len());
    let all = good + dead + not_taken;
    world.expect_counts([all, good, 0, 0, not_taken, 0, dead]);
    let notes = notes(&world);

    world.run(&file).run().expect(1);
    let told = |outcomes: &[Value]| outcomes.iter().map(first_time).collect::<Vec<_>>();
    assert_eq!(told(&world.outcomes()), told(&first));
    world.expect_counts([all, 0, 0, good, not_taken, 0, dead]);
    assert_eq!(self::notes(&world), notes, "no letter twice");
    // The tenant is the one note that is no dead letter.
    assert_eq!(notes, dead + 1);
    assert_eq!(world.verified("data", 0)["orders"], good);
}

/// Dead letters and tenants in the log.
fn notes(world: &World) -> u64 {
    let exported = world.on_data(&["export"]).run().expect(0);
    exported.lines().iter().filter(|line| line.starts_with("{\"note\"")).count() as u64
}

#[test]
fn the_same_bad_line_in_another_file_is_another_letter() {
    let world = World::new();
    for (name, letters) in [("one", 1), ("two", 2), ("one", 2)] {
        let file = world.file(name, "not a command\n");
        world.run(&file).run().expect(1);
        assert_eq!(notes(&world), letters, "{name}");
    }
}

#[test]
fn an_empty_file_is_no_commands() {
    let world = World::new();
    for text in ["", "\n\r\n  \n"] {
        let file = world.file("commands", text);
        world.run(&file).run().expect(0);
        assert_eq!(world.outcomes().len(), 0);
        world.expect_counts([0; 7]);
    }
    world.run("-").run().expect(0);
    world.verified("data", 0);
}
