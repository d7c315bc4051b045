//! At the end: all is at rest, and log, outcomes and the participants' books agree.

use std::time::{Duration, Instant};

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{DeadLetters, EventLog, LogIdentity, LogPosition, LoggedGroup};
use retailflow_invariants::{CheckKey, LogChecker, sides};
use retailflow_nats::{Connections, NatsDeadLetters, NatsLog, NatsLogOptions, NatsOptions};

use super::cluster::{Many, PARTITIONS, SHARDS};
use super::load::Load;

const REST_WITHIN: Duration = Duration::from_secs(180);
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn identity() -> LogIdentity {
    LogIdentity {
        log_id: [0; 16],
        cluster: "retailflow".into(),
        partitions: PARTITIONS,
        shards: SHARDS,
        created: TimestampMs(1),
    }
}

pub(super) async fn all(log: &NatsLog) -> Vec<LoggedGroup> {
    let mut groups: Vec<LoggedGroup> = Vec::new();
    loop {
        let after = groups.last().map_or(LogPosition(0), |group| group.position);
        let piece = log.scan(after, 4 << 20).await.unwrap();
        if piece.is_empty() {
            return groups;
        }
        groups.extend(piece);
    }
}

/// Waits until no order is on its way, then checks everything. Nodes must be running; they are stopped.
pub(super) fn audit(many: &mut Many, load: &mut Load) {
    let (answered, published) = load.end();
    let options = NatsOptions { servers: many.nats_urls(), name: "audit".into(), ..NatsOptions::default() };
    let (groups, letters) = load.block_on(async {
        let connections = Connections::open(&options).await.unwrap();
        let log = NatsLog::open(&connections, &identity(), &NatsLogOptions::default()).await.unwrap();
        let begun = Instant::now();
        let mut look = tokio::time::interval(Duration::from_millis(500));
        let groups = loop {
            look.tick().await;
            let groups = all(&log).await;
            let mut checker = LogChecker::new(PARTITIONS, CheckKey::FIXED);
            groups.iter().for_each(|group| checker.group(group));
            // All that was published has been read, too.
            let read = published.iter().all(|(order, key)| checker.knows(order, key));
            if read && checker.open_orders() == 0 {
                break groups;
            }
            assert!(
                begun.elapsed() < REST_WITHIN,
                "{} orders are still on their way, all read: {read}; parked: {:?}",
                checker.open_orders(),
                checker.parked()
            );
        };
        let letters = NatsDeadLetters::new(&connections).list(0, 10).await.unwrap();
        log.close(CLOSES_WITHIN).await;
        connections.close(CLOSES_WITHIN).await;
        (groups, letters)
    });
    many.end();
    let mut checker = LogChecker::new(PARTITIONS, CheckKey::FIXED);
    groups.iter().for_each(|group| checker.group(group));
    let check = checker.result();
    println!(
        "{answered} commands answered, {} published; {} groups, {} records, {} orders",
        published.len(),
        check.groups,
        check.records,
        check.orders
    );
    assert_eq!(check.violations, []);
    assert_eq!(checker.parked(), []);
    assert_eq!(load.book.lock().check_log(&groups), []);
    // A cancel that had overtaken its place would have had no order.
    let said: Vec<_> = letters.iter().map(|letter| (&letter.letter.origin, &letter.letter.reason)).collect();
    assert!(letters.is_empty(), "{said:?}");
    let totals = retailflow_participants::audit(&many.books().join("participants")).unwrap();
    assert_eq!(sides(checker.effects(), &totals), []);
}
