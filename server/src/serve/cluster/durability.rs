//! What an answered command really survives: found out at the start and every minute, and said.
//!
//! Replicas stand in the streams' own words. Whether a server syncs what it stores only its monitoring address tells; a
//! server that nobody may ask counts as one that does not. One that is away counts as it said last, for a day (ADR 34).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use retailflow_actors::CurrentDurability;
use retailflow_config::{Config, RequiredDurability};
use retailflow_engine::ports::Clock as _;
use retailflow_engine::wire::{Durability, DurabilityClass};
use retailflow_nats::{Connections, Fill, FillLevel, SyncStatement, SyncedServers, replica_status};
use tokio_util::sync::CancellationToken;

use super::cluster_deps::{ClusterDeps, list};
use crate::app::SystemClock;
use crate::exit::Failure;
use crate::metrics_exporter::{MetricsExporter, class};
use crate::monitor;
use crate::serve::readiness::{HealthIssue, Part, Watch};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// The same while a server's store is filled to 80 % or more.
const EVERY_WHILE_FILLING: Duration = Duration::from_secs(2);
/// What a server said of syncing counts for so long while it does not answer (ADR 34): one server of three that is away makes nothing
/// weaker.
pub const SAID_COUNTS: Duration = Duration::from_secs(24 * 3_600);
/// What a server says again and again is kept anew so often.
const KEPT_EVERY: Duration = Duration::from_secs(3_600);

/// What is found, and what is asked for.
#[derive(Clone)]
pub(super) struct Watching {
    pub(super) now: CurrentDurability,
    required: RequiredDurability,
    /// The operator knows that it is less than is asked for.
    accepted: bool,
    weaker: Arc<AtomicBool>,
}

/// Do the servers sync what they store?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// All of them say so.
    Yes,
    /// One of them says that it does not.
    No,
    /// Not all of them were asked, or have answered.
    Unknown,
}

/// What replicas and syncing make.
pub fn durability(replicas: u16, synced: Synced) -> Durability {
    let class = match (replicas >= 3, synced == Synced::Yes) {
        (true, true) => DurabilityClass::ReplicatedFsync,
        (true, false) => DurabilityClass::Replicated,
        (false, true) => DurabilityClass::Fsync,
        (false, false) => DurabilityClass::Memory,
    };
    Durability { class, replicas }
}

/// Whether one gives at least what is asked for: neither of syncing and copies stands for the other.
pub fn gives(found: Durability, required: RequiredDurability) -> bool {
    use DurabilityClass::{Fsync, Memory, Replicated, ReplicatedFsync};
    match required {
        RequiredDurability::Memory => true,
        RequiredDurability::Fsync => matches!(found.class, Fsync | ReplicatedFsync),
        RequiredDurability::Replicated => matches!(found.class, Replicated | ReplicatedFsync),
        RequiredDurability::ReplicatedFsync => !matches!(found.class, Memory | Fsync | Replicated),
    }
}

/// What was found.
pub struct Assessment {
    /// What acknowledged commands survive.
    pub durability: Durability,
    /// Servers that do not answer, and what of before counts of them, in words.
    pub believed: Vec<String>,
    /// How full the stores are of those that answered.
    pub fills: Vec<Fill>,
}

/// Looks at streams and servers. Of a server that does not answer now its last answer counts for [`SAID_COUNTS`].
pub async fn assess(
    connections: &Connections,
    kept: &SyncedServers,
    config: &Config,
) -> Result<Assessment, String> {
    let streams =
        replica_status(connections, config.cluster.shards).await.map_err(|error| error.to_string())?;
    let replicas = streams.iter().map(|copies| copies.replicas).min().unwrap_or(1);
    let monitors = list(&config.nats.monitors);
    let enough = monitors.len() >= usize::from(replicas);
    // They block. Each by itself: one that hangs holds up no other.
    let asked = monitors.into_iter().map(|monitor| {
        tokio::task::spawn_blocking(move || {
            let said = syncs(&monitor);
            (monitor, said)
        })
    });
    let (mut all, mut believed, mut fills) = (Synced::Yes, Vec::new(), Vec::new());
    for asked in futures_util::future::join_all(asked).await {
        let (monitor, said) = asked.map_err(|error| error.to_string())?;
        let said = match said {
            Ok((synced, fill)) => {
                fills.extend(fill);
                keep(kept, &monitor, synced).await;
                Some(synced)
            }
            Err(why) => {
                let (counts, words) = of_before(kept, &monitor, &why).await;
                believed.push(words);
                counts
            }
        };
        all = match (all, said) {
            (Synced::No, _) | (_, Some(false)) => Synced::No,
            (Synced::Unknown, _) | (_, None) => Synced::Unknown,
            (Synced::Yes, Some(true)) => Synced::Yes,
        };
    }
    if !enough && all == Synced::Yes {
        all = Synced::Unknown;
    }
    Ok(Assessment { durability: durability(replicas, all), believed, fills })
}

/// Keeps what a server said, if that is news.
async fn keep(kept: &SyncedServers, monitor: &str, synced: bool) {
    let now = SystemClock.now();
    let before = kept.last(monitor).await.ok().flatten();
    let fresh =
        |said: &SyncStatement| now.0 - said.at_ms < i64::try_from(KEPT_EVERY.as_millis()).unwrap_or(i64::MAX);
    if before.is_some_and(|said| said.synced == synced && fresh(&said)) {
        return;
    }
    if let Err(trouble) = kept.keep(&SyncStatement::new(monitor, synced, now)).await {
        tracing::debug!(%trouble, monitor, "what a server said is not kept for when it is away");
    }
}

/// What a server that does not answer said before, if it counts still.
async fn of_before(kept: &SyncedServers, monitor: &str, why: &str) -> (Option<bool>, String) {
    let Some(said) = kept.last(monitor).await.ok().flatten() else {
        return (
            None,
            format!("{monitor} does not answer ({why}), and has never said whether it syncs what it stores"),
        );
    };
    let (now, does) = (SystemClock.now().0, if said.synced { "syncs" } else { "does not sync" });
    let ago_s = (now - said.at_ms).max(0) / 1_000;
    let hours = SAID_COUNTS.as_secs() / 3_600;
    if u64::try_from(ago_s).unwrap_or(u64::MAX) > SAID_COUNTS.as_secs() {
        let text = format!(
            "{monitor} does not answer ({why}); that it {does} it said {ago_s} s ago, which counts for {hours} h only"
        );
        return (None, text);
    }
    let text = format!(
        "{monitor} does not answer ({why}); that it {does} what it stores it said {ago_s} s ago, which counts for {hours} h"
    );
    (Some(said.synced), text)
}

/// Whether a server syncs what it stores, and how full its store is, if that has a limit.
fn syncs(monitor: &str) -> Result<(bool, Option<Fill>), String> {
    let said = monitor::ask(monitor, "/varz")?;
    let jetstream = &said["jetstream"];
    let config = &jetstream["config"];
    if !config.is_object() {
        return Err("it tells nothing of JetStream".into());
    }
    let name = said["server_name"].as_str().unwrap_or(monitor);
    let max_bytes = config["max_storage"].as_u64().filter(|max| *max > 0);
    let used_bytes = jetstream["stats"]["storage"].as_u64();
    let fill = max_bytes.zip(used_bytes).map(|(max_bytes, used_bytes)| Fill {
        of: format!("the store of server {name}"),
        used_bytes,
        max_bytes,
    });
    Ok((config["sync_always"].as_bool() == Some(true), fill))
}

impl Watching {
    /// Finds out, and refuses to start on less than is asked for.
    pub(super) async fn start(deps: &ClusterDeps, accepted: bool) -> Result<Self, Failure> {
        let required = deps.config.cluster.durability;
        let assessed = assess(&deps.connections, &deps.synced, &deps.config).await;
        let assessed = assessed
            .map_err(|why| Failure::unreachable(format!("the streams cannot be looked at: {why}")))?;
        let found = assessed.durability;
        for believed in &assessed.believed {
            tracing::warn!(event = "server_not_asked", "{believed}");
        }
        full(deps, assessed.fills);
        let weaker = !gives(found, required);
        if weaker && !accepted {
            return Err(Failure::refused(format!(
                "the log gives {}, and cluster.durability asks for {}: {}{}; or start with --accept-weaker-durability, \
                 knowing that answered commands can be lost",
                shown(found),
                name(required),
                assessed.believed.iter().map(|believed| format!("{believed}; ")).collect::<String>(),
                remedy(found)
            )));
        }
        if weaker {
            tracing::warn!(
                event = "durability_weaker",
                found = shown(found),
                required = name(required),
                "WEAKER durability than is asked for"
            );
        }
        Ok(Self { now: found.into(), required, accepted, weaker: Arc::new(AtomicBool::new(weaker)) })
    }

    /// Says when it is less than is asked for, and nobody has accepted that.
    pub(super) fn watch(&self) -> Watch {
        let Self { now, required, accepted, weaker } = self.clone();
        Box::new(move || {
            let tell = weaker.load(Ordering::Acquire) && !accepted;
            let text = || {
                format!(
                    "the log gives {}, and cluster.durability asks for {}",
                    shown(now.get()),
                    name(required)
                )
            };
            tell.then(|| HealthIssue::bars(Part::Durability, text()).with_remedy(remedy(now.get())))
                .into_iter()
                .collect()
        })
    }
}

/// Looks every minute until `end`.
pub(super) async fn run(
    watching: Watching,
    deps: Arc<ClusterDeps>,
    exporter: MetricsExporter,
    end: CancellationToken,
) {
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let before = watching.now.get();
        let assessed = tokio::select! {
            () = end.cancelled() => return,
            assessed = assess(&deps.connections, &deps.synced, &deps.config) => assessed,
        };
        let found = assessed.map(|assessed| {
            for believed in &assessed.believed {
                tracing::warn!(event = "server_not_asked", "{believed}");
            }
            pause = full(&deps, assessed.fills);
            assessed.durability
        });
        match found {
            Ok(found) if found != before => {
                watching.now.set(found);
                watching.weaker.store(!gives(found, watching.required), Ordering::Release);
                exporter.durability(found, Some(before));
                tracing::error!(
                    event = "durability_changed",
                    now = shown(found),
                    before = shown(before),
                    "the log's durability has CHANGED"
                );
            }
            Ok(_) => {}
            Err(why) => {
                tracing::warn!(
                    event = "durability_unknown",
                    why,
                    "the streams cannot be looked at; their durability is taken as it was"
                )
            }
        }
    }
}

/// Takes in how full the servers' stores are; gives when to look again.
fn full(deps: &ClusterDeps, fills: Vec<Fill>) -> Duration {
    let filling = fills.iter().any(|fill| fill.level() > FillLevel::Fine);
    deps.streams.servers(fills);
    if filling { EVERY_WHILE_FILLING } else { EVERY }
}

/// For people.
pub fn shown(durability: Durability) -> String {
    format!("{} with {} replica(s)", class(durability), durability.replicas)
}

/// As it stands in the configuration.
pub fn name(required: RequiredDurability) -> &'static str {
    match required {
        RequiredDurability::Memory => "memory",
        RequiredDurability::Fsync => "fsync",
        RequiredDurability::Replicated => "replicated",
        RequiredDurability::ReplicatedFsync => "replicated_fsync",
    }
}

/// What makes it more.
pub fn remedy(found: Durability) -> &'static str {
    match found.class {
        DurabilityClass::Memory => {
            "run three servers with `sync_interval: always`, give nats.replicas = 3 and nats.monitors"
        }
        DurabilityClass::Fsync => "run three servers and make the streams with nats.replicas = 3",
        _ => "run each server with `sync_interval: always`, and give the address of each in nats.monitors",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_of_copies_and_syncing_stands_for_the_other() {
        use RequiredDurability::{Fsync, Memory, Replicated, ReplicatedFsync};
        let given = |replicas, synced, required| gives(durability(replicas, synced), required);
        for (replicas, synced, gives) in [
            (1, Synced::Unknown, [true, false, false, false]),
            (1, Synced::Yes, [true, true, false, false]),
            (3, Synced::No, [true, false, true, false]),
            (3, Synced::Unknown, [true, false, true, false]),
            (3, Synced::Yes, [true, true, true, true]),
        ] {
            let all = [Memory, Fsync, Replicated, ReplicatedFsync];
            assert_eq!(all.map(|required| given(replicas, synced, required)), gives, "{replicas} {synced:?}");
        }
    }
}
