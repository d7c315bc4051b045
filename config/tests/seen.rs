//! Each setting is changed by a test that sees what it does: which one, stands here. A setting without one is not to be had, for one
//! that nobody reads looks like any other (`log.queue_max` was such a one).

use std::collections::BTreeSet;
use std::path::Path;

use retailflow_config::limits::LIMITS;

/// File, test, and the keys that it changes.
const SEEN: &[(&str, &str, &[&str])] = &[
    ("tests/operators/stop.rs", "a_stop_ends_in_its_time_whoever_has_gone", &["node.stop_deadline_ms"]),
    ("tests/serve/settings.rs", "partitions_of_a_directory_stay_and_that_is_said", &["log.partitions"]),
    (
        "server/src/serve/cluster/options.rs",
        "each_setting_reaches_the_part_that_it_is_for",
        &[
            "log.segment_bytes",
            "log.cluster",
            "index.cache_bytes",
            "index.flush_entries",
            "index.flush_interval_ms",
            "index.snapshot_queue_max",
            "index.open_timeout_ms",
            "nats.servers",
            "nats.monitors",
            "nats.credentials",
            "nats.replier_credentials",
            "nats.ca",
            "nats.replicas",
            "nats.request_timeout_ms",
            "nats.commands_max_bytes",
            "nats.ask_in_flight_max",
            "etcd.endpoints",
            "etcd.ttl_ms",
            "cluster.partitions",
            "cluster.shards",
            "cluster.patience_ms",
            "cluster.floor_ms",
            "cluster.look_ms",
            "cluster.trim_ms",
            "cluster.take_over_ms",
            "cluster.hand_over_ms",
            "cluster.dwell_ms",
            "cluster.required_labels",
        ],
    ),
    (
        "gateway/tests/http/limits.rs",
        "slow_headers_and_idle_connections_are_closed",
        &["http.idle_timeout_ms"],
    ),
    (
        "tests/operators/broken.rs",
        "servers_and_nodes_that_are_away_are_named_and_all_comes_back_by_itself",
        &["cluster.expected_nodes"],
    ),
    (
        "actors/src/isolation/settings.rs",
        "each_setting_changes_what_is_seen",
        &[
            "log.group_max_records",
            "log.group_max_bytes",
            "orders.live_max",
            "orders.idle_ms",
            "orders.record_max_commands",
            "orders.record_max_bytes",
            "orders.queue_max",
            "orders.recent_ids_max",
            "orders.decisions_max",
            "orders.snapshot_every",
            "orders.step_deadline_ms",
            "orders.hydrate_concurrency_max",
            "admission.in_flight_max",
            "admission.tenant_in_flight_max",
            "admission.partition_in_flight_max",
            "admission.doubt_ms",
            "admission.retry_after_ms",
            "supervision.restarts_max",
            "supervision.window_ms",
            "supervision.delay_min_ms",
            "supervision.delay_max_ms",
            "supervision.parked_queue_max",
            "commit.conflict_retries_max",
            "commit.timeout_ms",
            "effects.in_flight_max",
            "effects.participant_in_flight_max",
            "effects.backlog_max",
            "effects.waiting_max",
            "effects.call_timeout_ms",
            "effects.retry_min_ms",
            "effects.retry_max_ms",
            "effects.call_attempts_max",
            "effects.step_attempts_max",
            "effects.breaker_failures",
            "effects.breaker_open_ms",
            "effects.sweep_ms",
            "effects.undriven_max_ms",
        ],
    ),
    ("gateway/tests/http/limits.rs", "an_address_that_is_taken_is_named", &["http.listen"]),
    ("gateway/tests/http/limits.rs", "other_addresses_than_loopback_must_be_meant", &["http.admin_listen"]),
    (
        "gateway/tests/http/limits.rs",
        "an_address_of_this_machine_answers_to_no_strange_name",
        &["http.host_names"],
    ),
    ("gateway/tests/http/limits.rs", "a_body_beyond_the_limit_is_413_told_or_not", &["http.body_max_bytes"]),
    ("gateway/tests/http/limits.rs", "all_bodies_together_have_a_limit", &["http.bodies_max_bytes"]),
    (
        "gateway/tests/http/settings.rs",
        "the_size_of_headers_is_the_one_that_is_set",
        &["http.header_max_bytes"],
    ),
    ("gateway/tests/http/limits.rs", "a_connection_too_many_is_told_and_closed", &["http.connections_max"]),
    (
        "gateway/tests/http/shares.rs",
        "idle_connections_give_way_and_busy_ones_do_not",
        &["http.admin_connections_max"],
    ),
    ("gateway/tests/http/events.rs", "only_so_many_streams_are_open", &["http.streams_max"]),
    ("gateway/tests/http/limits.rs", "reads_without_callers_keep_their_room", &["http.reads_max"]),
    (
        "gateway/tests/http/settings.rs",
        "a_tenants_share_is_the_one_that_is_set",
        &["http.tenant_share_percent"],
    ),
    (
        "gateway/tests/http/settings.rs",
        "an_addresss_share_is_the_one_that_is_set",
        &["http.address_share_percent"],
    ),
    (
        "gateway/tests/http/shares.rs",
        "bodies_that_do_not_end_stop_nobody_else",
        &["http.body_min_bytes_per_s"],
    ),
    ("gateway/tests/http/shares.rs", "a_stream_has_an_end", &["http.stream_max_ms"]),
    (
        "gateway/tests/http/commands.rs",
        "the_deadline_is_the_callers_or_the_configured_one",
        &["http.request_timeout_max_ms"],
    ),
    (
        "gateway/tests/http/settings.rs",
        "a_request_that_names_no_time_has_the_one_that_is_set",
        &["http.request_timeout_ms"],
    ),
    (
        "gateway/tests/http/limits.rs",
        "slow_headers_and_idle_connections_are_closed",
        &["http.header_timeout_ms"],
    ),
    ("gateway/tests/http/limits.rs", "a_slow_body_is_408", &["http.body_timeout_ms"]),
    ("gateway/tests/http/limits.rs", "a_reader_that_takes_nothing_is_cut_off", &["http.write_timeout_ms"]),
    (
        "gateway/tests/http/events.rs",
        "a_stream_without_events_says_that_it_is_alive",
        &["http.stream_heartbeat_ms"],
    ),
    ("gateway/tests/http/drain.rs", "readiness_goes_first", &["http.drain_notice_ms"]),
    ("tests/serve/settings.rs", "answers_under_way_have_the_time_that_is_set", &["http.drain_ms"]),
    ("tests/serve/settings.rs", "the_probe_comes_as_often_as_is_set", &["probe.interval_ms"]),
    (
        "tests/bad/tenants.rs",
        "an_unknown_tenant_is_refused_until_it_is_set_and_while_it_is_suspended",
        &["tenants.unknown"],
    ),
    ("actors/src/newcomers.rs", "only_tenants_take_room_from_tenants", &["tenants.created_max"]),
    (
        "tests/operators/cluster.rs",
        "operators_see_move_and_empty_and_the_doctor_finds",
        &["cluster.durability"],
    ),
    (
        "tests/serve/settings.rs",
        "what_is_logged_and_how_is_what_is_set",
        &["telemetry.log", "telemetry.format"],
    ),
    (
        "tests/serve/traces.rs",
        "spans_of_commands_reach_a_collector_within_their_callers_trace",
        &["telemetry.otlp_endpoint"],
    ),
    (
        "tests/serve/traces.rs",
        "as_many_traces_that_begin_here_are_sent_as_is_set",
        &["telemetry.otlp_sample_permille"],
    ),
];

/// The text of a test's function, from its name to the end of the file's item.
fn body<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(&format!("fn {name}("))?;
    let before = text[..at].trim_end().trim_end_matches("async").trim_end();
    let attribute = before.rsplit('\n').next()?;
    if !attribute.contains("test") {
        return None;
    }
    let indent: String = attribute.chars().take_while(|c| *c == ' ').collect();
    let end = text[at..].find(&format!("\n{indent}}}\n"))?;
    Some(&text[at..at + end])
}

/// Names of constants that hold a table which the test goes through.
const TABLES: [&str; 1] = ["ROWS"];

#[test]
fn each_setting_is_changed_by_a_test_that_sees_what_it_does() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (file, name, keys) in SEEN {
        let text = std::fs::read_to_string(repository.join(file)).unwrap_or_default();
        let Some(body) = body(&text, name) else {
            wrong.push(format!("there is no test {name} in {file}"));
            continue;
        };
        for key in *keys {
            if !seen.insert(*key) {
                wrong.push(format!("{key} stands here twice"));
            }
            let field = key.split('.').nth(1).unwrap_or_default();
            let in_table =
                TABLES.iter().any(|table| body.contains(table)) && text.contains(&format!("\"{key}\""));
            if !in_table && !body.contains(field) {
                wrong.push(format!("{name} in {file} does not change {key}"));
            }
        }
    }
    for limit in LIMITS.iter().filter(|limit| !seen.contains(limit.key)) {
        let key = limit.key;
        wrong.push(format!(
            "{key} is a setting: name the test here that changes it and sees what it does, or write it"
        ));
    }
    let known = |key: &&str| LIMITS.iter().any(|limit| limit.key == *key);
    wrong.extend(seen.into_iter().filter(|key| !known(key)).map(|key| format!("{key} is no setting")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
