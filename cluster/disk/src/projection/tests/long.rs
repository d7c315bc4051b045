//! Long orders: what is read of them is what all of it says, and little of it is read.

use std::collections::HashMap;
use std::sync::Arc;

use retailflow_engine::ids::{CommandId, CommandKey, PartitionId, Source};
use retailflow_engine::order::{Aggregate, RecordedOutcome};
use retailflow_engine::ports::{EventLog, StoredRecord};
use retailflow_testkit::author::{Author, Writer, orders_in};
use retailflow_testkit::views::caught_up;

use super::{Disk, End, tiny};
use crate::event_log::DiskLog;
use crate::projection::ProjectionOptions;

const HOME: PartitionId = PartitionId(0);

fn command(id: &str) -> CommandKey {
    CommandKey { source: Source::parse("/contract").unwrap(), id: CommandId::parse(id).unwrap() }
}

fn outcomes(records: &[StoredRecord]) -> HashMap<CommandKey, RecordedOutcome> {
    let outcomes = records.iter().flat_map(|record| Aggregate::outcomes_in(&record.bytes).unwrap());
    outcomes.map(|outcome| (outcome.key.clone(), outcome)).collect()
}

/// What came of it, and how many records were read for it.
async fn counted<T>(log: &Arc<DiskLog>, work: impl Future<Output = T>) -> (T, u64) {
    let before = log.records_read();
    let done = work.await;
    (done, log.records_read() - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_order_is_read_by_the_page_and_its_commands_are_found() {
    const RECORDS: u64 = 3_000;
    let mut disk = Disk::new(ProjectionOptions { read_bytes: 1 << 20, ..tiny() });
    disk.ready().await;
    let log = disk.log.clone().unwrap();
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    for number in 0..RECORDS {
        writer.append(&*log, vec![author.write(1 + (number % 3) as usize)], vec![]).await;
    }
    let decisions = author.aggregate.revision;
    drop(log);
    for end in [End::Closed, End::Killed, End::Deleted] {
        caught_up(&*disk.views().views).await;
        // Written as a whole when it is closed.
        disk.end(End::Closed);
        disk.start();
        disk.ready().await;
        let log = disk.log.clone().unwrap();
        let all = log.read_order(&order, 0).await.unwrap();
        let known = outcomes(&all);
        assert_eq!((all.len() as u64, known.len() as u64), (RECORDS, decisions));
        for after in
            [0, 1, 255, 256, 511, 512, 1_000, 3_001, decisions - 600, decisions - 1, decisions, u64::MAX]
        {
            for limit in [1, 100, 1_000] {
                let (page, read) = counted(&log, log.read_some(&order, after, limit)).await;
                let page = page.unwrap();
                let skipped: usize = all
                    .iter()
                    .position(|record| {
                        retailflow_engine::codec::record::summary(&record.bytes).unwrap().next_revision
                            > after
                    })
                    .unwrap_or(all.len());
                assert_eq!(page[..], all[skipped..skipped + page.len()], "{limit} after {after}");
                let enough = outcomes(&page).len() as u64 >= limit.min(decisions.saturating_sub(after));
                assert!(enough, "{limit} after {after}: {}", page.len());
                assert!(read <= limit + 600, "{read} records read for {limit} after {after}");
            }
        }
        for number in [1, 2, 700, 2_500, decisions - 700, decisions - 1, decisions] {
            let key = command(&format!("c-{number}"));
            let (found, read) = counted(&log, log.find_decision(&order, &key)).await;
            let found = outcomes(&found.unwrap().expect("it is known where to look"));
            assert_eq!(found.get(&key), known.get(&key));
            assert!(found.contains_key(&key) && read <= 600, "{read} records read for {key}");
        }
        let (found, read) = counted(&log, log.find_decision(&order, &command("never"))).await;
        assert!(!outcomes(&found.unwrap().unwrap()).contains_key(&command("never")));
        assert!(read <= 600, "{read} records read for a command that never came");
        drop(log);
        disk.end(end);
        disk.start();
        disk.ready().await;
    }
}
