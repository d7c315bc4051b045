//! What the servers themselves can do: batches of the same sizes as groups of the log, without an engine. For measurements, in streams of
//! their own that are removed afterwards.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use retailflow_nats::{ApiFailure, BatchMessage, Connections, JetStream, Topology};

/// For one batch.
const BATCH_MAX: Duration = Duration::from_secs(30);

/// A group: its partition, and the bytes of each of its messages, the fence first.
pub type RawGroup = (u16, Vec<usize>);

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBatches {
    /// Messages beside the fences.
    pub messages: u64,
    /// How long all took.
    pub took: Duration,
    /// Of each batch how long it took, in microseconds.
    pub latencies_us: Vec<u64>,
}

/// The names of all streams that begin with `RF_`.
///
/// # Errors
/// [`ApiFailure`].
pub async fn streams_of_ours(connections: &Connections) -> Result<Vec<String>, ApiFailure> {
    let jetstream = JetStream::new(connections);
    let named = jetstream.request("STREAM.NAMES", &Value::Null).await?;
    let names = named["streams"].as_array().map_or(&[][..], Vec::as_slice);
    let ours = names.iter().filter_map(Value::as_str).filter(|name| name.starts_with("RF_"));
    Ok(ours.map(str::to_owned).collect())
}

/// Removes streams, with all that they hold.
///
/// # Errors
/// [`ApiFailure`].
pub async fn remove_streams(connections: &Connections, streams: &[String]) -> Result<(), ApiFailure> {
    let jetstream = JetStream::new(connections);
    for stream in streams {
        jetstream.request(&format!("STREAM.DELETE.{stream}"), &Value::Null).await?;
    }
    Ok(())
}

/// For a stream to move.
const MOVE_MAX: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const MOVE_LOOK: Duration = Duration::from_millis(100);

/// Has the only copy of a stream moved to the server that has `tag` among its `server_tags`, and is named so.
///
/// # Errors
/// [`ApiFailure`]; it is not known where the stream is then.
pub async fn move_stream(connections: &Connections, stream: &str, tag: &str) -> Result<(), ApiFailure> {
    let jetstream = JetStream::new(connections);
    let info = jetstream.request(&format!("STREAM.INFO.{stream}"), &Value::Null).await?;
    let mut config = info["config"].clone();
    config["placement"] = json!({ "tags": [tag] });
    jetstream.request(&format!("STREAM.UPDATE.{stream}"), &config).await?;
    let until = Instant::now() + MOVE_MAX;
    loop {
        // While it moves it may have no leader that could answer.
        if let Ok(info) = jetstream.request(&format!("STREAM.INFO.{stream}"), &Value::Null).await {
            let followers = info["cluster"]["replicas"].as_array().map_or(0, Vec::len);
            if info["cluster"]["leader"] == tag && followers == 0 {
                return Ok(());
            }
        }
        if Instant::now() >= until {
            return Err(ApiFailure::Silent(format!("{stream} has not moved to {tag} within {MOVE_MAX:?}")));
        }
        tokio::time::sleep(MOVE_LOOK).await;
    }
}

/// Publishes these groups, one in flight a partition, each behind its partition's last fence.
///
/// # Errors
/// [`ApiFailure`].
pub async fn raw_batches(
    connections: &Connections,
    topology: &Topology,
    groups: &[RawGroup],
) -> Result<RawBatches, ApiFailure> {
    let jetstream = JetStream::new(connections);
    let mut streams = Vec::new();
    for shard in 0..topology.shards {
        let here = (0..topology.partitions).filter(|partition| partition % topology.shards == shard);
        let subjects: Vec<String> = here.map(|partition| format!("rf.raw.{partition}.>")).collect();
        let name = format!("RF_RAW_{shard}");
        let config = json!({
            "name": name, "subjects": subjects, "retention": "limits", "storage": "file",
            "num_replicas": topology.replicas, "discard": "new", "allow_atomic": true, "allow_direct": true,
        });
        jetstream.request(&format!("STREAM.CREATE.{name}"), &config).await?;
        streams.push(name);
    }
    let begun = Instant::now();
    let partitions = (0..topology.partitions).map(|partition| {
        let own: Vec<&[usize]> =
            groups.iter().filter(|group| group.0 == partition).map(|group| &group.1[..]).collect();
        of_partition(&jetstream, partition, own)
    });
    let measured = try_join_all(partitions).await;
    let took = begun.elapsed();
    remove_streams(connections, &streams).await?;
    let messages = groups.iter().map(|group| group.1.len().saturating_sub(1) as u64).sum();
    Ok(RawBatches { messages, took, latencies_us: measured?.concat() })
}

async fn of_partition(
    jetstream: &JetStream,
    partition: u16,
    groups: Vec<&[usize]>,
) -> Result<Vec<u64>, ApiFailure> {
    let (mut last, mut number, mut latencies) = (0, 0_u64, Vec::with_capacity(groups.len()));
    for sizes in groups {
        let messages = sizes.iter().enumerate().map(|(at, bytes)| {
            let subject = match at {
                0 => format!("rf.raw.{partition}.fence"),
                _ => {
                    number += 1;
                    format!("rf.raw.{partition}.o.{number}")
                }
            };
            let expected = Some(if at == 0 { last } else { 0 });
            BatchMessage { subject, expected, replaces: None, payload: vec![7; *bytes].into() }
        });
        let messages: Vec<BatchMessage> = messages.collect();
        let begun = Instant::now();
        last = jetstream.publish_batch(messages, BATCH_MAX).await?;
        latencies.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}
