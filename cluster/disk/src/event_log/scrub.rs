//! The scrubber: reads the log's finished segments again in the background, slowly, so that damage in what nobody reads is
//! known while a copy of it may still be had.
//!
//! A start reads the end of the log only, however long the log is. What stands before it was checked when it was written,
//! and is checked here, one pass a day. How far a pass has come is kept in a file beside the log, for `verify` and for
//! the next process; it is a hint, and may be deleted at any time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::counter;
use parking_lot::{Condvar, Mutex};
use retailflow_engine::metric;

use crate::log::check::check_segment_alone;
use crate::log::{LogOptions, LogReader, Position};
use retailflow_os::files::Files;

const FILE: &str = "scrubbed";
const FILE_BYTES: usize = 64;
/// Time between two passes over the whole log.
const PASS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes that are read in a second, about; a sixteenth of what a slow disk gives.
const BYTES_PER_SECOND: u64 = 8 << 20;
/// How often it looks whether there is another finished segment.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How far the last passes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubProgress {
    /// Segments that the pass under way has read; 0 before it begins.
    pub segments: u32,
    /// When the last whole pass ended, in milliseconds since 1970; 0 for never.
    pub pass_ended_ms: u64,
}

/// How far the log in the folder `log` was scrubbed; `None` when nothing is known. Blocks.
pub fn scrub_progress(files: &dyn Files, log: &Path) -> Option<ScrubProgress> {
    let file = files.open(&log.join(FILE), false).ok()?;
    let mut bytes = [0; FILE_BYTES];
    let read = file.read_full_at(0, &mut bytes).ok()?;
    let text = std::str::from_utf8(&bytes[..read]).ok()?;
    let mut numbers = text.split_whitespace();
    let segments = numbers.next()?.parse().ok()?;
    let pass_ended_ms = numbers.next()?.parse().ok()?;
    Some(ScrubProgress { segments, pass_ended_ms })
}

/// The thread that scrubs. Dropping it ends the thread.
pub(super) struct Scrubber {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Scrubber {
    /// Starts it on the log in the folder `dir`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        files: Arc<dyn Files>,
        dir: PathBuf,
        options: LogOptions,
        reader: LogReader,
    ) -> std::io::Result<Self> {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let mut work = Work { files, dir, options, reader, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name("log-scrub".into()).spawn(move || work.run())?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(event = "task_panicked", "the thread that scrubs the log panicked");
        }
    }
}

struct Work {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: LogOptions,
    reader: LogReader,
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Work {
    fn run(&mut self) {
        let mut state = scrub_progress(self.files.as_ref(), &self.dir).unwrap_or_default();
        while self.rest(LOOK_INTERVAL) {
            let finished = self.reader.end().segment() - 1;
            let since_pass = Duration::from_millis(now_ms().saturating_sub(state.pass_ended_ms));
            if state.segments >= finished && finished > 0 && since_pass >= PASS_INTERVAL {
                state = ScrubProgress { segments: 0, pass_ended_ms: now_ms() };
            }
            while state.segments < finished {
                let number = state.segments + 1;
                let Some(bytes) = self.segment(number) else { return };
                state.segments = number;
                self.keep(state);
                if !self.rest(Duration::from_millis(bytes * 1000 / BYTES_PER_SECOND)) {
                    return;
                }
            }
        }
    }

    /// Reads a segment; answers how many bytes it has. `None` when it is time to end.
    fn segment(&self, number: u32) -> Option<u64> {
        let mut unpaced = 0;
        let mut go_on = |bytes: u64| {
            unpaced += bytes;
            if unpaced < BYTES_PER_SECOND / 8 {
                return true;
            }
            let pause = Duration::from_millis(std::mem::take(&mut unpaced) * 1000 / BYTES_PER_SECOND);
            self.rest(pause)
        };
        match check_segment_alone(self.files.as_ref(), &self.dir, self.options, number, &mut go_on) {
            Ok(bytes) => bytes.map(|_| 0),
            Err(error) => {
                counter!(metric::LOG_SCRUB_DAMAGE.name).increment(1);
                tracing::error!(
                    event = "log_scrub_damage",
                    %error,
                    segment = number,
                    place = %Position::new(number, 0),
                    "the log is damaged in a place that nobody has read since; take a backup of what is whole, and see \
                     `retailflow verify`"
                );
                Some(u64::from(self.options.segment_bytes))
            }
        }
    }

    fn keep(&self, state: ScrubProgress) {
        counter!(metric::LOG_SCRUBBED.name).increment(u64::from(self.options.segment_bytes));
        let path = self.dir.join(FILE);
        let text = format!("{:<31} {:<31}\n", state.segments, state.pass_ended_ms);
        let written = match self.files.open(&path, true) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.files.create(&path, FILE_BYTES as u64)
            }
            opened => opened,
        }
        .and_then(|file| file.write_all_at(0, text.as_bytes()));
        if let Err(error) = written {
            tracing::debug!(%error, "how far the log was scrubbed is not kept");
        }
    }

    /// Waits; false when it is time to end.
    fn rest(&self, time: Duration) -> bool {
        let (stopped, wake) = &*self.stop;
        let mut stopped = stopped.lock();
        if !*stopped {
            wake.wait_for(&mut stopped, time);
        }
        !*stopped
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
