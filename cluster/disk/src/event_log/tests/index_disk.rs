//! The index's disk is full, fails or hangs: the log goes on, then refuses, and heals; the process never ends of it.

use std::time::Duration;

use rustix::io::Errno;
use tokio::time::timeout;

use super::*;
use retailflow_index::faults::Disk;

/// Nothing may take this long: the index's disk hangs for good.
const HUNG: Duration = Duration::from_secs(20);

fn options() -> DiskLogOptions {
    let mut options = small();
    // Small sets, and none because of time.
    options.index =
        IndexOptions { flush_entries: 10, flush_interval_ms: 3_600_000, ..IndexOptions::default() };
    options
}

/// Commits of ten new orders each, until one is refused; gives all orders that were written.
async fn until_refused(log: &DiskLog, writer: &mut Committing, orders: &mut Vec<OrderRef>) -> Vec<Author> {
    let mut written = Vec::new();
    loop {
        let new: Vec<_> = orders.drain(..10).collect();
        let mut authors: Vec<Author> = new.iter().map(Author::new).collect();
        let group = writer.group(authors.iter_mut().map(|author| author.write(1)).collect(), vec![]);
        match timeout(HUNG, log.commit(group.clone())).await.expect("a commit waits for the index's disk") {
            Ok(_) => writer.acknowledged(&group),
            Err(CommitError::Unavailable(why)) => {
                assert!(why.contains("no more changes"), "{why}");
                return written;
            }
            Err(error) => panic!("{error}"),
        }
        written.extend(authors);
    }
}

async fn taken_again(log: &DiskLog, writer: &mut Committing, author: &mut Author) {
    let group = writer.group(vec![author.write(1)], vec![]);
    let until = std::time::Instant::now() + HUNG;
    loop {
        match log.commit(group.clone()).await {
            Ok(_) => break writer.acknowledged(&group),
            Err(CommitError::Unavailable(_)) if std::time::Instant::now() < until => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn borne(trouble: Disk) {
    let folder = tempfile::tempdir().unwrap();
    let (options, files) = (options(), Arc::new(RealFiles::default()) as Arc<dyn Files>);
    let faults = Arc::clone(&options.index.faults);
    let log = DiskLog::open(folder.path(), &options, &files, &identity(4), &mut |_| {}).unwrap().0;
    let mut orders = orders_in(HOME, 4, 400);
    let mut writer = Committing::open(&*log, HOME, 1).await;
    let mut old: Vec<Author> = orders.drain(..40).map(|order| Author::new(&order)).collect();
    writer.append(&*log, old.iter_mut().map(|author| author.write(1)).collect(), vec![]).await;
    log.inner.index.flush_blocking().unwrap();

    faults.set(trouble);
    let mut written = until_refused(&log, &mut writer, &mut orders).await;
    assert!((80..=110).contains(&written.len()), "{} orders", written.len());
    // Reads go on, of what is in memory and of what is on disk, and so does saying again what was committed.
    timeout(HUNG, assert_holds(&log, &written)).await.unwrap();
    timeout(HUNG, assert_holds(&log, &old)).await.unwrap();
    assert!(log.failed().borrow().is_none(), "the process ended because of a cache");

    faults.set(Disk::Well);
    taken_again(&log, &mut writer, &mut old[0]).await;
    written.extend(old);
    written.extend(until_flushed(&log, &mut writer, &mut orders).await);
    assert_holds(&log, &written).await;
    log.close();
    drop(log);
    let (log, report) = DiskLog::open(folder.path(), &options, &files, &identity(4), &mut |_| {}).unwrap();
    assert_eq!((report.index_rebuilt, report.replayed_frames), (None, 0));
    assert_holds(&log, &written).await;
}

async fn until_flushed(log: &DiskLog, writer: &mut Committing, orders: &mut Vec<OrderRef>) -> Vec<Author> {
    let mut author = Author::new(&orders.remove(0));
    taken_again(log, writer, &mut author).await;
    log.inner.index.flush_blocking().unwrap();
    assert_eq!(log.inner.index.flushed_cursor(), log.inner.index.cursor());
    vec![author]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_index_ends_nothing_and_is_left_behind() {
    borne(Disk::Failing(Errno::NOSPC)).await;
    borne(Disk::FailingStore(Errno::NOSPC)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_disk_of_the_index_holds_no_commit_up() {
    borne(Disk::Hanging).await;
}

/// Control entries are read from sled on the way of a commit: what needs them is refused while sled is of no use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parks_are_taken_or_refused_while_the_index_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (options, files) = (options(), Arc::new(RealFiles::default()) as Arc<dyn Files>);
    let faults = Arc::clone(&options.index.faults);
    let log = DiskLog::open(folder.path(), &options, &files, &identity(4), &mut |_| {}).unwrap().0;
    let orders = orders_in(HOME, 4, 60);
    let mut writer = Committing::open(&*log, HOME, 1).await;
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut parked = 0;
    for (number, disk) in [Disk::FailingStore(Errno::IO), Disk::Well].into_iter().cycle().take(40).enumerate()
    {
        faults.set(disk);
        let author = &mut authors[number];
        let order = author.aggregate.reference.clone();
        let mark = Control::Park { order, reason: "it crashes".into(), at: TimestampMs(1) };
        let record = author.write(1);
        let group = writer.group(vec![record], vec![control(&mark)]);
        match log.commit(group.clone()).await {
            Ok(_) => {
                writer.acknowledged(&group);
                parked += 1;
                assert_eq!(log.parked(HOME).await.unwrap().len(), parked);
            }
            Err(CommitError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    faults.set(Disk::Well);
    assert!(parked > 0 && log.failed().borrow().is_none());
}

/// A new order for which the filters say "perhaps" was read from the disk by the writer, on the way of every commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_asks_no_disk_for_orders_that_were_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let (options, files) = (options(), Arc::new(RealFiles::default()) as Arc<dyn Files>);
    let log = DiskLog::open(folder.path(), &options, &files, &identity(4), &mut |_| {}).unwrap().0;
    let orders = orders_in(HOME, 4, 8_000);
    let mut writer = Committing::open(&*log, HOME, 1).await;
    let (old, new) = orders.split_at(200);
    let records = old.iter().map(|order| Author::new(order).write(1)).collect();
    writer.append(&*log, records, vec![]).await;
    log.inner.index.flush_blocking().unwrap();
    let places = &log.inner.places;
    let perhaps = |order: &&OrderRef| places.unknown(&log.inner.key(order));
    let absent: Vec<_> = new.iter().filter(perhaps).collect();
    assert!(!absent.is_empty(), "the filter knows all");
    for order in absent.into_iter().chain(&old[..3]) {
        log.read_order(order, 0).await.unwrap();
        assert!(!places.unknown(&log.inner.key(order)), "{order} has to be read again");
    }
    // What is remembered as absent and then written is found, whatever is flushed.
    let order = new.iter().find(|order| places.lookup(&log.inner.key(order)) == Lookup::AskDisk).unwrap();
    let mut author = Author::new(order);
    for _ in 0..3 {
        writer.append(&*log, vec![author.write(1)], vec![]).await;
        log.inner.index.flush_blocking().unwrap();
        assert_holds(&log, std::slice::from_ref(&author)).await;
    }
}
