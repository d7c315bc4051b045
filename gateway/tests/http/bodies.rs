//! The forms in which a command may come, and what does not agree.

use retailflow_engine::wire::CommandData;
use retailflow_testkit::attributes::{DATA, attribute_cases};
use serde_json::{Value, json};

use crate::world::{COMMANDS, JSON, PLACE, Reply, TYPE, World};

const EVENT: (&str, &str) = ("content-type", "application/cloudevents+json");

fn event(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event = json!({
        "specversion": "1.0", "id": "c-1", "source": "/shop/web", "type": "retailflow.order.place.v1",
        "tenant": "shop", "subject": "o-1", "data": serde_json::from_str::<Value>(PLACE).unwrap(),
    });
    change(&mut event);
    event.to_string().into_bytes()
}

async fn send(world: &World, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    world.call("POST", COMMANDS, headers, body).await
}

#[tokio::test]
async fn a_cloudevent_in_json() {
    let world = World::new().await;
    let reply = send(&world, &[EVENT, ("idempotency-key", "c-1")], &event(|_| {})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["source"], "/shop/web");
    let with_charset = ("content-type", "Application/CloudEvents+JSON; charset=\"UTF-8\"");
    assert_eq!(send(&world, &[with_charset], &event(|_| {})).await.status, 200);
}

#[tokio::test]
async fn a_cloudevent_in_headers() {
    let world = World::new().await;
    let given = [
        JSON,
        TYPE,
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20b%25"),
        ("ce-source", "/shop/web"),
        ("ce-tenant", "shop"),
        ("ce-subject", "o-1"),
        ("ce-time", "1997-01-12T00:00:00Z"),
        ("ce-someextension", "passes"),
    ];
    let reply = send(&world, &given, PLACE.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (command, ..) = world.door.asked.lock().unwrap()[0].clone();
    assert_eq!(command.key.to_string(), "/shop/web#a b%");
    assert_eq!(command.time.unwrap().0, 853_027_200_000);
    assert!(matches!(command.data, CommandData::Place(_)));

    for missing in ["ce-id", "ce-source", "ce-type"] {
        let rest: Vec<_> = given.iter().copied().filter(|(name, _)| *name != missing).collect();
        let reply = send(&world, &rest, PLACE.as_bytes()).await;
        assert_eq!(reply.refused(400, "missing_field")["path"], missing);
    }
    for (name, bad, code) in [
        ("ce-specversion", "0.3", "not_a_cloudevent"),
        ("ce-type", "retailflow.order.eat.v1", "unknown_type"),
        ("ce-source", "a b", "invalid_id"),
        ("ce-id", "%zz", "invalid_field"),
        ("ce-time", "yesterday", "invalid_field"),
        ("ce-tenant", "other", "mismatched_address"),
        ("ce-subject", "other", "mismatched_address"),
    ] {
        let mut changed = given;
        changed.iter_mut().find(|(given, _)| *given == name).unwrap().1 = bad;
        let reply = send(&world, &changed, PLACE.as_bytes()).await;
        assert_eq!(reply.refused(400, code)["path"], name);
    }
}

#[tokio::test]
async fn bare_data() {
    let world = World::new().await;
    let reply = world.place("\"k \\\"1\\\"\"", &[]).await;
    assert_eq!(reply.json()["command_id"], "k \"1\"", "{}", reply.text());
    assert_eq!(send(&world, &[JSON, TYPE, ("ce-id", "c-1")], PLACE.as_bytes()).await.status, 200);
    let other = send(&world, &[JSON, TYPE, ("ce-id", "c-1"), ("ce-source", "/till")], PLACE.as_bytes()).await;
    assert_eq!(other.json()["source"], "/till");

    let no_id = send(&world, &[JSON, TYPE], PLACE.as_bytes()).await;
    assert_eq!(no_id.refused(400, "missing_field")["path"], "idempotency-key");
    let no_type = send(&world, &[JSON, ("idempotency-key", "c-1")], PLACE.as_bytes()).await;
    assert_eq!(no_type.refused(400, "missing_field")["path"], "ce-type");
    let twice = [("idempotency-key", "c-2")];
    assert_eq!(world.place("c-1", &twice).await.refused(400, "duplicate_field")["path"], "idempotency-key");
    for bad in ["\"a\\\"", "\"a\"b\"", &"k".repeat(129), "\"\""] {
        world.place(bad, &[]).await.refused(400, "invalid_id");
    }
}

#[tokio::test]
async fn ids_agree_or_are_refused() {
    let world = World::new().await;
    world.place("c-1", &[("ce-id", "c-2")]).await.refused(400, "mismatched_id");
    assert_eq!(world.place("c-1", &[("ce-id", "c-1")]).await.status, 200);
    let key = ("idempotency-key", "c-2");
    send(&world, &[EVENT, key], &event(|_| {})).await.refused(400, "mismatched_id");
    send(&world, &[EVENT, ("ce-id", "c-2")], &event(|_| {})).await.refused(400, "mismatched_id");
}

#[tokio::test]
async fn the_path_says_whose_command_it_is() {
    let world = World::new().await;
    let other = event(|event| event["tenant"] = "till".into());
    assert_eq!(send(&world, &[EVENT], &other).await.refused(400, "mismatched_address")["path"], "tenant");
    let other = event(|event| event["subject"] = "o-2".into());
    assert_eq!(send(&world, &[EVENT], &other).await.refused(400, "mismatched_address")["path"], "subject");
    for (path, part) in [
        ("/v1/tenants/SHOP/orders/o-1/commands", "tenant"),
        ("/v1/tenants/shop/orders/o.1/commands", "order"),
        ("/v1/tenants/shop/orders/%ff/commands", "path"),
    ] {
        let reply = world.call("POST", path, &[EVENT], &event(|_| {})).await;
        assert_eq!(reply.refused(400, "invalid_id")["path"], part);
    }
    assert!(world.door.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_in_a_body_is_told_with_its_place() {
    let world = World::new().await;
    let wrong = event(|event| event["data"]["lines"][0]["quantity"] = 0.into());
    let problem = send(&world, &[EVENT], &wrong).await.refused(400, "invalid_quantity");
    assert_eq!(problem["path"], "data.lines[0].quantity");
    assert_eq!(problem["command_id"], "c-1");
    assert_eq!(problem["order"], "o-1");

    let given = [JSON, TYPE, ("idempotency-key", "c-1")];
    let problem = send(&world, &given, b"{\"custommer\":1}").await.refused(400, "unknown_field");
    assert_eq!(problem["command_id"], "c-1");
    send(&world, &given, b"{").await.refused(400, "malformed_json");
    send(&world, &given, b"").await.refused(400, "malformed_json");
    send(&world, &given, b"\xff").await.refused(400, "invalid_utf8");
    send(&world, &[EVENT], b"[]").await.refused(400, "not_a_cloudevent");
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let world = World::new().await;
    for kind in [
        "text/plain",
        "application/cloudevents-batch+json",
        "application/json; charset=latin-1",
        "application/x-www-form-urlencoded",
    ] {
        let reply = send(&world, &[("content-type", kind), TYPE], PLACE.as_bytes()).await;
        assert_eq!(reply.refused(415, "unsupported_media_type")["path"], "content-type");
    }
    send(&world, &[TYPE], PLACE.as_bytes()).await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn operators_commands_are_refused_here() {
    let world = World::new().await;
    let resume = event(|event| {
        event["type"] = "retailflow.order.resume.v1".into();
        event["data"] = json!({});
    });
    let problem = send(&world, &[EVENT], &resume).await.refused(403, "operator_only");
    assert_eq!(problem["order"], "o-1");
    assert!(world.door.asked.lock().unwrap().is_empty());
}

/// A limit is in characters at every door: as many are taken in headers as in JSON and in messages.
#[tokio::test]
async fn a_schema_is_as_long_in_each_form() {
    let world = World::new().await;
    for (chars, status) in [(512, 200), (513, 400)] {
        let text = event(|event| event["dataschema"] = "\u{e4}".repeat(chars).into());
        assert_eq!(send(&world, &[EVENT], &text).await.status, status, "{chars} in JSON");
        let schema = "%C3%A4".repeat(chars);
        let headers = [
            JSON,
            TYPE,
            ("ce-specversion", "1.0"),
            ("ce-source", "/shop"),
            ("ce-id", "c-1"),
            ("ce-dataschema", &*schema),
        ];
        assert_eq!(send(&world, &headers, PLACE.as_bytes()).await.status, status, "{chars} in headers");
    }
}

/// The HTTP binding of CloudEvents lets a header's value stand in quotes: one id, quoted or not, is one command.
#[tokio::test]
async fn a_quoted_id_is_the_same_id() {
    let world = World::new().await;
    for id in ["ret-1", "\"ret-1\"", "%72et-1", "\"%72et-1\""] {
        let headers = [
            JSON,
            TYPE,
            ("ce-specversion", "1.0"),
            ("ce-source", "\"/shop\""),
            ("ce-id", id),
            ("idempotency-key", "\"ret-1\""),
        ];
        assert_eq!(send(&world, &headers, PLACE.as_bytes()).await.status, 200, "{id}");
    }
    let asked = world.door.asked.lock().unwrap();
    assert!(asked.len() == 4 && asked.iter().all(|(command, ..)| command.key == asked[0].0.key));
}

/// Gzip used to be "not UTF-8 at byte 1".
#[tokio::test]
async fn what_is_encoded_is_refused_and_the_answer_says_what_is_taken() {
    let world = World::new().await;
    for encoding in ["gzip", "br", "identity, zstd"] {
        let reply = send(&world, &[("content-encoding", encoding), JSON, TYPE], b"\x1f\x8b\x08").await;
        assert_eq!(reply.refused(415, "unsupported_media_type")["path"], "content-encoding");
        assert_eq!(reply.header("accept-encoding"), Some("identity"));
    }
    let plain = world.place("c-1", &[("content-encoding", "identity")]).await;
    assert_eq!((plain.status, plain.header("accept-encoding")), (200, None), "{}", plain.text());
    assert!(world.place("c-2", &[]).await.header("accept-encoding").is_none());
}

/// An envelope in headers says what the body is; the content type used to be asked for all the same.
#[tokio::test]
async fn a_binary_event_needs_no_content_type_and_its_character_set_has_many_spellings() {
    let world = World::new().await;
    let event = [("ce-specversion", "1.0"), ("ce-source", "/shop/web"), ("ce-id", "c-1"), TYPE];
    let call = async |more: &[(&str, &str)], body: &[u8]| {
        world.call("POST", COMMANDS, &[&event[..], more].concat(), body).await
    };
    let bare = call(&[], PLACE.as_bytes()).await;
    assert_eq!((bare.status, bare.json()["source"].as_str()), (200, Some("/shop/web")), "{}", bare.text());
    for charset in ["utf8", "UTF-8", "\"utf-8\"", "\"UTF8\""] {
        let kind = format!("application/json;charset={charset}");
        assert_eq!(call(&[("content-type", &kind)], PLACE.as_bytes()).await.status, 200, "{charset}");
    }
    call(&[("content-type", "application/json; charset=utf-16")], b"")
        .await
        .refused(415, "unsupported_media_type");
    let marked = [b"\xef\xbb\xbf", PLACE.as_bytes()].concat();
    assert_eq!(call(&[JSON], &marked).await.status, 200, "a byte order mark");
}

#[tokio::test]
async fn each_limit_of_an_attribute_holds_at_this_door() {
    let world = World::new().await;
    for case in attribute_cases() {
        let headers = case.headers();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let binary = world.call("POST", COMMANDS, &headers, DATA.as_bytes()).await;
        let structured = world.call("POST", COMMANDS, &[EVENT], &case.json()).await;
        for (form, reply) in [("binary", binary), ("structured", structured)] {
            match case.refused {
                None => assert_eq!(reply.status, 200, "{}, {form}: {}", case.about, reply.text()),
                Some(code) => drop(reply.refused(code.http_status(), code.as_str())),
            }
        }
    }
}
