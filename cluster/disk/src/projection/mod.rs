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
mod options;
mod placed;
mod projector;
mod publisher;
mod reader;
mod reader_permits;
pub mod relay;
mod ring;
mod shared;
mod shelf;
mod spill;
mod states;
#[cfg(test)]
mod tests;
mod tracked;
mod views;

pub use options::ProjectionOptions;
pub use shared::ViewsProgress;
pub use states::StatesError;

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
            tracing::error!(event = "task_panicked", "the projector's thread panicked");
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
