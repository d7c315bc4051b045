//! Makes the next segment's file ahead of need: writing its zeros takes longer than any commit should.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::error::LogError;
use super::segment::{Segment, Spare};
use retailflow_os::files::Files;

/// At most one file in the making.
pub(crate) struct SpareMaker {
    files: Arc<dyn Files>,
    dir: PathBuf,
    making: Option<(u32, JoinHandle<Result<Spare, LogError>>)>,
    /// The segment for which it failed: the disk is full, and rotation will say so.
    failed: u32,
}

impl SpareMaker {
    pub(crate) fn new(files: Arc<dyn Files>, dir: PathBuf) -> Self {
        Self { files, dir, making: None, failed: 0 }
    }

    /// Starts making the file of `segment`, unless that was started before.
    pub(crate) fn prepare(&mut self, segment: u32, bytes: u64) {
        if self.making.is_some() || self.failed == segment {
            return;
        }
        let (files, dir) = (Arc::clone(&self.files), self.dir.clone());
        let thread = std::thread::Builder::new().name("log-spare".into());
        // Without a thread, rotation makes the file itself.
        match thread.spawn(move || Segment::prepare(files.as_ref(), &dir, segment, bytes)) {
            Ok(handle) => self.making = Some((segment, handle)),
            Err(_) => self.failed = segment,
        }
    }

    /// The file for `segment` with room for `bytes`, if it was made; waits for it.
    pub(crate) fn take(&mut self, segment: u32, bytes: u64) -> Option<Spare> {
        let (number, handle) = self.making.take()?;
        match handle.join() {
            Ok(Ok(spare)) if number == segment && spare.bytes >= bytes => Some(spare),
            Ok(Ok(spare)) => {
                drop(self.files.remove(&spare.path));
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the next segment of the log could not be made ahead");
                self.failed = number;
                None
            }
            Err(_) => None,
        }
    }
}

impl Drop for SpareMaker {
    fn drop(&mut self) {
        if let Some((_, handle)) = self.making.take()
            && let Ok(Ok(spare)) = handle.join()
        {
            // What remains of a killed process is removed when the log is opened.
            drop(self.files.remove(&spare.path));
        }
    }
}
