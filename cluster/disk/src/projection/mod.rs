//! What is made of the log for readers: lists of orders, and public events.
//!
//! Invariants:
//! - Nothing here is on the path of a commit, and nothing here can harm one: it reads what is durable and visible.
//! - Lists and events are made from the log alone. What is kept of them on disk may be deleted at any time.
//! - Nobody who is slow holds up anybody else: events are in a ring of bounded size, and who falls out of it reads
//!   the log on its own.
//!
//! One thread follows the log (`projector`): it takes each record into the lists (`lists`) and, while somebody
//! listens, makes events of it (`ring`). A second one writes the lists behind (`shelf`). Readers of old events
//! (`reader`) read the log on threads of the runtime, few at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::event_log::DiskLog;
use shared::Shared;

mod buckets;
mod entries;
mod keys;
mod lists;
mod long;
mod projector;
mod publisher;
mod reader;
pub mod relay;
mod ring;
mod shared;
mod shelf;
mod spill;
mod states;
#[cfg(test)]
mod tests;
mod tracked;
mod turns;
mod views;

pub use shared::ViewsProgress;
pub use states::StatesError;

/// Sizes of a [`Projection`].
#[derive(Debug, Clone)]
pub struct ProjectionOptions {
    /// Page cache of sled, in bytes.
    pub cache_bytes: u64,
    /// Orders changed since the last writing at which the next one begins. Twice as many wait at most; then the log is
    /// followed no further until they are written.
    pub flush_orders: usize,
    /// With anything new at all, it is written about so often, in milliseconds.
    pub flush_interval_ms: u64,
    /// Groups of the log taken in at once, in bytes.
    pub read_bytes: usize,
    /// The latest events in memory, at most so many.
    pub ring_events_max: usize,
    /// The latest events in memory, at most so many bytes of them.
    pub ring_bytes_max: usize,
    /// After the last reader has gone, events are made for so long, in milliseconds.
    pub ring_linger_ms: u64,
    /// Orders whose whole state is in memory while somebody listens; a few KiB each.
    pub ring_states_max: usize,
    /// Readers of old events that read at one time; further ones wait for their turn. So many of them keep their orders'
    /// states until their next turn.
    pub catching_up_max: usize,
    /// Orders whose whole state each of them has in memory.
    pub catching_up_states_max: usize,
    /// After a failure it is tried again in so many milliseconds.
    pub retry_ms: u64,
}

impl Default for ProjectionOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            flush_orders: 16_384,
            flush_interval_ms: 1_000,
            read_bytes: 1 << 20,
            ring_events_max: 65_536,
            ring_bytes_max: 64 << 20,
            ring_linger_ms: 30_000,
            ring_states_max: 10_000,
            catching_up_max: 4,
            catching_up_states_max: 2_000,
            retry_ms: 1_000,
        }
    }
}

/// Lists of orders ([`Views`]) and public events ([`EventRelay`]), made from a log of this process. Close it before the
/// log; dropping it closes it too.
///
/// [`Views`]: retailflow_engine::ports::Views
/// [`EventRelay`]: retailflow_engine::ports::EventRelay
pub struct Projection {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Projection {
    /// Begins to follow `log`. The lists are kept in `views` under the folder `data`; they are caught up, or built again,
    /// in the background, and are behind meanwhile.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(log: Arc<DiskLog>, data: &Path, options: ProjectionOptions) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::new(log, folder(data), options));
        let long: Weak<Shared> = Arc::downgrade(&shared);
        shared.log.set_long_orders(long);
        let working = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("projector".into()).spawn(move || {
            projector::run(&working);
        })?;
        Ok(Arc::new(Self { shared, thread: Mutex::new(Some(thread)) }))
    }

    /// Ends the threads and writes the lists; all who wait are told. Again: does nothing. Blocks.
    pub fn close(&self) {
        self.shared.stop();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the projector's thread panicked");
        }
    }
}

impl Drop for Projection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where the lists are kept.
fn folder(data: &Path) -> PathBuf {
    data.join("views")
}
