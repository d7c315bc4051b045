//! The server is killed in the middle of groups, with every write synced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use retailflow_engine::codec::fence::{Fence, group_digest};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{Commit, CommitError, EventLog, Group, LogPosition, LoggedEntry, ReadError};
use retailflow_nats::{NatsLog, NatsLogOptions};
use retailflow_testkit::author::{Author, Writer, orders_in};
use retailflow_testkit::event_log::{assert_is, read, scan};
use tokio::task::JoinHandle;

use crate::nats::server_or_skip;
use crate::poll::wait_for;
use crate::refusals::resolved;
use crate::replicas::Replicas;
use crate::world::{World, log_options};

const PARTITIONS: u16 = 3;
const ORDERS: usize = 150;
const KILLS: usize = 12;
const REPLICAS_KILLED: usize = 3;
const BOUND: Duration = Duration::from_secs(60);

/// Writes groups until it is told to stop; whatever it is answered, it goes on with the identical group until that one is
/// resolved.
async fn write(
    log: Arc<NatsLog>,
    partition: PartitionId,
    taken: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
) -> Vec<(Group, Commit)> {
    let orders = orders_in(partition, PARTITIONS, ORDERS);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut owner = Writer::open(&*log, partition, 1).await;
    let mut groups = Vec::new();
    while last.load(Ordering::Relaxed) == 0 {
        let group = owner.group(authors.iter_mut().map(|author| author.write(1)).collect(), vec![]);
        let commit = resolved(&log, &group).await;
        owner.acknowledged(&group);
        groups.push((group, commit));
        taken.fetch_add(1, Ordering::Relaxed);
    }
    groups
}

/// Checks the groups that were stored since, the last of each partition too.
async fn assert_whole(log: &NatsLog, after: &mut LogPosition) {
    for partition in (0..PARTITIONS).map(PartitionId) {
        // One that is torn would be waited for in vain.
        log.head(partition).await.unwrap();
    }
    for group in log.scan(*after, usize::MAX).await.unwrap() {
        let fence = Fence::decode(&group.fence).unwrap();
        let parts = group.entries.iter().map(|entry| match entry {
            LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes) => &**bytes,
        });
        assert_eq!((fence.entries as usize, fence.digest), (group.entries.len(), group_digest(parts)));
        *after = group.position;
    }
}

/// The writers of a log, and how many of their groups have been taken.
struct Writers {
    all: Vec<JoinHandle<Vec<(Group, Commit)>>>,
    taken: Arc<AtomicU64>,
    stop: Arc<AtomicU64>,
}

impl Writers {
    fn begin(log: &Arc<NatsLog>) -> Self {
        let (taken, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let write =
            |partition| tokio::spawn(write(log.clone(), PartitionId(partition), taken.clone(), stop.clone()));
        Self { all: (0..PARTITIONS).map(write).collect(), taken: taken.clone(), stop }
    }

    /// Blocks until some are taken, and then a little longer: somewhere in a group.
    fn in_a_group(&self, pause: Duration) {
        let before = self.taken.load(Ordering::Relaxed);
        let more = || (self.taken.load(Ordering::Relaxed) > before + 1).then_some(());
        wait_for("groups are taken", BOUND, more);
        let begun = std::time::Instant::now();
        while begun.elapsed() < pause {
            std::hint::spin_loop();
        }
    }

    /// Lets them finish, and compares what they were told with what stands in the log.
    async fn end(self, log: &NatsLog) {
        self.stop.store(1, Ordering::Relaxed);
        let mut appended = Vec::new();
        for writer in self.all {
            appended.extend(writer.await.unwrap());
        }
        appended.sort_by_key(|(_, commit)| commit.position);
        let found = scan(log, 1 << 20).await;
        assert_eq!(found.len(), appended.len(), "each group once");
        for (logged, (group, commit)) in found.iter().zip(&appended) {
            assert_eq!(logged.position, commit.position);
            assert_is(logged, group);
        }
        for order in orders_in(PartitionId(1), PARTITIONS, ORDERS) {
            let here = |(group, _): &&(Group, Commit)| group.fence.partition == PartitionId(1);
            assert_eq!(read(log, &order, 0).await.len(), appended.iter().filter(here).count());
        }
    }
}

/// Each group is there whole or not at all, each acknowledged one is there once, and the identical proposal finds out
/// which, however often the server dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn groups_outlive_a_server_that_is_killed() {
    let Some(binary) = server_or_skip("groups_outlive_a_server_that_is_killed") else { return };
    let mut world = World::new(&binary, PARTITIONS, 1).await;
    let log = world.open_with(&NatsLogOptions { commit_timeout_ms: 500, ..log_options() }).await;
    let writers = Writers::begin(&log);
    let mut random = fastrand::Rng::with_seed(7);
    let mut after = LogPosition(0);
    for _ in 0..KILLS {
        let pause = Duration::from_micros(random.u64(..20_000));
        tokio::task::block_in_place(|| {
            writers.in_a_group(pause);
            world.server.kill();
            world.server.run();
        });
        assert_whole(&*world.open().await, &mut after).await;
    }
    writers.end(&*world.open().await).await;
}

/// The same with three servers, of which one after another is killed, the leader too, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn groups_outlive_each_of_three_servers() {
    let Some(binary) = server_or_skip("groups_outlive_each_of_three_servers") else { return };
    let mut replicas = Replicas::begin(&binary, PARTITIONS, 1).await;
    let log = replicas.open_with(&NatsLogOptions { commit_timeout_ms: 1_000, ..log_options() }).await;
    let writers = Writers::begin(&log);
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..REPLICAS_KILLED {
        let pause = Duration::from_micros(random.u64(..20_000));
        tokio::task::block_in_place(|| {
            writers.in_a_group(pause);
            replicas.servers[number % 3].kill();
            writers.in_a_group(Duration::ZERO);
            replicas.servers[number % 3].run();
        });
    }
    let other = replicas.open_with(&log_options()).await;
    writers.end(&other).await;
}

/// The server keeps a batch aside until it is stored, and completes it after a crash. Should that be lost together with
/// the end of a group, then what is left of the group is taken for nothing: not for a head, not for a record, not for what
/// was committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_group_is_never_taken_for_a_whole_one() {
    let Some(binary) = server_or_skip("a_torn_group_is_never_taken_for_a_whole_one") else { return };
    let mut world = World::new(&binary, 2, 1).await;
    let home = PartitionId(0);
    let orders = orders_in(home, 2, 4);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut write = || authors.iter_mut().map(|author| author.write(1)).collect();
    let log = world.open().await;
    let mut owner = Writer::open(&*log, home, 1).await;
    let (whole, _) = owner.append(&*log, write(), vec![]).await;
    let torn = owner.group(write(), vec![]);
    log.commit(torn.clone()).await.unwrap();
    owner.acknowledged(&torn);
    let next = owner.group(vec![], vec![]);
    world.server.kill();
    let stored = world.server.folder().join("js/jetstream/$G/streams/RF_LOG_0/msgs");
    let block = std::fs::OpenOptions::new().write(true).open(stored.join("1.blk")).unwrap();
    block.set_len(block.metadata().unwrap().len() - 20).unwrap();
    drop(std::fs::remove_file(stored.join("index.db")));
    world.server.run();
    let found = scan(&*world.open().await, usize::MAX).await;
    assert_eq!(found.len(), 1);
    assert_is(&found[0], &whole);
    let options = NatsLogOptions { whole_timeout_ms: 200, ..log_options() };
    let log = world.open_with(&options).await;
    for others in [0, 3] {
        // Another partition of the stream goes on.
        let there = PartitionId(1);
        for _ in 0..others {
            let records = orders_in(there, 2, 9).iter().map(|order| Author::new(order).write(1)).collect();
            let records = if log.head(there).await.unwrap().fence.is_none() { records } else { vec![] };
            Writer::open(&*log, there, 1).await.append(&*log, records, vec![]).await;
        }
        let head = log.head(home).await;
        assert!(matches!(&head, Err(ReadError::Unavailable(why)) if why.contains("not whole")), "{head:?}");
        for group in [&torn, &next] {
            let answer = log.commit(group.clone()).await;
            let refused = matches!(&answer, Err(CommitError::Unreachable(why)) if why.contains("not whole"));
            assert!(refused, "{answer:?}");
        }
        assert!(log.read_order(&orders[0], 0).await.is_err());
        assert!(log.parked(home).await.is_err());
    }
    // In its middle it is damage.
    let scanned = world.open().await.scan(LogPosition(0), usize::MAX).await;
    assert!(matches!(scanned, Err(ReadError::Damaged(_))), "{scanned:?}");
}
