//! The way back where `RF_CMD` was stopped: one message with `Nats-Expected-Last-Msg-Id` stops a replicated stream for good. It is deleted
//! and made again, after all that it acknowledged is decided.
//!
//! Invariants:
//! - It is deleted only where it has no leader, others have, and each server was asked: what one copy holds that others lack is seen.
//! - It is deleted only when nothing stands in it above the floor of its partition: a stopped stream acknowledges nothing, so nothing comes
//!   in between. Its copies are still read, by nodes as well.
//! - It is made again as it was, without `first_seq`: nodes read a stream that was made anew from its beginning.

use std::time::Duration;

use async_nats::Client;
use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::LogIdentity;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answers::ApiFailure;
use super::api::Api;
use super::connect::connect;
use super::connect_options::{ConnectError, NatsOptions};
use super::errors::STREAM_NOT_FOUND;
use super::inbox::inbox_id;
use super::{DoorStreams, subjects};

/// Partitions that are looked at together.
const TOGETHER: usize = 16;
/// For the stream that was made again to be led.
const LED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at it.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How the stream of commands stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandsState {
    /// It is led: it takes commands, and nothing is to be recovered.
    Well {
        /// Its last position.
        last: u64,
    },
    /// It is not there. What it held is gone; it can be made again.
    Missing,
    /// It has no leader, and the log's streams have: it was stopped.
    Stopped,
    /// Others have no leader either: their servers are away.
    ServersAway(String),
}

/// A partition with commands that nobody has decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecidedCommands {
    /// Which one.
    pub partition: PartitionId,
    /// Up to here its commands are decided.
    pub after: u64,
    /// The server that has one behind it.
    pub server: String,
}

/// Why nothing was recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A server does not answer now.
    #[error(
        "{server} does not answer: {error}. Each server is asked, because each may hold what the others lack: wait until it is back"
    )]
    Away {
        /// Which one.
        server: String,
        /// Why.
        error: ConnectError,
    },
    /// The stream is not stopped, or commands in it are not decided.
    #[error("{0}")]
    Not(String),
    /// The servers do not answer, or refuse.
    #[error(transparent)]
    Api(#[from] ApiFailure),
}

/// The operators' hand on a stopped stream of commands.
pub struct CommandRecovery {
    /// By address; one connection each, which asks the copy that is there.
    servers: Vec<(String, Api, Client)>,
    log: LogIdentity,
}

impl CommandRecovery {
    /// Connects to each server.
    ///
    /// # Errors
    /// [`RecoverError::Away`].
    pub async fn open(options: &NatsOptions, log: LogIdentity) -> Result<Self, RecoverError> {
        let mut servers = Vec::new();
        for address in &options.servers {
            let one = NatsOptions { servers: vec![address.clone()], ..options.clone() };
            let away = |error| RecoverError::Away { server: super::login::redacted(address), error };
            let client = connect(&one, "recover").await.map_err(away)?;
            let api = Api::new(client.clone(), Duration::from_millis(options.request_timeout_ms));
            servers.push((super::login::redacted(address), api, client));
        }
        if servers.is_empty() {
            return Err(RecoverError::Not("no server is named".into()));
        }
        Ok(Self { servers, log })
    }

    fn api(&self) -> &Api {
        &self.servers[0].1
    }

    /// How the stream stands at this moment. A leader that changes is away for some seconds: look again.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn state(&self) -> Result<CommandsState, ApiFailure> {
        let info = match self.api().info(subjects::COMMANDS).await {
            Ok(info) => info,
            Err(ApiFailure::Refused(error)) if error.err_code == STREAM_NOT_FOUND => {
                return Ok(CommandsState::Missing);
            }
            Err(failure) => return Err(failure),
        };
        if !info.leaderless {
            return Ok(CommandsState::Well { last: info.last_sequence });
        }
        for shard in 0..self.log.shards {
            let stream = subjects::stream(shard);
            if self.api().info(&stream).await?.leaderless {
                return Ok(CommandsState::ServersAway(stream));
            }
        }
        Ok(CommandsState::Stopped)
    }

    /// The partitions that have commands above their floor, as any copy has them.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn undecided(&self) -> Result<Vec<UndecidedCommands>, ApiFailure> {
        let info = self.api().info(subjects::COMMANDS).await?;
        let partitions = (0..self.log.partitions).map(PartitionId);
        let looked = stream::iter(partitions).map(|partition| self.of(partition, &info.created));
        let looked: Vec<Option<UndecidedCommands>> = looked.buffered(TOGETHER).try_collect().await?;
        Ok(looked.into_iter().flatten().collect())
    }

    async fn of(
        &self,
        partition: PartitionId,
        created: &str,
    ) -> Result<Option<UndecidedCommands>, ApiFailure> {
        let log = subjects::stream(subjects::shard_of(partition, self.log.shards));
        let inbox = inbox_id(created, partition);
        let after = match self.api().last(&log, &subjects::fence(partition)).await? {
            Some(stored) => {
                let fence =
                    Fence::decode(&stored.payload).map_err(|error| stored.unreadable(&log, &error))?;
                let floors = fence.intake.iter().filter(|floor| floor.inbox == inbox);
                floors.map(|floor| floor.position).max().unwrap_or(0)
            }
            None => 0,
        };
        for (server, api, _) in &self.servers {
            let filter = subjects::commands_of(partition);
            if api.direct_has(subjects::COMMANDS, &filter, after + 1).await? {
                return Ok(Some(UndecidedCommands { partition, after, server: server.clone() }));
            }
        }
        Ok(None)
    }

    /// Deletes the stopped stream, of which everything is decided, and makes it again as it was; one that is missing is made as
    /// `streams` has it. Gives when it was made.
    ///
    /// # Errors
    /// [`RecoverError`]; after `Not` nothing was changed. Run it again after any other.
    pub async fn replace(&self, streams: &DoorStreams) -> Result<String, RecoverError> {
        let config = match self.state().await? {
            CommandsState::Missing => streams.commands(),
            CommandsState::Stopped => {
                if let Some(one) = self.undecided().await?.first() {
                    return Err(RecoverError::Not(format!(
                        "partition {} has commands behind {} that are not decided",
                        one.partition, one.after
                    )));
                }
                let config = made_again(self.api().info(subjects::COMMANDS).await?.config);
                self.api().ask(&format!("STREAM.DELETE.{}", subjects::COMMANDS), &Value::Null).await?;
                config
            }
            state => return Err(RecoverError::Not(format!("the stream is not stopped: {state:?}"))),
        };
        let until = Instant::now() + LED_WITHIN;
        let mut config = config;
        loop {
            // Somebody else may be at the same: whoever made it, it is there.
            let made = super::topology::provision_one(self.api(), subjects::COMMANDS, &config).await;
            // A limit in bytes is room that the servers set aside. Where they have no more, a stream without one is better than none:
            // publishers go on, and `cluster repair-streams` gives it its limit back.
            if let Err(ApiFailure::Refused(error)) = &made
                && NO_ROOM_TO_SET_ASIDE.contains(&error.err_code)
                && config["max_bytes"].as_i64() != Some(-1)
            {
                tracing::warn!(%error, "the stream is made without its limit of bytes");
                config["max_bytes"] = json!(-1);
                continue;
            }
            let led = match made {
                Ok(_) => {
                    self.api().info(subjects::COMMANDS).await.map(|info| (!info.leaderless).then_some(info))
                }
                Err(failure) => Err(failure),
            };
            match led {
                Ok(Some(info)) => return Ok(info.created),
                Ok(None) | Err(_) if Instant::now() < until => tokio::time::sleep(POLL_INTERVAL).await,
                Ok(None) => {
                    return Err(
                        ApiFailure::Silent("the stream that was made again has no leader".into()).into()
                    );
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Closes the connections, waiting `at_most` for each.
    pub async fn close(&self, at_most: Duration) {
        for (_, _, client) in &self.servers {
            drop(tokio::time::timeout(at_most, client.drain()).await);
        }
    }
}

/// The servers have not as much room as is to be set aside: of the whole server's, of the account's, of any peer's.
const NO_ROOM_TO_SET_ASIDE: [u32; 4] = [10047, 10028, 10002, 10005];

/// A stream's configuration for one that takes its place: without what the server adds, and beginning at 1.
fn made_again(mut config: Value) -> Value {
    if let Some(fields) = config.as_object_mut() {
        fields.remove("first_seq");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !name.starts_with("_nats."));
        }
        if fields.get("metadata") == Some(&json!({})) {
            fields.remove("metadata");
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_as_it_was_and_begins_at_one() {
        let was = json!({
            "name": "RF_CMD", "max_bytes": 7, "first_seq": 100, "metadata": { "_nats.ver": "2.15.1", "owner": "ann" },
        });
        assert_eq!(
            made_again(was),
            json!({ "name": "RF_CMD", "max_bytes": 7, "metadata": { "owner": "ann" } })
        );
        let plain = json!({ "name": "RF_CMD", "metadata": { "_nats.ver": "2.15.1" } });
        assert_eq!(made_again(plain), json!({ "name": "RF_CMD" }));
    }
}
