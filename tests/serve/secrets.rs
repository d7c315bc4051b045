//! What customers and payments are called stays out of logs and metrics, however much is logged.

use serde_json::json;

use crate::support::server::Server;
use crate::support::world::World;

const MARKERS: [&str; 6] = [
    "marker-customer",
    "marker-token",
    "marker-address",
    "marker-attribute",
    "marker-reason",
    "marker-unknown",
];

#[test]
fn no_secret_is_logged_or_measured() {
    let world = World::new();
    let server = Server::of(world.on_data(&["serve"]).arg("--set").arg("telemetry.log=trace"));
    let mut client = server.client();
    let mut send = |order: &str, id: &str, kind: &str, data: serde_json::Value| {
        let path = format!("/v1/tenants/t/orders/{order}/commands");
        let kind = format!("retailflow.order.{kind}.v1");
        let headers = [("Content-Type", "application/json"), ("Ce-Type", &*kind), ("Idempotency-Key", id)];
        client.post(&path, &headers, &data.to_string()).unwrap().status
    };
    let place = json!({
        "customer": "marker-customer",
        "currency": "USD",
        "lines": [{"line_id": "1", "sku": "cd", "quantity": 1, "amount_minor": 1177}],
        "payments": [{"payment_id": "p1", "token_ref": "marker-token", "amount_minor": 1177}],
        "delivery": {"method": "standard", "address_ref": "marker-address"},
        "attributes": {"channel": "marker-attribute"},
    });
    assert_eq!(send("o1", "1", "place", place.clone()), 200);
    let mut wrong = place.clone();
    wrong["marker-unknown"] = "marker-customer".into();
    assert_eq!(send("o2", "2", "place", wrong), 400);
    let mut wrong = place.clone();
    wrong["payments"][0]["amount_minor"] = "marker-token".into();
    assert_eq!(send("o2", "3", "place", wrong), 400);
    assert_eq!(send("o1", "4", "place", place), 422, "it is there already");
    assert!([200, 422].contains(&send("o1", "5", "cancel", json!({"reason": "marker-reason"}))));
    let mut reader = server.client();
    for path in ["/v1/tenants/t/orders/o1", "/v1/tenants/t/orders/o1/history", "/v1/tenants/t/orders"] {
        assert_eq!(reader.get(path).unwrap().status, 200);
    }
    let metrics = reader.get("/metrics").unwrap().body;
    let said = server.stop();
    assert!(said.contains("TRACE") && metrics.contains("retailflow"), "nothing was logged or measured");
    for marker in MARKERS {
        assert!(!metrics.contains(marker), "{marker} is in the metrics");
        let line = said.lines().find(|line| line.contains(marker));
        assert_eq!(line, None, "{marker} is logged");
    }
}
