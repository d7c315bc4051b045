//! An inbox whose callers have gone: nothing is given up, and nobody holds up anybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::memory::MemoryInbox;
use retailflow_engine::order::Command;
use retailflow_engine::ports::{Body, CommandInbox, DeadLetters, EventLog, TenantSetting, TenantStatus};
use retailflow_engine::wire::command::{AmendData, AmendLine, CancelData};
use retailflow_engine::wire::{Code, CommandData, CommandEvent, content_hash};
use retailflow_testkit::author::{order, place};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Intake, IntakeEvent};
use crate::batch_node::BatchNode;

const PATIENCE: Duration = Duration::from_secs(2);
const HERE: PartitionId = PartitionId(0);

fn cancel(order: &OrderRef, id: &str) -> Command {
    let data =
        CommandData::Cancel(CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None });
    Command { content_hash: content_hash(&data), data: Arc::new(data), ..place(order, id) }
}

fn body(command: Command) -> Body {
    let Command { order, key, data, .. } = command;
    Body::Bytes(CommandEvent::new(order, key, (*data).clone()).to_json())
}

/// Reads these to their end; gives what came out, as it came, and the floor that a fence then has.
async fn run_intake(batch: &BatchNode, bodies: Vec<Body>) -> (Vec<IntakeEvent>, u64) {
    let mut inbox = MemoryInbox::new("of one partition", bodies);
    let (_stop, never) = watch::channel(false);
    let mut events = Vec::new();
    let intake = Intake::of_partition(&batch.node, &inbox, "RF_CMD", HERE, PATIENCE);
    intake.run(&mut inbox, never, |event| events.push(event)).await.unwrap();
    assert!(batch.node.write_floor(HERE).await);
    let fence = batch.log.head(HERE).await.unwrap().fence.unwrap();
    let floor = fence.intake.iter().find(|floor| floor.inbox == inbox.id()).unwrap();
    (events, floor.position)
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_came_before_its_place_waits_for_it() {
    let batch = BatchNode::start(None).await;
    let order = order("shop", "o-1");
    let bodies = vec![cancel(&order, "c-1"), cancel(&order, "c-2"), place(&order, "p")];
    let (events, floor) = run_intake(&batch, bodies.into_iter().map(body).collect()).await;
    let ends: Vec<_> = events.iter().map(|event| (event.position, event.outcome.code)).collect();
    assert_eq!(ends, [(3, Code::Applied), (1, Code::Applied), (2, Code::AlreadyCanceled)]);
    assert_eq!(floor, 3);
    assert_eq!(batch.letters.list(0, 10).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn whose_order_never_comes_is_a_dead_letter_and_holds_up_nobody() {
    let batch = BatchNode::start(None).await;
    let (lost, other) = (order("shop", "lost"), order("shop", "other"));
    let (events, floor) = run_intake(&batch, vec![body(cancel(&lost, "c")), body(place(&other, "p"))]).await;
    assert_eq!((events[0].position, events[0].outcome.code), (2, Code::Applied), "it went by");
    assert_eq!((events[1].position, events[1].outcome.code), (1, Code::OrderNotFound));
    assert!(events[1].dead_lettered && events[1].latency >= PATIENCE);
    assert_eq!(floor, 2);
    let letters = batch.letters.list(0, 10).await.unwrap();
    let letter = &letters[0].letter;
    assert_eq!(letters.len(), 1);
    assert_eq!((letter.code.as_str(), letter.origin.as_str()), ("order_not_found", "RF_CMD, position 1"));
    assert_eq!(letter.tenant.as_deref(), Some("shop"));
    let Body::Bytes(sent) = body(cancel(&lost, "c")) else { unreachable!() };
    assert_eq!(letter.body, sent, "it can be sent again as it is");
}

/// Stock may be pending for days: who changes an order meanwhile is tried again for a while, told, and can be sent again.
#[tokio::test(start_paused = true)]
async fn a_change_that_a_step_stands_in_the_way_of_is_a_dead_letter_and_holds_up_nobody() {
    let batch = BatchNode::start(None).await;
    let (busy, other) = (order("shop", "busy"), order("shop", "other"));
    let line = AmendLine { line_id: "1".into(), quantity: 1, amount_minor: None };
    let data = CommandData::Amend(AmendData {
        lines: vec![line],
        add_lines: Vec::new(),
        delivery: None,
        attributes: BTreeMap::new(),
        note: None,
        payments: Vec::new(),
        reason: "one is enough".into(),
        expected_version: None,
    });
    let amend = Command { content_hash: content_hash(&data), data: Arc::new(data), ..place(&busy, "a") };
    let bodies = vec![body(place(&busy, "p")), body(amend), body(place(&other, "q"))];
    let (events, floor) = run_intake(&batch, bodies).await;
    let ends: Vec<_> = events.iter().map(|event| (event.position, event.outcome.code)).collect();
    assert_eq!(ends.last(), Some(&(2, Code::StepInFlight)), "{ends:?}");
    assert!(ends[..2].iter().all(|(_, code)| *code == Code::Applied), "{ends:?}");
    assert!(events[2].dead_lettered && floor == 3);
    let letters = batch.letters.list(0, 10).await.unwrap();
    assert_eq!(
        letters.iter().map(|stored| stored.letter.code.as_str()).collect::<Vec<_>>(),
        ["step_in_flight"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_a_dead_letter() {
    let batch = BatchNode::start(None).await;
    let suspended = order("closed", "o-1");
    let setting =
        TenantSetting { status: TenantStatus::Suspended, ..TenantSetting::new(suspended.tenant.clone()) };
    batch.node.ports().tenants.put(setting).await.unwrap();
    let bodies = vec![body(place(&suspended, "p")), Body::Bytes(b"{".to_vec())];
    let (events, floor) = run_intake(&batch, bodies).await;
    assert!(events.iter().all(|event| event.dead_lettered && !event.given_up));
    assert_eq!(floor, 2);
    let letters = batch.letters.list(0, 10).await.unwrap();
    let codes: Vec<_> = letters.iter().map(|stored| stored.letter.code.as_str()).collect();
    assert!(codes.contains(&"tenant_disabled") && codes.contains(&"malformed_json"), "{codes:?}");
}

/// Cancels of orders that are never placed fill the window with one tenant's, for as long as they wait for their orders.
fn flood(count: usize) -> Vec<Body> {
    (0..count).map(|number| body(cancel(&order("loud", &format!("never-{number}")), "c"))).collect()
}

#[tokio::test(start_paused = true)]
async fn one_tenant_that_fills_the_window_keeps_no_others_commands_from_being_read() {
    let batch = BatchNode::start(None).await;
    let mut bodies = flood(1_000);
    bodies.push(body(place(&order("shop", "o-1"), "p")));
    bodies.extend([body(place(&order("loud", "o-1"), "p")), body(cancel(&order("loud", "o-1"), "c"))]);
    let mut inbox = MemoryInbox::new("of one partition", bodies);
    let (_stop, never) = watch::channel(false);
    let begun = Instant::now();
    let mut others = None;
    let mut events = Vec::new();
    let intake = Intake::of_partition(&batch.node, &inbox, "RF_CMD", HERE, PATIENCE);
    let told = |event: IntakeEvent| {
        if event.position == 1_001 {
            others = Some(begun.elapsed());
        }
        events.push(event);
    };
    let summary = intake.run(&mut inbox, never, told).await.unwrap();
    assert!(others.is_some_and(|after| after < PATIENCE / 2), "another tenant's waited {others:?}");
    assert_eq!((summary.received, events.len()), (1_003, 1_003), "each is told once");
    let of_order: Vec<_> = events.iter().filter(|event| event.position > 1_001).collect();
    let codes: Vec<_> = of_order.iter().map(|event| (event.position, event.outcome.code)).collect();
    assert_eq!(codes, [(1_002, Code::Applied), (1_003, Code::Applied)], "in their order");
    let unknown =
        events.iter().filter(|event| event.outcome.code == Code::OrderNotFound && event.dead_lettered);
    assert_eq!(unknown.count(), 1_000);
    assert!(batch.node.write_floor(HERE).await);
    assert_eq!(floor(&batch, &inbox).await, 1_003);
}

async fn floor(batch: &BatchNode, inbox: &MemoryInbox) -> u64 {
    let fence = batch.log.head(HERE).await.unwrap().fence.unwrap();
    fence.intake.iter().find(|floor| floor.inbox == inbox.id()).map_or(0, |floor| floor.position)
}

/// Broken off at any time, whoever reads on from the floor that was written then finds all that was not decided.
#[tokio::test(start_paused = true)]
async fn the_floor_stays_below_what_is_set_aside() {
    for after_ms in [1, 150, 250, 900, 2_100, 2_500, 4_300, 5_000] {
        let batch = BatchNode::start(None).await;
        let mut bodies = flood(700);
        bodies.insert(0, body(place(&order("loud", "o-1"), "p")));
        bodies.push(body(place(&order("shop", "o-1"), "p")));
        bodies.push(body(cancel(&order("loud", "o-1"), "c")));
        let all = bodies.len() as u64;
        let mut told = BTreeSet::new();
        let mut inbox = MemoryInbox::new("of one partition", bodies.clone());
        let (_stop, never) = watch::channel(false);
        let intake = Intake::of_partition(&batch.node, &inbox, "RF_CMD", HERE, PATIENCE);
        let run = intake.run(&mut inbox, never, |event| told.extend([event.position]));
        let ended = tokio::time::timeout(Duration::from_millis(after_ms), run).await.is_ok();
        assert!(batch.node.write_floor(HERE).await);
        let floor = floor(&batch, &inbox).await;
        let first_open = (1..=all).find(|position| !told.contains(position));
        assert!(first_open.is_none_or(|first| floor < first), "{floor} after {after_ms} ms, {first_open:?}");
        assert_eq!(ended, first_open.is_none());
        // Whoever comes after it reads from the floor on.
        let mut again = MemoryInbox::new("of one partition", bodies);
        while floor > 0 && again.next(1).await.unwrap()[0].position < floor {}
        let (_stop, never) = watch::channel(false);
        let intake = Intake::of_partition(&batch.node, &again, "RF_CMD", HERE, PATIENCE);
        intake.run(&mut again, never, |event| told.extend([event.position])).await.unwrap();
        assert!((1..=all).eq(told), "after {after_ms} ms");
    }
}

/// Commands of four tenants in any mixture, broken off at any time and read again: each is told, the floor was never too high, and
/// of each order the first place is the one that counts.
#[tokio::test(start_paused = true)]
async fn whatever_is_mixed_nothing_is_lost_and_orders_keep_their_sequence() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut below = |n: u64| random.u64(..n);
        let unknown_percent = 40 + below(60);
        let mut firsts: BTreeMap<OrderRef, u64> = BTreeMap::new();
        let count = 300 + below(900);
        let mut bodies = Vec::new();
        for position in 1..=count {
            // Two of them publish most.
            let tenant = format!("t{}", below(4).min(below(4)));
            let command = match below(100) < unknown_percent && position > below(50) {
                true => cancel(&order(&tenant, &format!("never-{position}")), "c"),
                false => {
                    let order = order(&tenant, &format!("o-{}", below(12)));
                    firsts.entry(order.clone()).or_insert(position);
                    place(&order, &format!("p-{position}"))
                }
            };
            bodies.push(body(command));
        }
        let batch = BatchNode::start(None).await;
        let (mut from, mut told, mut applied) = (0, BTreeSet::new(), BTreeMap::new());
        for round in 0..4 {
            let mut inbox = MemoryInbox::new("of one partition", bodies.clone());
            while from > 0 && inbox.next(1).await.unwrap()[0].position < from {}
            let (_stop, never) = watch::channel(false);
            let intake = Intake::of_partition(&batch.node, &inbox, "RF_CMD", HERE, PATIENCE);
            let run = intake.run(&mut inbox, never, |event| {
                told.insert(event.position);
                if event.outcome.code == Code::Applied {
                    applied.insert(event.order, event.position);
                }
            });
            let time =
                if round == 3 { Duration::from_secs(600) } else { Duration::from_millis(below(3_000)) };
            let ended = tokio::time::timeout(time, run).await.is_ok();
            assert!(ended || round < 3, "seed {seed} does not end");
            assert!(batch.node.write_floor(HERE).await);
            from = floor(&batch, &inbox).await;
            let open = (1..=count).find(|position| !told.contains(position));
            assert!(open.is_none_or(|open| from < open), "seed {seed}: floor {from}, and {open:?} is open");
        }
        assert!((1..=count).eq(told), "seed {seed}");
        let firsts: BTreeMap<_, _> = firsts.into_iter().map(|(order, at)| (Some(order), at)).collect();
        assert_eq!(applied, firsts, "seed {seed}: the first place of each order counts");
    }
}
