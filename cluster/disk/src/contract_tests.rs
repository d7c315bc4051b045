//! The engine's contract suites on the disk adapters.
//!
//! Each reopening is done in another way: closed, dropped, with the index deleted, with an older copy of the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{LogIdentity, PortFuture};
use retailflow_testkit::deadlines::LogWithDeadlines;
use retailflow_testkit::{Subject, dead_letters, deadlines, event_log, snapshots, tenants};

use super::event_log::{DiskLog, DiskLogOptions, OpenReport};
use super::log::LogOptions;
use retailflow_os::files::{Files, RealFiles};

pub(super) fn identity(partitions: u16) -> LogIdentity {
    let (cluster, created) = ("test".into(), TimestampMs(1));
    LogIdentity { log_id: [9; 16], cluster, partitions, shards: 1, created }
}

pub(super) fn small() -> DiskLogOptions {
    let log = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };
    DiskLogOptions { log, ..DiskLogOptions::default() }
}

pub(super) fn open(data: &Path, partitions: u16) -> (Arc<DiskLog>, OpenReport) {
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    DiskLog::open(data, &small(), &files, &identity(partitions), &mut |_| {}).unwrap()
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Disk logs in folders of their own, reopened in turn in four ways.
struct Disks<P> {
    partitions: u16,
    folder: Option<tempfile::TempDir>,
    log: Option<Arc<DiskLog>>,
    reopened: usize,
    port: fn(Arc<DiskLog>) -> P,
}

impl<P> Disks<P> {
    fn new(partitions: u16, port: fn(Arc<DiskLog>) -> P) -> Self {
        Self { partitions, folder: None, log: None, reopened: 0, port }
    }

    fn data(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("data")
    }

    fn open(&mut self) -> P {
        let (log, _) = open(&self.data(), self.partitions);
        self.log = Some(Arc::clone(&log));
        (self.port)(log)
    }

    fn again(&mut self, port: P) -> P {
        drop(port);
        let log = self.log.take().unwrap();
        let (index, older) = (self.data().join("index"), self.data().join("older"));
        self.reopened += 1;
        if self.reopened % 4 != 2 {
            log.close();
        }
        drop(log);
        match self.reopened % 4 {
            1 if !older.exists() => copy_dir(&index, &older),
            3 => std::fs::remove_dir_all(&index).unwrap(),
            0 if older.exists() => {
                std::fs::remove_dir_all(&index).unwrap();
                copy_dir(&older, &index);
            }
            _ => {}
        }
        self.open()
    }
}

impl<P: Send + 'static> Subject for Disks<P> {
    type Port = P;

    fn fresh(&mut self) -> PortFuture<'_, P> {
        self.log = None;
        self.folder = Some(tempfile::tempdir().unwrap());
        let port = self.open();
        Box::pin(std::future::ready(port))
    }

    fn reopen(&mut self, port: P) -> PortFuture<'_, P> {
        let port = self.again(port);
        Box::pin(std::future::ready(port))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_keeps_the_contract() {
    for partitions in [1, 4] {
        event_log::suite(&mut Disks::new(partitions, |log| -> event_log::Log { log })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_keep_the_contract() {
    for partitions in [1, 4] {
        let port = |log: Arc<DiskLog>| LogWithDeadlines { log: log.clone(), deadlines: log };
        deadlines::suite(&mut Disks::new(partitions, port)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_small_stores_keep_the_contract() {
    dead_letters::suite(&mut Disks::new(4, |log| -> dead_letters::Letters { log })).await;
    tenants::suite(&mut Disks::new(4, |log| -> tenants::Port { log })).await;
}

/// The index may forget snapshots when it is deleted, and an older copy may hold older ones: the contract allows both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_keep_the_contract() {
    snapshots::suite(&mut Disks::new(4, |log| -> snapshots::Port { log })).await;
}
