//! An order that is changed before its goods are booked, as a shop meets it: goods and money agree on both sides.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::retailflow;
use crate::support::http::Client;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);

fn read(client: &mut Client, order: &str) -> Value {
    client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json()
}

fn place(client: &mut Client, order: &str, payments: &Value) {
    let data = json!({
        "customer": "c",
        "currency": "EUR",
        "lines": [{ "line_id": "a", "sku": "cd", "quantity": 2, "amount_minor": 2000 }],
        "components": [{ "kind": "shipping", "amount_minor": 690 }],
        "payments": payments,
    });
    let kind = ("Ce-Type", "retailflow.order.place.v1");
    let headers = [("Content-Type", "application/json"), kind, ("Idempotency-Key", order)];
    let placed = client.post(&format!("/v1/tenants/t/orders/{order}/commands"), &headers, &data.to_string());
    assert_eq!(placed.unwrap().status, 200);
}

fn means(id: &str, token: &str, minor: i64) -> Value {
    json!({ "payment_id": id, "token_ref": token, "amount_minor": minor })
}

#[test]
fn lines_go_and_come_before_the_booking() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();
    place(&mut client, "first", &json!([]));
    let set = ["tenant", "set", "t", "--on-decline", "wait", "--payment-wait-ms", "3600000"];
    retailflow(&set).arg("--admin").arg(server.admin_url()).run().expect(0);
    place(&mut client, "o1", &json!([means("gift", "g", 690), means("card", "tok_declined", 2000)]));
    wait_for("it waits", BOUND, || {
        read(&mut client, "o1")["payment"]["waiting_until"].is_string().then_some(())
    });
    let at = |words: &[&str]| retailflow(words).arg("--server").arg(server.url()).run();
    at(&["order", "cancel", "t", "o1", "--line", "a:1", "--reason", "one is enough"]).expect(0);
    let amend = ["order", "amend", "t", "o1", "--reason", "the customer rang"];
    let more = ["--add-line", "b:lp:1:500", "--payment", "more:m:500", "--note", "ring twice"];
    let dry = at(&[&amend[..], &more, &["--dry-run"]].concat()).expect(0).stdout;
    assert!(dry.contains("5.00 EUR"), "{dry}");
    at(&[&amend[..], &more].concat()).expect(0);
    let unknown = at(&[&amend[..], &["--line", "z:1"]].concat()).expect(1).stdout;
    assert!(unknown.contains("unknown_line"), "{unknown}");
    let order = read(&mut client, "o1");
    assert_eq!((&order["total_minor"], &order["note"]), (&json!(2190), &json!("ring twice")));
    at(&["order", "pay", "t", "o1", "--payment", "card-2:c2:1000"]).expect(0);
    let order = wait_for("the order rests", BOUND, || {
        let order = read(&mut client, "o1");
        (order["status"] == "completed").then_some(order)
    });
    let units: Vec<&Value> =
        order["lines"].as_array().unwrap().iter().map(|line| &line["booked_units"]).collect();
    assert_eq!(units, [&json!(1), &json!(1)]);
    assert_eq!(order["payment"]["captured_minor"], 2190);
    let late = at(&[&amend[..], &["--note", "x"]].concat()).expect(1).stdout;
    assert!(late.contains("too_late_to_amend"), "{late}");
    let shown = at(&["order", "show", "t", "o1"]).expect(0).stdout;
    assert!(shown.contains("note       ring twice") && shown.contains("1 reserved, 1 booked"), "{shown}");
    server.stop();
    world.on_data(&["verify"]).run().expect(0);
}
