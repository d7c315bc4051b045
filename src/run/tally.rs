//! Counting what became of the commands of a run.

use std::time::Duration;

use hdrhistogram::Histogram;
use retailflow_actors::{EffectCounts, IntakeEvent};
use retailflow_engine::wire::report::{BooksReport, CommandCounts, InvariantResult, Latency, ReportSchema};
use retailflow_engine::wire::{Code, RunReport, Status};
use retailflow_invariants::InvariantId;

use crate::audit::Audit;
use retailflow_server::app::DURABILITY;

/// The counts and latencies of a run.
pub(crate) struct Tally {
    /// By fate.
    pub(crate) counts: CommandCounts,
    /// Not recorded, though sending them again may help. A drain on request is none of them.
    pub(crate) given_up: u64,
    /// Refused, and to be put right by whoever sent them: not recorded, and not given up.
    pub(crate) refused_for_good: u64,
    latency_us: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        // Three digits over a bounded range: always a valid histogram.
        let latency_us = Histogram::new_with_bounds(1, 3_600_000_000, 3);
        Self {
            counts: CommandCounts::default(),
            given_up: 0,
            refused_for_good: 0,
            latency_us: latency_us.unwrap_or_else(|_| unreachable!()),
        }
    }

    /// Counts one command.
    pub(crate) fn count(&mut self, event: &IntakeEvent) {
        let drained = event.outcome.code == Code::Draining;
        self.given_up += u64::from(event.given_up && !drained);
        let refused = event.outcome.status == Status::Refused && !event.dead_lettered;
        self.refused_for_good += u64::from(refused && !event.given_up && !drained);
        let counts = &mut self.counts;
        counts.received += 1;
        let fate = match event.outcome.status {
            _ if event.dead_lettered => &mut counts.dead_lettered,
            _ if event.outcome.replayed => &mut counts.replayed,
            Status::Applied => &mut counts.applied,
            Status::Rejected => &mut counts.rejected,
            Status::Parked => &mut counts.parked,
            Status::Refused => &mut counts.refused,
        };
        *fate += 1;
        self.latency_us
            .saturating_record(u64::try_from(event.latency.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// The report on the run.
    pub(crate) fn report(&self, audit: &Audit, effects: &EffectCounts, took: Duration) -> RunReport {
        let mut invariants = audit.invariants.clone();
        let counts = self.counts;
        invariants.push(InvariantResult {
            id: InvariantId::Ledger.as_str().to_owned(),
            held: counts.adds_up(),
            not_compared: false,
            detail: format!(
                "{} received = {} applied + {} rejected + {} replayed + {} refused + {} parked + {} dead-lettered",
                counts.received,
                counts.applied,
                counts.rejected,
                counts.replayed,
                counts.refused,
                counts.parked,
                counts.dead_lettered
            ),
        });
        RunReport {
            schema: ReportSchema,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commands: counts,
            orders: audit.orders.clone(),
            throughput_per_second: counts.received as f64 / took.as_secs_f64().max(1e-9),
            outcome_latency_ms: self.latency(),
            invariants,
            durability: DURABILITY,
            books: audit.books.clone().map(|books| BooksReport {
                calls: effects.calls,
                retries: effects.retries,
                settled: effects.settled,
                ..books
            }),
        }
    }

    /// The latencies, in milliseconds.
    pub(crate) fn latency(&self) -> Latency {
        let at = |quantile: f64| self.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
        if self.latency_us.is_empty() {
            return Latency::default();
        }
        Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: self.latency_us.max() as f64 / 1000.0 }
    }
}
