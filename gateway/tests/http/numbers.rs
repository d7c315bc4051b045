//! Numbers and signs, as a caller over HTTP meets them.

use retailflow_engine::wire::CommandData;
use serde_json::Value;

use crate::world::{COMMANDS, JSON, Reply, TYPE, World};

/// An order with an amount, and a component of its own, in digits as they stand.
async fn place(world: &World, id: &str, amount: &str, component: &str) -> Reply {
    let body = format!(
        r#"{{"customer":"c","currency":"USD","lines":[{{"line_id":"1","sku":"s","quantity":1,"amount_minor":{amount}}}],
            "components":[{component}]}}"#
    );
    world.call("POST", COMMANDS, &[TYPE, JSON, ("idempotency-key", id)], body.as_bytes()).await
}

#[tokio::test]
async fn amounts_are_read_by_their_digits() {
    let world = World::new().await;
    for digits in ["124461.99999999999", "15680.000000000002", "4503599627370497.5", "1e-400"] {
        let refused = place(&world, "c-1", digits, "").await.refused(400, "invalid_amount");
        assert_eq!(refused["path"], "lines[0].amount_minor");
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(&format!("{digits} is not a whole number")), "{message}");
    }
    for (digits, amount) in [("1.0", 1), ("1e3", 1000), ("-0", 0), ("1177", 1177)] {
        assert_eq!(place(&world, digits, digits, "").await.status, 200, "{digits}");
        let (command, ..) = world.door.asked.lock().unwrap().last().unwrap().clone();
        let CommandData::Place(data) = command.data else { panic!("a place command") };
        assert_eq!(data.lines[0].amount_minor.minor(), amount, "{digits}");
    }
}

#[tokio::test]
async fn a_component_of_the_wrong_sign_is_told_with_its_path() {
    let world = World::new().await;
    for (kind, amount) in [("discount", 100), ("goods", -100), ("shipping", -1), ("tax", -1), ("fee", -1)] {
        let component =
            format!(r#"{{"kind":"fee","amount_minor":1}},{{"kind":"{kind}","amount_minor":{amount}}}"#);
        let refused: Value = place(&world, "c-1", "1000", &component).await.refused(400, "invalid_amount");
        assert_eq!(refused["path"], "components[1].amount_minor", "{kind}");
    }
}
