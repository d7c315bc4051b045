//! Commands as callers publish them, read by position: in order, without gaps, whatever else is sent.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{Body, CommandInbox, Delivery, StoreError};
use retailflow_engine::wire::{Code, decode_command};
use retailflow_nats::{
    Connections, DoorStreams, InboxFault, InboxOptions, NatsInbox, TrimError, TrimReport, inbox_ids,
    subjects, trim,
};
use retailflow_testkit::author::{order, orders_in};
use serde_json::json;

use crate::doors::{Doors, WITHIN, command};
use crate::nats::server_or_skip;
use crate::raw::Raw;

/// Trims the stream that is there.
async fn trimmed(
    connections: &Connections,
    partitions: u16,
    floors: &[u64],
) -> Result<TrimReport, TrimError> {
    let (created, _) = inbox_ids(connections, partitions).await.unwrap();
    trim(connections, &created, partitions, floors).await
}

fn ids(deliveries: &[Delivery]) -> Vec<String> {
    let id = |delivery: &Delivery| match &delivery.body {
        Body::Bytes(bytes) => decode_command(bytes).unwrap().key.id.to_string(),
        Body::TooLong { .. } => "too long".into(),
    };
    deliveries.iter().map(id).collect()
}

/// Reads until `count` were given.
async fn read(inbox: &mut NatsInbox, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    let reading = async {
        while all.len() < count {
            match inbox.read(64).await {
                Ok(given) => all.extend(given),
                Err(InboxFault::Unavailable(_)) => tokio::task::yield_now().await,
                Err(fault) => panic!("{fault}"),
            }
        }
    };
    tokio::time::timeout(WITHIN, reading).await.expect("not within the bound");
    all
}

/// Each partition gets its own, in the order in which it came, from any floor on; a new one wakes whoever waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_partition_gets_its_own_in_order() {
    let Some(binary) = server_or_skip("each_partition_gets_its_own_in_order") else { return };
    let doors = Doors::new(&binary, 4).await;
    let mut placed: Vec<Vec<(u64, String)>> = vec![Vec::new(); 4];
    for number in 0..60 {
        let order = order("shop", &format!("o-{}", number % 17));
        let id = format!("c-{number}");
        let position = doors.place(&order, &id).await;
        placed[usize::from(partition_of(&order, 4).0)].push((position, id));
    }
    for (partition, placed) in placed.iter().enumerate() {
        let half = &placed[placed.len() / 2..];
        for (floor, wanted) in [(0, &placed[..]), (half[0].0 - 1, half)] {
            let mut inbox = doors.inbox(partition as u16, floor, false).await;
            let mut all = Vec::new();
            loop {
                let given = inbox.next(7).await.unwrap();
                if given.is_empty() {
                    break;
                }
                all.extend(given);
            }
            let positions = all.iter().map(|delivery| delivery.position);
            assert!(positions.zip(ids(&all)).eq(wanted.iter().cloned()), "partition {partition}");
            assert_eq!(inbox.seen(), 60, "and nothing is there beside them");
        }
    }
    // Whoever waits is woken, and long before it would have looked by itself.
    let order = orders_in(PartitionId(2), 4, 1).remove(0);
    let mut options = doors.inbox_options(true);
    options.idle_ms = 3_600_000;
    let mut inbox = doors.try_inbox(2, 60, options).await.unwrap();
    for number in 0..20 {
        let mut reading = tokio::spawn(async move {
            let given = inbox.read(10).await.unwrap();
            (inbox, given)
        });
        // So that some begin to wait before, and some after.
        if number % 2 == 0 {
            assert!(tokio::time::timeout(Duration::from_millis(30), &mut reading).await.is_err());
        }
        doors.place(&order, &format!("later-{number}")).await;
        let (same, given) = tokio::time::timeout(WITHIN, reading).await.unwrap().unwrap();
        inbox = same;
        assert_eq!(ids(&given), [format!("later-{number}")]);
    }
}

/// A read that is dropped loses nothing, and a server that is killed is found again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_restarts_and_dropped_reads() {
    let Some(binary) = server_or_skip("nothing_is_lost_over_restarts_and_dropped_reads") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    let order = order("shop", "o-1");
    let mut inbox = doors.inbox(0, 0, true).await;
    let id = inbox.id();
    let (mut wanted, mut given) = (Vec::new(), Vec::new());
    for round in 0..4 {
        for number in 0..10 {
            wanted.push(format!("c-{round}-{number}"));
            // Dropped somewhere, unless it is faster.
            let bound = Duration::from_micros(200 * number);
            if let Ok(read) = tokio::time::timeout(bound, inbox.read(3)).await {
                given.extend(ids(&read.unwrap()));
            }
            doors.place(&order, &wanted[wanted.len() - 1]).await;
        }
        let missing = wanted.len() - given.len();
        given.extend(ids(&read(&mut inbox, missing).await));
        assert_eq!(given, wanted);
        doors.server.kill();
        doors.server.run();
        // The caller's connection comes back by itself as well.
        tokio::time::timeout(WITHIN, doors.caller.flush()).await.unwrap().unwrap();
    }
    let mut again = doors.inbox(0, 0, false).await;
    assert_eq!(again.id(), id, "the same inbox after restarts");
    assert_eq!(ids(&read(&mut again, wanted.len()).await), wanted);
}

/// Headers are a caller's. They change neither where a command stands, nor whose it is, nor what others sent; and what no client
/// can read stops nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_write_into_headers_changes_nothing() {
    let Some(binary) = server_or_skip("what_callers_write_into_headers_changes_nothing") else { return };
    let doors = Doors::new(&binary, 1).await;
    let (order, subject) = (order("shop", "o-1"), "rf.v1.cmd.shop.o-1");
    let body = |id: &str| command(&order, id).to_json();
    doors.place(&order, "first").await;
    // The server refuses what would touch other messages, or hold this one back.
    for (name, value) in [
        ("Nats-Rollup", "all"),
        ("Nats-Rollup", "sub"),
        ("Nats-Schedule", "@at 2100-01-01T00:00:00Z"),
        ("Nats-TTL", "1s"),
        ("Nats-Expected-Stream", "OTHER"),
        ("Nats-Expected-Last-Sequence", "77"),
        ("Nats-Expected-Last-Subject-Sequence", "77"),
        ("Nats-Incr", "+1"),
    ] {
        let answer = doors.publish(subject, &[(name, value)], &body("never")).await;
        assert!(answer["error"].is_object(), "{name}: {answer}");
    }
    let batch = [("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", "1"), ("Nats-Batch-Commit", "1")];
    let answer = doors.publish(subject, &batch, &body("never")).await;
    assert!(answer["error"].is_object(), "{answer}");
    // What is taken says nothing.
    let lies = [("Nats-Sequence", "999"), ("Nats-Subject", "rf.cmd.0.other.o-9"), ("Nats-Num-Pending", "0")];
    assert!(doors.publish(subject, &lies, &body("lies")).await["seq"].is_u64());
    let many: Vec<(String, String)> = (0..3_000).map(|n| (format!("h-{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert!(doors.publish(subject, &many, &body("many")).await["seq"].is_u64());
    // What the client cannot read, and gives up its connection for.
    for broken in [
        &b"NATS/1.0\r\n\x01 bad: x\r\n\r\n"[..],
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/1.0\r\nx: \xff\xfe\r\n\r\n",
    ] {
        doors.publish_bytes(subject, "", broken, &body("broken"));
    }
    // What reads as an answer of the server's own.
    for status in [
        &b"NATS/1.0 xyz\r\nx: y\r\n\r\n"[..],
        b"NATS/1.0 404 No Messages\r\nx: y\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
    ] {
        doors.publish_bytes(subject, "", status, &body("status"));
    }
    doors.place(&order, "last").await;
    let mut inbox = doors.inbox(0, 0, true).await;
    let all = read(&mut inbox, 7).await;
    assert_eq!(ids(&all), ["first", "lies", "many", "status", "status", "status", "last"]);
    assert_eq!(all.last().unwrap().position, 10);
    let letters = doors.letters().await;
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert!(letters.iter().all(|(code, _)| code == "invalid_field"), "{letters:?}");
    // Read again after a crash they are the same letters.
    assert_eq!(read(&mut doors.inbox(0, 0, true).await, 7).await, all);
    assert_eq!(doors.letters().await, letters);
}

/// A message that costs the client its connection is waited for like any other: it wakes, is put away, and what follows comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_message_stops_nobody_who_waits() {
    let Some(binary) = server_or_skip("a_broken_message_stops_nobody_who_waits") else { return };
    let doors = Doors::new(&binary, 1).await;
    let (order, subject) = (order("shop", "o-1"), "rf.v1.cmd.shop.o-1");
    let mut inbox = doors.inbox(0, 0, true).await;
    for round in 1..=3 {
        let mut reading = tokio::spawn(async move {
            let given = read(&mut inbox, 1).await;
            (inbox, given)
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut reading).await.is_err());
        doors.publish_bytes(subject, "", b"NATS/1.0\r\nno colon\r\n\r\n", b"{}");
        doors.place(&order, &format!("c-{round}")).await;
        let (same, given) = reading.await.unwrap();
        inbox = same;
        assert_eq!((ids(&given), given[0].position), (vec![format!("c-{round}")], round * 2));
        assert_eq!(doors.letters().await.len(), round as usize);
    }
}

/// Both forms come out as one; what names another order, or is none, is put away; what is too long is cut, or refused at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_command_is_put_away_with_the_reason() {
    let Some(binary) = server_or_skip("what_is_no_command_is_put_away_with_the_reason") else { return };
    let doors = Doors::new(&binary, 1).await;
    let (order, subject) = (order("shop", "o-1"), "rf.v1.cmd.shop.o-1");
    let event = command(&order, "binary");
    let data = serde_json::to_value(&event).unwrap()["data"].to_string();
    let binary_mode = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "retailflow.order.place.v1"),
        ("ce-source", "/contract"),
        ("ce-id", "binary"),
    ];
    doors.publish(subject, &binary_mode, data.as_bytes()).await;
    doors.publish(subject, &binary_mode[..4], data.as_bytes()).await;
    doors.publish("rf.v1.cmd.shop.o-2", &[], &event.to_json()).await;
    doors.publish("rf.v1.cmd.NOBODY.o-1", &[], &event.to_json()).await;
    doors.publish(subject, &[("content-type", "text/xml")], b"<order/>").await;
    let long = doors.publish(subject, &[], &vec![b'x'; (1 << 20) + 1000]).await;
    assert!(long["seq"].is_u64(), "within the allowance for headers: {long}");
    let refused = doors.publish(subject, &[], &vec![b'x'; (1 << 20) + (128 << 10)]).await;
    assert_eq!(refused["error"]["err_code"], 10_054, "{refused}");
    // Not JSON: the body alone shows it, so whoever decodes it puts it away.
    doors.publish(subject, &[], b"\xff{").await;
    let all = read(&mut doors.inbox(0, 0, true).await, 3).await;
    assert_eq!(ids(&all[..2]), ["binary", "too long"]);
    assert_eq!(all[2].body, Body::Bytes(b"\xff{".to_vec()));
    let Body::Bytes(whole) = &all[0].body else { panic!("{:?}", all[0]) };
    assert_eq!(decode_command(whole).unwrap().content_hash(), event.content_hash());
    let told = |code: &str, position: u64, subject: &str| {
        (code.to_owned(), format!("RF_CMD, position {position}, rf.cmd.0.{subject}"))
    };
    assert_eq!(
        doors.letters().await,
        [
            told("missing_field", 2, "shop.o-1"),
            told("mismatched_address", 3, "shop.o-2"),
            told("invalid_id", 4, "NOBODY.o-1"),
            told("unsupported_media_type", 5, "shop.o-1"),
        ]
    );
}

/// Whoever wants the outcome of a command that names another order is told, as at the ask door: both names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_another_order_is_told_so() {
    let Some(binary) = server_or_skip("what_names_another_order_is_told_so") else { return };
    let doors = Doors::new(&binary, 1).await;
    let event = command(&order("shop", "o-1"), "c-1");
    let to = [("Rf-Reply-To", "rf.v1.reply.shop.7")];
    doors.publish("rf.v1.cmd.shop.o-2", &to, &event.to_json()).await;
    doors.publish("rf.v1.cmd.mall.o-1", &[("Rf-Reply-To", "rf.v1.reply.mall.7")], &event.to_json()).await;
    doors.publish("rf.v1.cmd.shop.o-3", &[], &event.to_json()).await;
    doors.publish("rf.v1.cmd.shop.o-4", &[("Rf-Reply-To", "rf.log.0.fence")], &event.to_json()).await;
    let mut inbox = doors.inbox(0, 0, false).await;
    assert!(inbox.read(10).await.unwrap().is_empty());
    let replies = inbox.replies();
    for (position, path, names) in
        [(1, "subject", ["\"o-1\"", "\"o-2\""]), (2, "tenant", ["\"shop\"", "\"mall\""])]
    {
        let (at, outcome) = replies.next_put_away().await;
        assert_eq!(
            (at, outcome.code, outcome.path.as_deref()),
            (position, Code::MismatchedAddress, Some(path))
        );
        assert!(names.iter().all(|name| outcome.message.contains(name)), "{}", outcome.message);
        assert!(replies.wanted(position));
    }
    // Nobody asked about the third, and the fourth's is no place to answer to.
    assert!(!replies.wanted(3) && !replies.wanted(4));
    let waits = tokio::time::timeout(Duration::from_millis(50), replies.next_put_away()).await;
    assert!(waits.is_err(), "{waits:?}");
}

/// What is published is carried out, and a dry run is not: it is put away, and whoever wants the outcome is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_that_is_published_is_never_carried_out() {
    let Some(binary) = server_or_skip("a_dry_run_that_is_published_is_never_carried_out") else { return };
    let doors = Doors::new(&binary, 1).await;
    let event = command(&order("shop", "o-1"), "c-1");
    for (word, tail) in [("true", "1"), ("yes", "2"), ("false", "3")] {
        let to = format!("rf.v1.reply.shop.{tail}");
        let headers = [("Rf-Reply-To", to.as_str()), ("rf-dry-run", word)];
        doors.publish("rf.v1.cmd.shop.o-1", &headers, &event.to_json()).await;
    }
    let mut inbox = doors.inbox(0, 0, false).await;
    let given = inbox.read(10).await.unwrap();
    let positions: Vec<u64> = given.iter().map(|delivery| delivery.position).collect();
    assert_eq!(positions, [3], "only what says that it is none");
    let replies = inbox.replies();
    for (position, says) in [(1, "rf.v1.ask.shop.o-1"), (2, "false, true")] {
        let (at, outcome) = replies.next_put_away().await;
        assert_eq!((at, outcome.code), (position, Code::InvalidField));
        assert_eq!(
            (outcome.path.as_deref(), outcome.command_id.as_ref()),
            (Some("rf-dry-run"), Some(&event.key.id))
        );
        assert!(outcome.message.contains(says), "{}", outcome.message);
        assert!(replies.wanted(position));
    }
    assert_eq!(doors.letters().await.len(), 2);
}

/// P can be edited at the server while it runs: orders would move. Nothing is read, and nothing trimmed, until it is put back; what was
/// stored meanwhile where nobody may decide it can be published anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_while_the_transform_was_another_one_can_be_redriven() {
    let Some(binary) =
        server_or_skip("what_was_published_while_the_transform_was_another_one_can_be_redriven")
    else {
        return;
    };
    let doors = Doors::new(&binary, 4).await;
    let raw = Raw::connect(&doors.server).await;
    let transform = |dest: &str| json!({ "src": "rf.v1.cmd.*.*", "dest": dest });
    let moved = |order: &OrderRef| partition_of(order, 3) != partition_of(order, 4);
    let order = orders_in(PartitionId(3), 4, 50).into_iter().find(moved).unwrap();
    let there = partition_of(&order, 3).0;
    let mut open_before = doors.inbox(there, 0, true).await;
    assert_eq!(doors.place(&order, "before").await, 1);
    raw.change("RF_CMD", "subject_transform", transform(&subjects::command_transform(3))).await;
    let streams = DoorStreams { partitions: 4, replicas: 1, commands_max_bytes: None };
    let drift = streams.provision(&doors.connections).await.unwrap();
    assert!(drift.len() == 1 && drift[0].field == "subject_transform", "{drift:?}");
    doors.place(&order, "misplaced").await;
    // And where no partition of ours reads, with and without an order's name.
    for (dest, id) in
        [("rf.cmd.7.{{wildcard(1)}}.{{wildcard(2)}}", "stray"), ("rf.cmd.x.{{wildcard(2)}}", "odd")]
    {
        raw.change("RF_CMD", "subject_transform", transform(dest)).await;
        doors.place(&order, id).await;
    }
    for _ in 0..2 {
        let fault = open_before.read(10).await.unwrap_err();
        assert!(matches!(fault, InboxFault::SubjectsDiffer { .. }), "{fault}");
        assert!(fault.to_string().contains("repair-streams"), "{fault}");
    }
    assert!(matches!(open_before.next(10).await.unwrap_err().cause, StoreError::Damaged(_)));
    let begun = doors.try_inbox(there, 0, doors.inbox_options(true)).await;
    assert!(matches!(begun.err().unwrap(), InboxFault::SubjectsDiffer { .. }));
    assert_eq!(trimmed(&doors.connections, 4, &[1; 4]).await, Err(TrimError::SubjectsDiffer));
    assert_eq!(doors.letters().await, []);
    // Another node, which reads another partition, sees it, too.
    let other_node = InboxOptions { misrouted: Arc::default(), ..doors.inbox_options(false) };
    assert!(doors.try_inbox(0, 0, other_node.clone()).await.is_err());
    streams.put_back(&doors.connections, false).await.unwrap();
    doors.place(&orders_in(PartitionId(there), 4, 1)[0], "after").await;
    assert_eq!(ids(&read(&mut open_before, 1).await), ["after"]);
    // One that is opened anew finds the same letters, and adds none.
    assert_eq!(ids(&read(&mut doors.inbox(there, 0, true).await, 1).await), ["after"]);
    assert_eq!(ids(&read(&mut doors.inbox(3, 0, true).await, 1).await), ["before"]);
    doors.try_inbox(0, 0, other_node).await.unwrap().read(10).await.unwrap();
    let letters = doors.letters.list(0, usize::MAX).await.unwrap();
    let mut found: Vec<String> = Vec::new();
    for stored in letters {
        let letter = stored.letter;
        assert!(letter.code == "mismatched_address" && letter.reason.contains("redrive"), "{letter:?}");
        assert_eq!(letter.body.len() as u64, letter.length_bytes);
        let command = decode_command(&letter.body).unwrap();
        assert_eq!(command.order, order);
        found.push(command.key.id.to_string());
    }
    found.sort();
    assert_eq!(found, ["misplaced", "odd", "stray"]);
}

/// Trimming never goes above the lowest floor, nor takes the last message; what is gone above a floor stops the intake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_stays_below_every_floor_and_gaps_are_told() {
    let Some(binary) = server_or_skip("trimming_stays_below_every_floor_and_gaps_are_told") else { return };
    let mut doors = Doors::new(&binary, 2).await;
    let homes: Vec<OrderRef> = (0..2).map(|p| orders_in(PartitionId(p), 2, 1).remove(0)).collect();
    for number in 0..10 {
        doors.place(&homes[number % 2], &format!("c-{number}")).await;
    }
    let connections = doors.connections.clone();
    let trimmed = |floors: &'static [u64]| {
        let connections = connections.clone();
        async move { trimmed(&connections, 2, floors).await.map(|done| (done.messages, done.first)) }
    };
    assert_eq!(trimmed(&[9]).await, Err(TrimError::Floors { wanted: 2, found: 1 }));
    let beyond = TrimError::Beyond { partition: PartitionId(1), floor: 11, last: 10 };
    assert_eq!(trimmed(&[3, 11]).await, Err(beyond));
    assert_eq!(trimmed(&[0, 10]).await.unwrap().0, 0, "one that has read nothing needs all");
    assert_eq!(trimmed(&[9, 4]).await.unwrap(), (4, 5));
    assert_eq!(trimmed(&[9, 4]).await.unwrap().0, 0, "once more does nothing");
    assert_eq!(ids(&read(&mut doors.inbox(1, 4, true).await, 3).await), ["c-5", "c-7", "c-9"]);
    // One that was open all along goes on.
    let mut follower = doors.inbox(0, 9, true).await;
    assert_eq!(trimmed(&[10, 10]).await.unwrap(), (5, 10), "the last one stays");
    let gap = doors.try_inbox(1, 4, doors.inbox_options(true)).await.err().unwrap();
    assert!(matches!(gap, InboxFault::Gap { after: 4, .. }), "{gap}");
    doors.server.kill();
    doors.server.run();
    tokio::time::timeout(WITHIN, doors.caller.flush()).await.unwrap().unwrap();
    assert_eq!(doors.place(&homes[0], "c-10").await, 11, "positions are never used again");
    assert_eq!(ids(&read(&mut follower, 1).await), ["c-10"]);
    // Somebody purges what was not read.
    let raw = Raw::connect(&doors.server).await;
    doors.place(&homes[0], "c-11").await;
    doors.place(&homes[0], "c-12").await;
    raw.must("STREAM.PURGE.RF_CMD", &json!({ "seq": 13 })).await;
    let fault = follower.read(10).await.unwrap_err();
    assert!(matches!(fault, InboxFault::Gap { after: 11, .. }), "{fault}");
    // Or only some of it, from the middle.
    let mut follower = doors.inbox(1, 12, false).await;
    doors.place(&homes[1], "c-13").await;
    doors.place(&homes[0], "c-14").await;
    raw.must("STREAM.PURGE.RF_CMD", &json!({ "filter": "rf.cmd.1.>" })).await;
    let fault = follower.read(10).await.unwrap_err();
    assert!(matches!(fault, InboxFault::Gap { .. }), "{fault}");
    // Or makes the stream anew.
    raw.must("STREAM.DELETE.RF_CMD", &json!({})).await;
    let streams = DoorStreams { partitions: 2, replicas: 1, commands_max_bytes: None };
    streams.provision(&doors.connections).await.unwrap();
    let fault = follower.read(10).await.unwrap_err();
    assert!(matches!(fault, InboxFault::MadeAnew(_)), "{fault}");
    assert_ne!(doors.inbox(1, 0, false).await.id(), follower.id(), "it is another inbox");
}

/// Below a partition that has no commands those of others are trimmed away, and it goes on when one comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_partition_misses_nothing_when_others_are_trimmed() {
    let Some(binary) = server_or_skip("an_idle_partition_misses_nothing_when_others_are_trimmed") else {
        return;
    };
    let doors = Doors::new(&binary, 2).await;
    let homes: Vec<OrderRef> = (0..2).map(|p| orders_in(PartitionId(p), 2, 1).remove(0)).collect();
    for number in 0..6 {
        doors.place(&homes[0], &format!("c-{number}")).await;
    }
    let mut idle = doors.inbox(1, 0, false).await;
    assert_eq!(idle.read(10).await.unwrap(), []);
    assert_eq!(idle.seen(), 6);
    trimmed(&doors.connections, 2, &[6, idle.seen()]).await.unwrap();
    doors.place(&homes[1], "first").await;
    assert_eq!(ids(&read(&mut idle, 1).await), ["first"]);
}

/// A full stream refuses callers, keeps what it has, and takes again after a trim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_holds_callers_back() {
    let Some(binary) = server_or_skip("a_full_stream_holds_callers_back") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    raw.change("RF_CMD", "max_bytes", json!(20_000)).await;
    let (order, mut taken) = (order("shop", "o-1"), 0);
    let refused = loop {
        let body = command(&order, &format!("c-{taken}")).to_json();
        let answer = doors.publish(&subjects::command(&order), &[], &body).await;
        if answer["error"].is_object() {
            break answer;
        }
        taken += 1;
    };
    assert_eq!(refused["error"]["err_code"], 10_077, "{refused}");
    assert_eq!(read(&mut doors.inbox(0, 0, true).await, taken).await.len(), taken);
    trimmed(&doors.connections, 1, &[taken as u64 - 1]).await.unwrap();
    assert_eq!(doors.place(&order, "again").await, taken as u64 + 1);
}
