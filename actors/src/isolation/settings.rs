//! Each setting of the sections that actors read changes what it says: the same is done under two values, and something else is seen.

use std::time::Duration;

use retailflow_config::limits::LIMITS;
use retailflow_config::{Config, LoadOptions};
use retailflow_engine::ports::PortFuture;

mod effects;
mod orders;

/// What is seen under a configuration, as a number.
type Seen = fn(Config) -> PortFuture<'static, u64>;

/// Within which something is seen, on a clock that jumps.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The sections whose keys all have to be here.
const SECTIONS: [&str; 5] = ["orders", "admission", "supervision", "commit", "effects"];

/// Key, two values, other settings under which it shows, and what is seen.
type Row = (&'static str, [&'static str; 2], &'static [(&'static str, &'static str)], Seen);

const ROWS: &[Row] = &[
    ("orders.live_max", ["10", "20"], &[], orders::live),
    ("orders.idle_ms", ["100", "5000"], &[], orders::leaves_after_ms),
    ("orders.record_max_commands", ["2", "100"], &[], orders::records),
    ("orders.record_max_bytes", ["1024", "262144"], &[], orders::records),
    ("orders.queue_max", ["4", "16"], &[], orders::refused_by_an_order),
    ("orders.recent_ids_max", ["2", "1000"], &[], orders::old_ids_known),
    ("orders.decisions_max", ["10", "20"], &[("orders.recent_ids_max", "5")], orders::decisions),
    ("orders.snapshot_every", ["2", "10"], &[], orders::snapshots),
    ("orders.step_deadline_ms", ["5000", "60000"], &[], effects::expires_after_ms),
    ("orders.hydrate_concurrency_max", ["4", "16"], &[], orders::rebuilt_at_once),
    (
        "admission.in_flight_max",
        ["8", "16"],
        &[("admission.tenant_in_flight_max", "8")],
        orders::let_in_of_many,
    ),
    ("admission.tenant_in_flight_max", ["8", "16"], &[], orders::let_in_of_one),
    ("admission.partition_in_flight_max", ["8", "16"], &[], orders::let_in_of_one),
    ("admission.doubt_ms", ["500", "5000"], &[], orders::in_doubt_after_ms),
    (
        "admission.retry_after_ms",
        ["7", "700"],
        &[("admission.tenant_in_flight_max", "1")],
        orders::told_to_wait_ms,
    ),
    ("supervision.restarts_max", ["2", "9"], &[], orders::crashes_until_quarantine),
    ("supervision.window_ms", ["100", "60000"], &[], orders::crashes_until_quarantine),
    ("supervision.delay_min_ms", ["10", "1000"], &[], orders::first_delay_ms),
    ("supervision.delay_max_ms", ["40", "1000"], &[], orders::greatest_delay_ms),
    ("supervision.parked_queue_max", ["3", "9"], &[], orders::queued_behind_a_parked_one),
    ("log.group_max_records", ["2", "100"], &[], orders::groups),
    ("log.group_max_bytes", ["4096", "4194304"], &[("orders.record_max_bytes", "4096")], orders::groups),
    ("commit.conflict_retries_max", ["1", "5"], &[], orders::tried_against_a_competing_writer),
    ("commit.timeout_ms", ["1000", "30000"], &[], orders::proposed_in_a_minute),
    (
        "effects.in_flight_max",
        ["6", "12"],
        &[("effects.participant_in_flight_max", "6")],
        effects::running_at_two,
    ),
    ("effects.participant_in_flight_max", ["3", "6"], &[], effects::running_at_one),
    (
        "effects.backlog_max",
        ["8", "40"],
        &[("effects.participant_in_flight_max", "1")],
        effects::let_in_while_slow,
    ),
    ("effects.waiting_max", ["5", "20"], &[], effects::remembered),
    ("effects.call_timeout_ms", ["500", "4000"], &[], effects::looked_up_after_ms),
    ("effects.retry_min_ms", ["20", "4000"], &[], effects::first_wait_ms),
    (
        "effects.retry_max_ms",
        ["50", "5000"],
        &[("effects.call_attempts_max", "50")],
        effects::greatest_wait_ms,
    ),
    (
        "effects.call_attempts_max",
        ["2", "5"],
        &[("effects.breaker_failures", "100000")],
        effects::calls_under_a_key,
    ),
    (
        "effects.step_attempts_max",
        ["2", "5"],
        &[("effects.breaker_failures", "100000")],
        effects::keys_of_a_step,
    ),
    (
        "effects.breaker_failures",
        ["2", "12"],
        &[("effects.call_attempts_max", "100")],
        effects::calls_until_left_alone,
    ),
    (
        "effects.breaker_open_ms",
        ["500", "20000"],
        &[("effects.breaker_failures", "2")],
        effects::calls_in_half_a_minute,
    ),
    ("effects.sweep_ms", ["100", "2000"], &[], effects::looks),
    ("effects.undriven_max_ms", ["1000", "20000"], &[], effects::undriven_found_after_s),
];

/// `log.queue_max` was read by nobody.
#[test]
fn each_setting_is_in_the_table() {
    for limit in
        LIMITS.iter().filter(|limit| SECTIONS.iter().any(|of| limit.key.split('.').next() == Some(of)))
    {
        assert!(
            ROWS.iter().any(|(key, ..)| *key == limit.key),
            "{} is a setting, and no row here sees what it does: write one",
            limit.key
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_setting_changes_what_is_seen() {
    let mut wrong = Vec::new();
    for (key, values, with, seen) in ROWS {
        let mut numbers = Vec::new();
        for value in values {
            let set = [(*key, *value)].into_iter().chain(with.iter().copied());
            let overrides = set.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let config = Config::load(LoadOptions { overrides, ..LoadOptions::default() });
            let config = config.unwrap_or_else(|error| panic!("{error}")).config;
            let number = tokio::time::timeout(LONGEST, seen(config)).await;
            numbers.push(number.ok());
        }
        println!("{key} = {values:?}: {numbers:?}");
        if numbers[0] == numbers[1] || numbers.contains(&None) {
            wrong.push(format!("{key} = {values:?}: seen is {numbers:?}"));
        }
    }
    assert!(wrong.is_empty(), "settings that do nothing, or of which nothing is seen:\n{}", wrong.join("\n"));
}
