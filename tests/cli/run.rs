//! `run`: what it ends with.

use serde_json::json;

use crate::support::world::World;

fn place(order: &str, id: &str, customer: &str) -> String {
    let place = json!({
        "specversion": "1.0", "type": "retailflow.order.place.v1", "source": "/t", "id": id, "tenant": "t",
        "subject": order,
        "data": {
            "customer": customer, "currency": "USD",
            "lines": [{"line_id": "1", "sku": "a", "quantity": 1, "amount_minor": 100}],
        },
    });
    format!("{place}\n")
}

fn cancel(order: &str, id: &str) -> String {
    let cancel = json!({
        "specversion": "1.0", "type": "retailflow.order.cancel.v1", "source": "/t", "id": id, "tenant": "t",
        "subject": order, "data": {"reason": "r"},
    });
    format!("{cancel}\n")
}

/// Row 27 of the orders' cases: it ended with 0, whether it said something or not.
#[test]
fn a_refused_command_is_a_finding_with_and_without_words() {
    let refused = [
        ("reused", place("1", "c-1", "a") + &place("2", "c-2", "a") + &place("1", "c-1", "b")),
        ("unknown", place("1", "c-1", "a") + &cancel("nowhere", "c-2")),
    ];
    for (name, commands) in refused {
        let world = World::new();
        let file = world.file(name, commands);
        for words in [&["run"][..], &["run", "--quiet"]] {
            let call = world.on_data(words).arg("--commands").arg(&file);
            let ended = call.arg("--outcomes").arg(world.path("outcomes")).run().expect(1);
            ended.says(&["1 command refused and not recorded", "the outcomes say which"]);
        }
    }
}

/// A rejection is a decision: nothing is to be put right.
#[test]
fn decided_commands_are_none() {
    let world = World::new();
    let commands = place("1", "c-1", "a") + &place("1", "c-2", "a") + &place("1", "c-1", "a");
    let file = world.file("commands", commands);
    world.run(&file).run().expect(0);
    world.expect_counts([3, 1, 1, 1, 0, 0, 0]);
}
