//! What the server refuses, and what is made of it.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{CommitError, EventLog, ReadError};
use retailflow_nats::{GROUP_MESSAGES_MAX, NatsLogOptions};
use retailflow_testkit::author::{Author, Writer, orders_in};
use retailflow_testkit::event_log::{picture, read};
use serde_json::json;

use crate::nats::server_or_skip;
use crate::raw::Raw;
use crate::world::{World, log_options};

const HOME: PartitionId = PartitionId(0);

#[track_caller]
fn assert_unavailable(answer: &Result<retailflow_engine::ports::Commit, CommitError>, why: &str) {
    let ((Err(CommitError::Unavailable(said)), true) | (Err(CommitError::Unreachable(said)), false)) =
        (answer, why == "10077")
    else {
        panic!("no room, or not now, expected: {answer:?}")
    };
    assert!(said.contains(why), "{why:?} expected in {said:?}");
}

#[track_caller]
fn assert_too_large(answer: &Result<retailflow_engine::ports::Commit, CommitError>, why: &str) {
    let Err(CommitError::TooLarge { why: said, .. }) = answer else {
        panic!("too large expected: {answer:?}")
    };
    assert!(said.contains(why), "{why:?} expected in {said:?}");
}

/// Refusals after which nothing is written and the same group is taken once the cause is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_does_not_take_now_it_takes_later() {
    let Some(binary) = server_or_skip("what_the_server_does_not_take_now_it_takes_later") else { return };
    let world = World::new(&binary, 1, 1).await;
    let (log, raw) = (world.open().await, Raw::connect(&world.server).await);
    let order = orders_in(HOME, 1, 1).remove(0);
    let mut author = Author::new(&order);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    let mut records = 0;
    let causes = [
        ("allow_atomic", json!(false), json!(true), "10174"),
        ("max_msg_size", json!(200), json!(-1), "10054"),
        ("max_bytes", json!(64), json!(-1), "10077"),
        ("max_msgs", json!(1), json!(-1), "10077"),
    ];
    for (field, bad, good, error) in causes {
        let group = owner.group(vec![author.write(1)], vec![]);
        let before = picture(&*log).await;
        raw.change("RF_LOG_0", field, bad).await;
        for _ in 0..2 {
            match log.commit(group.clone()).await {
                // Whoever commits takes the group apart.
                Err(CommitError::TooLarge { why, .. }) => {
                    assert!(field == "max_msg_size" && why.contains(error), "{why}")
                }
                answer => assert_unavailable(&answer, error),
            }
        }
        assert_eq!(picture(&*log).await, before, "{field}");
        raw.change("RF_LOG_0", field, good).await;
        log.commit(group.clone()).await.unwrap();
        owner.acknowledged(&group);
        records += 1;
        assert_eq!(read(&*log, &order, 0).await.len(), records);
    }
}

/// One record that is too large does not make its group one for which there is no room: the log says what it is, and which one where it
/// knows, and takes the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_is_told_from_a_log_without_room() {
    let Some(binary) = server_or_skip("a_record_that_is_too_large_is_told_from_a_log_without_room") else {
        return;
    };
    let small = "max_payload: 64KB\njetstream { store_dir: \"FOLDER/js\", sync_interval: always }\n";
    let world = World::with_settings(&binary, 1, 1, small).await;
    let (log, raw) = (world.open().await, Raw::connect(&world.server).await);
    let orders = orders_in(HOME, 1, 3);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut owner = Writer::open(&*log, HOME, 1).await;
    let large = authors[1].write(1_000);
    assert!(large.bytes.len() > 64 << 10);
    // More than the client may send at all.
    let group = owner.group(vec![authors[0].write(1), large, authors[2].write(1)], vec![]);
    let before = picture(&*log).await;
    let Err(CommitError::TooLarge { entry, why }) = log.commit(group.clone()).await else {
        panic!("too large")
    };
    assert_eq!(entry, Some(1));
    assert!(why.contains("max_payload"), "{why}");
    assert_eq!(picture(&*log).await, before);
    let mut records = group.records;
    let large = records.remove(1);
    owner.append(&*log, records, vec![]).await;
    // More than the stream takes: the server says so of the whole batch.
    raw.change("RF_LOG_0", "max_msg_size", json!(1_000)).await;
    let mut authors: Vec<Author> = orders_in(HOME, 1, 5)[3..].iter().map(Author::new).collect();
    let group = owner.group(vec![authors[0].write(20), authors[1].write(1)], vec![]);
    for _ in 0..2 {
        let answer = log.commit(group.clone()).await;
        assert!(matches!(answer, Err(CommitError::TooLarge { entry: Some(0), .. })), "{answer:?}");
    }
    let alone = owner.group(vec![group.records[0].clone()], vec![]);
    assert!(matches!(log.commit(alone).await, Err(CommitError::TooLarge { .. })));
    owner.append(&*log, vec![group.records[1].clone()], vec![]).await;
    drop(large);
}

/// Batches that others have begun and left take the server's places for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_batches_in_flight_are_unavailable() {
    let Some(binary) = server_or_skip("too_many_batches_in_flight_are_unavailable") else { return };
    let world = World::new(&binary, 1, 1).await;
    let (log, raw) = (world.open().await, Raw::connect(&world.server).await);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    for number in 0..50 {
        let id = format!("left-{number}");
        raw.publish("rf.log.0.fence", &[("Nats-Batch-Id", &id), ("Nats-Batch-Sequence", "1")]).await;
    }
    // The first message's refusal (10210) is not asked for; the answer to the last one tells that it is missing.
    let order = orders_in(HOME, 1, 1).remove(0);
    let group = owner.group(vec![Author::new(&order).write(1)], vec![]);
    assert_unavailable(&log.commit(group).await, "10176");
    // A lone fence is no batch.
    owner.append(&*log, vec![], vec![]).await;
}

/// Somebody else wrote an order's record behind our back, in a group that we were told of. The condition fails at the
/// server, and the answer names the order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_fails_is_traced_to_its_order() {
    let Some(binary) = server_or_skip("a_condition_that_fails_is_traced_to_its_order") else { return };
    let world = World::new(&binary, 1, 1).await;
    let orders = orders_in(HOME, 1, 30);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let log = world.open().await;
    let mut owner = Writer::open(&*log, HOME, 1).await;
    owner.append(&*log, vec![authors[3].clone().write(1)], vec![]).await;
    // A new process which takes each of them for a new order.
    let log = world.open().await;
    let records: Vec<_> = authors.iter_mut().map(|author| author.write(1)).collect();
    let conflict = log.commit(owner.group(records.clone(), vec![])).await;
    assert_eq!(conflict, Err(CommitError::Conflict(orders[3].clone())));
    let others = records.into_iter().filter(|record| record.order != orders[3]).collect();
    owner.append(&*log, others, vec![]).await;
}

/// A group as large as a batch may be is taken, one message more is not; records whose deadlines change count twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_may_be_as_large_as_a_batch_and_no_larger() {
    let Some(binary) = server_or_skip("a_group_may_be_as_large_as_a_batch_and_no_larger") else { return };
    let world = World::new(&binary, 1, 1).await;
    let log = world.open().await;
    let orders = orders_in(HOME, 1, GROUP_MESSAGES_MAX);
    let write = |count: usize| {
        let keep = retailflow_engine::ports::DeadlineChange::Keep;
        orders.iter().take(count).map(|order| Author::new(order).write_deadline(keep)).collect()
    };
    let mut owner = Writer::open(&*log, HOME, 1).await;
    let before = picture(&*log).await;
    let answer = log.commit(owner.group(write(GROUP_MESSAGES_MAX), vec![])).await;
    assert_too_large(&answer, "1001 messages, at most 1000");
    let twice = orders.iter().take(500).map(|order| Author::new(order).write(1)).collect();
    assert_too_large(&log.commit(owner.group(twice, vec![])).await, "1001 messages, at most 1000");
    assert_eq!(picture(&*log).await, before);
    let (group, commit) = owner.append(&*log, write(GROUP_MESSAGES_MAX - 1), vec![]).await;
    assert_eq!(retailflow_nats::event_log::group_messages(&group), GROUP_MESSAGES_MAX);
    let found = log.scan(retailflow_engine::ports::LogPosition(0), usize::MAX).await.unwrap();
    assert_eq!((found.len(), found[0].position), (1, commit.position));
    retailflow_testkit::event_log::assert_is(&found[0], &group);
}

/// A record that no message can hold is refused before anything is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_beyond_max_payload_is_too_large() {
    let Some(binary) = server_or_skip("a_record_beyond_max_payload_is_too_large") else { return };
    let world = World::new(&binary, 1, 1).await;
    let log = world.open().await;
    let order = orders_in(HOME, 1, 1).remove(0);
    let mut record = Author::new(&order).write(1);
    record.bytes = vec![0; 9 << 20].into();
    let owner = Writer::open(&*log, HOME, 1).await;
    assert_too_large(&log.commit(owner.group(vec![record], vec![])).await, "max_payload is 8388608");
}

/// Purged behind our back, and made anew: what was acknowledged here is gone, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_an_acknowledged_group_has_regressed() {
    let Some(binary) = server_or_skip("a_log_that_lost_an_acknowledged_group_has_regressed") else { return };
    let world = World::new(&binary, 1, 1).await;
    let options = NatsLogOptions { regressed_after_ms: 300, ..log_options() };
    let (log, raw) = (world.open_with(&options).await, Raw::connect(&world.server).await);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    let (first, _) = owner.append(&*log, vec![], vec![]).await;
    let (second, _) = owner.append(&*log, vec![], vec![]).await;
    let next = owner.group(vec![], vec![]);
    raw.must("STREAM.PURGE.RF_LOG_0", &json!({ "filter": "rf.log.0.fence" })).await;
    for group in [&next, &second, &first, &next] {
        let answer = log.commit(group.clone()).await;
        assert!(matches!(answer, Err(CommitError::LogRegressed(_))), "{answer:?}");
    }
    assert!(log.parked(HOME).await.is_err());
    // Who has seen nothing acknowledged is told so by the group itself.
    let other = world.open().await;
    let answer = other.commit(next).await;
    assert!(matches!(answer, Err(CommitError::LogRegressed(_))), "{answer:?}");
}

/// What a stranger wrote into the log is damage with its place; what a newer version wrote is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_told_from_what_a_newer_version_wrote() {
    let Some(binary) = server_or_skip("damage_is_told_from_what_a_newer_version_wrote") else { return };
    let world = World::new(&binary, 1, 1).await;
    let (log, raw) = (world.open().await, Raw::connect(&world.server).await);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    let (group, _) = owner.append(&*log, vec![], vec![]).await;
    let next = owner.group(vec![], vec![]);
    let mut newer = group.fence.encode().unwrap();
    newer[3] = 9;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&newer[..5]), &newer[9..]);
    newer[5..9].copy_from_slice(&crc.to_le_bytes());
    raw.store("rf.log.0.fence", newer).await;
    let head = log.head(HOME).await;
    assert!(matches!(&head, Err(ReadError::Unavailable(why)) if why.contains("newer")), "{head:?}");
    raw.store("rf.log.0.fence", b"nonsense".to_vec()).await;
    let head = log.head(HOME).await;
    assert!(
        matches!(&head, Err(ReadError::Damaged(why)) if why.contains("RF_LOG_0, sequence 4")),
        "{head:?}"
    );
    // Nothing is written behind it, and nothing is said to be.
    assert_unavailable(&log.commit(next).await, "RF_LOG_0, sequence 4");
}

/// A server that does not answer leaves the outcome unknown; the identical group resolves it when it is back, and until
/// then nothing else is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_unknown_until_the_identical_group_is_answered() {
    let Some(binary) = server_or_skip("silence_is_unknown_until_the_identical_group_is_answered") else {
        return;
    };
    let mut world = World::new(&binary, 1, 1).await;
    let log = world.open_with(&NatsLogOptions { commit_timeout_ms: 300, ..log_options() }).await;
    let order = orders_in(HOME, 1, 1).remove(0);
    let mut author = Author::new(&order);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    owner.append(&*log, vec![author.write(1)], vec![]).await;
    let group = owner.group(vec![author.write(1)], vec![]);
    world.server.kill();
    let answer = log.commit(group.clone()).await;
    assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
    world.server.run();
    let commit = resolved(&log, &group).await;
    assert_eq!(log.commit(group.clone()).await, Ok(commit), "again");
    owner.acknowledged(&group);
    owner.append(&*log, vec![author.write(1)], vec![]).await;
    assert_eq!(read(&*log, &order, 0).await.len(), 3);
}

/// Proposes a group until it is taken.
pub(crate) async fn resolved(
    log: &retailflow_nats::NatsLog,
    group: &retailflow_engine::ports::Group,
) -> retailflow_engine::ports::Commit {
    let begun = std::time::Instant::now();
    loop {
        match log.commit(group.clone()).await {
            Ok(commit) => return commit,
            Err(CommitError::Unknown(_) | CommitError::Unreachable(_) | CommitError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "the group is never taken");
    }
}

/// A log that was closed takes no more, and has let nothing go that was on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_is_in_flight() {
    let Some(binary) = server_or_skip("closing_waits_for_what_is_in_flight") else { return };
    let world = World::new(&binary, 1, 1).await;
    let log = world.open().await;
    let owner = Writer::open(&*log, HOME, 1).await;
    // Sent when it is asked for, not when it is waited for; and nobody waits.
    drop(log.commit(owner.group(vec![], vec![])));
    assert!(log.close(std::time::Duration::from_secs(20)).await);
    let answer = log.commit(owner.group(vec![], vec![])).await;
    assert!(matches!(answer, Err(CommitError::Broken(_))), "{answer:?}");
    let other = world.open().await;
    assert_eq!(other.head(HOME).await.unwrap().fence.map(|fence| fence.group), Some(1));
}
