//! What readers see.

use super::super::Subject;
use super::{HOME, Log, assert_is, park, read, scan};
use crate::author::{Author, CONTEXT, Writer, control, orders_in, place, verify_chain};
use retailflow_engine::order::{Draft, Drafted};
use retailflow_engine::ports::OrderEntry;
use retailflow_engine::wire::{CommandData, content_hash};

/// "MUST show every acknowledged record of the order, in order"; and of those, `read_order` gives the ones that hold
/// decisions after the revision it was given, be it inside a record.
pub async fn read_order_gives_what_holds_later_decisions<S: Subject<Port = Log>>(subject: &mut S) {
    let mut log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 2);
    let (mut author, mut other) = (Author::new(&orders[0]), Author::new(&orders[1]));
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut written: Vec<OrderEntry> = Vec::new();
    for decisions in [1, 3, 2, 1] {
        written.push(author.write(decisions));
        let records = vec![other.write(1), written.last().unwrap().clone()];
        writer.append(&*log, records, vec![]).await;
        writer.append(&*log, vec![], vec![]).await;
    }
    for _ in 0..2 {
        for after in 0..=9 {
            let kept = written.iter().filter(|record| record.next_revision > after);
            let expected: Vec<Vec<u8>> = kept.map(|record| record.bytes.to_vec()).collect();
            assert_eq!(read(&*log, &orders[0], after).await, expected, "after revision {after}");
        }
        assert_eq!(read(&*log, &orders[0], u64::MAX).await, Vec::<Vec<u8>>::new());
        assert_eq!(verify_chain(&orders[0], &read(&*log, &orders[0], 0).await), 7);
        log = subject.reopen(log).await;
    }
}

/// "`head`, `parked` and `scan` MUST agree with what was acknowledged": all groups, each once, whole and in order,
/// however small the pieces; a scan goes on behind any group.
pub async fn scan_in_pieces_is_scan_at_once<S: Subject<Port = Log>>(subject: &mut S) {
    let mut log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 8);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut appended = Vec::new();
    for round in 0..12 {
        let records = authors.iter_mut().take(round % 9).map(|author| author.write(1)).collect();
        let controls = orders.iter().take(round % 3).map(|order| control(&park(order, "round"))).collect();
        appended.push(writer.append(&*log, records, controls).await);
    }
    for _ in 0..2 {
        let all = scan(&*log, usize::MAX).await;
        assert_eq!(all.len(), appended.len());
        for (logged, (group, commit)) in all.iter().zip(&appended) {
            assert_eq!(logged.position, commit.position);
            assert_is(logged, group);
        }
        for piece_bytes in [0, 1, 700, 5000] {
            assert_eq!(scan(&*log, piece_bytes).await, all, "in pieces of {piece_bytes} bytes");
        }
        for (number, logged) in all.iter().enumerate() {
            let rest = log.scan(logged.position, usize::MAX).await.unwrap();
            assert_eq!(rest.first(), all.get(number + 1), "behind group {}", number + 1);
        }
        log = subject.reopen(log).await;
    }
}

/// A record as large as the largest command makes it is kept like any other.
pub async fn a_large_record_is_kept<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut command = place(&order, "large");
    let mut data = (*command.data).clone();
    let CommandData::Place(large) = &mut data else { panic!("a place") };
    let line = large.lines[0].clone();
    for number in 2..=1000 {
        let line_id = format!("{number}-{}", "é".repeat(120));
        large.lines.push(retailflow_engine::wire::command::Line {
            line_id,
            sku: "ü".repeat(128),
            ..line.clone()
        });
    }
    command.content_hash = content_hash(&data);
    command.data = std::sync::Arc::new(data);
    let mut draft = Draft::new(&author.aggregate);
    assert_eq!(draft.decide(&author.aggregate, &command, &CONTEXT, false), Drafted::Decided(0));
    let sealed = draft.seal(&author.aggregate).unwrap();
    assert!(sealed.bytes.len() > 400_000, "{} bytes", sealed.bytes.len());
    let entry = OrderEntry {
        order: order.clone(),
        expected_revision: 0,
        next_revision: 1,
        deadline: sealed.deadline,
        bytes: sealed.bytes.clone(),
    };
    sealed.commit_to(&mut author.aggregate, 1000);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    writer.append(&*log, vec![entry.clone()], vec![]).await;
    let small = author.write(1);
    writer.append(&*log, vec![small.clone()], vec![]).await;
    let log = subject.reopen(log).await;
    assert_eq!(read(&*log, &order, 0).await, [entry.bytes.to_vec(), small.bytes.to_vec()]);
}
