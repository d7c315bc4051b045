//! What a node of many stands on: connections, streams, the log, and the ports beside it.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use retailflow_actors::{CurrentDurability, Ports};
use retailflow_config::Config;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{
    Clock as _, EventLog, LogIdentity, Participants, PortFuture, Rng as _, Snapshots,
};
use retailflow_engine::wire::limits::BODY_MAX_BYTES;
use retailflow_etcd::Locks;
use retailflow_index::snapshot_cache::{SnapshotCache, SnapshotCacheOptions};
use retailflow_nats::event_log::GROUP_RECORDS_MAX;
use retailflow_nats::{
    ApiFailure, Connections, Cursors, DoorStreams, Drift, EdgeConnection, EventOptions, EventPublisher,
    IdentityError, NatsDeadLetters, NatsLog, NatsLogOptions, NatsOptions, NatsRelay, NatsTenants, OpenError,
    RelayOptions, SecretError, StreamWatch, SyncedServers, TenantsOptions, Topology, TopologyError, fits_log,
    token_secret,
};

use retailflow_gateway::TokenSecret;

use super::super::readiness::{self, Part, Watch};
use super::super::stop::StopTime;
use super::member::Member;
use crate::app::{self, SystemClock, SystemRng};
use crate::exit::{ExitStatus, Failure, OrExit};

/// A node waits so long for its servers when it starts: they may be starting, too.
const SERVERS_MAX: Duration = Duration::from_secs(30);
/// A stream without a leader for less is choosing one.
const LED_WITHIN: Duration = Duration::from_secs(3);
/// Between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// For each thing that is closed.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// The largest command, and what stands around it in a record.
const PAYLOAD_MIN_BYTES: usize = BODY_MAX_BYTES + AROUND_BYTES;
/// What stands around the decisions of a record, and around a record in a message.
const AROUND_BYTES: usize = 64 << 10;
/// Between two looks at whether the streams are well.
const STREAMS_EVERY: Duration = Duration::from_secs(5);
/// For making all streams.
const PROVISION_MAX: Duration = Duration::from_secs(60);

/// All that a node stands on.
pub struct ClusterDeps {
    /// As it was read at the start.
    pub config: Config,
    nats: NatsOptions,
    /// The same for what answers callers.
    replier: NatsOptions,
    /// To the log and what stands beside it.
    pub connections: Connections,
    /// The log.
    pub log: Arc<NatsLog>,
    /// Tenants and their settings.
    pub tenants: Arc<NatsTenants>,
    /// Dead letters.
    pub letters: Arc<NatsDeadLetters>,
    /// Public events, to read.
    pub relay: Arc<NatsRelay>,
    /// Public events, to write.
    pub publisher: Arc<EventPublisher>,
    /// How far each partition's public events have got.
    pub cursors: Arc<Cursors>,
    /// For jobs that one node does at a time.
    pub locks: Locks,
    /// Whether the streams are there, led, whole, and have room.
    pub streams: StreamWatch,
    /// What servers said last of whether they sync.
    pub(super) synced: SyncedServers,
    /// The same on all nodes.
    pub token_secret: TokenSecret,
    snapshots: Option<Arc<SnapshotCache>>,
    /// The time of the stop, from the moment on at which it is asked for.
    stop: OnceLock<StopTime>,
}

/// The parts of a list that is separated by commas; none for `off`.
pub fn list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "off");
    parts.map(str::to_owned).collect()
}

/// How to reach the servers of a configuration.
pub fn nats_options(config: &Config, name: &str) -> NatsOptions {
    let file = |text: &str| list(text).first().map(std::path::PathBuf::from);
    NatsOptions {
        servers: list(&config.nats.servers),
        name: name.into(),
        credentials: file(&config.nats.credentials),
        ca: file(&config.nats.ca),
        request_timeout_ms: config.nats.request_timeout_ms,
        ..NatsOptions::default()
    }
}

pub(super) fn replier_options(config: &Config, nats: &NatsOptions) -> NatsOptions {
    let own = list(&config.nats.replier_credentials).first().map(std::path::PathBuf::from);
    NatsOptions { credentials: own.or_else(|| nats.credentials.clone()), ..nats.clone() }
}

impl ClusterDeps {
    /// Connects, makes what is missing, and opens the log.
    pub async fn open(
        data: Option<&Path>,
        mut config: Config,
        member: &Member,
    ) -> Result<Arc<Self>, Failure> {
        // A group has a message for each record and for each deadline.
        config.log.group_max_records = config.log.group_max_records.min(GROUP_RECORDS_MAX);
        let nats = nats_options(&config, &format!("retailflow {}", member.node));
        let replier = replier_options(&config, &nats);
        let connections = connect(&nats).await?;
        let (most, record_max) = (connections.payload_max_bytes(), config.orders.record_max_bytes);
        if let Some(why) =
            too_small(most, record_max, "the NATS servers", "`max_payload: 8MB` in their configuration")
        {
            return Err(Failure::refused(why));
        }
        let locks = Locks::new(list(&config.etcd.endpoints), &config.log.cluster, member.node.as_str());
        provision(&config, &connections, &locks).await?;
        let options =
            NatsLogOptions { commit_timeout_ms: config.commit.timeout_ms, ..NatsLogOptions::default() };
        let wanted = identity(&config);
        let opened = patiently(
            "the log",
            async || NatsLog::open(&connections, &wanted, &options).await,
            OpenError::may_pass,
        );
        let opened = opened.await;
        let log = opened.or_exit(ExitStatus::Refused, || "cannot open the log")?;
        let log_id = log.identity().log_id;
        let options = TenantsOptions::default();
        let tenants = async || NatsTenants::open(&connections, &options).await;
        let tenants = patiently("the tenants", tenants, ApiFailure::may_pass).await;
        let tenants = tenants.or_exit(ExitStatus::Unreachable, || "cannot read the tenants")?;
        let secret = async || token_secret(&connections).await;
        let secret = patiently("the secret of tokens", secret, SecretError::may_pass).await;
        let secret = secret.or_exit(ExitStatus::Unreachable, || "cannot read the secret of tokens")?;
        let edge = EdgeConnection::open(&nats, "events").await;
        let edge = edge.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")?;
        let snapshots = data.map(|data| snapshots(data, log_id)).transpose()?;
        Ok(Arc::new(Self {
            log: log.clone(),
            tenants: Arc::new(tenants),
            letters: Arc::new(NatsDeadLetters::new(&connections)),
            relay: Arc::new(NatsRelay::open(&connections, edge, RelayOptions::default())),
            publisher: Arc::new(EventPublisher::new(&connections, &EventOptions::default())),
            cursors: Arc::new(Cursors::new(&connections, log_id)),
            locks,
            streams: StreamWatch::start(&connections, config.cluster.shards, STREAMS_EVERY, {
                let log = log.clone();
                move |no_room: Option<&str>| log.refuse_for_room(no_room)
            }),
            synced: SyncedServers::new(&connections),
            token_secret: TokenSecret::derive(&secret),
            snapshots,
            stop: OnceLock::new(),
            config,
            nats,
            replier,
            connections,
        }))
    }

    /// A connection for what is sent to where callers want it. With credentials of its own it may write nowhere else.
    pub(super) async fn replier(&self, purpose: &'static str) -> Result<EdgeConnection, Failure> {
        let opened = EdgeConnection::direct(&self.replier, purpose).await;
        opened.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS (nats.replier_credentials)")
    }

    /// The same, where callers ask over it, too.
    pub(super) async fn asked(&self, purpose: &'static str) -> Result<EdgeConnection, Failure> {
        let opened = EdgeConnection::open(&self.replier, purpose).await;
        opened.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS (nats.replier_credentials)")
    }

    /// A connection of its own for what strangers wrote.
    pub async fn edge(&self, purpose: &'static str) -> Result<EdgeConnection, Failure> {
        let opened = EdgeConnection::open(&self.nats, purpose).await;
        opened.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")
    }

    /// A connection of its own over which only nodes, and whom they ask, are heard.
    pub async fn direct(&self, purpose: &'static str) -> Result<EdgeConnection, Failure> {
        let opened = EdgeConnection::direct(&self.nats, purpose).await;
        opened.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")
    }

    /// The ports of the node.
    pub fn ports(&self, participants: Participants, durability: CurrentDurability) -> Ports {
        let snapshots: Arc<dyn Snapshots> = match &self.snapshots {
            Some(cache) => cache.clone(),
            None => Arc::new(NoSnapshots),
        };
        Ports {
            log: self.log.clone(),
            deadlines: self.log.clone(),
            participants,
            snapshots,
            tenants: self.tenants.clone(),
            dead_letters: self.letters.clone(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::default()),
            durability,
        }
    }

    /// Says when the servers of the log are away.
    pub fn watch(&self) -> Watch {
        let connections = self.connections.clone();
        Box::new(move || {
            let away = "no NATS server is connected: nothing can be recorded until one is back";
            (!connections.are_up())
                .then(|| readiness::HealthIssue::bars(Part::Connection, away))
                .into_iter()
                .collect()
        })
    }

    /// Says what is wrong with the streams, and which stores fill.
    pub fn watch_streams(self: &Arc<Self>) -> Watch {
        let deps = self.clone();
        Box::new(move || {
            let issues = deps.streams.faulty().into_iter().filter(|fault| fault.lasts >= LED_WITHIN);
            // Notes: whether this node's own partitions can be written, and its commands are read, is looked at by partition, and who
            // publishes into a full stream waits while asked commands go on.
            let issues = issues.map(|fault| {
                let issue = readiness::HealthIssue::note(Part::Streams, fault.to_string());
                issue.with_remedy(fault.remedy()).since(fault.lasts)
            });
            let fills = deps.streams.filling().into_iter().map(|fill| {
                let remedy =
                    "make room, or raise the limit (docs/cluster.md, \"Room\"); it goes on by itself";
                readiness::HealthIssue::note(Part::Room, fill.to_string()).with_remedy(remedy)
            });
            issues.chain(fills).collect()
        })
    }

    /// The time of the stop, which begins with the first call.
    pub fn stop_time(&self) -> StopTime {
        *self.stop.get_or_init(|| StopTime::begin(self.config.node.stop_deadline_ms))
    }

    /// Closes all, in the reverse order, in what is left of the stop's time.
    pub async fn close(&self) {
        let time = self.stop_time();
        self.streams.close().await;
        self.relay.close(time.part(CLOSE_MAX)).await;
        self.tenants.close(time.part(CLOSE_MAX)).await;
        if !self.log.close(time.part(CLOSE_MAX)).await {
            tracing::warn!(
                event = "groups_left_in_doubt",
                "groups were left on their way; the next owners find out what became of them"
            );
        }
        // Two connections, one after the other.
        self.connections.close(time.part(CLOSE_MAX) / 2).await;
        if let Some(snapshots) = &self.snapshots {
            tokio::task::block_in_place(|| snapshots.close());
        }
    }
}

/// For nodes without a directory: orders are rebuilt from the log alone.
struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn load<'a>(&'a self, _order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        Box::pin(std::future::ready(None))
    }

    fn save(&self, _order: &OrderRef, _bytes: Vec<u8>) {}
}

fn snapshots(data: &Path, log_id: [u8; 16]) -> Result<Arc<SnapshotCache>, Failure> {
    let dir = data.join("snapshots");
    app::no_links(data)?;
    let made = app::files().create_dir_all(data);
    made.or_exit(ExitStatus::Unreachable, || format!("cannot make {}", data.display()))?;
    let opened =
        tokio::task::block_in_place(|| SnapshotCache::open(&dir, &SnapshotCacheOptions::default(), log_id));
    opened.map(Arc::new).or_exit(ExitStatus::Unreachable, || format!("cannot use {}", dir.display()))
}

async fn connect(nats: &NatsOptions) -> Result<Connections, Failure> {
    let until = tokio::time::Instant::now() + SERVERS_MAX;
    loop {
        match Connections::open(nats).await {
            Ok(connections) => return Ok(connections),
            Err(error) if error.may_pass() && tokio::time::Instant::now() < until => {
                tracing::warn!(event = "waiting_for_servers", %error, "waiting for NATS");
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Err(error) => {
                return Err(error)
                    .or_exit(ExitStatus::Unreachable, || "cannot connect to NATS (nats.servers)");
            }
        }
    }
}

/// Tries on for as long as a node waits for its servers: those that have just come up have no leaders yet, and those of which one is
/// away choose others.
async fn patiently<T, E: std::fmt::Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let until = tokio::time::Instant::now() + SERVERS_MAX;
    loop {
        match attempt().await {
            Err(error) if may_pass(&error) && tokio::time::Instant::now() < until => {
                tracing::warn!(event = "waiting_for_servers", %error, "{what} cannot be had yet");
                tokio::time::sleep(RETRY_DELAY).await;
            }
            done => return done,
        }
    }
}

pub(super) fn identity(config: &Config) -> LogIdentity {
    let rng = SystemRng::default();
    let mut log_id = [0; 16];
    log_id[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
    log_id[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
    LogIdentity {
        log_id,
        cluster: config.log.cluster.clone(),
        partitions: config.cluster.partitions,
        shards: config.cluster.shards,
        created: SystemClock.now(),
    }
}

/// Makes the streams that are missing, under a lock; says where others differ from what is wanted, and leaves them.
async fn provision(config: &Config, connections: &Connections, locks: &Locks) -> Result<(), Failure> {
    // Making them twice does no harm: a lock that cannot be had holds up nobody.
    let lock = match locks.take("provision", PROVISION_MAX, SystemClock.now()).await {
        Ok(lock) => lock,
        Err(error) => {
            tracing::warn!(%error, "streams are looked at without a lock");
            None
        }
    };
    let until = tokio::time::Instant::now() + SERVERS_MAX;
    let made = loop {
        // A configuration that does not fit the log makes nothing.
        match fits_log(connections, &identity(config)).await {
            Ok(()) => {}
            Err(error @ IdentityError::Differs { .. }) => break Err(Failure::refused(error)),
            Err(error) if error.may_pass() && tokio::time::Instant::now() < until => {
                tracing::warn!(event = "waiting_for_servers", %error, "what log this is cannot be read yet");
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
            Err(error) => {
                break Err(error).or_exit(ExitStatus::Unreachable, || "cannot read what log this is");
            }
        }
        match streams(config, connections).await {
            Err(failure) if failure.code != ExitStatus::Unreachable => break Err(failure),
            // Servers that have just come up have no leader yet.
            Err(failure) if tokio::time::Instant::now() < until => {
                tracing::warn!(event = "waiting_for_servers", %failure, "the streams are not there yet");
                tokio::time::sleep(RETRY_DELAY).await;
            }
            made => break made,
        }
    };
    if let Some(lock) = lock {
        lock.release().await;
    }
    for drift in made? {
        // What it does not take is refused for as long as it stands: rather not begin.
        let most = drift.found.parse().ok().filter(|_| drift.field == "max_msg_size");
        let log = retailflow_nats::subjects::is_log_stream(&drift.stream);
        let instead = format!("`max_msg_size: -1` for the stream {}", drift.stream);
        let record_max = config.orders.record_max_bytes;
        let why = most.filter(|_| log).and_then(|most| too_small(most, record_max, &drift.stream, &instead));
        if let Some(why) = why {
            return Err(Failure::refused(why));
        }
        tracing::warn!(event = "stream_drift", %drift, "a stream is not as it is wanted; it is left alone");
    }
    Ok(())
}

/// Why records may be larger than the messages that `who` takes, and what to set to what.
fn too_small(most: usize, record_max: usize, who: &str, instead: &str) -> Option<String> {
    let records = record_max + AROUND_BYTES;
    if most < PAYLOAD_MIN_BYTES {
        return Some(format!(
            "{who}: messages of {most} bytes at most, and the largest commands need {PAYLOAD_MIN_BYTES}: set {instead}"
        ));
    }
    (most < records).then(|| {
        format!(
            "{who}: messages of {most} bytes at most, and orders.record_max_bytes = {record_max} needs {records}: set \
             orders.record_max_bytes to {} or less, or {instead}",
            most - AROUND_BYTES
        )
    })
}

/// The streams of the log, and those of the doors, as the configuration wants them.
pub(super) fn wanted_streams(config: &Config) -> (Topology, DoorStreams) {
    let (partitions, replicas) = (config.cluster.partitions, config.nats.replicas);
    let topology = Topology { partitions, shards: config.cluster.shards, replicas };
    let commands_max_bytes = Some(config.nats.commands_max_bytes);
    (topology, DoorStreams { partitions, replicas, commands_max_bytes })
}

/// Where streams differ from what is wanted; those that are missing are made.
pub async fn streams(config: &Config, connections: &Connections) -> Result<Vec<Drift>, Failure> {
    let (topology, doors) = wanted_streams(config);
    let failed = |error: TopologyError| {
        let code = if error.may_pass() { ExitStatus::Unreachable } else { ExitStatus::Refused };
        Failure::new(code, anyhow::Error::new(error).context("cannot make the streams"))
    };
    let mut drift = topology.provision(connections).await.map_err(failed)?;
    drift.extend(doors.provision(connections).await.map_err(failed)?);
    Ok(drift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_no_message_for_the_largest_record_is_named_with_what_to_set() {
        let why = |most, record_max| too_small(most, record_max, "the servers", "`max_payload: 8MB`");
        assert_eq!(why(8 << 20, 4 << 20), None);
        assert_eq!(why(PAYLOAD_MIN_BYTES, 256 << 10), None);
        let small = why(1 << 20, 256 << 10).unwrap();
        assert!(small.contains("1048576 bytes") && small.contains("set `max_payload: 8MB`"), "{small}");
        let records = why(2 << 20, 4 << 20).unwrap();
        let wanted = "orders.record_max_bytes = 4194304 needs 4259840: set orders.record_max_bytes to 2031616 or less, or";
        assert!(records.contains(wanted), "{records}");
        assert_eq!(why(2 << 20, 2_031_616), None, "what is said helps");
    }
}
