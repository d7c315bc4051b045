//! Whether the process can do its work, part by part: one look, told by `/readyz`, by metrics and in the log alike.
//!
//! What keeps requests from being decided here bars the process: `/readyz` is 503. What others than those concerned feel
//! nothing of is a note beside `200`: one partition's log that is silent, a participant that is away (ADR 40).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use metrics::gauge;
use parking_lot::Mutex;
use retailflow_engine::metric;
use retailflow_engine::wire::admin::Unwell;
use retailflow_gateway::Readiness;
use tokio::sync::watch;

pub(super) use self::parts::{HealthIssue, Part};

pub(super) mod partitions;
pub(super) mod parts;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It takes nothing yet.
    Starting,
    /// It works.
    Serving,
    /// It ends.
    Draining,
}

/// What bars is said in the log when it has lasted for so long.
const SAID_AFTER_SECONDS: f64 = 3.0;

/// A look at what can be ill: everything that is now.
pub(super) type Watch = Box<dyn Fn() -> Vec<HealthIssue> + Send + Sync>;

/// The phase, and whether the log still takes records.
pub(super) struct State {
    phase: AtomicU8,
    failed: watch::Receiver<Option<Arc<str>>>,
    watches: Vec<Watch>,
    /// Of each part that is ill: since when that has been seen, and whether it was said that it bars.
    seen: Mutex<BTreeMap<Part, (Instant, bool)>>,
}

impl State {
    pub(super) fn new(failed: watch::Receiver<Option<Arc<str>>>, watches: Vec<Watch>) -> Self {
        Self { phase: AtomicU8::new(Phase::Starting as u8), failed, watches, seen: Mutex::default() }
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) == phase as u8
    }

    fn issues(&self) -> Vec<HealthIssue> {
        self.watches.iter().flat_map(|watch| watch()).collect()
    }

    /// Sets the metrics, and writes a line where something has become ill or well again. Call it every few seconds.
    pub(super) fn show(&self) {
        let issues = self.issues();
        let mut seen = self.seen.lock();
        let ready = self.not_ready().is_empty();
        gauge!(metric::READY.name).set(f64::from(u8::from(ready)));
        for part in Part::ALL {
            let ill: Vec<&HealthIssue> = issues.iter().filter(|issue| issue.part == part).collect();
            let Some(worst) = ill.iter().max_by_key(|issue| issue.bars) else {
                gauge!(metric::UNWELL_SECONDS.name, "part" => part.name()).set(0.0);
                if seen.remove(&part).is_some_and(|(_, said)| said) {
                    tracing::info!(
                        event = "part_well",
                        part = part.name(),
                        "a part of this node is well again"
                    );
                }
                continue;
            };
            let (first, said) = *seen.entry(part).or_insert_with(|| (Instant::now(), false));
            let longest = ill.iter().filter_map(|issue| issue.since).max().unwrap_or_default();
            let seconds = longest.max(first.elapsed()).as_secs_f64();
            gauge!(metric::UNWELL_SECONDS.name, "part" => part.name()).set(seconds);
            // Once for each time that it begins, and not of what is over at once, as the first session of a node that starts.
            let says = worst.bars && !said && seconds >= SAID_AFTER_SECONDS;
            if says {
                tracing::error!(event = "part_unwell", part = part.name(), why = worst.text, "NOT READY");
            }
            seen.insert(part, (first, (said || says) && worst.bars));
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        gauge!(metric::LOOKED.name).set(now.unwrap_or_default().as_secs_f64());
    }
}

impl Readiness for State {
    fn not_ready(&self) -> Vec<String> {
        let mut reasons = self.not_alive();
        if self.is(Phase::Starting) {
            reasons.push("starting: partitions are taken over".into());
        }
        let bars = self.issues().into_iter().filter(|issue| issue.bars);
        reasons.extend(bars.map(|issue| issue.text));
        if self.is(Phase::Draining) {
            reasons.push("draining: send what is new to another node, or here after the restart".into());
        }
        reasons
    }

    fn notes(&self) -> Vec<String> {
        let notes = self.issues().into_iter().filter(|issue| !issue.bars);
        notes.map(|issue| issue.text).collect()
    }

    fn unwell(&self) -> Vec<Unwell> {
        let seen = self.seen.lock().clone();
        let unwell = self.issues().into_iter().map(|issue| {
            let HealthIssue { part, text, remedy, since, bars } = issue;
            let seen = seen.get(&part).map(|(since, _)| since.elapsed());
            let seconds = since.max(seen).unwrap_or_default().as_secs();
            Unwell { part: part.name().into(), text, remedy, bars, seconds }
        });
        unwell.collect()
    }

    fn not_alive(&self) -> Vec<String> {
        // The reason itself may name files of this machine: it is in the log.
        match &*self.failed.borrow() {
            Some(_) => vec!["the log failed for good: start the process again when the disk is well".into()],
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
