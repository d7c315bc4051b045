//! Every metric: name, kind, unit, labels, help. Declared here once; `docs/metrics.md` is made from it.
//!
//! Names are frozen from the first release. A label's values are bounded: types, steps, participants, codes by the
//! contract; tenants by [`TENANTS_MAX`], further ones together as [`OTHER_TENANTS`].

use std::fmt::Write as _;

/// Tenants with series of their own.
pub const TENANTS_MAX: usize = 100;
/// The label of all tenants beyond these.
pub const OTHER_TENANTS: &str = "_other";

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, in the buckets given here.
    Histogram(&'static [f64]),
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name, unit last.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, in this order.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// From a tenth of a millisecond to ten seconds.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Records in a group.
const RECORDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

macro_rules! metrics {
    ($($name:ident $kind:expr, $text:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Metric =
                Metric { name: concat!("retailflow_", $text), kind: $kind, labels: &[$($label),*], help: $help };
        )*

        /// All of them.
        pub const ALL: &[Metric] = &[$($name),*];
    };
}

metrics! {
    COMMANDS Kind::Counter, "commands_total", ["tenant", "type", "status"],
        "Commands answered at the ask door, by tenant, type and status of their outcome.";
    COMMAND_SECONDS Kind::Histogram(SECONDS), "command_seconds", ["type"],
        "Time from a command's coming in to its outcome.";
    REFUSED Kind::Counter, "refused_total", ["code"],
        "Commands refused at the ask door, by code: nothing was recorded.";
    REPLAYED Kind::Counter, "replayed_total", [],
        "Commands that had an outcome before and were given the same again.";
    IN_FLIGHT Kind::Gauge, "commands_in_flight", [],
        "Commands let in and not answered.";
    IN_FLIGHT_MAX Kind::Gauge, "commands_in_flight_max", [],
        "How many commands may be in flight: `admission.in_flight_max`.";
    LIVE_ORDERS Kind::Gauge, "orders_live", [],
        "Orders in memory.";
    LIVE_ORDERS_MAX Kind::Gauge, "orders_live_max", [],
        "How many orders may be in memory: `orders.live_max`.";
    ORDERS Kind::Gauge, "orders", ["status"],
        "Orders by status, as the lists have them.";
    ATTENTION Kind::Gauge, "orders_attention", ["attention"],
        "Orders by attention, as the lists have them.";
    LEDGER Kind::Gauge, "ledger_commands", ["tenant", "state"],
        "Distinct commands in the log up to `ledger_cut_position`: `applied`, `rejected`, and `parked` behind a mark.";
    LEDGER_CUT Kind::Gauge, "ledger_cut_position", [],
        "The position of the log up to which `ledger_commands` and the lists have read.";
    VIEWS_BEHIND Kind::Gauge, "views_behind_bytes", [],
        "Bytes of the log that the lists of orders have not read yet.";
    VIEWS_USABLE Kind::Gauge, "views_usable", [],
        "1 while the lists of orders are shown; 0 while they are being built, or their disk fails.";
    ORDERS_ENDED Kind::Counter, "orders_ended_total", [],
        "Orders that came to their end: completed or canceled.";
    ORDERS_UNDRIVEN Kind::Counter, "orders_undriven_total", [],
        "Open orders that asked for a step and that nobody drove for effects.undriven_max_ms; each is named in the log. Above 0: a fault of RetailFlow.";
    SAGAS Kind::Gauge, "sagas", ["step"],
        "Orders that are driven now, by the step that they are at.";
    PARTITIONS_HELD Kind::Gauge, "partitions_held", [],
        "Partitions that this node runs and lets commands into.";
    RECORDS_TOO_LARGE Kind::Counter, "records_too_large_total", [],
        "Records and parked commands that the log took for too large, each refused by itself.";
    UNREADABLE_MESSAGES Kind::Counter, "unreadable_messages_total", ["connection", "cause"],
        "Messages of callers that no NATS client can read, by connection and by what was unreadable: headers, or the subject.";
    PARTITIONS_FENCED Kind::Counter, "partitions_fenced_total", [],
        "Partitions that this node ran and saw another one write: it stopped.";
    PARTITIONS_STOPPED Kind::Gauge, "partitions_stopped", [],
        "Partitions of which this node refuses everything, because their log lost acknowledged data: people have to look.";
    TAKE_OVER_SECONDS Kind::Histogram(SECONDS), "take_over_seconds", [],
        "Time from being told to run a partition to letting commands in.";
    ASKED Kind::Counter, "ask_requests_total", ["result"],
        "Requests at the ask door, by what became of them: answered, error, overloaded, dropped.";
    FORWARDED Kind::Counter, "forwarded_total", ["result"],
        "Commands taken to the node that runs their partition, by what came back: answered, nobody, refused, silent, strange.";
    PUBLISHED_COMMANDS Kind::Counter, "published_commands_total", ["result"],
        "Commands that callers published, by their end here: decided, dead_lettered.";
    EFFECTS Kind::Counter, "effects_total", ["participant", "step", "result"],
        "Effects that ended with an outcome.";
    EFFECT_CALLS Kind::Counter, "effect_calls_total", ["participant", "result"],
        "Calls of participants: `ok`, `trouble` (failed or unknown), `timeout`.";
    EFFECT_CALL_SECONDS Kind::Histogram(SECONDS), "effect_call_seconds", ["participant"],
        "Time until a participant answered, or the call was given up.";
    EFFECTS_BACKLOG Kind::Gauge, "effects_backlog", [],
        "Steps that are new: not failed yet, and not waiting for their participant for more than a second.";
    EFFECTS_BACKLOG_MAX Kind::Gauge, "effects_backlog_max", [],
        "Beyond it one new order is let in for two that end: `effects.backlog_max`.";
    BREAKER_OPEN Kind::Gauge, "breaker_open", ["participant"],
        "1 while a participant is left alone because it kept failing.";
    RESTARTS Kind::Counter, "actor_crashes_total", [],
        "Actors that failed and were started again, or parked.";
    PARKED Kind::Gauge, "orders_parked", [],
        "Orders under a park mark.";
    PARKED_COMMANDS Kind::Gauge, "parked_commands", [],
        "Commands that wait behind park marks.";
    GROUP_RECORDS Kind::Histogram(RECORDS), "commit_group_records", [],
        "Records committed in one group.";
    COMMIT_SECONDS Kind::Histogram(SECONDS), "commit_seconds", [],
        "Time from handing a group to the log to its answer.";
    LOG_SYNC_SECONDS Kind::Histogram(SECONDS), "log_sync_seconds", [],
        "Time to write and sync one batch of groups.";
    LOG_BYTES Kind::Counter, "log_written_bytes_total", [],
        "Bytes appended to the log.";
    LOG_SCRUBBED Kind::Counter, "log_scrubbed_bytes_total", [],
        "Bytes of finished segments that the scrubber has read again.";
    LOG_SCRUB_DAMAGE Kind::Counter, "log_scrub_damage_total", [],
        "Segments in which the scrubber found damage: run `retailflow verify`.";
    LOG_FAILED Kind::Gauge, "log_failed", [],
        "1 when the log failed for good: the process must be started again.";
    READY Kind::Gauge, "ready", [],
        "1 while `/readyz` says that this node can do its work.";
    UNWELL_SECONDS Kind::Gauge, "unwell_seconds", ["part"],
        "For how long a part of this node has not been as it should be, by part; 0 while it is. `/readyz` says why.";
    LOOKED Kind::Gauge, "looked_timestamp_seconds", [],
        "When this node last looked at itself, every two seconds: one that stands still while it is scraped hangs.";
    CLOCK_DIFFERS Kind::Gauge, "clock_differs_seconds", [],
        "By how much this machine's clock is before (below 0: behind) the NATS servers', at least.";
    LINES_LEFT_OUT Kind::Counter, "log_lines_left_out_total", [],
        "Warnings and errors that were not written, because their place in the program had said many at once.";
    DURABILITY Kind::Gauge, "durability_info", ["class", "replicas"],
        "Always 1: what recorded outcomes are safe from.";
    BUILD Kind::Gauge, "build_info", ["version"],
        "Always 1: the version of the program.";
    HTTP_RESPONSES Kind::Counter, "http_responses_total", ["route", "class"],
        "Answers given over HTTP, by what was asked for and the class of their status.";
    HTTP_REFUSED Kind::Counter, "http_connections_refused_total", [],
        "Connections beyond the greatest number.";
    HTTP_PANICS Kind::Counter, "http_panics_total", [],
        "Handlers of requests that panicked: each is a fault of ours.";
    HTTP_CONNECTIONS Kind::Gauge, "http_connections", [],
        "Connections that are open.";
    HTTP_STREAMS Kind::Gauge, "http_event_streams", [],
        "Streams of events that are open.";
    PROBE_SECONDS Kind::Histogram(SECONDS), "probe_seconds", ["partition"],
        "The service-level indicator: time in which the engine's own probe placed an order, through each partition.";
    PROBE_FAILURES Kind::Counter, "probe_failures_total", ["partition"],
        "Probes that were not applied.";
    MEMORY Kind::Gauge, "process_resident_bytes", [],
        "Memory of the process.";
}

/// The page on all metrics, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\nMade from `engine/wire/src/metric.rs`; a test keeps it current. Names are frozen from the first release.\n\
         `GET /metrics` of `retailflow serve` gives them in Prometheus' text format: all at the operators' address, those\nwithout the label `tenant` at the \
         tenants', too.\n\n\
         | name | kind | labels | says |\n|---|---|---|---|\n",
    );
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let Metric { name, help, .. } = metric;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_say_what_they_are() {
        let mut names = HashSet::new();
        for metric in ALL {
            assert!(names.insert(metric.name), "{} twice", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            let counts = metric.name.ends_with("_total");
            assert_eq!(
                counts,
                metric.kind == Kind::Counter,
                "{}: counters, and only they, end so",
                metric.name
            );
        }
    }
}
