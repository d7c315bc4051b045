//! The commands under `parked`, on orders that are parked.

use serde_json::{Value, json};

use crate::support::parked::{ended, two_parked, world_with_parked_orders};
use crate::support::world::World;

#[test]
fn parked_orders_are_listed_and_shown() {
    let world = world_with_parked_orders();
    let listed = world.on_data(&["parked", "list"]).run().expect(0);
    let lines: Vec<Vec<&str>> = listed.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["t/o0", "0", "waiting", "it", "crashes"]);
    assert_eq!(lines[1], ["t/o1", "3", "waiting", "panicked:", "[2J", "index", "out", "of", "range"]);
    assert_eq!((lines[2][0], lines.len()), ("u/o1", 3));

    let shown = world.on_data(&["parked", "show", "t", "o1"]).run().expect(0);
    let lines: Vec<Vec<&str>> = shown.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((&lines[0][..], &lines[2][..]), (&["order", "t/o1"][..], &["waiting", "3"][..]));
    let operators =
        ["1", "2023-11-14T22:13:20.000Z", "unreadable", "operator", "ann", "resume", "7", "/console"];
    assert_eq!(lines[3], operators);
    for (line, (sequence, id)) in lines[4..].iter().zip([("2", "late-1"), ("3", "late-2")]) {
        assert_eq!((line[0], line[2]), (sequence, "retailflow.order.place.v1"));
        assert_eq!(&line[3..], ["tenant", id, "/test"]);
    }
    assert_eq!(lines.len(), 6);
}

#[test]
fn programs_get_json_and_an_order_that_is_not_parked_is_a_finding() {
    let world = world_with_parked_orders();
    let json = |words: &[&str]| -> Value {
        let ended = world.on_data(words).arg("-o").arg("json").run().expect(0);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let of_u = json(&["parked", "list", "--tenant", "u"]);
    assert_eq!(of_u, json!([{ "tenant": "u", "order": "o1", "reason": "it crashes", "waiting": 0 }]));
    assert_eq!(json(&["parked", "list", "--tenant", "nobody"]), json!([]));
    let shown = json(&["parked", "show", "t", "o1"]);
    assert_eq!(shown["reason"], "panicked:\n\u{1b}[2J index out of range");
    assert_eq!((&shown["waiting"], shown["commands"].as_array().unwrap().len()), (&3.into(), 3));
    let operators = json!({
        "sequence": 1,
        "type": null,
        "id": "resume 7",
        "source": "/console",
        "at": "2023-11-14T22:13:20.000Z",
        "actor": { "kind": "operator", "name": "ann" },
    });
    assert_eq!(shown["commands"][0], operators);
    let third = &shown["commands"][2];
    assert_eq!((&third["type"], &third["id"]), (&"retailflow.order.place.v1".into(), &"late-2".into()));
    assert_eq!(third["actor"], json!({ "kind": "tenant", "name": null }));
    world
        .on_data(&["parked", "show", "t", "o2"])
        .run()
        .expect(1)
        .says(&["t/o2 is not parked", "parked list"]);
    world.on("none", &["parked", "list"]).run().expect(3).says(&["there is no data directory"]);
}

fn end(world: &World, way: &str, order: &str, more: &[&str], code: i32) -> Value {
    let call = world.on_data(&["parked", way, "t", order, "-o", "json"]);
    let ended = more.iter().fold(call, |call, word| call.arg(word)).run().expect(code);
    serde_json::from_str(&ended.stdout).unwrap_or(Value::Null)
}

fn codes(world: &World) -> Vec<Value> {
    world.outcomes().iter().map(|outcome| outcome["code"].clone()).collect()
}

#[test]
fn a_release_decides_what_waits_and_is_done_only_when_it_is_meant() {
    let (world, more) = two_parked();
    let planned = end(&world, "release", "o1", &["--dry-run"], 0);
    assert_eq!((&planned["dry_run"], &planned["waiting"]), (&true.into(), &2.into()));
    let refused = world.on_data(&["parked", "release", "t", "o1"]).run().expect(4);
    refused.says(&["2 commands that wait behind t/o1 would be decided in order", "--yes", "--dry-run"]);
    world.on_data(&["parked", "release", "t", "o2", "--yes"]).run().expect(1).says(&["t/o2 is not parked"]);
    assert_eq!(world.on_data(&["parked", "list"]).run().expect(0).lines().len(), 2, "nothing has changed");

    assert_eq!(
        end(&world, "release", "o1", &["--yes", "--operator", "ann"], 0),
        ended("o1", [2, 0, 2, 0, 0])
    );
    assert_eq!(end(&world, "release", "new", &["--yes"], 0), ended("new", [1, 1, 0, 0, 0]));
    assert_eq!(world.on_data(&["parked", "list"]).run().expect(0).stdout, "");
    world.run(&more).run().expect(0);
    world.expect_counts([3, 0, 0, 3, 0, 0, 0]);
    assert_eq!(codes(&world), ["order_exists", "applied", "order_exists"]);
    world.verified("data", 0);
}

#[test]
fn a_discard_rejects_what_waits() {
    let (world, more) = two_parked();
    world
        .on_data(&["parked", "discard", "t", "o1"])
        .run()
        .expect(4)
        .says(&["2 commands", "would be rejected as discarded"]);
    assert_eq!(end(&world, "discard", "o1", &["--yes"], 0), ended("o1", [2, 0, 2, 0, 0]));
    // An order that was never placed has no record for a rejection.
    assert_eq!(end(&world, "discard", "new", &["--yes"], 0), ended("new", [1, 0, 0, 0, 1]));
    world.run(&more).run().expect(0);
    assert_eq!(codes(&world), ["discarded", "applied", "discarded"]);
    world.expect_counts([3, 1, 0, 2, 0, 0, 0]);
    world.verified("data", 0);
}

#[test]
fn what_cannot_be_read_stops_a_release_and_may_be_discarded() {
    let world = world_with_parked_orders();
    let stopped = world.on_data(&["parked", "release", "t", "o1", "--yes"]).run().expect(1);
    stopped.says(&["t/o1", "the waiting command 1 cannot be read", "stays parked"]);
    assert_eq!(end(&world, "discard", "o1", &["--yes"], 0), ended("o1", [3, 0, 2, 0, 1]));
    assert_eq!(world.on_data(&["parked", "list"]).run().expect(0).lines().len(), 2);
}
