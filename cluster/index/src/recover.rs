//! What the background thread does when a write fails: it gives up what is half done, waits, and begins again.
//!
//! A set of changes leaves memory only when the manifest that covers it has been written, so nothing is lost meanwhile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    files::{RunFiles, run_id},
    manifest::MANIFEST_KEY,
    open,
    store::{self, Store},
    types::IndexError,
    writer::{RETRY_FIRST, Writer},
};

/// Below so much free space nothing is written: what is left is the log's, and sled does not bear a full disk.
const FREE_MIN_BYTES: u64 = 16 << 20;
/// Longest pause between two tries to write.
const RETRY_MAX: Duration = Duration::from_secs(5);

impl Writer {
    /// A turn went well.
    pub(super) fn written(&mut self) {
        if self.shared.state.read().suspended.is_none() {
            return;
        }
        tracing::info!(event = "index_resumed", "the index of the log is written again");
        self.shared.state.write().suspended = None;
        self.retry = RETRY_FIRST;
    }

    /// A write failed: gives up what is half done and waits, longer each time.
    pub(super) fn suspend(&mut self, why: &str) {
        self.merges.clear();
        self.planned = false;
        let first = {
            let mut state = self.shared.state.write();
            state.suspended.replace(IndexError::Io(why.to_owned())).is_none()
        };
        if first {
            tracing::warn!(
                event = "index_suspended",
                why,
                "the index of the log is not written; changes wait in memory, and it is tried again"
            );
        }
        self.shared.stepped();
        let mut work = self.shared.work.lock();
        let until = Instant::now() + self.retry;
        while !work.stop && !self.shared.wake.wait_until(&mut work, until).timed_out() {}
        drop(work);
        self.retry = (self.retry * 2).min(RETRY_MAX);
    }

    /// sled, opened again if it has failed. Readers of control entries get an error meanwhile.
    pub(super) fn store(&mut self) -> Result<Arc<Store>, IndexError> {
        if let Some(store) = &self.store {
            return Ok(Arc::clone(store));
        }
        // First, so that readers keep what there is while the disk takes nothing.
        self.space()?;
        self.files().probe().map_err(|error| IndexError::Io(error.to_string()))?;
        let dropped = store::guarded("close", || {
            self.shared.snapshots.let_go();
            // Not within the lock: closing may take its time, and commits need that lock.
            let failed = self.shared.state.write().store.take();
            drop(failed);
            Ok(())
        });
        if let Err(error) = dropped {
            tracing::debug!(%error, "closing what has failed");
        }
        let opened = open::reopen(&self.dir, &self.shared.options, &self.manifest, self.attempted.as_ref());
        let (store, manifest) = opened.map_err(|error| match error {
            // A reader has not let go of it yet.
            IndexError::InUse(why) => IndexError::Io(why),
            error => error,
        })?;
        self.shared.snapshots.open(&store, manifest.snapshots.0)?;
        let store = Arc::new(store);
        self.shared.state.write().store = Some(Arc::clone(&store));
        self.shared.stepped();
        let mut batch = sled::Batch::default();
        batch.insert(MANIFEST_KEY, manifest.encode()?);
        store.commit(batch).map_err(|error| IndexError::Io(error.to_string()))?;
        self.manifest = manifest;
        self.attempted = None;
        self.store = Some(Arc::clone(&store));
        Ok(store)
    }

    fn files(&self) -> RunFiles {
        #[cfg_attr(not(test), allow(unused_mut))]
        let mut files = RunFiles::new(&self.dir);
        #[cfg(any(test, feature = "faulty"))]
        {
            files.faults = Arc::clone(&self.shared.options.faults);
        }
        files
    }

    /// Whether there is room to write without taking the log's.
    pub(super) fn space(&self) -> Result<(), IndexError> {
        let free = self.files().free_bytes().map_err(|error| IndexError::Io(error.to_string()))?;
        if free >= FREE_MIN_BYTES {
            return Ok(());
        }
        Err(IndexError::Io(format!(
            "{} MB are left on the disk, of {} wanted",
            free >> 20,
            FREE_MIN_BYTES >> 20
        )))
    }

    /// Removes the files that the manifest does not name: of what failed half done, and of runs merged away.
    pub(super) fn sweep(&self) {
        let Some(store) = &self.store else { return };
        let runs = self.manifest.orders.iter().chain(&self.manifest.dues);
        let named: Vec<_> = runs.map(|run| run.file_name()).collect();
        let names = store.runs().names().unwrap_or_default();
        for rubbish in names.iter().filter(|name| run_id(name).is_some() && !named.contains(name)) {
            store.remove_run(rubbish);
        }
    }
}
