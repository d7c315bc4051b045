//! Every number has a least and a greatest allowed value, and all of them stand in this file.
//!
//! The greatest values are hard: nothing in RetailFlow is unbounded, whatever a configuration says. A key that
//! is not listed here does not exist.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const SECOND_MS: u64 = 1000;
const HOUR_MS: u64 = 3600 * SECOND_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Greatest size of a configuration file.
pub const FILE_MAX_BYTES: u64 = MIB;

/// What a key may be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// A whole number in this range, ends included.
    Number {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `a-z`, `0-9` and `-`, from one to `max_chars` characters, beginning with a letter.
    Name {
        /// Greatest length.
        max_chars: usize,
    },
    /// An IP address and a port, as `127.0.0.1:8080`; port 0 takes a free one.
    Address,
    /// One of these numbers.
    Numbers(&'static [u64]),
    /// Addresses of servers, separated by commas or as a list of texts, or `off`.
    Servers(Schemes),
    /// As [`Self::Servers`], one at most.
    Server(Schemes),
    /// Names of hosts, separated by commas or as a list of texts.
    Hosts,
    /// `name=value`, separated by commas or as a list of texts, or `off`.
    Labels,
    /// Printable text of one to `max_chars` characters.
    Text {
        /// Greatest length.
        max_chars: usize,
    },
}

/// What addresses of servers look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schemes {
    /// What may stand before `://`, the first of them as the example.
    pub names: &'static [&'static str],
    /// Whether it may be left out.
    pub is_optional: bool,
    /// An example's port.
    pub port: u16,
}

const NATS: Schemes = Schemes { names: &["nats", "tls", "ws", "wss"], is_optional: true, port: 4222 };
const MONITORS: Schemes = Schemes { names: &["http", "https"], is_optional: false, port: 8222 };
const ETCD: Schemes = Schemes { names: &["http", "https"], is_optional: true, port: 2379 };
const OTLP: Schemes = Schemes { names: &["http", "https"], is_optional: false, port: 4318 };

/// Longest list, as text, in characters.
pub(crate) const LIST_MAX_CHARS: usize = 4096;

/// A key and what it may be set to.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Dotted key, as `log.partitions`.
    pub key: &'static str,
    /// What it may be set to.
    pub allowed: Allowed,
}

const fn number(key: &'static str, min: u64, max: u64) -> Limit {
    Limit { key, allowed: Allowed::Number { min, max } }
}

/// All keys there are.
pub const LIMITS: &[Limit] = &[
    number("node.stop_deadline_ms", 100, HOUR_MS),
    number("log.partitions", 1, 1024),
    number("log.segment_bytes", 64 * KIB, GIB),
    Limit { key: "log.cluster", allowed: Allowed::Name { max_chars: 63 } },
    number("log.group_max_records", 1, 65_536),
    number("log.group_max_bytes", 4 * KIB, 40 * MIB),
    number("index.cache_bytes", MIB, 16 * GIB),
    number("index.flush_entries", 16, 4 * MIB),
    number("index.flush_interval_ms", 10, 10 * 60 * SECOND_MS),
    number("index.snapshot_queue_max", 1, 65_536),
    number("index.open_timeout_ms", 100, HOUR_MS),
    number("orders.live_max", 1, 10_000_000),
    number("orders.idle_ms", 10, DAY_MS),
    number("orders.record_max_commands", 1, 4096),
    number("orders.record_max_bytes", KIB, 4 * MIB),
    number("orders.queue_max", 1, 65_536),
    number("orders.recent_ids_max", 1, 100_000),
    number("orders.decisions_max", 1, 10_000_000),
    number("orders.snapshot_every", 1, 1_000_000),
    number("orders.step_deadline_ms", SECOND_MS, 366 * DAY_MS),
    number("orders.hydrate_concurrency_max", 1, 4096),
    number("admission.in_flight_max", 1, MIB),
    number("admission.tenant_in_flight_max", 1, MIB),
    number("admission.partition_in_flight_max", 1, MIB),
    number("admission.doubt_ms", 100, HOUR_MS),
    number("admission.retry_after_ms", 1, HOUR_MS),
    number("supervision.restarts_max", 1, 1000),
    number("supervision.window_ms", 100, DAY_MS),
    number("supervision.delay_min_ms", 1, HOUR_MS),
    number("supervision.delay_max_ms", 1, HOUR_MS),
    number("supervision.parked_queue_max", 1, 100_000),
    number("commit.conflict_retries_max", 0, 1000),
    number("commit.timeout_ms", 10, HOUR_MS),
    number("effects.in_flight_max", 1, MIB),
    number("effects.participant_in_flight_max", 1, MIB),
    number("effects.backlog_max", 1, 10_000_000),
    number("effects.waiting_max", 1, 10_000_000),
    number("effects.call_timeout_ms", 10, HOUR_MS),
    number("effects.retry_min_ms", 1, HOUR_MS),
    number("effects.retry_max_ms", 1, HOUR_MS),
    number("effects.call_attempts_max", 1, 100),
    number("effects.step_attempts_max", 1, 100),
    number("effects.breaker_failures", 1, 100_000),
    number("effects.breaker_open_ms", 1, HOUR_MS),
    number("effects.sweep_ms", 10, HOUR_MS),
    number("effects.undriven_max_ms", 100, HOUR_MS),
    Limit { key: "http.listen", allowed: Allowed::Address },
    Limit { key: "http.admin_listen", allowed: Allowed::Address },
    Limit { key: "http.host_names", allowed: Allowed::Hosts },
    number("http.body_max_bytes", KIB, MIB),
    number("http.bodies_max_bytes", MIB, 16 * GIB),
    number("http.header_max_bytes", 8 * KIB, MIB),
    number("http.connections_max", 1, 65_536),
    number("http.admin_connections_max", 1, 1024),
    number("http.streams_max", 1, 16_384),
    number("http.reads_max", 1, 4096),
    number("http.tenant_share_percent", 1, 100),
    number("http.address_share_percent", 1, 100),
    number("http.body_min_bytes_per_s", 0, MIB),
    number("http.stream_max_ms", 100, 7 * DAY_MS),
    number("http.request_timeout_ms", 1, HOUR_MS),
    number("http.request_timeout_max_ms", 1, HOUR_MS),
    number("http.header_timeout_ms", 10, HOUR_MS),
    number("http.idle_timeout_ms", 10, HOUR_MS),
    number("http.body_timeout_ms", 10, HOUR_MS),
    number("http.write_timeout_ms", 10, HOUR_MS),
    number("http.stream_heartbeat_ms", 10, HOUR_MS),
    number("http.drain_notice_ms", 0, HOUR_MS),
    number("http.drain_ms", 1, HOUR_MS),
    number("probe.interval_ms", 0, DAY_MS),
    Limit { key: "tenants.unknown", allowed: Allowed::Choice(&["create", "refuse"]) },
    number("tenants.created_max", 0, 10_000_000),
    Limit { key: "nats.servers", allowed: Allowed::Servers(NATS) },
    Limit { key: "nats.monitors", allowed: Allowed::Servers(MONITORS) },
    Limit { key: "nats.credentials", allowed: Allowed::Text { max_chars: 4096 } },
    Limit { key: "nats.replier_credentials", allowed: Allowed::Text { max_chars: 4096 } },
    Limit { key: "nats.ca", allowed: Allowed::Text { max_chars: 4096 } },
    Limit { key: "nats.replicas", allowed: Allowed::Numbers(&[1, 3]) },
    number("nats.request_timeout_ms", 100, HOUR_MS),
    number("nats.commands_max_bytes", MIB, 1024 * 1024 * GIB),
    number("nats.ask_in_flight_max", 1, 65_536),
    Limit { key: "etcd.endpoints", allowed: Allowed::Servers(ETCD) },
    number("etcd.ttl_ms", 2 * SECOND_MS, HOUR_MS),
    number("cluster.partitions", 1, 1024),
    number("cluster.shards", 1, 1024),
    Limit {
        key: "cluster.durability",
        allowed: Allowed::Choice(&["memory", "fsync", "replicated", "replicated_fsync"]),
    },
    number("cluster.patience_ms", 0, HOUR_MS),
    number("cluster.floor_ms", 10, HOUR_MS),
    number("cluster.look_ms", 10, HOUR_MS),
    number("cluster.trim_ms", 100, DAY_MS),
    number("cluster.take_over_ms", 100, HOUR_MS),
    number("cluster.hand_over_ms", 100, HOUR_MS),
    number("cluster.dwell_ms", 0, DAY_MS),
    number("cluster.expected_nodes", 0, 1_000),
    Limit { key: "cluster.required_labels", allowed: Allowed::Labels },
    Limit { key: "telemetry.log", allowed: Allowed::Text { max_chars: 1000 } },
    Limit { key: "telemetry.otlp_endpoint", allowed: Allowed::Server(OTLP) },
    number("telemetry.otlp_sample_permille", 0, 1000),
    Limit { key: "telemetry.format", allowed: Allowed::Choice(&["pretty", "json"]) },
];

/// Partitions of one stream on NATS at most: the server takes 50 batches in flight a stream, and each partition has one.
pub const PARTITIONS_PER_SHARD_MAX: u64 = 49;

/// Short names of environment variables, beside [`crate::ENV_PREFIX`]'s, for what is mostly set from there: variable, key.
pub const ENV_SHORT: &[(&str, &str)] = &[
    ("RETAILFLOW_NATS", "nats.servers"),
    ("RETAILFLOW_ETCD", "etcd.endpoints"),
    ("RETAILFLOW_CLUSTER", "log.cluster"),
    ("RETAILFLOW_LISTEN", "http.listen"),
    ("RETAILFLOW_ADMIN_LISTEN", "http.admin_listen"),
];

/// A rule between two keys: the first may not be greater than the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) lesser: &'static str,
    pub(crate) greater: &'static str,
    pub(crate) why: &'static str,
}

/// Rules between keys.
pub(crate) const ORDERS: &[Order] = &[
    Order { lesser: "cluster.shards", greater: "cluster.partitions", why: "each shard holds a partition" },
    Order {
        lesser: "orders.record_max_bytes",
        greater: "log.group_max_bytes",
        why: "a group must hold the largest record",
    },
    Order {
        lesser: "log.group_max_bytes",
        greater: "log.segment_bytes",
        why: "a group must fit into a segment",
    },
    Order {
        lesser: "admission.tenant_in_flight_max",
        greater: "admission.in_flight_max",
        why: "one tenant cannot have more in flight than the node",
    },
    Order {
        lesser: "supervision.delay_min_ms",
        greater: "supervision.delay_max_ms",
        why: "the delay grows from the first to the second",
    },
    Order {
        lesser: "effects.participant_in_flight_max",
        greater: "effects.in_flight_max",
        why: "one participant cannot have more in flight than the node",
    },
    Order {
        lesser: "effects.retry_min_ms",
        greater: "effects.retry_max_ms",
        why: "the wait grows from the first to the second",
    },
    Order {
        lesser: "http.body_max_bytes",
        greater: "http.bodies_max_bytes",
        why: "one body must fit among all of them",
    },
    Order {
        lesser: "http.request_timeout_ms",
        greater: "http.request_timeout_max_ms",
        why: "the time of a request that names none is within what one can name",
    },
    Order {
        lesser: "http.drain_notice_ms",
        greater: "node.stop_deadline_ms",
        why: "the notice is a part of the stop",
    },
    Order {
        lesser: "http.streams_max",
        greater: "http.connections_max",
        why: "each stream takes a connection",
    },
    Order {
        lesser: "orders.recent_ids_max",
        greater: "orders.decisions_max",
        why: "an order has no more ids than decisions",
    },
];

/// What `key` may be set to; `None` when there is no such key.
#[must_use]
pub fn allowed(key: &str) -> Option<Allowed> {
    LIMITS.iter().find(|limit| limit.key == key).map(|limit| limit.allowed)
}

/// The names of the sections, each once, in the order of [`LIMITS`].
#[must_use]
pub fn sections() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = LIMITS.iter().filter_map(|l| l.key.split('.').next()).collect();
    names.dedup();
    names
}
