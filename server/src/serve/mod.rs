//! The server's composition: one process with log, node, participants, projection and HTTP edge.
//!
//! Everything that is started here is ended here, in the reverse order: the edge first, so that nothing new comes in;
//! the log last, so that what is under way can still be recorded.

pub mod cluster;
mod probe;
mod readiness;
mod stop;
mod traced;
mod upkeep;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::{NodeHandle, Settings};
use retailflow_config::Config;
use retailflow_disk::projection::{Projection, ProjectionOptions};
use retailflow_engine::ports::{CommandDoor, EventLog};
use retailflow_gateway::{Edge, Options as EdgeOptions, Running, Server, TokenSecret};
use retailflow_participants::BookSync;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::readiness::{Phase, State, partitions, parts};
use self::stop::StopTime;
use self::traced::Traced;
use self::upkeep::HealthInputs;
use crate::app::{self, Make, Store};
use crate::exit::{ExitStatus, Failure, OrExit};
use crate::metrics_exporter::MetricsExporter;
use crate::participants::{self, Kind, Reporting};
use crate::serving::Serving;
use crate::signals;
use crate::telemetry::otlp;

/// What `serve` is asked for beside the configuration.
pub struct Options {
    /// Listen where strangers can connect.
    pub insecure: bool,
    /// Refuse to make a data directory.
    pub existing: bool,
    /// What the participants are like.
    pub participants: Kind,
    /// What their faults are drawn from.
    pub seed: u64,
    /// What their answers survive.
    pub book_sync: BookSync,
    /// Whether steps are driven.
    pub drives_effects: bool,
}

/// Spans that wait for their collector at the end have so long.
const OTLP_END_MAX: Duration = Duration::from_secs(5);

/// What ends beside the server has so long.
const BESIDE_MAX: Duration = Duration::from_secs(5);

/// Serves until a stop is asked for, or the log fails.
///
/// # Errors
/// A [`Failure`] that says what to do.
pub fn run(data: &Path, config: Config, options: &Options) -> Result<(), Failure> {
    // First of all: what is made before has no series.
    let exporter = MetricsExporter::start()?;
    exporter.durability(app::DURABILITY, None);
    // Before anything is made.
    app::enough_files()?;
    Server::check(&config.http, &EdgeOptions { insecure: options.insecure }).map_err(refused)?;
    let store = app::open(data, &config, Make::unless(options.existing))?;
    let tokens = app::token_secret(data, &config)?;
    let runtime = app::runtime()?;
    let served = runtime.block_on(serve(data, config, options, &store, tokens, exporter));
    drop(runtime);
    store.close();
    otlp::end(OTLP_END_MAX);
    served
}

async fn serve(
    data: &Path,
    config: Config,
    options: &Options,
    store: &Store,
    tokens: TokenSecret,
    exporter: MetricsExporter,
) -> Result<(), Failure> {
    let (mut stopped, _stop) = signals::listen()?;
    let (participants, reports) =
        participants::open(data, options.participants, options.seed, options.book_sync)?;
    let settings =
        Settings { drives_effects: options.drives_effects, ..Settings::new(config.clone(), "embedded") };
    let node = store.node(settings, participants.participants()).await?;
    let projection = Projection::start(store.log.clone(), data, ProjectionOptions::default());
    let projection = projection.or_exit(ExitStatus::Unreachable, || "cannot start a thread")?;
    let listed = projection.clone();
    let lists = move || listed.progress().why_not.map(|why| why.to_string());
    let take_over = Duration::from_millis(config.cluster.take_over_ms);
    let watches = vec![
        parts::disk(store.disk.clone()),
        partitions::partitions(&node, take_over),
        parts::lists(lists),
        parts::participants(&node),
        parts::index(&store.log),
        parts::damage(&store.log),
    ];
    let state = Arc::new(State::new(store.log.failed(), watches));
    let edge = edge(data, store, &node, &projection, &state, &exporter, tokens);
    let counts = edge.counts.clone();
    let mut http = config.http.clone();
    app::leave_files(&mut http);
    let start = EdgeOptions { insecure: options.insecure };
    let server = match Server::start(http, edge, start) {
        Ok(server) => server,
        Err(why) => {
            node.clone().kill().await;
            return Err(refused(why));
        }
    };
    tell(&server);
    let _serving = Serving::at(data, server.public_addr, server.admin_addr);

    let end = CancellationToken::new();
    let mut beside = JoinSet::new();
    let watched = HealthInputs {
        node: node.clone(),
        log: store.log.clone(),
        failed: store.log.failed(),
        views: Some(projection.clone()),
        edge: counts,
        asked: None,
        state: state.clone(),
    };
    beside.spawn(upkeep::run(exporter, watched, end.clone()));
    if config.probe.interval_ms > 0 {
        let partitions = store.log.identity().partitions;
        beside.spawn(probe::run(node.clone(), partitions, config.probe.clone(), end.clone()));
    }
    let reporting = Reporting::default();
    let mut reporter = pin!(reporting.run(&node, reports));
    let mut failed = store.log.failed();
    state.set(Phase::Serving);
    let ended = tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => Ok(()),
        () = node.wait_ended() => Err(root_ended()),
        () = &mut reporter => Err(Failure::unreachable("the participants have gone")),
        reason = failed.wait_for(Option::is_some) => {
            let reason = reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| "it was closed".into());
            Err(Failure::unreachable(format!("the log failed for good: {reason}. Start again when the disk is well")))
        }
    };
    let time = StopTime::begin(config.node.stop_deadline_ms);
    state.set(Phase::Draining);
    end.cancel();
    let drained = async {
        let cut = server.drain(time.part(Duration::from_millis(config.http.drain_ms))).await;
        // Both end at once when they are asked to; what does not, or has panicked, must not keep the node from its stop.
        let ended = async { while beside.join_next().await.is_some() {} };
        time.end("the probe or the metrics", BESIDE_MAX, ended).await;
        cut
    };
    // Reports go on until the edge has ended: an order may wait for one to come to its end.
    let cut = tokio::select! {
        cut = drained => cut,
        () = &mut reporter => 0,
    };
    // What comes after it is the participants' end, and the lists'.
    let stop = match &ended {
        Ok(()) => Some(node.clone().stop(time.rest() * 3 / 4).await),
        Err(_) => {
            node.clone().kill().await;
            None
        }
    };
    time.end("the participants", BESIDE_MAX, participants.close()).await;
    tokio::task::block_in_place(|| projection.close());
    if let Some(stop) = stop {
        tracing::info!(drained = stop.drained, abandoned = stop.abandoned, cut, "stopped");
    }
    ended
}

fn edge(
    data: &Path,
    store: &Store,
    node: &NodeHandle,
    projection: &Arc<Projection>,
    state: &Arc<State>,
    exporter: &MetricsExporter,
    token_secret: TokenSecret,
) -> Edge {
    Edge {
        door: traced(Arc::new(node.clone())),
        views: projection.clone(),
        relay: projection.clone(),
        log: store.log.clone(),
        backup: Arc::new(store.log.backup_source(data, app::files(), Some(participants::folder(data)))),
        snapshots: Some(store.log.clone()),
        tenants: store.log.clone(),
        dead_letters: Some(store.log.clone()),
        readiness: state.clone(),
        metrics: exporter.renderer(node.clone()),
        numbers: exporter.numbers(node.clone()),
        counts: Arc::default(),
        token_secret,
    }
}

/// The same door, with a span around each command, if spans go anywhere.
fn traced(door: Arc<dyn CommandDoor>) -> Arc<dyn CommandDoor> {
    if otlp::is_on() { Arc::new(Traced(door)) } else { door }
}

/// Nothing is decided here any more, and only another process can go on.
fn root_ended() -> Failure {
    Failure::unreachable(
        "what runs all orders has ended by itself, a fault of RetailFlow: what was answered is recorded. Start again, and report \
         the lines before `event=node_ended`",
    )
}

fn refused(error: retailflow_gateway::StartError) -> Failure {
    let code = match &error {
        retailflow_gateway::StartError::NotLoopback { .. } => ExitStatus::Refused,
        retailflow_gateway::StartError::Bind { .. } => ExitStatus::Unreachable,
    };
    Failure::new(code, error)
}

/// Where it listens, on standard output, for whoever started it with port 0. Nobody need read it: the log has it, too.
fn tell(server: &Running) {
    let (public, admin) = (server.public_addr, server.admin_addr);
    let text = format!(
        "listening on http://{public}, for operators on http://{admin}\n\
         console at http://{admin}/console\n"
    );
    if let Err(failure) = crate::exit::print(&text) {
        tracing::warn!(%failure, "standard output takes nothing");
    }
}
