//! What an answered command really survives: found out at the start and every minute, and said.
//!
//! Replicas stand in the streams' own words. Whether a server syncs what it stores only its monitoring address tells; a
//! server that nobody may ask counts as one that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use retailflow_actors::DurabilityNow;
use retailflow_cluster::nats::{Connections, survey};
use retailflow_config::{Config, RequiredDurability};
use retailflow_engine::wire::{Durability, DurabilityClass};
use tokio_util::sync::CancellationToken;

use super::ground::{Ground, list};
use crate::client::monitor;
use crate::exit::Failure;
use crate::serve::readiness::{Part, Trouble, Watch};
use crate::sight::{Sight, class};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// What is found, and what is asked for.
#[derive(Clone)]
pub(super) struct Watching {
    pub(super) now: DurabilityNow,
    required: RequiredDurability,
    /// The operator knows that it is less than is asked for.
    accepted: bool,
    weaker: Arc<AtomicBool>,
}

/// Do the servers sync what they store?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synced {
    /// All of them say so.
    Yes,
    /// One of them says that it does not.
    No,
    /// Not all of them were asked, or have answered.
    Unknown,
}

/// What replicas and syncing make.
pub(crate) fn durability(replicas: u16, synced: Synced) -> Durability {
    let class = match (replicas >= 3, synced == Synced::Yes) {
        (true, true) => DurabilityClass::ReplicatedFsync,
        (true, false) => DurabilityClass::Replicated,
        (false, true) => DurabilityClass::Fsync,
        (false, false) => DurabilityClass::Memory,
    };
    Durability { class, replicas }
}

/// Whether one gives at least what is asked for: neither of syncing and copies stands for the other.
pub(crate) fn gives(found: Durability, required: RequiredDurability) -> bool {
    use DurabilityClass::{Fsync, Memory, Replicated, ReplicatedFsync};
    match required {
        RequiredDurability::Memory => true,
        RequiredDurability::Fsync => matches!(found.class, Fsync | ReplicatedFsync),
        RequiredDurability::Replicated => matches!(found.class, Replicated | ReplicatedFsync),
        RequiredDurability::ReplicatedFsync => !matches!(found.class, Memory | Fsync | Replicated),
    }
}

/// Looks at streams and servers; `before` is believed of servers that do not answer now.
pub(crate) async fn look(
    connections: &Connections,
    config: &Config,
    before: Option<Durability>,
) -> Result<Durability, String> {
    let streams = survey(connections, config.cluster.shards).await.map_err(|error| error.to_string())?;
    let replicas = streams.iter().map(|copies| copies.replicas).min().unwrap_or(1);
    let monitors = list(&config.nats.monitors);
    let synced = if monitors.len() < usize::from(replicas) {
        Synced::Unknown
    } else {
        // They block.
        let asked = tokio::task::spawn_blocking(move || synced(&monitors));
        asked.await.unwrap_or(Synced::Unknown)
    };
    let was_synced = before.is_some_and(|before| {
        matches!(before.class, DurabilityClass::Fsync | DurabilityClass::ReplicatedFsync)
    });
    let synced = if synced == Synced::Unknown && was_synced { Synced::Yes } else { synced };
    Ok(durability(replicas, synced))
}

fn synced(monitors: &[String]) -> Synced {
    let mut all = Synced::Yes;
    for monitor in monitors {
        match syncs(monitor) {
            Ok(true) => {}
            Ok(false) => return Synced::No,
            Err(why) => {
                tracing::warn!(monitor, why, "whether a server syncs what it stores is not known now");
                all = Synced::Unknown;
            }
        }
    }
    all
}

fn syncs(monitor: &str) -> Result<bool, String> {
    let said = monitor::ask(monitor, "/varz")?;
    let jetstream = &said["jetstream"]["config"];
    match jetstream.is_object() {
        true => Ok(jetstream["sync_always"].as_bool() == Some(true)),
        false => Err("it tells nothing of JetStream".into()),
    }
}

impl Watching {
    /// Finds out, and refuses to start on less than is asked for.
    pub(super) async fn start(ground: &Ground, accepted: bool) -> Result<Self, Failure> {
        let required = ground.config.cluster.durability;
        let found = look(&ground.connections, &ground.config, None).await;
        let found =
            found.map_err(|why| Failure::unreachable(format!("the streams cannot be looked at: {why}")))?;
        let weaker = !gives(found, required);
        if weaker && !accepted {
            return Err(Failure::refused(format!(
                "the log gives {}, and cluster.durability asks for {}: {}; or start with --accept-weaker-durability, \
                 knowing that answered commands can be lost",
                shown(found),
                name(required),
                mend(found)
            )));
        }
        if weaker {
            tracing::warn!(
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
            tell.then(|| Trouble::bars(Part::Durability, text()).mend(mend(now.get()))).into_iter().collect()
        })
    }
}

/// Looks every minute until `end`.
pub(super) async fn run(watching: Watching, ground: Arc<Ground>, sight: Sight, end: CancellationToken) {
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let before = watching.now.get();
        let looked = tokio::select! {
            () = end.cancelled() => return,
            looked = look(&ground.connections, &ground.config, Some(before)) => looked,
        };
        match looked {
            Ok(found) if found != before => {
                watching.now.set(found);
                watching.weaker.store(!gives(found, watching.required), Ordering::Release);
                sight.durability(found, Some(before));
                tracing::error!(
                    now = shown(found),
                    before = shown(before),
                    "the log's durability has CHANGED"
                );
            }
            Ok(_) => {}
            Err(why) => {
                tracing::warn!(why, "the streams cannot be looked at; their durability is taken as it was")
            }
        }
    }
}

/// For people.
pub(crate) fn shown(durability: Durability) -> String {
    format!("{} with {} replica(s)", class(durability), durability.replicas)
}

/// As it stands in the configuration.
pub(crate) fn name(required: RequiredDurability) -> &'static str {
    match required {
        RequiredDurability::Memory => "memory",
        RequiredDurability::Fsync => "fsync",
        RequiredDurability::Replicated => "replicated",
        RequiredDurability::ReplicatedFsync => "replicated_fsync",
    }
}

/// What makes it more.
pub(crate) fn mend(found: Durability) -> &'static str {
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
