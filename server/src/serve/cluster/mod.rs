//! One node of many: the log on NATS, partitions as etcd gives them out, and the doors.
//!
//! It ends so that nobody notices: the others take its partitions over while its doors still answer, by asking them; then
//! the doors close, then the node, and the connections last.

pub mod clock;
pub mod cluster_deps;
pub mod durability;
pub mod labels;
mod local_door;
mod member;
mod membership;
mod no_backup;
mod no_views;
mod options;
mod partition_services;
mod reading;
mod routing_door;
mod trimming;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::{CurrentDurability, Node, NodeHandle, OwnershipMode, Settings, run_ownership_loop};
use retailflow_config::Config;
use retailflow_engine::ports::{Clock as _, EventLog, Participants, Rng as _};
use retailflow_etcd::{EtcdOptions, EtcdOwnership};
use retailflow_gateway::{Edge, Options as EdgeOptions, Server};
use retailflow_nats::{AskDoor, ForwardClient, ForwardOptions, ForwardServer, remote_participants};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::clock::Differs;
use self::cluster_deps::ClusterDeps;
pub use self::cluster_deps::{list, nats_options};
use self::durability::Watching;
use self::local_door::LocalDoor;
pub use self::member::Member;
use self::membership::JoinedOwnership;
use self::no_backup::NoBackup;
use self::no_views::NoViews;
use self::partition_services::PartitionServices;
use self::reading::Reading;
use self::routing_door::RoutingDoor;
use super::readiness::{Phase, State, partitions, parts};
use super::stop::StopTime;
use super::upkeep::{self, HealthInputs};
use super::{BESIDE_MAX, Options, probe, refused, root_ended, tell, traced};
use crate::app::{self, SystemClock, SystemRng};
use crate::exit::{ExitStatus, Failure, OrExit};
use crate::metrics_exporter::MetricsExporter;
use crate::participants::{Kind, instant};
use crate::signals;
use crate::telemetry::otlp;

/// Threads that wait for a disk at the end have so long.
const THREADS_END_MAX: Duration = Duration::from_secs(5);

/// Time between two looks whether all has been handed over.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Serves as one of many until a stop is asked for.
///
/// # Errors
/// A [`Failure`] that says what to do.
pub fn run(data: Option<&Path>, config: Config, options: &Options, member: &Member) -> Result<(), Failure> {
    labels::parse_labels(&config.cluster.required_labels)
        .map_err(|why| Failure::usage(format!("cluster.required_labels: {why}")))?;
    // Before anything is made.
    app::enough_files()?;
    Server::check(&config.http, &EdgeOptions { insecure: options.insecure }).map_err(refused)?;
    let exporter = MetricsExporter::start()?;
    let runtime = app::runtime()?;
    let served = runtime.block_on(async {
        let deps = ClusterDeps::open(data, config, member).await?;
        let served = serve(&deps, options, member, exporter).await;
        deps.close().await;
        Ok::<_, Failure>((served, deps.stop_time()))
    });
    let (served, time) = match served {
        Ok((served, time)) => (served, time),
        Err(failure) => (Err(failure), StopTime::begin(0)),
    };
    runtime.shutdown_timeout(time.part(THREADS_END_MAX));
    otlp::end(time.rest());
    served
}

async fn serve(
    deps: &Arc<ClusterDeps>,
    options: &Options,
    member: &Member,
    exporter: MetricsExporter,
) -> Result<(), Failure> {
    let config = &deps.config;
    let (mut stopped, _stop) = signals::listen()?;
    let durability = Watching::start(deps, member.accept_weaker_durability).await?;
    exporter.durability(durability.now.get(), None);
    let node = node(deps, options, member, durability.now.clone()).await?;
    let partitions = deps.log.identity().partitions;
    let here = Arc::new(LocalDoor::new(node.clone(), deps.log.clone()));
    let (nodes, calls) = (deps.edge("nodes").await?, deps.direct("calls").await?);
    let post = ForwardServer::new(nodes, here.clone(), ForwardOptions::default());
    let doorway = traced(Arc::new(RoutingDoor::new(here.clone(), partitions, ForwardClient::new(calls))));
    let ask = options::ask(config);
    let ask = AskDoor::open(deps.asked("ask").await?, doorway.clone(), ask, SystemClock.now()).await;
    let ask = ask.or_exit(ExitStatus::Unreachable, || "cannot open the ask door")?;

    let (never_failed, failed) = watch::channel(None);
    let take_over = Duration::from_millis(config.cluster.take_over_ms);
    let (reading, clock, joined) =
        (Arc::<Reading>::default(), Differs::default(), JoinedOwnership::default());
    // The one who has it hands it over first, or its session runs out.
    let hand_over = Duration::from_millis(config.cluster.hand_over_ms);
    let moving = take_over + hand_over + Duration::from_millis(config.etcd.ttl_ms);
    let watches = vec![
        deps.watch(),
        deps.watch_streams(),
        durability.watch(),
        partitions::partitions(&node, take_over),
        reading.watch(&node),
        parts::participants(&node),
        clock.watch(),
        joined.watch(&node, moving),
    ];
    let state = Arc::new(State::new(failed.clone(), watches));
    let edge = Edge {
        door: doorway,
        views: Arc::new(NoViews),
        relay: deps.relay.clone(),
        log: deps.log.clone(),
        backup: Arc::new(NoBackup),
        snapshots: None,
        tenants: deps.tenants.clone(),
        dead_letters: None,
        readiness: state.clone(),
        metrics: exporter.renderer(node.clone()),
        numbers: exporter.numbers(node.clone()),
        counts: Arc::default(),
        token_secret: deps.token_secret.clone(),
    };
    let watched = HealthInputs {
        node: node.clone(),
        log: deps.log.clone(),
        failed,
        views: None,
        edge: edge.counts.clone(),
        asked: Some(ask.counted()),
        state: state.clone(),
    };
    let mut http = config.http.clone();
    app::leave_files(&mut http);
    let server = Server::start(http, edge, EdgeOptions { insecure: options.insecure });
    let server = match server {
        Ok(server) => server,
        Err(why) => {
            node.clone().kill().await;
            return Err(refused(why));
        }
    };
    tell(&server);

    // Last of all: whoever joins is given partitions, and must be able to see to them.
    let (gone, end) = (CancellationToken::new(), CancellationToken::new());
    let said = Arc::default();
    let attending = PartitionServices {
        deps: deps.clone(),
        node: node.clone(),
        post,
        reading,
        said,
        misrouted: Arc::default(),
    };
    let mut attending = tokio::spawn(attending.run(end.clone()));
    let required = labels::parse_labels(&config.cluster.required_labels).map_err(Failure::usage)?;
    let options = etcd_options(member, deps, server.admin_addr, required);
    let ownership = EtcdOwnership::join(options, Arc::new(SystemClock));
    here.joined(ownership.clone());
    joined.joined(&ownership);
    let times = options::steward_times(config);
    let mut steward = tokio::spawn(run_ownership_loop(node.clone(), ownership.clone(), times, gone.clone()));

    let mut beside = JoinSet::new();
    beside.spawn(upkeep::run(exporter.clone(), watched, end.clone()));
    beside.spawn(trimming::run(deps.clone(), member.node.clone(), end.clone()));
    beside.spawn(clock.run(deps.clone(), end.clone()));
    beside.spawn(durability::run(durability, deps.clone(), exporter, end.clone()));
    if config.probe.interval_ms > 0 {
        beside.spawn(probe::run(node.clone(), partitions, config.probe.clone(), end.clone()));
    }
    state.set(Phase::Serving);
    let ended = tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => Ok(()),
        () = node.wait_ended() => Err(root_ended()),
        // Neither ends by itself; without it partitions would be held and not run.
        ended = &mut steward => Err(Failure::unreachable(format!("what runs partitions has ended: {ended:?}"))),
        ended = &mut attending => Err(Failure::unreachable(format!("what sees to partitions has ended: {ended:?}"))),
    };

    let time = deps.stop_time();
    state.set(Phase::Draining);
    // Others take over one partition after another, and what still comes here is forwarded to them.
    ownership.leave();
    let empty = async {
        while !node.owned_partitions().is_empty() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    if tokio::time::timeout(time.part(hand_over), empty).await.is_err() {
        tracing::warn!(
            event = "partitions_left",
            left = node.owned_partitions().len(),
            "nobody has taken all partitions over; the next one who comes does"
        );
    }
    gone.cancel();
    let joined = |name, ended: Result<(), tokio::task::JoinError>| {
        if let Err(error) = ended {
            tracing::error!(%error, "what ran {name} ended badly");
        }
    };
    let drain = time.part(Duration::from_millis(config.http.drain_ms));
    let (answered, cut) = tokio::join!(ask.close(drain), server.drain(drain));
    if !steward.is_finished()
        && !time
            .end("what runs partitions", hand_over, async { joined("partitions", (&mut steward).await) })
            .await
    {
        steward.abort();
    }
    end.cancel();
    if !attending.is_finished()
        && !time
            .end("what sees to partitions", hand_over, async { joined("doors", (&mut attending).await) })
            .await
    {
        attending.abort();
    }
    time.end("the probe or the metrics", BESIDE_MAX, async { while beside.join_next().await.is_some() {} })
        .await;
    let stop = node.clone().stop(time.part(time.rest())).await;
    time.end("the membership", BESIDE_MAX, ownership.close()).await;
    drop(never_failed);
    tracing::info!(drained = stop.drained, abandoned = stop.abandoned, answered, cut, "stopped");
    ended
}

async fn node(
    deps: &Arc<ClusterDeps>,
    options: &Options,
    member: &Member,
    durability: CurrentDurability,
) -> Result<NodeHandle, Failure> {
    let participants = participants(deps, options).await?;
    let settings = Settings {
        ownership: OwnershipMode::Assigned,
        drives_effects: options.drives_effects,
        ..Settings::new(deps.config.clone(), member.node.as_str())
    };
    let started = Node::start(settings, deps.ports(participants, durability)).await;
    started.map_err(|error| Failure::new(ExitStatus::Unreachable, error))
}

async fn participants(deps: &Arc<ClusterDeps>, options: &Options) -> Result<Participants, Failure> {
    match options.participants {
        Kind::Instant => Ok(Arc::new(instant::Instant::default()).participants()),
        Kind::Shared => {
            let timeout = Duration::from_millis(deps.config.effects.call_timeout_ms);
            Ok(remote_participants::participants(&deps.direct("participants").await?, timeout))
        }
        Kind::Perfect | Kind::Flaky => Err(Failure::usage(
            "participants with books of this node's own would not know what other nodes have asked them for: run \
             `retailflow participants --nats URL --data DIR` once, and give --participants shared to each node",
        )),
    }
}

fn etcd_options(
    member: &Member,
    deps: &ClusterDeps,
    admin: SocketAddr,
    required_labels: BTreeMap<String, String>,
) -> EtcdOptions {
    let config = &deps.config;
    EtcdOptions {
        endpoints: list(&config.etcd.endpoints),
        cluster: config.log.cluster.clone(),
        node: member.node.clone(),
        incarnation: SystemRng::default().next_u64(),
        weight: member.weight,
        labels: member.labels.clone(),
        build: env!("CARGO_PKG_VERSION").into(),
        admin: Some(format!("http://{admin}")),
        ttl_ms: config.etcd.ttl_ms,
        policy: options::policy(config, deps.log.identity().partitions, required_labels),
    }
}
