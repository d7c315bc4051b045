//! Many commands into their stream, as the command line publishes them.

use std::collections::BTreeMap;
use std::time::Duration;

use retailflow_engine::ids::{CommandId, CommandKey, Source};
use retailflow_engine::wire::{base64, decode_command};
use retailflow_nats::{
    CommandPublisher, EdgeConnection, NatsOptions, OutgoingCommand, PublishOutcome, PublisherOptions,
};
use retailflow_testkit::author::order;
use serde_json::json;

use crate::doors::{Doors, WITHIN, command};
use crate::lossy::Proxy;
use crate::nats::server_or_skip;
use crate::raw::Raw;
use crate::world::{options, subscribed};

async fn publisher(doors: &Doors, options_of: &PublisherOptions) -> CommandPublisher {
    let quick = NatsOptions { request_timeout_ms: 1_000, ..options(&doors.server) };
    CommandPublisher::new(&EdgeConnection::open(&quick, "publish").await.unwrap(), options_of)
}

fn few() -> PublisherOptions {
    PublisherOptions { unacknowledged_max: 16, ..PublisherOptions::default() }
}

/// Command `number`, of one of `orders`.
fn outgoing(orders: usize, number: usize) -> OutgoingCommand {
    let order = order("shop", &format!("o-{}", number * number % orders));
    OutgoingCommand::from(&command(&order, &format!("c-{number}")))
}

/// Per order, the numbers of its commands as they stand in the stream, each where it came first.
async fn stored(raw: &Raw) -> BTreeMap<String, Vec<usize>> {
    let last = raw.state("RF_CMD").await["last_seq"].as_u64().unwrap();
    let mut orders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for sequence in 1..=last {
        let answer = raw.must("STREAM.MSG.GET.RF_CMD", &json!({ "seq": sequence })).await;
        let body = base64::decode(answer["message"]["data"].as_str().unwrap()).unwrap();
        let command = decode_command(&body).unwrap();
        let number = command.key.id.as_str().strip_prefix("c-").unwrap().parse().unwrap();
        let numbers = orders.entry(command.order.order.to_string()).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    orders
}

/// All of them, each order's in the order of their numbers.
async fn assert_all_in_order(raw: &Raw, count: usize) {
    let stored = stored(raw).await;
    assert_eq!(stored.values().map(Vec::len).sum::<usize>(), count);
    for (order, numbers) in stored {
        assert!(numbers.is_sorted(), "{order}: {numbers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_orders_commands_are_stored_in_their_order() {
    let Some(binary) = server_or_skip("each_orders_commands_are_stored_in_their_order") else { return };
    let doors = Doors::new(&binary, 4).await;
    let publisher = publisher(&doors, &few()).await;
    let mut receipts = Vec::new();
    for number in 0..400 {
        receipts.push(publisher.publish(outgoing(9, number)).await);
    }
    let mut sequences = std::collections::BTreeSet::new();
    for receipt in receipts {
        let PublishOutcome::Stored { sequence, duplicate: false } = receipt.sent().await else { panic!() };
        sequences.insert(sequence);
    }
    assert_eq!(sequences.len(), 400);
    assert_all_in_order(&Raw::connect(&doors.server).await, 400).await;
    assert!(publisher.close(WITHIN).await);
    assert!(matches!(publisher.publish(outgoing(9, 400)).await.sent().await, PublishOutcome::NotSent(_)));
}

/// Killed in the middle, again and again: nothing is lost, nothing comes before what was given before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_changes_no_order() {
    let Some(binary) = server_or_skip("a_server_that_is_killed_changes_no_order") else { return };
    let mut doors = Doors::new(&binary, 4).await;
    let publisher = publisher(&doors, &few()).await;
    let publishing = tokio::spawn(async move {
        let (mut receipts, mut pace) = (Vec::new(), tokio::time::interval(Duration::from_millis(2)));
        for number in 0..600 {
            receipts.push(publisher.publish(outgoing(25, number)).await);
            pace.tick().await;
        }
        for receipt in receipts {
            let sent = receipt.sent().await;
            assert!(matches!(sent, PublishOutcome::Stored { .. }), "{sent:?}");
        }
        publisher
    });
    let mut between = tokio::time::interval(Duration::from_millis(300));
    for _ in 0..4 {
        between.tick().await;
        doors.server.kill();
        doors.server.run();
    }
    let publisher = tokio::time::timeout(WITHIN * 3, publishing).await.unwrap().unwrap();
    assert_all_in_order(&Raw::connect(&doors.server).await, 600).await;
    assert!(publisher.close(WITHIN).await);
}

/// Answers that are lost bring commands twice, and never the later one first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_change_no_order() {
    let Some(binary) = server_or_skip("answers_that_are_lost_change_no_order") else { return };
    let doors = Doors::new(&binary, 4).await;
    let proxy = Proxy::before(&doors.server);
    let through =
        NatsOptions { servers: vec![proxy.url()], request_timeout_ms: 300, ..options(&doors.server) };
    let edge = EdgeConnection::open(&through, "publish").await.unwrap();
    let publisher = CommandPublisher::new(&edge, &few());
    let publishing = tokio::spawn(async move {
        let (mut receipts, mut pace) = (Vec::new(), tokio::time::interval(Duration::from_millis(5)));
        for number in 0..200 {
            receipts.push(publisher.publish(outgoing(7, number)).await);
            pace.tick().await;
        }
        for receipt in receipts {
            let sent = receipt.sent().await;
            assert!(matches!(sent, PublishOutcome::Stored { .. }), "{sent:?}");
        }
        assert!(publisher.close(WITHIN).await);
    });
    let mut between = tokio::time::interval(Duration::from_millis(150));
    for _ in 0..4 {
        between.tick().await;
        proxy.lose_answers();
        between.tick().await;
        proxy.heal();
    }
    tokio::time::timeout(WITHIN * 3, publishing).await.unwrap().unwrap();
    let raw = Raw::connect(&doors.server).await;
    assert_all_in_order(&raw, 200).await;
    assert!(raw.state("RF_CMD").await["messages"].as_u64() > Some(200), "some were stored twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_command_is_known_and_no_other_is_taken_for_it() {
    let Some(binary) = server_or_skip("the_same_command_is_known_and_no_other_is_taken_for_it") else {
        return;
    };
    let doors = Doors::new(&binary, 1).await;
    let publisher = publisher(&doors, &few()).await;
    let keyed = |source: &str, id: &str| {
        let key = CommandKey { source: Source::parse(source).unwrap(), id: CommandId::parse(id).unwrap() };
        OutgoingCommand { key, ..outgoing(1, 0) }
    };
    let sent = |command: OutgoingCommand| async { publisher.publish(command).await.sent().await };
    assert_eq!(sent(keyed("/a", "b/c")).await, PublishOutcome::Stored { sequence: 1, duplicate: false });
    assert_eq!(sent(keyed("/a/b", "c")).await, PublishOutcome::Stored { sequence: 2, duplicate: false });
    // The server forgets quickly, so one of many attempts must do.
    let mut last = 2;
    let known = loop {
        match sent(keyed("/a/b", "c")).await {
            PublishOutcome::Stored { sequence, duplicate: true } => break sequence,
            PublishOutcome::Stored { sequence, duplicate: false } => last = sequence,
            other => panic!("{other:?}"),
        }
        assert!(last < 50, "it knows none");
    };
    // What stood there under that name may have been anybody's: it stands once more, and the engine knows it for the same.
    assert_eq!(known, last + 1);
    last = known;
    assert_eq!(
        sent(keyed("/a", "b/c")).await,
        PublishOutcome::Stored { sequence: last + 1, duplicate: false },
        "one without a name is stored each time"
    );
}

/// A full stream holds up whoever publishes, and what cannot be taken is told in the server's words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_is_waited_for_within_a_bound() {
    let Some(binary) = server_or_skip("a_full_stream_is_waited_for_within_a_bound") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    raw.change("RF_CMD", "max_bytes", json!(20_000)).await;
    let patient = publisher(&doors, &few()).await;
    let publishing = tokio::spawn(async move {
        for number in 0..60 {
            let sent = patient.publish(outgoing(3, number)).await.sent().await;
            assert!(matches!(sent, PublishOutcome::Stored { .. }), "{number}: {sent:?}");
        }
    });
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let mut before = 0;
    // Until it does not grow any more.
    loop {
        for _ in 0..40 {
            look.tick().await;
        }
        let last = raw.state("RF_CMD").await["last_seq"].as_u64().unwrap();
        if last == std::mem::replace(&mut before, last) && last > 0 {
            break;
        }
    }
    assert!(!publishing.is_finished());
    raw.change("RF_CMD", "max_bytes", json!(-1)).await;
    tokio::time::timeout(WITHIN, publishing).await.unwrap().unwrap();
    assert_all_in_order(&raw, 60).await;

    raw.change("RF_CMD", "max_bytes", json!(1)).await;
    let hasty = publisher(&doors, &PublisherOptions { give_up_after_ms: 200, ..few() }).await;
    let large = OutgoingCommand { body: vec![b' '; 2 << 20].into(), ..outgoing(3, 60) };
    let PublishOutcome::Refused(why) = hasty.publish(large).await.sent().await else { panic!() };
    assert!(why.contains("10054"), "{why}");
    let PublishOutcome::NotTaken(why) = hasty.publish(outgoing(3, 60)).await.sent().await else { panic!() };
    assert!(why.contains("10077"), "{why}");
    for number in 61..64 {
        let sent = hasty.publish(outgoing(3, number)).await.sent().await;
        assert!(matches!(&sent, PublishOutcome::NotSent(why) if why.contains("given up")), "{sent:?}");
    }
}

/// What a replicated stream's leader says when its store is full, or an account at its limit, is no word for good: the command is tried
/// again, and none of its order goes before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_is_waited_for_whatever_its_number() {
    let Some(binary) = server_or_skip("no_room_is_waited_for_whatever_its_number") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    raw.must("STREAM.DELETE.RF_CMD", &json!({})).await;
    // In the stream's place.
    let stands_in = async_nats::connect(doors.server.url()).await.unwrap();
    let subject = retailflow_nats::subjects::command(&outgoing(1, 0).order).to_string();
    let mut told = stands_in.subscribe(subject).await.unwrap();
    subscribed(&stands_in).await;
    let answering = tokio::spawn(async move {
        let mut numbers = Vec::new();
        let codes = [10_023, 10_002, 10_047, 10_028, 10_008, 10_999];
        for at in 0.. {
            let message = futures_util::StreamExt::next(&mut told).await.unwrap();
            let command = decode_command(&message.payload).unwrap();
            numbers.push(command.key.id.to_string());
            let answer = match codes.get(at) {
                Some(code) => json!({ "error": { "code": 503, "err_code": code, "description": "no room" } }),
                None => json!({ "stream": "RF_CMD", "seq": at }),
            };
            stands_in.publish(message.reply.unwrap(), answer.to_string().into()).await.unwrap();
            if numbers.last().is_some_and(|last| last == "c-1") {
                stands_in.flush().await.unwrap();
                return numbers;
            }
        }
        numbers
    });
    let publisher = publisher(&doors, &few()).await;
    let first = publisher.publish(outgoing(1, 0)).await;
    let second = publisher.publish(outgoing(1, 1)).await;
    for sent in [first.sent().await, second.sent().await] {
        assert!(matches!(sent, PublishOutcome::Stored { .. }), "{sent:?}");
    }
    let numbers = tokio::time::timeout(WITHIN, answering).await.unwrap().unwrap();
    assert_eq!(numbers, [vec!["c-0"; 7], vec!["c-1"]].concat());
}

/// A server that does not come back: what was sent may be stored, what stands behind it was not sent, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_answers_is_unknown_and_ends_the_rest() {
    let Some(binary) = server_or_skip("what_nobody_answers_is_unknown_and_ends_the_rest") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    let hasty = publisher(&doors, &PublisherOptions { give_up_after_ms: 300, ..few() }).await;
    let patient = publisher(&doors, &few()).await;
    assert!(matches!(hasty.publish(outgoing(1, 0)).await.sent().await, PublishOutcome::Stored { .. }));
    doors.server.kill();
    for (publisher, closes) in [(hasty, true), (patient, false)] {
        let mut receipts = Vec::new();
        for number in 1..8 {
            receipts.push(publisher.publish(outgoing(1, number)).await);
        }
        let at_most = if closes { WITHIN } else { Duration::from_millis(100) };
        assert_eq!(publisher.close(at_most).await, closes);
        let mut sent = Vec::new();
        for receipt in receipts {
            sent.push(receipt.sent().await);
        }
        assert!(matches!(sent[0], PublishOutcome::Unknown(_)), "{sent:?}");
        assert!(sent[1..].iter().all(|sent| matches!(sent, PublishOutcome::NotSent(_))), "{sent:?}");
    }
}
