//! What became of a world.

use std::collections::BTreeMap;

use retailflow_actors::ProbePoint;
use retailflow_engine::order::Aggregate;
use retailflow_engine::ports::{LoggedEntry, LoggedGroup};
use retailflow_invariants::{InvariantId, Violation};

use crate::faults::Fault;
use crate::trace::trace_hash;

/// What became of a world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The seed it was run with.
    pub seed: u64,
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// How often each probe was visited before the audit.
    pub visits: BTreeMap<ProbePoint, u64>,
    /// The faults that were drawn.
    pub faults: BTreeMap<Fault, u32>,
    /// Actors that failed.
    pub crashes: u64,
    /// Races that orders lost.
    pub conflicts: u64,
    /// Decisions that share a record with an earlier one (combining).
    pub combined: u64,
    /// Outcomes that were given again.
    pub replays: u64,
}

impl Report {
    /// The report of a world that could not even run.
    pub(crate) fn failed(seed: u64, text: String) -> Self {
        let violations = vec![Violation::new(InvariantId::Progress, text)];
        Self { seed, violations, ..Self::default() }
    }

    /// The hash of the trace: the same for the same seed and plan.
    #[must_use]
    pub fn hash(&self) -> String {
        trace_hash(&self.trace)
    }

    /// What a failed test should say.
    #[must_use]
    pub fn explain(&self, last_lines: usize) -> String {
        let from = self.trace.len().saturating_sub(last_lines);
        let broken: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        format!(
            "seed {}:\n{}\n\nthe last of {} lines:\n{}\n\nagain: RETAILFLOW_SEED={} cargo test -p retailflow-chaos one_seed -- --nocapture\n",
            self.seed,
            broken.join("\n"),
            self.trace.len(),
            self.trace[from..].join("\n"),
            self.seed
        )
    }
}

/// How many decisions share a record with an earlier one.
pub(crate) fn combined(groups: &[LoggedGroup]) -> u64 {
    let records = groups.iter().flat_map(|group| &group.entries).filter_map(|entry| match entry {
        LoggedEntry::Record(bytes) => Aggregate::outcomes_in(bytes).ok(),
        LoggedEntry::Control(_) => None,
    });
    records.map(|outcomes| outcomes.len().saturating_sub(1) as u64).sum()
}
