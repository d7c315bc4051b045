//! What returns pay, as a shop over HTTP meets it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::retailflow;
use crate::support::http::{Answer, Client};
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);

fn send(client: &mut Client, order: &str, kind: &str, id: &str, data: &str) -> Answer {
    let kind = format!("retailflow.order.{kind}.v1");
    let headers = [("Content-Type", "application/json"), ("Ce-Type", kind.as_str()), ("Idempotency-Key", id)];
    client.post(&format!("/v1/tenants/t/orders/{order}/commands"), &headers, data).unwrap()
}

fn read(client: &mut Client, order: &str) -> Value {
    client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json()
}

/// Places an order of these lines and components, and waits for its end.
fn completed(client: &mut Client, order: &str, lines: &Value, components: &Value) {
    let data = json!({ "customer": "c", "currency": "EUR", "lines": lines, "components": components });
    let placed = send(client, order, "place", &format!("p-{order}"), &data.to_string());
    assert_eq!(placed.status, 200, "{placed:?}");
    wait_for("the order is completed", BOUND, || {
        (read(client, order)["status"] == "completed").then_some(())
    });
}

/// What is paid back in all after the return, and what its answer says.
fn returned(client: &mut Client, order: &str, id: &str, lines: &Value) -> (i64, String) {
    let before = read(client, order)["returns"]["returned_units"].as_u64().unwrap();
    let data = json!({ "lines": lines, "reason": "too loud" }).to_string();
    let answer = send(client, order, "return", id, &data);
    assert_eq!(answer.json()["code"], "applied", "{answer:?}");
    let again = send(client, order, "return", id, &data);
    let (first, second) = (answer.json(), again.json());
    assert_eq!((&second["message"], &second["replayed"]), (&first["message"], &json!(true)));
    let paid = wait_for("the return is paid", BOUND, || {
        let order = read(client, order);
        let (back, due) =
            (order["returns"]["returned_units"].as_u64()?, order["returns"]["amount_minor"].as_i64()?);
        (back > before && order["payment"]["refunded_minor"] == due && order["step"].is_null()).then_some(due)
    });
    (paid, first["message"].as_str().unwrap().to_owned())
}

fn line(id: &str, quantity: u64, amount_minor: i64) -> Value {
    json!({ "line_id": id, "sku": "cd", "quantity": quantity, "amount_minor": amount_minor })
}

fn units(id: &str, quantity: u64) -> Value {
    json!([{ "line_id": id, "quantity": quantity }])
}

fn paying(id: &str, quantity: u64, amount_minor: i64) -> Value {
    json!([{ "line_id": id, "quantity": quantity, "amount_minor": amount_minor }])
}

#[test]
fn each_return_pays_its_own_share_by_the_rules_of_its_placement() {
    let world = World::new();
    let server = Server::start(&world);
    let mut client = server.client();

    completed(&mut client, "fee", &json!([line("1", 3, 7350)]), &json!([]));
    assert_eq!(returned(&mut client, "fee", "r-1", &paying("1", 1, 1000)).0, 1000);
    assert_eq!(returned(&mut client, "fee", "r-2", &units("1", 1)).0, 3450);

    completed(&mut client, "goodwill", &json!([line("1", 3, 3000)]), &json!([]));
    assert_eq!(returned(&mut client, "goodwill", "r-1", &paying("1", 1, 2500)).0, 2500);
    let (paid, said) = returned(&mut client, "goodwill", "r-2", &units("1", 1));
    assert!(paid == 3000 && said.contains("capped") && said.contains("500"), "{paid}: {said}");

    let two = json!([line("A", 1, 10_000), line("B", 1, 5_000)]);
    completed(&mut client, "discount", &two, &json!([{ "kind": "discount", "amount_minor": -3000 }]));
    let shown = read(&mut client, "discount");
    assert_eq!(
        (&shown["lines"][0]["allocated_minor"], &shown["lines"][1]["allocated_minor"]),
        (&json!(-2000), &json!(-1000))
    );
    assert_eq!(returned(&mut client, "discount", "r-1", &units("A", 1)).0, 8000);

    // An order keeps the rules of its placement.
    let beside = json!([{ "kind": "shipping", "amount_minor": 500 }, { "kind": "tax", "amount_minor": 190 }]);
    completed(&mut client, "early", &json!([line("1", 2, 2000)]), &beside);
    let set = ["tenant", "set", "t", "--returns-shipping", "with_last_unit", "--returns-tax", "pro_rata"];
    let set = retailflow(&set).arg("--admin").arg(server.admin_url()).run().expect(0);
    assert!(set.stdout.contains("shipping with_last_unit, tax pro_rata"), "{}", set.stdout);
    completed(&mut client, "late", &json!([line("1", 2, 2000)]), &beside);
    assert_eq!(returned(&mut client, "early", "r-1", &units("1", 2)).0, 2000);
    assert_eq!(returned(&mut client, "late", "r-1", &units("1", 1)).0, 1095);
    assert_eq!(returned(&mut client, "late", "r-2", &units("1", 1)).0, 2690);

    // What is rejected for a line names it, the second time too.
    let unknown = json!({ "lines": [{ "line_id": "1", "quantity": 1 }, { "line_id": "z", "quantity": 1 }], "reason": "r" });
    for replayed in [false, true] {
        let answer = send(&mut client, "fee", "return", "r-3", &unknown.to_string());
        assert_eq!(answer.status, 422, "{answer:?}");
        let told = answer.json();
        assert_eq!(told["path"], "data.lines[1].line_id", "{told}");
        assert_eq!((&told["code"], &told["replayed"]), (&json!("unknown_line"), &json!(replayed)));
    }

    // A key is an order's own: sent to two orders it is two commands.
    for order in ["one", "other"] {
        let data = json!({ "customer": "c", "currency": "EUR", "lines": [line("1", 1, 100)] }).to_string();
        let placed = send(&mut client, order, "place", "the-same-key", &data).json();
        assert_eq!((&placed["code"], &placed["replayed"]), (&json!("applied"), &json!(false)));
    }
    server.stop();
}
