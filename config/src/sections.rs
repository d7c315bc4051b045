//! The validated configuration: one plain struct a section, passed on by value.
//!
//! The meaning and the default of each field stand in `default.toml`, its range in [`crate::limits`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// All sections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[log]`
    pub log: Log,
    /// `[index]`
    pub index: Index,
    /// `[orders]`
    pub orders: Orders,
    /// `[admission]`
    pub admission: Admission,
    /// `[supervision]`
    pub supervision: Supervision,
    /// `[commit]`
    pub commit: Commit,
    /// `[effects]`
    pub effects: Effects,
    /// `[http]`
    pub http: Http,
    /// `[probe]`
    pub probe: Probe,
    /// `[tenants]`
    pub tenants: Tenants,
    /// `[nats]`
    pub nats: Nats,
    /// `[etcd]`
    pub etcd: Etcd,
    /// `[cluster]`
    pub cluster: Cluster,
    /// `[telemetry]`
    pub telemetry: Telemetry,
}

/// `[node]`: the process as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Time within which a stop finishes, answers and flushes.
    pub stop_deadline_ms: u64,
}

/// `[log]`: the segment log and its committers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Partitions of a data directory; read only when it is created.
    pub partitions: u16,
    /// Size to which a segment file is preallocated.
    pub segment_bytes: u64,
    /// Name of the log's owner, in its first record.
    pub cluster: String,
    /// Records in one group at most.
    pub group_max_records: usize,
    /// Bytes in one group at most.
    pub group_max_bytes: usize,
}

/// `[index]`: the rebuildable index beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Memory of sled's page cache.
    pub cache_bytes: u64,
    /// Changed orders gathered in memory before they are written as one sorted run.
    pub flush_entries: usize,
    /// Time after which entries are written even when there are fewer.
    pub flush_interval_ms: u64,
    /// Snapshots waiting to be written at most; further ones are dropped.
    pub snapshot_queue_max: usize,
    /// Time to open after which the index counts as damaged.
    pub open_timeout_ms: u64,
}

/// `[orders]`: the life of one order in memory and in the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// Orders held in memory at most.
    pub live_max: usize,
    /// Time without work after which an order is passivated.
    pub idle_ms: u64,
    /// Commands decided into one record at most.
    pub record_max_commands: usize,
    /// Bytes of one record at most.
    pub record_max_bytes: usize,
    /// Commands waiting at one order at most.
    pub queue_max: usize,
    /// Newest command ids kept in memory.
    pub recent_ids_max: usize,
    /// Decisions in an order's life at most.
    pub decisions_max: u64,
    /// Versions between two snapshots.
    pub snapshot_every: u64,
    /// Time a step of the saga has for its result.
    pub step_deadline_ms: u64,
    /// Orders rebuilt at the same time at most.
    pub hydrate_concurrency_max: usize,
}

/// `[admission]`: how much is let in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// Commands admitted and not yet answered at most, on the node.
    pub in_flight_max: usize,
    /// The same for one tenant.
    pub tenant_in_flight_max: usize,
    /// Commands under way in one partition at most, also those whose callers have gone.
    pub partition_in_flight_max: usize,
    /// A partition whose log has owed an answer for this long lets nothing in.
    pub doubt_ms: u64,
    /// What a refused command is told to wait.
    pub retry_after_ms: u64,
}

/// `[supervision]`: restarts and quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// Crashes within the window before quarantine.
    pub restarts_max: u32,
    /// Length of the window.
    pub window_ms: u64,
    /// Delay before the first restart.
    pub delay_min_ms: u64,
    /// Greatest delay before a restart.
    pub delay_max_ms: u64,
    /// Commands kept behind one parked order at most.
    pub parked_queue_max: usize,
}

/// `[commit]`: what a committer does when an append does not simply succeed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Times an order decides again after a conflict.
    pub conflict_retries_max: u32,
    /// Time after which an unanswered commit counts as unknown.
    pub timeout_ms: u64,
}

/// `[effects]`: asking participants for the steps of orders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Effects {
    /// Attempts running at once on the node at most.
    pub in_flight_max: usize,
    /// The same for one participant.
    pub participant_in_flight_max: usize,
    /// Orders whose next step waits to be attempted at most.
    pub backlog_max: usize,
    /// Orders remembered in memory for a later attempt at most.
    pub waiting_max: usize,
    /// Time a call to a participant has for its answer.
    pub call_timeout_ms: u64,
    /// Greatest wait after the first failed try.
    pub retry_min_ms: u64,
    /// Greatest wait after any.
    pub retry_max_ms: u64,
    /// Calls for one try of a step, all under one key, at most.
    pub call_attempts_max: u32,
    /// Tries of one step, each under a key of its own, at most.
    pub step_attempts_max: u32,
    /// Failures in a row after which a participant is left alone.
    pub breaker_failures: u32,
    /// For how long, the first time.
    pub breaker_open_ms: u64,
    /// Time between two looks for what became due or was left behind.
    pub sweep_ms: u64,
    /// Time for which nobody may drive an open order that asks for a step.
    pub undriven_max_ms: u64,
}

/// `[http]`: the HTTP edge, at its two addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where tenants' systems connect.
    pub listen: SocketAddr,
    /// Where operators connect.
    pub admin_listen: SocketAddr,
    /// Names, separated by commas, under which clients reach an address of this machine alone.
    pub host_names: String,
    /// Bytes of a request's body at most.
    pub body_max_bytes: usize,
    /// Bytes of bodies that are being received at most, all requests together.
    pub bodies_max_bytes: usize,
    /// Bytes of a request's line and headers at most.
    pub header_max_bytes: usize,
    /// Connections at the public address at most.
    pub connections_max: usize,
    /// The same at the operators' address.
    pub admin_connections_max: usize,
    /// Streams of events at most.
    pub streams_max: usize,
    /// Orders read from the log at the same time at most.
    pub reads_max: usize,
    /// Percent of streams, reads and large bodies that one tenant may have at once.
    pub tenant_share_percent: usize,
    /// Percent of the connections at each address of ours that one address of others may have.
    pub address_share_percent: usize,
    /// Bytes a second that a body brings at least, once it is more than a few kilobytes; 0 for none.
    pub body_min_bytes_per_s: usize,
    /// Time after which a stream of events ends, and its client comes again where it was.
    pub stream_max_ms: u64,
    /// Time a request has when it names none.
    pub request_timeout_ms: u64,
    /// Time that a request can ask for at most.
    pub request_timeout_max_ms: u64,
    /// Time in which a request's line and headers arrive, once they have begun to; and in which a new connection sends them.
    pub header_timeout_ms: u64,
    /// For how long a connection may be idle after an answer.
    pub idle_timeout_ms: u64,
    /// Time in which a request's body arrives.
    pub body_timeout_ms: u64,
    /// Time for which a client may take in nothing of what it is sent.
    pub write_timeout_ms: u64,
    /// Time without an event after which a stream says that it is alive.
    pub stream_heartbeat_ms: u64,
    /// Time between "not ready" and the end of accepting, for load balancers to notice.
    pub drain_notice_ms: u64,
    /// Time for the answers under way, once nothing new is accepted.
    pub drain_ms: u64,
}

/// `[probe]`: the engine's own orders, by which a server measures itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Time between two orders of one partition; 0 for none at all.
    pub interval_ms: u64,
}

/// `[tenants]`: who may come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// What happens to a command of a tenant not seen before.
    pub unknown: UnknownTenant,
    /// Tenants that come into being by their first command at most; further ones are set by an operator.
    pub created_max: usize,
}

/// What happens to a command of a tenant not seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTenant {
    /// The tenant is created.
    Create,
    /// The command is refused.
    Refuse,
}

/// `[nats]`: the servers of the log, where many nodes share it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// Addresses, separated by commas, or `off`.
    pub servers: String,
    /// Their monitoring addresses, separated by commas, or `off`.
    pub monitors: String,
    /// A file of credentials, or `off`.
    pub credentials: String,
    /// The same for what answers callers, or `off` for the same one.
    pub replier_credentials: String,
    /// A file with the certificates of the authority that signs the servers', or `off`.
    pub ca: String,
    /// Copies of each stream that is made.
    pub replicas: u8,
    /// Time for one answer.
    pub request_timeout_ms: u64,
    /// Bytes of published commands that are kept at most; beyond it publishers are refused.
    pub commands_max_bytes: u64,
    /// Requests at the ask door that a node works on at once.
    pub ask_in_flight_max: usize,
}

/// `[etcd]`: who names the owners of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Etcd {
    /// Addresses, separated by commas, or `off`.
    pub endpoints: String,
    /// Time after which others take over from a node that says nothing more.
    pub ttl_ms: u64,
}

/// `[cluster]`: many nodes on one log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Partitions of a log on NATS, for ever.
    pub partitions: u16,
    /// Streams that they are spread over, for ever.
    pub shards: u16,
    /// What a log has to give at least.
    pub durability: RequiredDurability,
    /// How long a published command of an unknown order waits for it.
    pub patience_ms: u64,
    /// Time between two fences that only say how far a partition has read.
    pub floor_ms: u64,
    /// Time after which a partition looks for commands by itself.
    pub look_ms: u64,
    /// Time between two looks at what of the published commands can be dropped.
    pub trim_ms: u64,
    /// Time for one try to take a partition over.
    pub take_over_ms: u64,
    /// Time for handing a partition over; what is not finished then is given up.
    pub hand_over_ms: u64,
    /// Time for which a partition stays with a node, unless that one goes.
    pub dwell_ms: u64,
    /// How many nodes there are to be, for `doctor`; 0 if that is not said.
    pub expected_nodes: u16,
    /// Labels that a node must have to run partitions, `name=value` separated by commas.
    pub required_labels: String,
}

/// What a log has to give at least: what an answered command survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredDurability {
    /// Nothing is asked for.
    Memory,
    /// Power lost, on any server.
    Fsync,
    /// A minority of servers lost.
    Replicated,
    /// Both.
    ReplicatedFsync,
}

/// `[telemetry]`: what the process says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Level or directives of `tracing`'s filter.
    pub log: String,
    /// Form of the log lines.
    pub format: LogFormat,
    /// Where spans of commands go: the base URL of a collector, or `off`.
    pub otlp_endpoint: String,
    /// Of a thousand traces that begin here, how many are sent.
    pub otlp_sample_permille: u64,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}
