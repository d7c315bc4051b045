//! What the streams of the log really give, as their leaders say.

use serde_json::Value;

use super::answers::ApiFailure;
use super::api::Api;
use super::{Connections, subjects};

/// Copies of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Which stream.
    pub stream: String,
    /// The name of the server that leads it, if one does.
    pub leader: Option<String>,
    /// How many there are to be.
    pub replicas: u16,
    /// How many are there, and up to date.
    pub current: u16,
    /// Messages that it holds.
    pub messages: u64,
    /// What it holds, in bytes.
    pub bytes: u64,
    /// The most that it takes, in bytes, if there is such a limit.
    pub bytes_max: Option<u64>,
}

/// Looks at the streams of the log, and at that of commands.
///
/// # Errors
/// [`ApiFailure`]: what they give is not known now.
pub async fn replica_status(
    connections: &Connections,
    shards: u16,
) -> Result<Vec<ReplicaStatus>, ApiFailure> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let mut all = Vec::new();
    let doors = [subjects::COMMANDS, subjects::EVENTS, subjects::DEAD_LETTERS, subjects::META];
    for stream in (0..shards).map(subjects::stream).chain(doors.map(str::to_owned)) {
        let info = api.ask(&format!("STREAM.INFO.{stream}"), &Value::Null).await?;
        all.push(copies(stream, &info));
    }
    Ok(all)
}

fn copies(stream: String, info: &Value) -> ReplicaStatus {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let replicas = u16::try_from(number(&info["config"]["num_replicas"])).unwrap_or(u16::MAX).max(1);
    let followers = info["cluster"]["replicas"].as_array().map_or(&[][..], Vec::as_slice);
    let current = followers.iter().filter(|follower| {
        follower["current"].as_bool() == Some(true) && follower["offline"].as_bool() != Some(true)
    });
    // The leader answered.
    let current = 1 + u16::try_from(current.count()).unwrap_or(u16::MAX - 1);
    let bytes_max = info["config"]["max_bytes"].as_i64().and_then(|bytes| u64::try_from(bytes).ok());
    let state = &info["state"];
    let leader = info["cluster"]["leader"].as_str().map(str::to_owned);
    ReplicaStatus {
        stream,
        leader,
        replicas,
        current,
        messages: number(&state["messages"]),
        bytes: number(&state["bytes"]),
        bytes_max,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn copies_are_counted_that_are_there() {
        let info = json!({
            "config": { "num_replicas": 3, "max_bytes": -1 },
            "state": { "messages": 7, "bytes": 700 },
            "cluster": { "leader": "a", "replicas": [
                { "name": "b", "current": true },
                { "name": "c", "current": true, "offline": true },
            ]},
        });
        let copies = copies("S".into(), &info);
        assert_eq!((copies.replicas, copies.current, copies.messages), (3, 2, 7));
        assert_eq!((copies.bytes, copies.bytes_max), (700, None));
        let alone = super::copies("S".into(), &json!({ "config": { "num_replicas": 1, "max_bytes": 9 } }));
        assert_eq!((alone.replicas, alone.current, alone.bytes_max), (1, 1, Some(9)));
    }
}
