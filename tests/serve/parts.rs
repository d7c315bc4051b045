//! Goods that go in parts, and an exchange, as a shop meets them: goods and money agree on both sides.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::retailflow;
use crate::support::http::Client;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);

fn place(client: &mut Client, order: &str, data: &Value) {
    let kind = ("Ce-Type", "retailflow.order.place.v1");
    let headers = [("Content-Type", "application/json"), kind, ("Idempotency-Key", order)];
    let placed = client.post(&format!("/v1/tenants/t/orders/{order}/commands"), &headers, &data.to_string());
    let placed = placed.unwrap();
    assert_eq!(placed.status, 200, "{}", placed.json());
}

/// Three units of `a` for 30.00, of which half are there at a time, and one of `b` for 10.00.
fn order() -> Value {
    json!({ "customer": "c", "currency": "EUR", "lines": [
        { "line_id": "a", "sku": "sim-half-in-stock", "quantity": 3, "amount_minor": 3000 },
        { "line_id": "b", "sku": "cd", "quantity": 1, "amount_minor": 1000 },
    ] })
}

fn completed(client: &mut Client, order: &str) -> Value {
    wait_for("the order is completed", BOUND, || {
        let order = client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json();
        (order["status"] == "completed" && order["step"].is_null()).then_some(order)
    })
}

#[test]
fn goods_go_in_parts_and_are_exchanged() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();
    let set = |words: &[&str]| {
        let verb = ["tenant", "set", "t"];
        retailflow(&[&verb[..], words].concat()).arg("--admin").arg(server.admin_url()).run().expect(0);
    };
    let at = |words: &[&str]| retailflow(words).arg("--server").arg(server.url()).run();
    // Whole, which is so until it is set.
    place(&mut client, "whole", &order());
    let whole = completed(&mut client, "whole");
    assert_eq!(whole["shipments"].as_array().unwrap().len(), 1);
    set(&["--flow-short-lines", "ship_rest"]);
    place(&mut client, "parts", &order());
    let parts = completed(&mut client, "parts");
    let lines: Vec<&Value> = parts["shipments"].as_array().unwrap().iter().map(|one| &one["lines"]).collect();
    let unit = |line: &str, quantity: u64| json!({ "line_id": line, "quantity": quantity });
    assert_eq!(lines, [&json!([unit("a", 2), unit("b", 1)]), &json!([unit("a", 1)])]);
    let paid: Vec<&Value> =
        parts["payments"].as_array().unwrap().iter().map(|one| &one["captured_minor"]).collect();
    assert_eq!(paid, [&json!(3000), &json!(1000)]);
    set(&["--flow-short-lines", "cancel_rest"]);
    place(&mut client, "less", &order());
    let less = completed(&mut client, "less");
    assert_eq!((&less["total_minor"], &less["payment"]["captured_minor"]), (&json!(3000), &json!(3000)));
    // By itself, because the caller says so.
    let mut apart = order();
    apart["lines"][0]["sku"] = json!("lp");
    apart["deliveries"] = json!([{ "line_ids": ["b"], "method": "letter" }]);
    place(&mut client, "apart", &apart);
    assert_eq!(completed(&mut client, "apart")["shipments"].as_array().unwrap().len(), 2);
    let words = ["order", "place", "t", "cli", "--customer", "c", "--currency", "EUR"];
    let more =
        ["--line", "cd:1:100", "--line", "lp:1:200", "--apart", "2", "--relates-to", "replacement_of:apart"];
    at(&[&words[..], &more].concat()).expect(0);
    let cli = completed(&mut client, "cli");
    assert_eq!(
        (cli["shipments"].as_array().unwrap().len(), &cli["relates_to"]["order"]),
        (2, &json!("apart"))
    );
    // One comes back, and another thing goes out for it.
    let exchange = ["order", "exchange", "t", "apart", "--line", "b:1", "--reason", "too small"];
    let other = ["--add-line", "c:mc:1:1200"];
    let dry = at(&[&exchange[..], &other, &["--dry-run"]].concat()).expect(0).stdout;
    assert!(dry.contains("applied"), "{dry}");
    at(&[&exchange[..], &other].concat()).expect(0);
    let exchanged = wait_for("it is completed again", BOUND, || {
        let order = client.get("/v1/tenants/t/orders/apart").unwrap().json();
        (order["status"] == "completed" && order["shipments"].as_array().unwrap().len() == 3).then_some(order)
    });
    assert_eq!(exchanged["payment"]["captured_minor"], 4200);
    assert_eq!(exchanged["total_minor"], 5200);
    let shown = at(&["order", "show", "t", "apart"]).expect(0).stdout;
    assert!(shown.contains("3: booked"), "{shown}");
    wait_for("what came back is in stock", BOUND, || {
        let events = client.get("/v1/tenants/t/orders/apart/history").unwrap().json().to_string();
        events.contains("restock done").then_some(())
    });
    server.stop();
    world.on_data(&["verify"]).run().expect(0);
}

#[test]
fn orders_are_judged_where_the_flow_says_so() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();
    let set = ["tenant", "set", "t", "--flow-review", "true"];
    retailflow(&set).arg("--admin").arg(server.admin_url()).run().expect(0);
    let of = |customer: &str| {
        let line = json!({ "line_id": "a", "sku": "cd", "quantity": 1, "amount_minor": 1000 });
        json!({ "customer": customer, "currency": "EUR", "lines": [line] })
    };
    for (order, customer) in [("good", "c"), ("bad", "sim-fraud"), ("asked", "sim-reviewed")] {
        place(&mut client, order, &of(customer));
    }
    completed(&mut client, "good");
    let at = |client: &mut Client, order: &str| {
        client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json()
    };
    let bad = wait_for("it is canceled", BOUND, || {
        let order = at(&mut client, "bad");
        (order["status"] == "canceled").then_some(order)
    });
    assert!(bad["cancel_reason"].as_str().unwrap().contains("suspicious"), "{bad}");
    let asked = wait_for("people are asked", BOUND, || {
        let order = at(&mut client, "asked");
        (order["step"] == "review" && order["pending"].is_object()).then_some(order)
    });
    let report = json!({ "step": "review", "reference": asked["pending"]["reference"], "outcome": "done" });
    let kind = ("Ce-Type", "retailflow.order.report.v1");
    let headers = [("Content-Type", "application/json"), kind, ("Idempotency-Key", "judged")];
    let told = client.post("/v1/tenants/t/orders/asked/commands", &headers, &report.to_string()).unwrap();
    assert_eq!(told.status, 200, "{}", told.json());
    completed(&mut client, "asked");
    server.stop();
    world.on_data(&["verify"]).run().expect(0);
}
