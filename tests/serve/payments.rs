//! Several payments, refunds without goods and another means after a decline, as a shop meets them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::retailflow;
use crate::support::http::{Answer, Client};
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);

fn place(client: &mut Client, order: &str, payments: &Value) -> Answer {
    let data = json!({
        "customer": "c",
        "currency": "EUR",
        "lines": [{ "line_id": "a", "sku": "cd", "quantity": 2, "amount_minor": 2000 }],
        "components": [{ "kind": "shipping", "amount_minor": 500 }, { "kind": "tax", "amount_minor": 190 }],
        "payments": payments,
    });
    let kind = ("Ce-Type", "retailflow.order.place.v1");
    let headers = [("Content-Type", "application/json"), kind, ("Idempotency-Key", order)];
    client.post(&format!("/v1/tenants/t/orders/{order}/commands"), &headers, &data.to_string()).unwrap()
}

fn read(client: &mut Client, order: &str) -> Value {
    client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json()
}

fn rests(client: &mut Client, order: &str) -> Value {
    wait_for("the order rests", BOUND, || {
        let order = read(client, order);
        (order["status"] == "completed" && order["step"].is_null()).then_some(order)
    })
}

fn means(id: &str, token: &str, minor: i64) -> Value {
    json!({ "payment_id": id, "token_ref": token, "amount_minor": minor })
}

#[test]
fn parts_are_paid_back_by_themselves() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();
    let placed = place(&mut client, "o1", &json!([means("gift", "g", 690), means("card", "c", 2000)]));
    assert_eq!(placed.status, 200, "{placed:?}");
    let order = rests(&mut client, "o1");
    let captured: Vec<&Value> = [0, 1].map(|number| &order["payments"][number]["captured_minor"]).into();
    assert_eq!(captured, [690, 2000]);
    let at = |words: &[&str]| retailflow(words).arg("--server").arg(server.url()).run();
    at(&["order", "return", "t", "o1", "--line", "a:2", "--reason", "too loud"]).expect(0);
    let parts = ["--component", "shipping=500", "--component", "tax=190", "--reason", "late"];
    at(&[&["order", "refund", "t", "o1"], &parts[..]].concat()).expect(0);
    let again = at(&[&["order", "refund", "t", "o1"], &parts[..]].concat()).expect(1).stdout;
    assert!(again.contains("over_refund"), "{again}");
    let order = wait_for("all is paid back", BOUND, || {
        let order = read(&mut client, "o1");
        (order["payment"]["refunded_minor"] == 2690 && order["step"].is_null()).then_some(order)
    });
    assert_eq!(
        (&order["refunds"][0]["refund_id"], &order["refunds"][0]["state"]),
        (&json!("f1"), &json!("paid"))
    );
    assert_eq!(order["payments"][1]["state"], "refunded");
    let shown = at(&["order", "show", "t", "o1"]).expect(0).stdout;
    assert!(
        shown.contains("payment    gift: 6.90 EUR by g, refunded")
            && shown.contains("refund     f1: 6.90 EUR"),
        "{shown}"
    );
    server.stop();
}

#[test]
fn another_means_takes_the_place_of_one_that_is_declined() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();
    place(&mut client, "first", &json!([]));
    let set = ["tenant", "set", "t", "--on-decline", "wait", "--payment-wait-ms", "3600000"];
    let set = retailflow(&set).arg("--admin").arg(server.admin_url()).run().expect(0);
    assert!(set.stdout.contains("a decline waits 3600000 ms"), "{}", set.stdout);
    place(&mut client, "o1", &json!([means("gift", "g", 690), means("card", "tok_declined", 2000)]));
    let order = wait_for("it waits", BOUND, || {
        let order = read(&mut client, "o1");
        order["payment"]["waiting_until"].is_string().then_some(order)
    });
    assert_eq!((&order["status"], &order["attention"]), (&json!("open"), &json!("none")));
    assert_eq!(order["payments"][1]["state"], "declined");
    let pay = |means: &str| {
        retailflow(&["order", "pay", "t", "o1", "--payment", means]).arg("--server").arg(server.url()).run()
    };
    let wrong = pay("card-2:c2:1999").expect(1).stdout;
    assert!(wrong.contains("wrong_payment") && wrong.contains("2000"), "{wrong}");
    pay("card-2:c2:2000").expect(0);
    let order = rests(&mut client, "o1");
    assert_eq!(
        (&order["payments"][2]["payment_id"], &order["payments"][2]["captured_minor"]),
        (&json!("card-2"), &json!(2000))
    );
    let late = pay("card-3:c3:2000").expect(1).stdout;
    assert!(late.contains("nothing_to_pay"), "{late}");
    server.stop();
}
