//! An inbox whose callers have gone: nothing is given up, and nobody holds up anybody else.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::contract::author::{order, place};
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::memory::MemoryInbox;
use retailflow_engine::order::Command;
use retailflow_engine::ports::{Body, CommandInbox, DeadLetters, EventLog, TenantSetting, TenantStatus};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, CommandEvent, content_hash};
use tokio::sync::watch;

use super::{Intake, IntakeEvent};
use crate::quiet::Quiet;

const PATIENCE: Duration = Duration::from_secs(2);
const HERE: PartitionId = PartitionId(0);

fn cancel(order: &OrderRef, id: &str) -> Command {
    let data = CommandData::Cancel(CancelData { reason: "no".into(), expected_version: None });
    Command { content_hash: content_hash(&data), data: Arc::new(data), ..place(order, id) }
}

fn body(command: Command) -> Body {
    let Command { order, key, data, .. } = command;
    Body::Bytes(CommandEvent::new(order, key, (*data).clone()).to_json())
}

/// Reads these to their end; gives what came out, as it came, and the floor that a fence then has.
async fn take_in(quiet: &Quiet, bodies: Vec<Body>) -> (Vec<IntakeEvent>, u64) {
    let mut inbox = MemoryInbox::new("of one partition", bodies);
    let (_stop, never) = watch::channel(false);
    let mut events = Vec::new();
    let intake = Intake::of_partition(&quiet.node, &inbox, "RF_CMD", HERE, PATIENCE);
    intake.run(&mut inbox, never, |event| events.push(event)).await.unwrap();
    assert!(quiet.node.write_floor(HERE).await);
    let fence = quiet.log.head(HERE).await.unwrap().fence.unwrap();
    let floor = fence.intake.iter().find(|floor| floor.inbox == inbox.id()).unwrap();
    (events, floor.position)
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_came_before_its_place_waits_for_it() {
    let quiet = Quiet::start(None).await;
    let order = order("shop", "o-1");
    let bodies = vec![cancel(&order, "c-1"), cancel(&order, "c-2"), place(&order, "p")];
    let (events, floor) = take_in(&quiet, bodies.into_iter().map(body).collect()).await;
    let ends: Vec<_> = events.iter().map(|event| (event.position, event.outcome.code)).collect();
    assert_eq!(ends, [(3, Code::Applied), (1, Code::Applied), (2, Code::AlreadyCanceled)]);
    assert_eq!(floor, 3);
    assert_eq!(quiet.letters.list(0, 10).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn whose_order_never_comes_is_a_dead_letter_and_holds_up_nobody() {
    let quiet = Quiet::start(None).await;
    let (lost, other) = (order("shop", "lost"), order("shop", "other"));
    let (events, floor) = take_in(&quiet, vec![body(cancel(&lost, "c")), body(place(&other, "p"))]).await;
    assert_eq!((events[0].position, events[0].outcome.code), (2, Code::Applied), "it went by");
    assert_eq!((events[1].position, events[1].outcome.code), (1, Code::OrderNotFound));
    assert!(events[1].dead_lettered && events[1].latency >= PATIENCE);
    assert_eq!(floor, 2);
    let letters = quiet.letters.list(0, 10).await.unwrap();
    let letter = &letters[0].letter;
    assert_eq!(letters.len(), 1);
    assert_eq!((letter.code.as_str(), letter.origin.as_str()), ("order_not_found", "RF_CMD, position 1"));
    assert_eq!(letter.tenant.as_deref(), Some("shop"));
    let Body::Bytes(sent) = body(cancel(&lost, "c")) else { unreachable!() };
    assert_eq!(letter.body, sent, "it can be sent again as it is");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_a_dead_letter() {
    let quiet = Quiet::start(None).await;
    let suspended = order("closed", "o-1");
    let setting = TenantSetting {
        tenant: suspended.tenant.clone(),
        status: TenantStatus::Suspended,
        in_flight_max: None,
    };
    quiet.node.ports().tenants.put(setting).await.unwrap();
    let bodies = vec![body(place(&suspended, "p")), Body::Bytes(b"{".to_vec())];
    let (events, floor) = take_in(&quiet, bodies).await;
    assert!(events.iter().all(|event| event.dead_lettered && !event.given_up));
    assert_eq!(floor, 2);
    let letters = quiet.letters.list(0, 10).await.unwrap();
    let codes: Vec<_> = letters.iter().map(|stored| stored.letter.code.as_str()).collect();
    assert!(codes.contains(&"tenant_disabled") && codes.contains(&"malformed_json"), "{codes:?}");
}
