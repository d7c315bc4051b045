//! What was measured, for people and for programs.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// One measurement. Latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// What was measured.
    pub name: String,
    /// How many commands or groups.
    pub count: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// A second.
    pub per_second: f64,
    /// Half of them were faster.
    pub p50_ms: f64,
    /// 95 of 100 were faster.
    pub p95_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Memory of the process afterwards, in MB.
    pub resident_mb: u64,
}

impl Measured {
    /// Of so many in this time, with the latencies of each.
    pub fn new(name: &str, count: u64, took: Duration, latency_us: &Histogram<u64>) -> Self {
        let at = |quantile: f64| latency_us.value_at_quantile(quantile) as f64 / 1000.0;
        let seconds = took.as_secs_f64();
        Self {
            name: name.to_owned(),
            count,
            seconds,
            per_second: count as f64 / seconds.max(1e-9),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: latency_us.max() as f64 / 1000.0,
            resident_mb: retailflow_server::memory::resident_mb(),
        }
    }

    /// One line for people.
    pub fn row(&self) -> String {
        format!(
            "{:<44} {:>9.0}/s  p50 {:>8.3}  p95 {:>8.3}  p99 {:>8.3}  max {:>8.1} ms  {:>5} MB\n",
            self.name, self.per_second, self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms, self.resident_mb
        )
    }
}

/// All measurements of one run.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Version of this program.
    pub version: String,
    /// Processors, and their kind.
    pub machine: String,
    /// Built with optimizations?
    pub release: bool,
    /// Orders placed and not at their end in the whole lives, at most, until half of them had ended.
    pub open_orders_most_first_half: u64,
    /// The same over the whole run.
    pub open_orders_most: u64,
    /// Orders through a second in the second half of the whole lives alone.
    pub second_half_per_second: f64,
    /// The measurements, in the order in which they were made.
    pub measured: Vec<Measured>,
    /// The intake's share of what the raw log does with the same bytes in the same groups.
    pub share_of_raw_log: f64,
    /// Records a group on average, in the intake at 512.
    pub records_a_group: f64,
    /// Bytes of a record on average.
    pub bytes_a_record: f64,
    /// Bytes on disk for a byte of record: log and index.
    pub disk_a_record_byte: f64,
}

impl BenchReport {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("{} on {}\n", self.version, self.machine);
        if !self.release {
            text.push_str("NOT a release build: these figures say nothing\n");
        }
        self.measured.iter().for_each(|measured| text.push_str(&measured.row()));
        text.push_str(&format!(
            "whole lives: at most {} orders open at once ({} in the first half); {:.0} a second in the second half\n",
            self.open_orders_most, self.open_orders_most_first_half, self.second_half_per_second
        ));
        text.push_str(&format!(
            "intake reaches {:.0} % of the raw log (same bytes, same groups: {:.0} records of {:.0} bytes a group)\n",
            100.0 * self.share_of_raw_log,
            self.records_a_group,
            self.bytes_a_record
        ));
        text.push_str(&format!("disk: {:.2} bytes for each byte of record\n", self.disk_a_record_byte));
        text
    }
}
