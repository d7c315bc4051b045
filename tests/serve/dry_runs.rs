//! What a command would come to, at a real server and on the command line: shown before, and nothing done.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::{Call, Ended, retailflow};
use crate::support::http::Client;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);

/// Sends a command; asks for a dry run of it first, and compares the two. Gives the preview and the answer.
fn tried(client: &mut Client, order: &str, kind: &str, id: &str, data: &Value) -> (Value, Value) {
    let kind = format!("retailflow.order.{kind}.v1");
    let headers = [("Content-Type", "application/json"), ("Ce-Type", kind.as_str()), ("Idempotency-Key", id)];
    let path = format!("/v1/tenants/t/orders/{order}/commands");
    let before = history(client, order);
    let mut look = || client.post(&format!("{path}?dry_run=true"), &headers, &data.to_string()).unwrap();
    let (dry, again) = (look(), look());
    let told = dry.json();
    assert_eq!(told["dry_run"], true, "{told}");
    assert_eq!((dry.status, &told["preview"]["money"]), (again.status, &again.json()["preview"]["money"]));
    assert_eq!(told["replayed"], false, "{told}");
    assert_eq!(history(client, order), before, "nothing was decided by it");
    let real = client.post(&path, &headers, &data.to_string()).unwrap();
    let answer = real.json();
    assert_eq!(dry.status, real.status);
    for member in ["status", "outcome_status", "code", "path", "version"] {
        assert_eq!(told[member], answer[member], "{member} of {told}");
    }
    let retried = client.post(&format!("{path}?dry_run=true"), &headers, &data.to_string()).unwrap().json();
    let recorded = matches!(real.status, 200 | 422);
    assert_eq!((&retried["replayed"], retried.get("preview")), (&json!(recorded), None), "{retried}");
    (told["preview"].clone(), answer)
}

/// How many decisions there are, if it is an order.
fn history(client: &mut Client, order: &str) -> Option<usize> {
    let answer = client.get(&format!("/v1/tenants/t/orders/{order}/history")).unwrap();
    (answer.status == 200).then(|| answer.json()["entries"].as_array().unwrap().len())
}

fn at_rest(client: &mut Client, order: &str) {
    wait_for("the order is at rest", BOUND, || {
        let order = client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json();
        let paid = order["payment"]["refunded_minor"] == order["returns"]["amount_minor"];
        (order["status"] == "completed" && order["step"].is_null() && paid).then_some(())
    });
}

#[test]
fn what_a_capped_return_pays_is_shown_before_it_is_taken() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();
    let line = json!([{ "line_id": "1", "sku": "cd", "quantity": 3, "amount_minor": 3000 }]);
    let data = json!({ "customer": "c", "currency": "EUR", "lines": line });
    let (placing, _) = tried(&mut client, "o1", "place", "p", &data);
    assert_eq!(
        (&placing["money"]["authorize_minor"], &placing["order_status"]),
        (&json!(3000), &json!("open"))
    );
    assert_eq!(placing["events"][0]["type"], "retailflow.order.placed.v1");
    at_rest(&mut client, "o1");
    let goodwill = json!([{ "line_id": "1", "quantity": 1, "amount_minor": 2500 }]);
    let (first, _) =
        tried(&mut client, "o1", "return", "r1", &json!({ "lines": goodwill, "reason": "late" }));
    assert_eq!(
        (&first["money"]["refund_minor"], &first["money"]["left_to_refund_minor"]),
        (&json!(2500), &json!(500))
    );
    at_rest(&mut client, "o1");
    let one = json!([{ "line_id": "1", "quantity": 1 }]);
    let (second, answer) =
        tried(&mut client, "o1", "return", "r2", &json!({ "lines": one, "reason": "loud" }));
    assert_eq!(
        (&second["money"]["refund_minor"], &second["money"]["left_to_refund_minor"]),
        (&json!(500), &json!(0))
    );
    assert_eq!(second["events"][0]["data"]["refund_minor"], 500);
    assert!(answer["message"].as_str().unwrap().contains("it pays 500, not 1000"), "{answer}");
    at_rest(&mut client, "o1");
    let none = json!([{ "line_id": "z", "quantity": 1 }]);
    let (_, rejected) = tried(&mut client, "o1", "return", "r3", &json!({ "lines": none, "reason": "loud" }));
    assert_eq!(rejected["path"], "data.lines[0].line_id");
    let (_, refused) = tried(&mut client, "nobody", "cancel", "c", &json!({ "reason": "none" }));
    assert_eq!(refused["code"], "order_not_found");
    assert_eq!(server.client().get("/v1/tenants/other/orders/o1").unwrap().status, 404);
    server.stop();
    world.verified("data", 0);
}

/// A call of an operators' verb.
fn by_ann(server: &Server, words: &[&str]) -> Call {
    retailflow(words).arg("--admin").arg(server.admin_url()).arg("--operator").arg("ann").arg("--dry-run")
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn each_verb_shows_what_would_come_of_it() {
    let world = World::new();
    let server = Server::start(&world);
    let at = |words: &[&str]| retailflow(words).arg("--server").arg(server.url());
    let place = ["order", "place", "t", "o1", "--customer", "c", "--currency", "USD", "--line", "cd:2:2354"];
    let shown = at(&place).arg("--dry-run").run().expect(0);
    assert!(!shown.stderr.contains("command id"), "nothing is to be sent again: {}", shown.stderr);
    let lines = shown.lines();
    assert_eq!(
        lines[0],
        "dry run of t/o1: would be applied, version 1: The command would be applied; nothing was recorded."
    );
    assert_eq!(lines[1], "order      open, next step reserve");
    assert_eq!(lines[2], "money      authorizes 23.54 USD; 0.00 USD is left to be paid back later");
    assert!(
        lines[3].starts_with("event      retailflow.order.placed.v1 {\"customer\":\"c\""),
        "{}",
        lines[3]
    );
    at(&["order", "show", "t", "o1"]).run().expect(1);
    at(&place).run().expect(0);
    at(&["order", "watch", "t", "o1"]).run().expect(0);

    let back = ["order", "return", "t", "o1", "--line", "1:1", "--reason", "too loud", "--dry-run"];
    let shown = at(&back).run().expect(0);
    assert!(
        shown.stdout.contains("money      pays back 11.77 USD; 11.77 USD is left to be paid back later"),
        "{}",
        shown.stdout
    );
    let shown = json_of(&at(&back).arg("-o").arg("json").run().expect(0));
    assert_eq!((&shown["dry_run"], &shown["preview"]["money"]["refund_minor"]), (&json!(true), &json!(1177)));
    let cancel = at(&["order", "cancel", "t", "o1", "--reason", "no", "--dry-run"]).run().expect(1);
    assert!(cancel.stdout.starts_with("dry run of t/o1: would be rejected, version "), "{}", cancel.stdout);
    at(&["order", "cancel", "t", "o2", "--reason", "no", "--dry-run"])
        .run()
        .expect(4)
        .says(&["order_not_found"]);

    let shown = by_ann(&server, &["order", "archive", "t", "o1"]).run().expect(0);
    assert!(
        shown.stdout.contains("would be applied") && shown.stdout.contains("archived.v1"),
        "{}",
        shown.stdout
    );
    let rejected = |words: &[&str], code: &str| {
        let ended = by_ann(&server, words).run().expect(1);
        assert!(
            ended.stdout.contains("would be rejected") && ended.stdout.contains(code),
            "{}",
            ended.stdout
        );
    };
    rejected(&["order", "compensate", "t", "o1"], "order_terminal");
    rejected(&["order", "resume", "t", "o1"], "nothing_to_resume");
    rejected(&["order", "restore", "t", "o1"], "not_archived");
    let resolve =
        ["order", "resolve-step", "t", "o1", "--step", "capture", "--as", "done", "--evidence", "e"];
    rejected(&resolve, "step_not_pending");
    let history = at(&["order", "history", "t", "o1"]).run().expect(0);
    assert!(!history.stdout.contains("by operator"), "nothing was recorded: {}", history.stdout);
    server.stop();
    world.verified("data", 0);
}
