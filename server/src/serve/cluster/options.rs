//! What of the configuration goes to which part of a node, in one place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::OwnershipTimeouts;
use retailflow_config::Config;
use retailflow_nats::{AskOptions, InboxOptions, MisroutedCommands};
use retailflow_placement::Policy;

/// Of the ask door.
pub(super) fn ask(config: &Config) -> AskOptions {
    AskOptions {
        in_flight_max: config.nats.ask_in_flight_max,
        timeout_ms: config.http.request_timeout_ms,
        timeout_max_ms: config.http.request_timeout_max_ms,
        retry_after_ms: config.admission.retry_after_ms,
    }
}

/// For taking partitions over, and handing them over.
pub(super) fn steward_times(config: &Config) -> OwnershipTimeouts {
    OwnershipTimeouts {
        take_over: Duration::from_millis(config.cluster.take_over_ms),
        hand_over: Duration::from_millis(config.cluster.hand_over_ms),
    }
}

/// Of the commands that were published for a partition.
pub(super) fn inbox(config: &Config, partitions: u16, misrouted: Arc<MisroutedCommands>) -> InboxOptions {
    InboxOptions { partitions, idle_ms: config.cluster.look_ms, misrouted, ..InboxOptions::default() }
}

/// For which a published command waits for its order.
pub(super) fn patience(config: &Config) -> Duration {
    Duration::from_millis(config.cluster.patience_ms)
}

/// Before a partition says how far it has read. `chance` is drawn anew for each, so that not all do at once.
pub(super) fn floor_pause(config: &Config, chance: u64) -> Duration {
    let every = config.cluster.floor_ms;
    Duration::from_millis(every / 2 + chance % (every / 2 + 1))
}

/// Before a node looks at what can be dropped. Not all nodes at once: one is enough.
pub(super) fn trim_pause(config: &Config, chance: u64) -> Duration {
    let every = config.cluster.trim_ms;
    Duration::from_millis(every / 2 + chance % (every + 1))
}

/// Of the plan that says which node runs which partition.
pub(super) fn policy(config: &Config, partitions: u16, required_labels: BTreeMap<String, String>) -> Policy {
    Policy { partitions, dwell_ms: config.cluster.dwell_ms, required_labels, ..Policy::default() }
}

#[cfg(test)]
mod tests {
    use retailflow_config::LoadOptions;

    use super::super::cluster_deps::{identity, list, nats_options, replier_options, wanted_streams};
    use super::super::labels::parse_labels;
    use super::*;
    use crate::app;

    /// All that is made of a configuration for the parts of a node.
    fn made(config: &Config) -> String {
        let nats = nats_options(config, "n-1");
        let labels = parse_labels(&config.cluster.required_labels).unwrap();
        let identity = identity(config);
        let (log, doors) = wanted_streams(config);
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {nats:?} {:?} {:?} {:?} {:?} {:?} {log:?} {doors:?} {:?}",
            ask(config),
            steward_times(config),
            inbox(config, 7, Arc::default()),
            patience(config),
            floor_pause(config, 3),
            trim_pause(config, 3),
            policy(config, 7, labels),
            replier_options(config, &nats).credentials,
            list(&config.nats.monitors),
            list(&config.etcd.endpoints),
            (identity.cluster, identity.partitions, identity.shards),
            config.etcd.ttl_ms,
            app::disk_options(config),
        )
    }

    /// What each of these is for is seen where the options are used; that it gets there, here.
    #[test]
    fn each_setting_reaches_the_part_that_it_is_for() {
        let load = |overrides: Vec<(String, String)>| {
            Config::load(LoadOptions { overrides, ..LoadOptions::default() }).unwrap().config
        };
        let before = made(&load(Vec::new()));
        for (key, value) in [
            ("log.segment_bytes", "33554432"),
            ("index.cache_bytes", "1048576"),
            ("index.flush_entries", "17"),
            ("index.flush_interval_ms", "11"),
            ("index.snapshot_queue_max", "3"),
            ("index.open_timeout_ms", "101"),
            ("nats.servers", "nats://10.0.0.9:4222"),
            ("nats.monitors", "http://10.0.0.9:8222"),
            ("nats.credentials", "file"),
            ("nats.replier_credentials", "other-file"),
            ("nats.ca", "authority"),
            ("nats.replicas", "1"),
            ("nats.request_timeout_ms", "101"),
            ("nats.commands_max_bytes", "1048577"),
            ("nats.ask_in_flight_max", "3"),
            ("etcd.endpoints", "http://10.0.0.9:2379"),
            ("etcd.ttl_ms", "9000"),
            ("cluster.partitions", "64"),
            ("cluster.shards", "16"),
            ("cluster.patience_ms", "1"),
            ("cluster.floor_ms", "100"),
            ("cluster.look_ms", "101"),
            ("cluster.trim_ms", "102"),
            ("cluster.take_over_ms", "103"),
            ("cluster.hand_over_ms", "104"),
            ("cluster.dwell_ms", "105"),
            ("cluster.required_labels", "zone=a"),
            ("log.cluster", "other"),
        ] {
            let after = made(&load(vec![(key.into(), value.into())]));
            assert_ne!(after, before, "{key} = {value} changes nothing");
        }
    }
}
