//! `parked list` and `parked show`, on orders that are parked.

use std::sync::Arc;

use retailflow_cluster::disk::event_log::{DiskLog, DiskLogOptions};
use retailflow_cluster::disk::files::{Files, RealFiles};
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::contract::author::{Writer, control, order};
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{EventLog, LogIdentity};
use serde_json::{Value, json};

use crate::support::world::{World, place, places};

const PARKED_AT: TimestampMs = TimestampMs(1_700_000_000_000);

/// Appends control records to an order's partition, as an engine that runs after the last one.
async fn append(log: &dyn EventLog, order: &OrderRef, controls: &[Control]) {
    let partition = partition_of(order, log.identity().partitions);
    let epoch = log.head(partition).await.unwrap().fence.map_or(1, |fence| fence.epoch + 1);
    let mut writer = Writer::open(log, partition, epoch).await;
    writer.append(log, vec![], controls.iter().map(control).collect()).await;
}

fn park(order: &OrderRef, reason: &str) -> Control {
    Control::Park { order: order.clone(), reason: reason.into(), at: PARKED_AT }
}

/// Two orders of `t` and one of `u` are parked; behind `t/o1` waits an operator's command that nobody can read any
/// more, and then what `run` was given.
pub(super) fn world_with_parked_orders() -> World {
    let world = World::new();
    world.run(&world.file("commands", places(0, 3))).run().expect(0);
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    let identity = LogIdentity {
        log_id: [0; 16],
        cluster: "unused: the log is there".into(),
        partitions: 1,
        shards: 1,
        created: PARKED_AT,
    };
    let options = DiskLogOptions::default();
    let (log, _) = DiskLog::open(&world.path("data"), &options, &files, &identity, &mut |_| {}).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let first = order("t", "o1");
        let by_operator = Control::ParkedCommand {
            order: first.clone(),
            sequence: 1,
            key: "/console\0resume 7".into(),
            content_hash: [1; 32],
            body: b"of a later version".to_vec(),
            actor: ActorV1::Operator("ann".into()),
            trace_id: None,
            at: PARKED_AT,
        };
        append(&*log, &first, &[park(&first, "panicked:\n\u{1b}[2J index out of range"), by_operator]).await;
        for stuck in [order("t", "o0"), order("u", "o1")] {
            append(&*log, &stuck, &[park(&stuck, "it crashes")]).await;
        }
    });
    log.close();
    drop(log);
    let more: String = [place("o1", "late-1", 7), place("o2", "new", 7), place("o1", "late-2", 7)]
        .map(|command| format!("{command}\n"))
        .concat();
    world.run(&world.file("more", more)).run().expect(0);
    world.expect_counts([3, 0, 1, 0, 0, 2, 0]);
    world
}

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
    let operators = ["1", "2023-11-14T22:13:20Z", "unreadable", "operator", "ann", "resume", "7", "/console"];
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
        "at": "2023-11-14T22:13:20Z",
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
