//! What customers are called, how they pay and where they live stands in the log and in answers to those who ask for the
//! order, and nowhere else.

use crate::support::server::{Http, Server};
use crate::support::world::World;

const MARK: &str = "s3cr3t-mark";

#[test]
fn no_log_line_and_no_metric_holds_what_orders_hold() {
    let world = World::new();
    let options = ["--set", "telemetry.log=trace", "--participants", "flaky", "--seed", "2"];
    let server = Server::start(&world, &options);
    let mut http = Http::connect(&server.public).unwrap();
    let data = format!(
        r#"{{"customer":"{MARK}-c","currency":"USD",
        "lines":[{{"line_id":"1","sku":"{MARK}-s","quantity":1,"amount_minor":500}}],
        "payments":[{{"payment_id":"p1","token_ref":"{MARK}-t","amount_minor":500}}],
        "delivery":{{"method":"{MARK}-m","address_ref":"{MARK}-a"}},"attributes":{{"{MARK}-n":"{MARK}-v"}}}}"#
    );
    for number in 0..60 {
        let (order, id) = (format!("o{number}"), format!("p{number}"));
        let answer = http.command(&order, "place", &id, &data).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let reason = format!(r#"{{"reason":"{MARK}-r"}}"#);
        http.command(&order, "cancel", &format!("c{number}"), &reason).unwrap();
        let wrong = format!(r#"{{"reason":"{MARK}-r","{MARK}-u":1}}"#);
        assert_eq!(http.command(&order, "cancel", &format!("d{number}"), &wrong).unwrap().status, 400);
        let read = http.ask("GET", &format!("/v1/tenants/t/orders/{order}"), "", "").unwrap();
        assert!(read.status == 200 && read.body.contains(MARK), "who asks for the order gets it");
    }
    let metrics = http.ask("GET", "/metrics", "", "").unwrap().body;
    assert!(metrics.contains("retailflow_commands_total") && !metrics.contains(MARK));
    server.terminate();
    let (code, said) = server.ended();
    assert_eq!(code, Some(0));
    assert!(said.len() > 1000, "nothing was logged, so nothing was tested");
    let telling = said.lines().find(|line| line.contains(MARK));
    assert_eq!(telling, None);
}
