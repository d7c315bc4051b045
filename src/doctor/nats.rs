//! NATS: each of its servers, and whether JetStream is there.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_nats::{
    ApiFailure, ConnectError, Connections, NatsOptions, probe_account, probe_server, redacted_address,
};

use super::report::Report;
use retailflow_server::serve::cluster::{list, nats_options};

/// What JetStream says while it has no leader.
const UNAVAILABLE: u32 = 10008;
/// For what is still to be sent.
pub(super) const CLOSE_MAX: Duration = Duration::from_secs(5);
/// For one server to be connected to.
const CONNECT_MAX_MS: u64 = 3_000;

/// Asks each server alone; then connects as a node does.
pub(super) async fn servers(config: &Config, report: &mut Report) -> Option<Connections> {
    let options =
        NatsOptions { connect_timeout_ms: CONNECT_MAX_MS, ..nats_options(config, "retailflow doctor") };
    if options.servers.is_empty() {
        report.problem(
            "nats",
            "no server is given",
            "give --nats URL[,URL] (or RETAILFLOW_NATS, or nats.servers)",
        );
        return None;
    }
    let mut reached = 0;
    for address in &options.servers {
        let what = format!("nats {}", redacted_address(address));
        match probe_server(&options, address).await {
            Ok(server) => {
                reached += 1;
                let found =
                    format!("{}, version {}, {} ms", server.name, server.version, server.took.as_millis());
                if !server.jetstream {
                    let remedy =
                        "give it a `jetstream { store_dir: … sync_interval: always }` in its configuration";
                    report.problem(what, format!("{found}, without JetStream"), remedy);
                } else if server.leaving {
                    report.warn(
                        what,
                        format!("{found}, about to stop"),
                        "start it again when it has stopped",
                    );
                } else {
                    report.ok(what, found);
                }
            }
            Err(error) => {
                let remedy = match &error {
                    ConnectError::TooOld { .. } => "upgrade it: 2.12 or later has what the log is made with",
                    ConnectError::Address { .. } => "write it as nats://host:port",
                    ConnectError::Credentials { .. } => "put nats.credentials right",
                    ConnectError::Unreachable(_) => {
                        "start it, or take it out of --nats (nats.servers); or let this user in"
                    }
                };
                report.problem(what, error.to_string(), remedy);
            }
        }
    }
    report.servers_reached += reached;
    if reached == 0 {
        return None;
    }
    if list(&config.nats.servers).len() < usize::from(config.nats.replicas) {
        let found = format!("{} given, and nats.replicas is {}", options.servers.len(), config.nats.replicas);
        report.warn(
            "nats servers",
            found,
            "name all of them: a node that knows one cannot start while that one is away",
        );
    }
    let connections = match Connections::open(&options).await {
        Ok(connections) => connections,
        Err(error) => {
            report.problem("nats", error.to_string(), "see what is said of each server");
            return None;
        }
    };
    match probe_account(&connections).await {
        Ok(()) => report.ok("jetstream", "answers"),
        Err(error) => {
            let remedy = match &error {
                ApiFailure::Refused(error) if error.err_code == UNAVAILABLE => {
                    "JetStream has no leader: a majority of the servers must be there, and none of their stores be full"
                }
                ApiFailure::Silent(_) => {
                    "see what is said of each server: a majority of them must be there and see each other. If all are, let this \
                     user publish to `$JS.API.>` and hear `_INBOX.>`"
                }
                _ => "give this user's account JetStream, and let it publish to `$JS.API.>`",
            };
            report.problem("jetstream", error.to_string(), remedy);
            connections.close(CLOSE_MAX).await;
            return None;
        }
    }
    Some(connections)
}
