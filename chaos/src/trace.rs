//! What happened in a world, line by line. No actor ids, no addresses: the same seed gives the same lines.

use parking_lot::Mutex;
use retailflow_engine::keys::{hex, sha256};

use crate::time::WorldClock;

/// The history of a world.
#[derive(Debug)]
pub struct Trace {
    clock: WorldClock,
    lines: Mutex<Vec<String>>,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new(clock: WorldClock) -> Self {
        Self { clock, lines: Mutex::default() }
    }

    /// Adds a line with the world's time.
    pub fn note(&self, line: impl AsRef<str>) {
        self.lines.lock().push(format!("{:>6} {}", self.clock.elapsed_ms(), line.as_ref()));
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }
}

/// The hash of a trace's lines.
#[must_use]
pub fn trace_hash(lines: &[String]) -> String {
    hex(&sha256(lines.join("\n").as_bytes()))
}
