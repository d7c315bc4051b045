//! How the background thread leaves the processor to those who wait for outcomes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::shared::{FROZEN_BUSY, Shared};

/// Work that is done in one go.
const STEP: Duration = Duration::from_micros(500);
/// Rest for each work: so a quarter of a processor is taken at most.
const REST: u32 = 3;
const REST_MAX: Duration = Duration::from_millis(20);

/// Works in small steps with rests between them, unless there is a hurry: sets of changes wait, or callers do.
#[derive(Debug)]
pub(super) struct Pace {
    shared: Arc<Shared>,
    since: Instant,
}

impl Pace {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, since: Instant::now() }
    }

    /// Work begins.
    pub(super) fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// Between two pieces of work.
    pub(super) fn breathe(&mut self) {
        let worked = self.since.elapsed();
        if worked < STEP {
            return;
        }
        let until = Instant::now() + (worked * REST).min(REST_MAX);
        loop {
            let mut work = self.shared.work.lock();
            let hurry = work.stop || work.urgent > 0 || self.shared.state.read().frozen.len() >= FROZEN_BUSY;
            if hurry || self.shared.wake.wait_until(&mut work, until).timed_out() {
                break;
            }
        }
        self.since = Instant::now();
    }
}
