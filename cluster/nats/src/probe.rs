//! Whether a NATS is fit for use: looked at, and never changed.
//!
//! Whether something may be published is tried with a condition that cannot hold: the server answers that it does not, and stores
//! nothing; to one who may not publish there it answers nothing at all. The subjects are nobody's.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::future::join_all;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::wire::time::parse_time;
use serde_json::Value;
use tokio::time::Instant;

use super::answers::ApiFailure;
use super::api::Api;
use super::connect::connect;
use super::connect_options::{ConnectError, NatsOptions};
use super::{Connections, subjects};

/// No subject has such a sequence.
const NEVER: u64 = 1 << 62;

/// A server that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProbe {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// It says that it has JetStream.
    pub jetstream: bool,
    /// It is about to go.
    pub leaving: bool,
    /// Connecting took so long.
    pub took: Duration,
}

/// Connects to one server, and to no other.
///
/// # Errors
/// [`ConnectError`].
pub async fn probe_server(options: &NatsOptions, address: &str) -> Result<ServerProbe, ConnectError> {
    let begun = Instant::now();
    let client =
        connect(&NatsOptions { servers: vec![address.to_owned()], ..options.clone() }, "probe").await?;
    let info = client.server_info();
    Ok(ServerProbe {
        name: info.server_name,
        version: info.version,
        jetstream: info.jetstream,
        leaving: info.lame_duck_mode,
        took: begun.elapsed(),
    })
}

/// Whether JetStream answers this account.
///
/// # Errors
/// [`ApiFailure`]: it does not, or refuses.
pub async fn probe_account(connections: &Connections) -> Result<(), ApiFailure> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    api.ask("INFO", &Value::Null).await.map(drop)
}

/// The time of the server that leads the stream of commands, if it tells.
///
/// # Errors
/// [`ApiFailure`].
pub async fn server_time(connections: &Connections) -> Result<Option<TimestampMs>, ApiFailure> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let answer = api.ask(&format!("STREAM.INFO.{}", subjects::COMMANDS), &Value::Null).await?;
    Ok(answer["ts"].as_str().and_then(|text| parse_time(text).ok()))
}

/// Whether a node may publish what it must; each subject that was tried, and what came back where that was no yes.
pub async fn probe_publishing(
    connections: &Connections,
    shards: u16,
) -> Vec<(String, Result<(), ApiFailure>)> {
    let api = Api::new(connections.publish.clone(), connections.request_timeout);
    let log = (0..shards).map(|shard| format!("rf.log.{shard}.probe"));
    // Commands are for others to publish: a node that may not is as it should be.
    let doors = ["rf.v1.evt.probe.probe", "rf.dlq._.probe", "rf.meta.cursor.probe.0"];
    let tried = log.chain(doors.map(str::to_owned)).map(|subject| async {
        let said = api.publish_after(&subject, NEVER, HeaderMap::new(), Bytes::new()).await;
        let said = match said {
            Err(ApiFailure::Refused(error)) if error.was_slower() => Ok(()),
            Err(failure) => Err(failure),
            Ok(sequence) => {
                Err(ApiFailure::Strange(format!("it was stored, at {sequence}, against its condition")))
            }
        };
        (subject, said)
    });
    join_all(tried).await
}
