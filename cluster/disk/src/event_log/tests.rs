//! What the contract suites do not know: damage, regress, failure, load.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::ports::{CommitError, DeadlineChange, Deadlines, EventLog, ReadError};
use retailflow_testkit::author::{Author, Writer as Committing, control, orders_in};

use super::*;
use crate::contract_tests::{copy_dir, identity, open, small};
use crate::log::check::check;
use crate::log::{LogError, LogOptions, Position, group, repair};
use retailflow_index::{IndexOptions, Lookup};
use retailflow_os::files::faulty::{Faults, FaultyFiles};
use retailflow_os::files::{Files, RealFiles};

mod index_disk;

const HOME: PartitionId = PartitionId(0);

async fn history(log: &DiskLog, orders: usize, rounds: usize) -> Vec<Author> {
    let orders = orders_in(HOME, log.identity().partitions, orders);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut writer = Committing::open(log, HOME, 1).await;
    for _ in 0..rounds {
        writer.append(log, authors.iter_mut().map(|author| author.write(1)).collect(), vec![]).await;
    }
    authors
}

async fn assert_holds(log: &DiskLog, authors: &[Author]) {
    for author in authors {
        let records = log.read_order(&author.aggregate.reference, 0).await.unwrap();
        let last = retailflow_engine::codec::record::summary(&records.last().unwrap().bytes).unwrap();
        assert_eq!(last.next_revision, author.aggregate.revision);
    }
}

fn reopened(data: &Path) -> Result<(Arc<DiskLog>, OpenReport), OpenError> {
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    DiskLog::open(data, &small(), &files, &identity(4), &mut |_| {})
}

/// One record that no frame holds does not make its group one for which there is no room: it is named, and the others are taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_is_told_from_a_log_without_room() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("data"), 4).0;
    let max = small().log.payload_max_bytes as usize;
    let mut authors: Vec<Author> = orders_in(HOME, 4, 3).iter().map(Author::new).collect();
    let mut owner = Committing::open(&*log, HOME, 1).await;
    let mut large = authors[1].write(1);
    large.bytes = vec![0; max + 1].into();
    let mut records = vec![authors[0].write(1), large, authors[2].write(1)];
    let answer = log.commit(owner.group(records.clone(), vec![])).await;
    assert!(matches!(&answer, Err(CommitError::TooLarge { entry: Some(1), .. })), "{answer:?}");
    // Each of them would fit: which one is at fault nobody can say.
    let mut group = owner.group(records.clone(), vec![]);
    for record in &mut group.records {
        record.bytes = vec![0; max / 2].into();
    }
    let answer = log.commit(group).await;
    assert!(matches!(&answer, Err(CommitError::TooLarge { entry: None, .. })), "{answer:?}");
    records.remove(1);
    owner.append(&*log, records, vec![]).await;
    log.close();
}

/// No group that the settings allow is larger than a frame: many small records take more than their bytes.
#[test]
fn the_largest_group_that_may_be_set_fits_into_a_frame() {
    use retailflow_config::limits::{Allowed, allowed};
    let most = |key| match allowed(key) {
        Some(Allowed::Number { max, .. }) => max,
        other => panic!("{key}: {other:?}"),
    };
    let around = most("log.group_max_records") * group::ENTRY_HEADER_BYTES as u64 + (64 << 10);
    let frame = u64::from(crate::log::LogOptions::default().payload_max_bytes);
    assert!(most("log.group_max_bytes") + around <= frame);
    // A record that is decoded at all fits into a group by itself.
    assert!(most("orders.record_max_bytes") <= most("log.group_max_bytes"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_older_than_its_index_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (data, older) = (folder.path().join("data"), folder.path().join("older"));
    let log = open(&data, 4).0;
    history(&log, 3, 3).await;
    log.close();
    drop(log);
    copy_dir(&data.join("log"), &older);
    let log = open(&data, 4).0;
    let orders = orders_in(HOME, 4, 4);
    let mut writer = Committing::open(&*log, HOME, 2).await;
    writer.append(&*log, vec![Author::new(&orders[3]).write(1)], vec![]).await;
    log.close();
    drop(log);
    std::fs::remove_dir_all(data.join("log")).unwrap();
    let error = reopened(&data).err().unwrap();
    assert!(matches!(error, OpenError::LogMissing { .. }), "{error}");
    assert!(!data.join("log/0000000000000001.seg").exists(), "a new log was made over a lost one");
    copy_dir(&older, &data.join("log"));
    let error = reopened(&data).err().unwrap();
    assert!(
        matches!(&error, OpenError::Log(LogError::Lost { source_name, .. }) if source_name == "durable"),
        "{error}"
    );
    assert!(error.to_string().contains("repair"), "{error}");
    // The index may be deleted at any time, and nothing is forgotten by that.
    std::fs::remove_dir_all(data.join("index")).unwrap();
    let error = reopened(&data).err().unwrap();
    assert!(matches!(error, OpenError::Log(LogError::Lost { .. })), "{error}");
    // The conscious decision.
    let files = RealFiles::default();
    let options = small().log;
    let report = check(&files, &data.join("log"), options, &mut |_| Ok(())).unwrap();
    repair::apply(&files, &data.join("log"), options, &repair::plan(&report).unwrap()).unwrap();
    let (log, report) = reopened(&data).unwrap();
    assert!(report.replayed_frames > 3 && log.read_order(&orders[3], 0).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 4).0;
    let authors = history(&log, 50, 4).await;
    log.close();
    drop(log);
    for entry in std::fs::read_dir(folder.path().join("index")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let mut bytes = std::fs::read(&path).unwrap();
            let keep = bytes.len() / 3;
            bytes[keep..].fill(0x5a);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let (log, report) = reopened(folder.path()).unwrap();
    assert!(report.index_rebuilt.is_some(), "{report:?}");
    assert_holds(&log, &authors).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_opener_is_told_and_a_damaged_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 4).0;
    let authors = history(&log, 5, 5).await;
    let error = reopened(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Log(LogError::InUse { .. })), "{error}");
    let place = log.read_order(&authors[0].aggregate.reference, 2).await.unwrap()[0].position;
    log.close();
    assert!(matches!(log.commit(group_of(&log).await).await, Err(CommitError::Broken(_))));
    drop(log);
    let path = folder.path().join("log/0000000000000001.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = crate::log::sector::physical(Position(place.0).offset().into()) as usize;
    bytes[at + 40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = reopened(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::Log(LogError::Damaged { .. })), "{error}");
    // A log that is too large to be read as a whole, and the index has seen it all: reading that order must say so.
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    let unread = DiskLogOptions { check_max_bytes: 0, ..small() };
    let log = DiskLog::open(folder.path(), &unread, &files, &identity(4), &mut |_| {}).unwrap().0;
    let read = log.read_order(&authors[0].aggregate.reference, 0).await;
    assert!(matches!(&read, Err(ReadError::Damaged(why)) if why.contains("segment")), "{read:?}");
    log.close();
    drop(log);
    // A rebuild has to read it.
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let error = DiskLog::open(folder.path(), &unread, &files, &identity(4), &mut |_| {}).err().unwrap();
    assert!(matches!(error, OpenError::Log(LogError::Damaged { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_parked_command_is_told_and_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).0;
    let order = orders_in(HOME, 1, 1).remove(0);
    let mut writer = Committing::open(&*log, HOME, 1).await;
    let mark = Control::Park { order: order.clone(), reason: "it crashes".into(), at: TimestampMs(1) };
    writer.append(&*log, vec![], vec![control(&mark)]).await;
    for sequence in 1..=2 {
        let command = Control::ParkedCommand {
            order: order.clone(),
            sequence,
            key: format!("/test\0c-{sequence}"),
            content_hash: [1; 32],
            body: format!("the body of command {sequence}").into_bytes(),
            actor: ActorV1::Tenant,
            trace_id: None,
            at: TimestampMs(1),
        };
        writer.append(&*log, vec![], vec![control(&command)]).await;
    }
    // The last group is read when the log is opened.
    writer.append(&*log, vec![], vec![]).await;
    log.close();
    drop(log);
    let path = folder.path().join("log/0000000000000001.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    let wanted = b"the body of command 2";
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    // Too large to be read as a whole, and the index has seen it all: only reading it shows the damage.
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    let unread = DiskLogOptions { check_max_bytes: 0, ..small() };
    let log = DiskLog::open(folder.path(), &unread, &files, &identity(1), &mut |_| {}).unwrap().0;
    assert_eq!(log.parked_commands(&order, 0, 1).await.unwrap().len(), 1);
    let read = log.parked_commands(&order, 0, 9).await;
    assert!(matches!(&read, Err(ReadError::Damaged(why)) if why.contains("segment")), "{read:?}");
    assert!(log.failed().borrow().is_none(), "one damaged command does not end the process");
}

async fn group_of(log: &DiskLog) -> retailflow_engine::ports::Group {
    Committing::open(log, HOME, 1).await.group(vec![], vec![])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_is_told_to_all_and_nothing_more_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyFiles::new(Faults::default());
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    let options = DiskLogOptions { log: LogOptions { prepare_ahead: false, ..small().log }, ..small() };
    let log = DiskLog::open(folder.path(), &options, &files, &identity(4), &mut |_| {}).unwrap().0;
    let authors = history(&log, 3, 2).await;
    let next = disk.syncs() + 1;
    disk.set_faults(|faults| faults.fail_sync = Some(next));
    let mut failed = log.failed();
    let group = group_of(&log).await;
    assert!(matches!(log.commit(group.clone()).await, Err(CommitError::Broken(_))));
    failed.wait_for(Option::is_some).await.unwrap();
    assert!(matches!(log.commit(group).await, Err(CommitError::Broken(_))));
    drop(log);
    // What was acknowledged survives the power cut that follows.
    for seed in 0..5 {
        let files: Arc<dyn Files> =
            Arc::new(FaultyFiles::on(disk.disk().after_power_cut(seed), Faults::default()));
        let log = DiskLog::open(folder.path(), &options, &files, &identity(4), &mut |_| {}).unwrap().0;
        assert_holds(&log, &authors).await;
        drop(log);
        std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_partitions_commit_at_once_and_all_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 8).0;
    let mut tasks = Vec::new();
    for partition in 0..8 {
        let log = Arc::clone(&log);
        tasks.push(tokio::spawn(async move {
            let partition = PartitionId(partition);
            let orders = orders_in(partition, 8, 20);
            let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
            let mut writer = Committing::open(&*log, partition, 1).await;
            for round in 0..25i64 {
                let due = DeadlineChange::Set(TimestampMs(round));
                let records = authors.iter_mut().map(|author| author.write_deadline(due)).collect();
                writer.append(&*log, records, vec![]).await;
                let author = &authors[round as usize % 20];
                let records = log.read_order(&author.aggregate.reference, 0).await.unwrap();
                assert_eq!(records.len() as i64, round + 1);
            }
            authors
        }));
    }
    let mut authors = Vec::new();
    for task in tasks {
        authors.extend(task.await.unwrap());
    }
    // A kill: the folder as it is, without anything being closed.
    let copy = tempfile::tempdir().unwrap();
    copy_dir(&folder.path().join("log"), &copy.path().join("log"));
    drop(log);
    let (log, report) = open(copy.path(), 8);
    assert!(report.replayed_frames >= 200 && !report.recovery.clean_stop, "{report:?}");
    assert_holds(&log, &authors).await;
    for partition in 0..8 {
        let due = Deadlines::list(&*log, PartitionId(partition), None, TimestampMs(24), 100).await.unwrap();
        assert_eq!(due.len(), 20);
        let fence = log.head(PartitionId(partition)).await.unwrap().fence.unwrap();
        assert_eq!(fence.group, 25);
    }
}

/// A process that was killed within seconds of each start replayed ever more, until it did nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replayed_once_is_not_replayed_after_each_kill() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(first.path(), 4).0;
    let authors = history(&log, 3, 300).await;
    // A kill: log and index as they are, without anything being closed. The index has written nothing yet.
    copy_dir(&first.path().join("log"), &second.path().join("log"));
    drop(log);
    let (log, report) = open(second.path(), 4);
    assert!(report.replayed_frames > 300, "{report:?}");
    let third = tempfile::tempdir().unwrap();
    copy_dir(second.path(), third.path());
    drop(log);
    let (log, report) = open(third.path(), 4);
    assert!(report.replayed_frames < 300, "{report:?}");
    assert_holds(&log, &authors).await;
}

/// Before, each read took a thread of the runtime's, of 512: reads that hung took them all, and what they had held of
/// the allocator's was 2 GB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_hang_take_their_own_turns_and_nobody_elses() {
    use blocking::blocking;
    use read_permits::{RECORD_READS_MAX, Source};
    use state::Inner;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 4).0;
    history(&log, 1, 1).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new((Mutex::new(false), parking_lot::Condvar::new()));
    let hanging: Vec<_> = (0..RECORD_READS_MAX * 4)
        .map(|_| {
            let (inner, begun, gate) = (Arc::clone(&log.inner), Arc::clone(&begun), Arc::clone(&gate));
            tokio::spawn(async move {
                let hang = move |_: &Inner| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let mut is_open = gate.0.lock();
                    gate.1.wait_while(&mut is_open, |is_open| !*is_open);
                    Ok(())
                };
                blocking::<_, ReadError>(&inner, Source::Records, hang).await
            })
        })
        .collect();
    while begun.load(Ordering::SeqCst) < RECORD_READS_MAX {
        tokio::task::yield_now().await;
    }
    log.parked(HOME).await.unwrap();
    let due = log.list(HOME, None, TimestampMs(i64::MAX), 10).await.unwrap();
    assert!(due.len() <= 1);
    assert_eq!(begun.load(Ordering::SeqCst), RECORD_READS_MAX);
    *gate.0.lock() = true;
    gate.1.notify_all();
    for read in hanging {
        read.await.unwrap().unwrap();
    }
    assert_eq!(begun.load(Ordering::SeqCst), RECORD_READS_MAX * 4);
}
