//! The log and the streams beside it: whose, how made, how many copies, how full, how durable.

use retailflow_config::Config;
use retailflow_engine::ports::{Clock as _, LogIdentity};
use retailflow_nats::{
    ApiFailure, Connections, DoorStreams, ReplicaStatus, SyncedServers, Topology, TopologyDiff,
    TopologyError, found_identity, probe_publishing, replica_status, server_time,
};

use super::report::Report;
use super::room;
use retailflow_server::app::SystemClock;
use retailflow_server::serve::cluster::clock::{DIFFERS_MAX_MS, differs};
use retailflow_server::serve::cluster::durability::{assess, gives, name, remedy, shown};

/// Looks at the log, if there is one; gives what it is.
pub(super) async fn examine(
    config: &Config,
    connections: &Connections,
    report: &mut Report,
) -> Option<LogIdentity> {
    let log = match found_identity(connections).await {
        Ok(log) => log,
        Err(error) => {
            let text = error.to_string();
            let remedy = match text.contains("10008") || text.contains("no answer") {
                true => {
                    "the streams have no leader now: see what is said of each server, and of how full its store is"
                }
                false => "let this user read the streams; a log of a later build needs that build",
            };
            report.problem("log", text, remedy);
            return None;
        }
    };
    match &log {
        None => report.warn("log", "there is none yet", "start a node: the first one makes the streams"),
        Some(log) => identity(config, log, report),
    }
    let (partitions, shards) = log
        .as_ref()
        .map_or((config.cluster.partitions, config.cluster.shards), |log| (log.partitions, log.shards));
    let whole = configuration(config, connections, (partitions, shards), log.is_some(), report).await;
    if log.is_some() && whole {
        publishing(connections, shards, report).await;
        copies(connections, shards, report).await;
        durability(config, connections, shards, report).await;
        clocks(connections, report).await;
    }
    log
}

fn identity(config: &Config, log: &LogIdentity, report: &mut Report) {
    let found =
        format!("of cluster {:?}, {} partitions in {} streams", log.cluster, log.partitions, log.shards);
    let same = log.cluster == config.log.cluster
        && log.partitions == config.cluster.partitions
        && log.shards == config.cluster.shards;
    if same {
        return report.ok("log", found);
    }
    let remedy = format!(
        "give nodes log.cluster={} cluster.partitions={} cluster.shards={}, or name the right NATS: with this \
         configuration ({:?}, {}, {}) they do not start",
        log.cluster,
        log.partitions,
        log.shards,
        config.log.cluster,
        config.cluster.partitions,
        config.cluster.shards
    );
    report.problem("log", found, remedy);
}

/// Whether all streams are there.
async fn configuration(
    config: &Config,
    connections: &Connections,
    (partitions, shards): (u16, u16),
    begun: bool,
    report: &mut Report,
) -> bool {
    let replicas = config.nats.replicas;
    let log = Topology { partitions, shards, replicas }.compare(connections).await;
    let doors =
        DoorStreams { partitions, replicas, commands_max_bytes: Some(config.nats.commands_max_bytes) };
    let compared = match (log, doors.compare(connections).await) {
        (Ok(log), Ok(doors)) => TopologyDiff {
            missing: [log.missing, doors.missing].concat(),
            drift: [log.drift, doors.drift].concat(),
        },
        (Err(error), _) | (_, Err(error)) => {
            let remedy = match &error {
                TopologyError::Invalid(_) => "put cluster.partitions, cluster.shards and nats.replicas right",
                TopologyError::Stream { .. } => "let this user publish to `$JS.API.STREAM.INFO.>`",
            };
            report.problem("streams", error.to_string(), remedy);
            return false;
        }
    };
    let TopologyDiff { missing, drift } = compared;
    for stream in missing.iter().filter(|_| begun) {
        let (remedy, command) = missing_remedy(stream);
        report.problem(format!("stream {stream}"), "is missing", remedy);
        command.into_iter().for_each(|command| report.by(command));
    }
    if drift.is_empty() && missing.is_empty() {
        report.ok("streams", format!("{} are as they should be", usize::from(shards) + 4));
    }
    for drift in &drift {
        let what = format!("stream {}", drift.stream);
        let found = format!("{} is {}, wanted {}", drift.field, drift.found, drift.wanted);
        let back = "`retailflow cluster repair-streams` puts it back";
        match drift.loses() {
            true => report.problem(what, format!("{found}: ACKNOWLEDGED DATA IS LOST BY THAT"), back),
            false => {
                report.warn(
                    what,
                    found,
                    format!("{back}; or put the configuration right where it was meant"),
                );
            }
        }
        report.by("cluster repair-streams");
    }
    missing.is_empty()
}

/// What to do where a stream is missing, and what to type.
fn missing_remedy(stream: &str) -> (&'static str, Option<&'static str>) {
    match stream {
        "RF_CMD" => (
            "`retailflow cluster recover-commands --yes` makes it again",
            Some("cluster recover-commands --yes"),
        ),
        "RF_EVT" | "RF_DLQ" | "RF_META" => (
            "start a node again: it makes it. What it held is missing (docs/cluster.md, \"A lost stream\")",
            None,
        ),
        _ => (
            "restore it from a backup, all streams of one moment; never make it anew (docs/cluster.md, \"A lost stream\")",
            None,
        ),
    }
}

async fn publishing(connections: &Connections, shards: u16, report: &mut Report) {
    let tried = probe_publishing(connections, shards).await;
    let count = tried.len();
    let mut fine = true;
    // Whoever may not publish is answered nothing, and so is who asks servers that are away: only where some answer is it a permission.
    let all_silent = tried.iter().all(|(_, said)| matches!(said, Err(ApiFailure::Silent(_))));
    for (subject, said) in tried {
        if let Err(error) = said {
            fine = false;
            if let ApiFailure::Silent(why) = &error
                && (all_silent || lacks_leader(connections, &subject, shards).await)
            {
                let remedy = "start the servers that are away; it is taken again when a majority of the stream's copies is there";
                report.problem("publishing", format!("{subject}: no answer ({why})"), remedy);
                continue;
            }
            let remedy = format!(
                "let the nodes' user publish to `{subject}` and all that nodes need (docs/cluster.md)"
            );
            report.problem("permission to publish", format!("{subject}: {error}"), remedy);
        }
    }
    if fine {
        report.ok("permission to publish", format!("{count} subjects tried, nothing stored"));
    }
}

/// Whether the stream of a subject that was tried has nobody now who takes anything in.
async fn lacks_leader(connections: &Connections, subject: &str, shards: u16) -> bool {
    let copies = replica_status(connections, shards).await;
    let of = stream_of(subject, shards);
    match copies {
        Ok(all) => all.iter().any(|copies| copies.stream == of && copies.current * 2 <= copies.replicas),
        // Then it is JetStream that does not answer.
        Err(_) => true,
    }
}

/// The stream behind a subject that [`probe_publishing`] tries.
fn stream_of(subject: &str, shards: u16) -> String {
    match subject.split('.').collect::<Vec<_>>()[..] {
        ["rf", "log", partition, ..] => {
            let shard = partition.parse::<u16>().unwrap_or_default() % shards.max(1);
            format!("RF_LOG_{shard}")
        }
        ["rf", "v1", "cmd", ..] => "RF_CMD".into(),
        ["rf", "v1", "evt", ..] => "RF_EVT".into(),
        ["rf", "dlq", ..] => "RF_DLQ".into(),
        _ => "RF_META".into(),
    }
}

async fn copies(connections: &Connections, shards: u16, report: &mut Report) {
    let all = match replica_status(connections, shards).await {
        Ok(all) => all,
        Err(error) => {
            report.problem("copies", error.to_string(), "see what is said of JetStream");
            return;
        }
    };
    let behind: Vec<&ReplicaStatus> = all.iter().filter(|copies| copies.current < copies.replicas).collect();
    for copies in &behind {
        let found = format!("{} of {} copies are there and up to date", copies.current, copies.replicas);
        let remedy = "start the servers that are away; one that was just started catches up by itself";
        report.problem(format!("stream {}", copies.stream), found, remedy);
    }
    if behind.is_empty() {
        report.ok("copies", "all are there and up to date");
    }
    for copies in &all {
        let Some(max) = copies.bytes_max.filter(|max| *max > 0) else { continue };
        let remedy = "see `retailflow cluster status` for who lags behind; callers are refused when it is full \
                    (nats.commands_max_bytes)";
        room::report_fill(format!("room in {}", copies.stream), copies.bytes, max, remedy, report);
    }
}

async fn durability(config: &Config, connections: &Connections, shards: u16, report: &mut Report) {
    let mut config = config.clone();
    config.cluster.shards = shards;
    let required = config.cluster.durability;
    match assess(connections, &SyncedServers::new(connections), &config).await {
        Err(why) => report.problem("durability", why, "see what is said of JetStream"),
        Ok(assessed) => {
            let found = assessed.durability;
            let text = format!("{}, and cluster.durability asks for {}", shown(found), name(required));
            match gives(found, required) {
                true => report.ok("durability", text),
                false => report.problem("durability", text, remedy(found)),
            }
        }
    }
}

async fn clocks(connections: &Connections, report: &mut Report) {
    let before = SystemClock.now().0;
    let asked = server_time(connections).await;
    let after = SystemClock.now().0;
    let remedy = "have both machines' clocks kept by NTP";
    match asked {
        Err(error) => report.warn("clocks", error.to_string(), "see what is said of JetStream"),
        Ok(None) => report.warn("clocks", "the server does not tell its time", remedy),
        Ok(Some(theirs)) => {
            let off = differs(before, theirs.0, after);
            let found = format!("this machine's differs from the server's by {off} ms at least");
            match off.abs() > DIFFERS_MAX_MS {
                true => report.warn("clocks", found, remedy),
                false => report.ok("clocks", format!("within {} ms", after - before + off.abs())),
            }
        }
    }
}
