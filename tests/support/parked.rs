//! Data with parked orders, written as only a crash would.

use std::sync::Arc;

use retailflow_disk::event_log::{DiskLog, DiskLogOptions};
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{EventLog, LogIdentity};
use retailflow_os::files::{Files, RealFiles};
use retailflow_testkit::author::{Writer, control, order};
use serde_json::{Value, json};

use super::world::{World, place, places};

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

/// Opens the data directory as an engine does, to write what only a crash would.
fn with_log(world: &World, write: impl AsyncFnOnce(&dyn EventLog)) {
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
    tokio::runtime::Runtime::new().unwrap().block_on(write(&*log));
    log.close();
}

/// Two orders of `t` and one of `u` are parked; behind `t/o1` waits an operator's command that nobody can read any
/// more, and then what `run` was given.
pub(crate) fn world_with_parked_orders() -> World {
    let world = World::new();
    world.run(&world.file("commands", places(0, 3))).run().expect(0);
    with_log(&world, async |log| {
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
        append(log, &first, &[park(&first, "panicked:\n\u{1b}[2J index out of range"), by_operator]).await;
        for stuck in [order("t", "o0"), order("u", "o1")] {
            append(log, &stuck, &[park(&stuck, "it crashes")]).await;
        }
    });
    let more: String = [place("o1", "late-1", 7), place("o2", "new", 7), place("o1", "late-2", 7)]
        .map(|command| format!("{command}\n"))
        .concat();
    world.run(&world.file("more", more)).run().expect(0);
    world.expect_counts([3, 0, 1, 0, 0, 2, 0]);
    world
}

/// `t/o1` and `t/new` are parked, the second before it was placed; two commands wait behind the first, and one behind
/// the other.
pub(crate) fn two_parked() -> (World, String) {
    let world = World::new();
    world.run(&world.file("commands", places(0, 3))).run().expect(0);
    with_log(&world, async |log| {
        for stuck in [order("t", "o1"), order("t", "new")] {
            append(log, &stuck, &[park(&stuck, "it crashes")]).await;
        }
    });
    let more = [place("o1", "late-1", 7), place("new", "late-2", 7), place("o1", "late-3", 7)];
    let more = world.file("more", more.map(|command| format!("{command}\n")).concat());
    world.run(&more).run().expect(0);
    world.expect_counts([3, 0, 0, 0, 0, 3, 0]);
    (world, more)
}

/// What a release or a discard of an order of `t` says.
pub(crate) fn ended(order: &str, [commands, applied, rejected, replayed, dead_lettered]: [u64; 5]) -> Value {
    json!({
        "tenant": "t",
        "order": order,
        "dry_run": false,
        "commands": commands,
        "applied": applied,
        "rejected": rejected,
        "replayed": replayed,
        "dead_lettered": dead_lettered,
    })
}
