//! The contracts of lists and relay on the disk, and what they do not know: kills, damage, many orders.

use std::path::PathBuf;
use std::sync::Arc;

use retailflow_engine::invariant::{TenantLedger, check_log};
use retailflow_engine::ports::PortFuture;
use retailflow_testkit::Subject;
use retailflow_testkit::event_log::scan;
use retailflow_testkit::event_relay::{self, LogWithRelay, Order};
use retailflow_testkit::random_orders::RandomOrders;
use retailflow_testkit::views::{self, LogWithViews};

use super::shared::ViewsPhase;
use super::{Projection, ProjectionOptions};
use crate::contract_tests::open;
use crate::event_log::DiskLog;

mod damage;
mod long;
mod readers;

/// Small enough that everything happens: many writings, a ring that is fallen out of, states that are read again.
pub(super) fn tiny() -> ProjectionOptions {
    ProjectionOptions {
        flush_orders: 7,
        flush_interval_ms: 5,
        read_bytes: 4_096,
        ring_events_max: 40,
        ring_states_max: 3,
        ring_linger_ms: 0,
        catching_up_states_max: 3,
        retry_ms: 10,
        ..ProjectionOptions::default()
    }
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Killed,
    Deleted,
    PowerCut,
}

pub(super) const ENDS: [End; 4] = [End::Killed, End::Closed, End::PowerCut, End::Deleted];

/// A log in a folder of its own with its projection, ended in turn in all ways.
pub(super) struct Disk {
    folder: tempfile::TempDir,
    pub(super) options: ProjectionOptions,
    pub(super) log: Option<Arc<DiskLog>>,
    pub(super) projection: Option<Arc<Projection>>,
    ended: usize,
}

impl Disk {
    pub(super) fn new(options: ProjectionOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Self { folder, options, log: None, projection: None, ended: 0 };
        disk.start();
        disk
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn start(&mut self) {
        let log = open(&self.data(), 1).0;
        let projection = Projection::start(Arc::clone(&log), &self.data(), self.options.clone()).unwrap();
        (self.log, self.projection) = (Some(log), Some(projection));
    }

    pub(super) fn end(&mut self, end: End) {
        if let Some(projection) = self.projection.take() {
            if end != End::Closed {
                projection.shared.kill();
            }
            projection.close();
        }
        if let Some(log) = self.log.take() {
            log.close();
        }
        let views = self.data().join("views");
        match end {
            End::Closed | End::Killed => {}
            End::Deleted => std::fs::remove_dir_all(&views).unwrap(),
            End::PowerCut => {
                // A later start of the system, and what was not synced is gone.
                std::fs::write(views.join("in-use"), "an earlier start").unwrap();
                for entry in std::fs::read_dir(&views).unwrap() {
                    let path = entry.unwrap().path();
                    if path.ends_with("db") {
                        let length = std::fs::metadata(&path).unwrap().len();
                        std::fs::File::options()
                            .write(true)
                            .open(&path)
                            .unwrap()
                            .set_len(length / 2)
                            .unwrap();
                    }
                }
            }
        }
    }

    pub(super) fn again(&mut self) {
        self.ended += 1;
        self.end(ENDS[self.ended % ENDS.len()]);
        self.start();
    }

    pub(super) fn views(&self) -> LogWithViews {
        let (log, projection) = (self.log.clone().unwrap(), self.projection.clone().unwrap());
        LogWithViews { log, views: projection }
    }

    pub(super) fn relay(&self) -> LogWithRelay {
        let (log, projection) = (self.log.clone().unwrap(), self.projection.clone().unwrap());
        LogWithRelay { log, relay: projection, order: Order::OfTheLog }
    }

    /// Waits for the lists to be shown.
    pub(super) async fn ready(&self) {
        let mut progress = self.projection.as_ref().unwrap().shared.progress.subscribe();
        progress.wait_for(|now| now.phase == ViewsPhase::Following).await.unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.end(End::Closed);
    }
}

/// As the suites want it.
struct Tested<P> {
    disk: Disk,
    options: ProjectionOptions,
    port: fn(&Disk) -> P,
}

impl<P: Send + 'static> Subject for Tested<P> {
    type Port = P;

    fn fresh(&mut self) -> PortFuture<'_, P> {
        self.disk = Disk::new(self.options.clone());
        Box::pin(async {
            self.disk.ready().await;
            (self.port)(&self.disk)
        })
    }

    fn reopen(&mut self, port: P) -> PortFuture<'_, P> {
        drop(port);
        self.disk.again();
        Box::pin(async {
            self.disk.ready().await;
            (self.port)(&self.disk)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lists_keep_the_contract() {
    for options in [tiny(), ProjectionOptions::default()] {
        let mut tested = Tested { disk: Disk::new(options.clone()), options, port: Disk::views };
        views::suite(&mut tested).await;
    }
}

/// The books of the lists, at any cut and after any end, are those that an auditor makes of the whole log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_the_auditors() {
    let mut disk = Disk::new(tiny());
    disk.ready().await;
    let mut random = RandomOrders::begin(&**disk.log.as_ref().unwrap(), 41).await;
    let orders = random.names(30);
    let mut parked = 0;
    for _ in 0..ENDS.len() * 3 {
        random.append_random(&**disk.log.as_ref().unwrap(), &orders, 12).await;
        let LogWithViews { log, views } = disk.views();
        views.reached(&views.written()).await.unwrap();
        let groups = scan(&*log, usize::MAX).await;
        let (mut audited, violations) = check_log(log.identity().partitions, &groups);
        assert_eq!(violations, []);
        audited.retain(|_, books| *books != TenantLedger::default());
        let (cut, mut ledger) = disk.projection.as_ref().unwrap().ledger().unwrap();
        ledger.retain(|_, books| *books != TenantLedger::default());
        assert_eq!(cut, groups.last().unwrap().position);
        assert_eq!(ledger, audited);
        parked += ledger.values().map(|books| books.parked).sum::<u64>();
        drop((log, views));
        disk.again();
        disk.ready().await;
    }
    assert!(parked > 0, "nothing ever waited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_keeps_the_contract() {
    // The suite has more readers at once than fall out of a tiny ring one after another.
    let many = ProjectionOptions { catching_up_max: 16, ..tiny() };
    for options in [many, ProjectionOptions::default()] {
        let mut tested = Tested { disk: Disk::new(options.clone()), options, port: Disk::relay };
        event_relay::suite(&mut tested).await;
    }
}
