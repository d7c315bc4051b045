//! The operators' door.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::Actor;
use retailflow_engine::wire::admin::{
    BackupCut, LetterList, ParkedList, ParkedQueue, ReleaseReport, TenantList,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fakes::{SEGMENT_BYTES, order};
use crate::world::{JSON, PATIENCE, Reply, World};

const ANN: (&str, &str) = ("rf-operator", "ann");

fn path(order: &str, verb: &str) -> String {
    format!("/v1/admin/tenants/shop/orders/{order}/{verb}")
}

async fn command(world: &World, kind: &str, more: &[(&str, &str)], body: &[u8]) -> Reply {
    let given = [("ce-type", kind), ("idempotency-key", "c-1")];
    world.admin("POST", &path("o-1", "commands"), &[&given, more].concat(), body).await
}

#[tokio::test]
async fn an_operators_command_is_recorded_with_the_name() {
    let world = World::new().await;
    for kind in ["resume", "compensate", "archive", "restore"] {
        let kind = format!("retailflow.order.{kind}.v1");
        let reply = command(&world, &kind, &[ANN], b"").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["source"], "/http/admin");
    }
    let resolve = "retailflow.order.resolve-step.v1";
    let data = br#"{"step":"capture","as":"done","evidence":"the bank says so"}"#;
    assert_eq!(command(&world, resolve, &[ANN, JSON], data).await.status, 200);
    command(&world, resolve, &[ANN, JSON], b"").await.refused(400, "malformed_json");
    for (_, actor, _) in world.door.asked.lock().unwrap().iter() {
        assert_eq!(*actor, Actor::Operator("ann".into()));
    }
}

#[tokio::test]
async fn an_operator_has_a_name() {
    let world = World::new().await;
    let resume = "retailflow.order.resume.v1";
    let missing = command(&world, resume, &[], b"").await;
    assert_eq!(missing.refused(400, "missing_field")["path"], "rf-operator");
    command(&world, resume, &[("rf-operator", "")], b"").await.refused(400, "missing_field");
    command(&world, resume, &[("rf-operator", &"a".repeat(65))], b"").await.refused(400, "too_long");
    let release = world.admin("POST", &path("o-1", "release"), &[], b"").await;
    release.refused(400, "missing_field");
    assert!(world.door.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn tenants_commands_are_refused_here() {
    let world = World::new().await;
    let body = br#"{"reason":"changed my mind"}"#;
    let reply = command(&world, "retailflow.order.cancel.v1", &[ANN, JSON], body).await;
    let problem = reply.refused(400, "unknown_type");
    assert!(problem["detail"].as_str().unwrap().contains("retailflow.order.resume.v1"), "{problem}");
}

#[tokio::test]
async fn parked_orders_come_in_pages() {
    let world = World::new().await;
    let page = async |query: &str| -> ParkedList {
        let reply = world.admin("GET", &format!("/v1/admin/parked{query}"), &[], b"").await;
        serde_json::from_str(reply.text()).unwrap()
    };
    let names = |list: &ParkedList| -> Vec<String> {
        list.orders.iter().map(|entry| entry.order.to_string()).collect()
    };
    let all = page("").await;
    assert_eq!((names(&all).join(" ").as_str(), all.next), ("p-2 p-3 parked", None));
    let first = page("?limit=2").await;
    assert_eq!((names(&first).join(" ").as_str(), first.next.as_deref()), ("p-2 p-3", Some("shop/p-3")));
    let rest = page("?limit=2&after=shop/p-3").await;
    assert_eq!((names(&rest).join(" ").as_str(), rest.next), ("parked", None));
    for bad in ["after=p-3", "limit=0"] {
        let reply = world.admin("GET", &format!("/v1/admin/parked?{bad}"), &[], b"").await;
        reply.refused(400, "invalid_field");
    }
}

/// One partition that hangs used to keep the whole list, and the console's page, for as long as it hung.
#[tokio::test]
async fn a_partition_that_hangs_is_named_and_keeps_nobody_elses_parked_orders() {
    let world = World::new().await;
    let home = partition_of(&order("shop", "parked"), 2);
    let other = PartitionId(1 - home.0);
    world.hang.lock().unwrap().push(other);
    let soon = ("rf-timeout-ms", "200");
    // More than there are turns: those of yesterday are not in the way.
    for _ in 0..6 {
        let reply = world.admin("GET", "/v1/admin/parked?limit=1000", &[soon], b"").await;
        let list: ParkedList = serde_json::from_str(reply.text()).unwrap();
        assert_eq!(list.unread, [other.0]);
        assert!(list.orders.iter().any(|entry| entry.order.as_str() == "parked"), "{list:?}");
    }
    world.hang.lock().unwrap().push(home);
    world.admin("GET", "/v1/admin/parked", &[soon], b"").await.refused(503, "unavailable");
    world.hang.lock().unwrap().clear();
    let reply = world.admin("GET", "/v1/admin/parked", &[], b"").await;
    let list: ParkedList = serde_json::from_str(reply.text()).unwrap();
    assert_eq!((list.orders.len(), list.unread), (3, vec![]));
}

#[tokio::test]
async fn the_end_of_parking_is_reported_or_explained() {
    let world = World::new().await;
    let end = async |order: &str, verb: &str| {
        world.admin("POST", &path(order, verb), &[ANN, ("rf-timeout-ms", "1000")], b"").await
    };
    let report = |reply: Reply| serde_json::from_str::<ReleaseReport>(reply.text()).unwrap();
    assert_eq!(report(end("o-1", "release").await).applied, 2);
    assert_eq!(report(end("o-1", "discard").await).rejected, 2);
    assert_eq!(end("not-parked", "release").await.refused(409, "not_parked")["order"], "not-parked");
    end("under-way", "release").await.refused(409, "release_under_way");
    assert_eq!(end("stopped", "discard").await.refused(409, "release_stopped")["detail"], "because");
    end("unavailable", "release").await.refused(503, "unavailable");
    end("lost", "discard").await.refused(504, "outcome_unknown");
    end("hang", "release").await.refused(504, "outcome_unknown");
}

#[tokio::test]
async fn what_waits_behind_a_parked_order_comes_in_pages_without_what_it_says() {
    let world = World::new().await;
    let page = async |query: &str| -> ParkedQueue {
        let reply = world.admin("GET", &format!("{}{query}", path("parked", "parked")), &[], b"").await;
        serde_json::from_str(reply.text()).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
    };
    let all = page("").await;
    assert_eq!((all.reason.as_str(), all.queued, all.commands.len(), all.next), ("it crashed", 2, 2, None));
    let first = &all.commands[0];
    assert_eq!((first.sequence, first.kind.as_deref(), first.id.as_str()), (1, None, "c-1"));
    assert_eq!(first.actor.name.as_deref(), Some("ann"));
    let one = page("?limit=1").await;
    assert_eq!((one.commands.len(), one.next), (1, Some(1)));
    assert_eq!(page("?after=1").await.commands[0].sequence, 2);
    world.admin("GET", &path("o-1", "parked"), &[], b"").await.refused(409, "not_parked");
    for bad in ["limit=0", "after=x", "what=1"] {
        assert_eq!(
            world.admin("GET", &format!("{}?{bad}", path("parked", "parked")), &[], b"").await.status,
            400
        );
    }
}

#[tokio::test]
async fn tenants_are_listed_shown_and_set() {
    let world = World::new().await;
    let get = async |path: &str| world.admin("GET", &format!("/v1/admin/tenants{path}"), &[], b"").await;
    let names = |reply: &Reply| -> (Vec<String>, Option<String>) {
        let list: TenantList = serde_json::from_str(reply.text()).unwrap();
        (
            list.tenants.iter().map(|one| one.tenant.to_string()).collect(),
            list.next.map(|next| next.to_string()),
        )
    };
    assert_eq!(names(&get("").await), (vec!["flood".into(), "shop".into()], None));
    assert_eq!(names(&get("?limit=1").await), (vec!["flood".into()], Some("flood".into())));
    assert_eq!(names(&get("?after=flood").await), (vec!["shop".into()], None));
    get("?after=NO").await.refused(400, "invalid_id");
    get("/nobody").await.refused(404, "unknown_tenant");

    let set = async |tenant: &str, more: &[(&str, &str)], body: &str| {
        let path = format!("/v1/admin/tenants/{tenant}");
        world.admin("PATCH", &path, &[&[JSON], more].concat(), body.as_bytes()).await
    };
    let suspended = set("shop", &[ANN], r#"{"status":"suspended","in_flight_max":7}"#).await;
    assert_eq!(suspended.status, 200, "{}", suspended.text());
    // What is not named stays as it is, and null is not left out.
    let kept = set("shop", &[ANN], r#"{"status":"active"}"#).await.json();
    assert_eq!((&kept["status"], &kept["in_flight_max"]), (&"active".into(), &7.into()));
    let default = set("shop", &[ANN], r#"{"in_flight_max":null}"#).await.json();
    assert_eq!((&default["status"], &default["in_flight_max"]), (&"active".into(), &Value::Null));
    assert_eq!(get("/shop").await.json(), default);
    assert_eq!(set("new", &[ANN], "{}").await.json()["status"], "active");
    assert_eq!(get("/new").await.status, 200);

    set("shop", &[], "{}").await.refused(400, "missing_field");
    for (body, code) in [
        ("{", "malformed_json"),
        (r#"{"state":"active"}"#, "unknown_field"),
        (r#"{"status":"gone"}"#, "invalid_field"),
        (r#"{"in_flight_max":0}"#, "invalid_field"),
        (r#"{"in_flight_max":"7"}"#, "wrong_type"),
        ("[]", "wrong_type"),
    ] {
        set("shop", &[ANN], body).await.refused(400, code);
    }
    let text = ("content-type", "text/plain");
    let path = "/v1/admin/tenants/shop";
    world.admin("PATCH", path, &[ANN, text], b"{}").await.refused(415, "unsupported_media_type");
    let gzip = ("content-encoding", "gzip");
    world.admin("PATCH", path, &[ANN, JSON, gzip], b"{}").await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn dead_letters_come_in_pages_and_those_of_nobody_too() {
    let world = World::new().await;
    let page = async |query: &str| -> (Vec<u64>, Option<u64>) {
        let reply = world.admin("GET", &format!("/v1/admin/dead-letters{query}"), &[], b"").await;
        let list: LetterList = serde_json::from_str(reply.text()).unwrap();
        (list.letters.iter().map(|letter| letter.position).collect(), list.next)
    };
    assert_eq!(page("").await, (vec![1, 2, 3, 4, 5], None));
    assert_eq!(page("?limit=2").await, (vec![1, 2], Some(2)));
    assert_eq!(page("?limit=2&after=2").await, (vec![3, 4], Some(4)));
    assert_eq!(page("?tenant=shop").await, (vec![1, 3, 5], None));
    assert_eq!(page("?tenant=-&limit=1").await, (vec![2], Some(2)));
    assert_eq!(page("?tenant=nobody").await, (vec![], None));
    let reply = world.admin("GET", "/v1/admin/dead-letters?limit=1", &[], b"").await.json();
    assert_eq!(reply["letters"][0]["body_base64"], "e/8=");
    world.admin("GET", "/v1/admin/dead-letters?limit=0", &[], b"").await.refused(400, "invalid_field");
}

#[tokio::test]
async fn tenants_paths_are_not_here() {
    let world = World::new().await;
    let reply = world.admin("GET", "/v1/tenants/shop/orders", &[], b"").await;
    reply.refused(404, "not_found");
}

#[tokio::test]
async fn a_backup_is_read_in_parts_and_what_breaks_is_not_taken_for_the_whole() {
    let world = World::new().await;
    let cut: BackupCut =
        serde_json::from_value(world.admin("GET", "/v1/admin/backup", &[], b"").await.json()).unwrap();
    assert_eq!(cut.parts[0].bytes, SEGMENT_BYTES);
    let bytes = |query: &str| format!("/v1/admin/backup/bytes?{query}");
    let segment = "part=0000000000000001.seg";
    let whole = world.admin("GET", &bytes(&format!("{segment}&until={SEGMENT_BYTES}")), &[], b"").await;
    let expected: Vec<u8> = (0..SEGMENT_BYTES).map(|at| at as u8).collect();
    assert!(whole.status == 200 && whole.bytes() == expected);
    let rest = world.admin("GET", &bytes(&format!("{segment}&from=2999990&until=3000000")), &[], b"").await;
    assert_eq!(rest.bytes(), &expected[2_999_990..]);
    for (query, status, code) in [
        ("until=1", 400, "missing_field"),
        ("part=x", 400, "missing_field"),
        ("part=x&from=2&until=2", 400, "invalid_field"),
        ("part=..%2Flock&until=1", 404, "not_found"),
        ("part=payments.book&from=1024&until=2048", 503, "unavailable"),
    ] {
        world.admin("GET", &bytes(query), &[], b"").await.refused(status, code);
    }
    // The second kilobyte can't be read: the answer is broken off, not ended.
    let mut stream = TcpStream::connect(world.running.admin_addr).await.unwrap();
    let request =
        format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", bytes("part=payments.book&until=2048"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed"));
    // It may be closed before the first byte is on its way.
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"));
    assert!(!answer.ends_with(b"0\r\n\r\n"), "it looks whole");
    // The tenants' door has none of it.
    world.call("GET", "/v1/admin/backup", &[], b"").await.refused(404, "not_found");
}
