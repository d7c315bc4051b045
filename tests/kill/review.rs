//! An order that waits for a person still waits for them after a kill.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);
const ORDER: &str = "/v1/tenants/t/orders/o1";

fn send(client: &mut Client, kind: &str, data: &Value) -> Value {
    let kind = format!("retailflow.order.{kind}.v1");
    let headers =
        [("Content-Type", "application/json"), ("Ce-Type", kind.as_str()), ("Idempotency-Key", &kind)];
    client.post(&format!("{ORDER}/commands"), &headers, &data.to_string()).unwrap().json()
}

fn under_review(client: &mut Client) -> Option<Value> {
    let order = client.get(ORDER).unwrap().json();
    order["pending"]["reference"].is_string().then_some(order)
}

#[test]
fn an_order_under_review_is_under_review_after_kills_and_a_report_ends_it() {
    let world = World::new();
    let mut before: Option<Value> = None;
    for round in 0..3 {
        let server = Server::start(&world);
        let mut client = server.client();
        if round == 0 {
            let payments = json!([{ "payment_id": "p", "token_ref": "tok_review", "amount_minor": 900 }]);
            let lines = json!([{ "line_id": "1", "sku": "cd", "quantity": 1, "amount_minor": 900 }]);
            let data = json!({ "customer": "c", "currency": "EUR", "lines": lines, "payments": payments });
            assert_eq!(send(&mut client, "place", &data)["code"], "applied");
        }
        let order = wait_for("the order is under review", BOUND, || under_review(&mut client));
        assert_eq!((&order["status"], &order["step"]), (&json!("open"), &json!("authorize")), "{order}");
        match &before {
            Some(before) => assert_eq!(&order, before, "round {round}"),
            None => before = Some(order),
        }
        server.kill();
    }
    let server = Server::start(&world);
    let mut client = server.client();
    let order = before.unwrap();
    let report =
        json!({ "step": "authorize", "reference": order["pending"]["reference"], "outcome": "done" });
    assert_eq!(send(&mut client, "report", &report)["code"], "applied");
    wait_for("the order is completed", BOUND, || {
        (client.get(ORDER).unwrap().json()["status"] == "completed").then_some(())
    });
    server.stop();
    world.verified("data", 0);
}
