//! Park marks and what waits behind them.

use super::super::Subject;
use super::{HOME, Log, park, parked_command, release};
use crate::author::{Author, CONTEXT, Writer, control, orders_in};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{CommitError, EventLog};

/// "`parked` MUST agree with what was acknowledged": the marks that stand, in the order of names, with their first
/// reason and how many commands wait; a released mark is gone, and a later one begins with an empty queue.
pub async fn parked_follows_the_control_records<S: Subject<Port = Log>>(subject: &mut S) {
    let mut log = subject.fresh().await;
    let mut orders = orders_in(HOME, log.identity().partitions, 3);
    orders.sort_unstable();
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut step = 0;
    let steps = [
        (
            vec![park(&orders[2], "first"), park(&orders[0], "second")],
            vec![(0, "second", 0), (2, "first", 0)],
        ),
        (
            vec![parked_command(&orders[0], 1), parked_command(&orders[0], 2)],
            vec![(0, "second", 2), (2, "first", 0)],
        ),
        (vec![park(&orders[2], "later")], vec![(0, "second", 2), (2, "first", 0)]),
        (vec![release(&orders[0]), release(&orders[1])], vec![(2, "first", 0)]),
        (
            vec![park(&orders[0], "anew"), parked_command(&orders[0], 1)],
            vec![(0, "anew", 1), (2, "first", 0)],
        ),
        (vec![release(&orders[2]), release(&orders[0])], vec![]),
    ];
    for (controls, expected) in steps {
        step += 1;
        writer.append(&*log, vec![], controls.iter().map(control).collect()).await;
        for when in ["at once", "after reopening"] {
            assert_eq!(parked(&*log, &orders).await, expected, "step {step}, {when}");
            log = subject.reopen(log).await;
        }
    }
}

async fn parked(
    log: &dyn EventLog,
    orders: &[retailflow_engine::ids::OrderRef],
) -> Vec<(usize, &'static str, u64)> {
    let parked = log.parked(HOME).await.unwrap();
    let known = ["first", "second", "later", "anew"];
    let row = |parked: retailflow_engine::ports::ParkedOrder| {
        let order = orders.iter().position(|order| *order == parked.order).unwrap();
        (order, *known.iter().find(|reason| **reason == parked.reason).unwrap(), parked.queued)
    };
    parked.into_iter().map(row).collect()
}

/// A parked command that differs from the others of its sequence.
fn named(order: &OrderRef, sequence: u64, body: &str) -> Control {
    let mut command = parked_command(order, sequence);
    if let Control::ParkedCommand { body: old, at, .. } = &mut command {
        *old = body.as_bytes().to_vec();
        *at = CONTEXT.now.plus_ms(sequence);
    }
    command
}

async fn waiting(log: &dyn EventLog, order: &OrderRef) -> Vec<Vec<u8>> {
    log.parked_commands(order, 0, usize::MAX).await.unwrap()
}

fn encoded(controls: &[Control]) -> Vec<Vec<u8>> {
    controls.iter().map(|control| control.encode().unwrap()).collect()
}

/// "`parked_commands` MUST give what waits behind the order's present park mark": in the order of sequences however they
/// came, each sequence once, byte for byte; none without a mark, none from before a release.
pub async fn parked_commands_follow_the_control_records<S: Subject<Port = Log>>(subject: &mut S) {
    let mut log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 3);
    let (order, other) = (&orders[0], &orders[1]);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let c = |sequence, body| named(order, sequence, body);
    // What is appended, what waits then, and the highest sequence as `parked` tells it.
    let steps = [
        ("nothing waits without a mark", vec![c(1, "early")], vec![], None),
        ("a mark begins empty", vec![park(order, "first"), park(other, "first")], vec![], Some(0)),
        ("one", vec![c(1, "a")], vec![c(1, "a")], Some(1)),
        ("a gap", vec![c(4, "d")], vec![c(1, "a"), c(4, "d")], Some(4)),
        ("late", vec![c(3, "c"), named(other, 2, "x")], vec![c(1, "a"), c(3, "c"), c(4, "d")], Some(4)),
        ("marked again", vec![park(order, "second")], vec![c(1, "a"), c(3, "c"), c(4, "d")], Some(4)),
        ("released", vec![release(order)], vec![], None),
        ("behind nothing", vec![c(5, "lost")], vec![], None),
        (
            "parked anew",
            vec![park(order, "third"), c(1, "new"), c(2, "b")],
            vec![c(1, "new"), c(2, "b")],
            Some(2),
        ),
        ("in one group", vec![release(order), park(order, "fourth"), c(1, "z")], vec![c(1, "z")], Some(1)),
    ];
    for (step, controls, expected, highest) in steps {
        writer.append(&*log, vec![], controls.iter().map(control).collect()).await;
        for when in ["at once", "after reopening", "after reopening twice"] {
            assert_eq!(waiting(&*log, order).await, encoded(&expected), "{step}, {when}");
            let parked = log.parked(HOME).await.unwrap();
            let mark = parked.iter().find(|parked| parked.order == *order);
            assert_eq!(mark.map(|mark| mark.queued), highest, "{step}, {when}");
            log = subject.reopen(log).await;
        }
    }
    assert_eq!(waiting(&*log, other).await, encoded(&[named(other, 2, "x")]), "another order's stay");
    assert_eq!(waiting(&*log, &orders[2]).await, Vec::<Vec<u8>>::new(), "an order that never was parked");
}

/// "`commit` MUST refuse with `Conflict` a group holding a parked command under a number that one has": in the same group, in the one
/// before, after a restart, for another owner; nothing of the group is written. A release makes all numbers free.
pub async fn a_parked_commands_number_is_used_once<S: Subject<Port = Log>>(subject: &mut S) {
    let mut log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 3);
    let (order, other) = (&orders[0], &orders[1]);
    let c = |sequence, body| named(order, sequence, body);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let marks = vec![control(&park(order, "first")), control(&park(other, "first"))];
    writer.append(&*log, vec![], marks).await;
    let refused = Err(CommitError::Conflict(order.clone()));
    let twice = [c(1, "a"), named(other, 1, "x"), c(1, "b")];
    let group = writer.group(vec![], twice.iter().map(control).collect());
    assert_eq!(log.commit(group).await, refused, "twice in a group");
    assert_eq!(waiting(&*log, order).await, encoded(&[]), "nothing was written");
    assert_eq!(waiting(&*log, other).await, encoded(&[]), "nothing was written");
    writer.append(&*log, vec![], vec![control(&c(1, "a")), control(&named(other, 1, "x"))]).await;
    for epoch in 2..4 {
        for again in [vec![c(1, "other")], vec![c(1, "a")], vec![c(2, "b"), c(1, "other")]] {
            let group =
                writer.group(vec![Author::new(&orders[2]).write(1)], again.iter().map(control).collect());
            for _ in 0..2 {
                assert_eq!(log.commit(group.clone()).await, refused);
            }
            assert_eq!(waiting(&*log, order).await, encoded(&[c(1, "a")]));
            assert!(log.read_order(&orders[2], 0).await.unwrap().is_empty());
        }
        log = subject.reopen(log).await;
        writer = Writer::open(&*log, HOME, epoch).await;
    }
    let (group, commit) = writer.append(&*log, vec![], vec![control(&c(2, "b"))]).await;
    assert_eq!(log.commit(group).await, Ok(commit), "the identical group is no second use");
    let anew = [release(order), park(order, "second"), c(1, "new")];
    writer.append(&*log, vec![], anew.iter().map(control).collect()).await;
    let group = writer.group(vec![], vec![control(&c(1, "other"))]);
    assert_eq!(log.commit(group).await, refused);
    assert_eq!(waiting(&*log, order).await, encoded(&[c(1, "new")]));
}

/// "`parked_commands` MUST give fewer than `limit` only where no more wait": reading in pieces is reading at once.
pub async fn parked_commands_in_pieces_are_all_of_them<S: Subject<Port = Log>>(subject: &mut S) {
    const COMMANDS: u64 = 1_100;
    let mut log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    writer.append(&*log, vec![], vec![control(&park(&order, "it crashes"))]).await;
    let commands: Vec<Control> = (1..=COMMANDS).map(|n| named(&order, n, &format!("command {n}"))).collect();
    for some in commands.chunks(100) {
        writer.append(&*log, vec![], some.iter().map(control).collect()).await;
    }
    let all = encoded(&commands);
    for _ in 0..2 {
        assert_eq!(waiting(&*log, &order).await, all);
        for limit in [1, 7, 1_000] {
            let mut pieces = Vec::new();
            loop {
                let after = pieces.len() as u64;
                let piece = log.parked_commands(&order, after, limit).await.unwrap();
                assert_eq!(
                    piece.len(),
                    limit.min(all.len() - pieces.len()),
                    "after {after}, {limit} at most"
                );
                pieces.extend(piece);
                if pieces.len() == all.len() || limit == 1 && after > 20 {
                    break;
                }
            }
            assert_eq!(pieces, all[..pieces.len()]);
        }
        assert_eq!(log.parked_commands(&order, 3, 0).await.unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(log.parked_commands(&order, COMMANDS, 5).await.unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(log.parked_commands(&order, u64::MAX, 5).await.unwrap(), Vec::<Vec<u8>>::new());
        log = subject.reopen(log).await;
    }
    writer.append(&*log, vec![], vec![control(&release(&order))]).await;
    assert_eq!(waiting(&*log, &order).await, Vec::<Vec<u8>>::new(), "however many there were");
}
