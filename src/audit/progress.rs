//! How far an audit is, for whoever waits for it.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use retailflow_engine::ports::{LoggedEntry, LoggedGroup};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(3);
/// Groups between two looks at the clock.
const LOOK_AFTER: u32 = 256;

/// Says on standard error, every few seconds, how much of a log has been read.
pub(crate) struct Progress {
    /// Of the log's files, where they are known.
    total_bytes: u64,
    read_bytes: u64,
    groups: u64,
    unlooked: u32,
    passes: (u32, u32),
    told: Option<Instant>,
}

impl Progress {
    /// Of the log of a data directory.
    pub(crate) fn of(data: &Path) -> Self {
        let files = std::fs::read_dir(data.join("log")).into_iter().flatten().flatten();
        let total_bytes = files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum();
        Self::of_bytes(total_bytes)
    }

    /// Of a log of so many bytes.
    pub(crate) fn of_bytes(total_bytes: u64) -> Self {
        Self { total_bytes, told: Some(Instant::now()), ..Self::silent() }
    }

    /// Says nothing.
    pub(crate) const fn silent() -> Self {
        Self { total_bytes: 0, read_bytes: 0, groups: 0, unlooked: 0, passes: (1, 1), told: None }
    }

    /// The log is read from its beginning.
    pub(super) fn pass(&mut self) {
        (self.read_bytes, self.groups) = (0, 0);
    }

    /// A group was read.
    pub(super) fn group(&mut self, group: &LoggedGroup, passes: (u32, u32)) {
        self.groups += 1;
        self.passes = passes;
        let entries = group.entries.iter().map(|entry| {
            let (LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes)) = entry;
            bytes.len()
        });
        self.read_bytes += (group.fence.len() + entries.sum::<usize>()) as u64;
        self.tell(|progress| {
            format!(
                "{} groups, {} of about {} MB of the log",
                progress.groups,
                progress.read_bytes >> 20,
                progress.total_bytes >> 20
            )
        });
    }

    /// So many lines of the participants' books were read.
    pub(super) fn books(&mut self, lines: u64) {
        self.tell(|_| format!("{lines} lines of the participants' books"));
    }

    fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        self.unlooked += 1;
        if self.unlooked < LOOK_AFTER {
            return;
        }
        self.unlooked = 0;
        if self.told.is_none_or(|told| told.elapsed() < EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let (pass, passes) = self.passes;
        let pass = if passes > 1 { format!("pass {pass} of about {passes}: ") } else { String::new() };
        // Nobody may be listening any more.
        drop(std::io::stderr().write_all(format!("audit: {pass}{} read\n", what(self)).as_bytes()));
    }
}
