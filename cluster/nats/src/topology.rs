//! The streams of the log: made when they are missing, compared when they are there, never changed.
//!
//! A stream that differs from what is wanted may differ because an operator wanted it, or because someone made a
//! mistake; only people can tell. So a difference is reported and left alone.

use serde_json::{Value, json};

use super::answers::ApiFailure;
use super::api::Api;
use super::errors::{STREAM_EXISTS, STREAM_NOT_FOUND, SUBJECTS_OVERLAP};
use super::{Connections, subjects};

/// Partitions of one stream must be fewer: the server takes 50 batches in flight a stream, and each partition has one.
pub const PARTITIONS_PER_SHARD_MAX: u16 = 49;
/// The shortest window that the server takes, in nanoseconds; it cannot be switched off. The log sends no message ids.
const DUPLICATE_WINDOW_NS: u64 = 100_000_000;

/// How the log is spread over streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// P, for ever.
    pub partitions: u16,
    /// S, for ever.
    pub shards: u16,
    /// Copies of each stream: 1 or 3.
    pub replicas: u8,
}

/// Where a stream is not what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Which stream.
    pub stream: String,
    /// Which field of its configuration.
    pub field: String,
    /// What it should be, as JSON.
    pub wanted: String,
    /// What it is, as JSON.
    pub found: String,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} is {}, wanted {}", self.stream, self.field, self.found, self.wanted)
    }
}

/// What is there, against what is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopologyDiff {
    /// Streams that are not there.
    pub missing: Vec<String>,
    /// Where the others differ.
    pub drift: Vec<Drift>,
}

/// Why the streams are not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Numbers that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The server does not answer, or refuses.
    #[error("stream {stream}: {failure}")]
    Stream {
        /// Which stream.
        stream: String,
        /// What it says.
        failure: ApiFailure,
    },
}

impl TopologyError {
    /// Whether trying again may help. Streams whose subjects overlap with those that are there were never meant for this log.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Invalid(_) => false,
            Self::Stream { failure, .. } => {
                !matches!(failure, ApiFailure::Refused(error) if error.err_code == SUBJECTS_OVERLAP)
            }
        }
    }
}

impl Topology {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`TopologyError::Invalid`], in words.
    pub fn check(&self) -> Result<(), TopologyError> {
        let Self { partitions, shards, replicas } = *self;
        let invalid = |why: String| Err(TopologyError::Invalid(why));
        if partitions == 0 || shards == 0 || shards > partitions {
            return invalid(format!("{partitions} partitions in {shards} shards: at least one in each"));
        }
        if partitions.div_ceil(shards) > PARTITIONS_PER_SHARD_MAX {
            let fewest = partitions.div_ceil(PARTITIONS_PER_SHARD_MAX);
            return invalid(format!("{partitions} partitions need at least {fewest} shards, not {shards}"));
        }
        if replicas != 1 && replicas != 3 {
            return invalid(format!("{replicas} replicas: 1 or 3"));
        }
        Ok(())
    }

    /// Makes the streams that are missing and compares the others. May be called again and by many at once.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn provision(&self, connections: &Connections) -> Result<Vec<Drift>, TopologyError> {
        self.check()?;
        let api = Api::new(connections.read.clone(), connections.request_timeout);
        let mut drift = Vec::new();
        for shard in 0..self.shards {
            let stream = subjects::stream(shard);
            let wanted = self.wanted(shard);
            let found = provision_one(&api, &stream, &wanted).await;
            let found = found.map_err(|failure| TopologyError::Stream { stream: stream.clone(), failure })?;
            drift.extend(differences(&stream, &wanted, &found));
        }
        Ok(drift)
    }

    /// Compares the streams, and makes none.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn compare(&self, connections: &Connections) -> Result<TopologyDiff, TopologyError> {
        self.check()?;
        let wanted = (0..self.shards).map(|shard| (subjects::stream(shard), self.wanted(shard)));
        compare(connections, wanted).await
    }

    /// Puts what differs back to what is wanted, unless it is `dry_run`; makes and deletes nothing. Gives what differed.
    ///
    /// # Errors
    /// [`TopologyError`]; what was put back before stays so.
    pub async fn put_back(
        &self,
        connections: &Connections,
        dry_run: bool,
    ) -> Result<Vec<Drift>, TopologyError> {
        self.check()?;
        let wanted = (0..self.shards).map(|shard| (subjects::stream(shard), self.wanted(shard)));
        put_back(connections, wanted, dry_run).await
    }

    fn wanted(&self, shard: u16) -> Value {
        let subjects = subjects::of_stream(shard, self.partitions, self.shards);
        let mut config = common(&subjects::stream(shard), &subjects, self.replicas);
        config["allow_atomic"] = json!(true);
        // For deadlines alone: the newest takes the older one's place, and a cleared one goes by itself.
        config["allow_rollup_hdrs"] = json!(true);
        config["allow_msg_ttl"] = json!(true);
        config
    }
}

/// What all streams have in common. Nothing goes by age or for want of room, and nobody deletes single messages.
pub(super) fn common(name: &str, subjects: &[impl AsRef<str>], replicas: u8) -> Value {
    let subjects: Vec<&str> = subjects.iter().map(AsRef::as_ref).collect();
    json!({
        "name": name,
        "subjects": subjects,
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new",
        "max_age": 0,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "allow_direct": true,
        "allow_atomic": false,
        "allow_rollup_hdrs": false,
        "allow_msg_ttl": false,
        // Whoever archives or trims must be able to purge.
        "deny_delete": true,
        "deny_purge": false,
    })
}

pub(super) async fn provision_one(api: &Api, stream: &str, wanted: &Value) -> Result<Value, ApiFailure> {
    match api.info(stream).await {
        Ok(info) => return Ok(info.config),
        Err(ApiFailure::Refused(error)) if error.err_code == STREAM_NOT_FOUND => {}
        Err(failure) => return Err(failure),
    }
    match api.create_stream(stream, wanted).await {
        Ok(()) => {}
        // Someone was faster.
        Err(ApiFailure::Refused(error)) if error.err_code == STREAM_EXISTS => {}
        Err(failure) => return Err(failure),
    }
    Ok(api.info(stream).await?.config)
}

pub(super) async fn compare(
    connections: &Connections,
    wanted: impl Iterator<Item = (String, Value)>,
) -> Result<TopologyDiff, TopologyError> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let mut compared = TopologyDiff::default();
    for (stream, wanted) in wanted {
        match api.info(&stream).await {
            Ok(info) => compared.drift.extend(differences(&stream, &wanted, &info.config)),
            Err(ApiFailure::Refused(error)) if error.err_code == STREAM_NOT_FOUND => {
                compared.missing.push(stream)
            }
            Err(failure) => return Err(TopologyError::Stream { stream, failure }),
        }
    }
    Ok(compared)
}

pub(super) async fn put_back(
    connections: &Connections,
    wanted: impl Iterator<Item = (String, Value)>,
    dry_run: bool,
) -> Result<Vec<Drift>, TopologyError> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let mut all = Vec::new();
    for (stream, wanted) in wanted {
        let failed = |failure| TopologyError::Stream { stream: stream.clone(), failure };
        let mut config = match api.info(&stream).await {
            Ok(info) => info.config,
            // What is missing is made by nobody here: what it held is lost, and people have to know.
            Err(ApiFailure::Refused(error)) if error.err_code == STREAM_NOT_FOUND => continue,
            Err(failure) => return Err(failed(failure)),
        };
        let drift = differences(&stream, &wanted, &config);
        if !drift.is_empty() && !dry_run {
            let fields = config.as_object_mut().into_iter();
            fields.for_each(|fields| {
                fields.retain(|field, _| !ABSENT.contains(&field.as_str()));
                fields.extend(wanted.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
            });
            api.ask(&format!("STREAM.UPDATE.{stream}"), &config).await.map_err(failed)?;
        }
        all.extend(drift);
    }
    Ok(all)
}

/// Fields that we say nothing of and that must not be set: each would lose, hide or change messages.
const ABSENT: &[&str] = &[
    "persist_mode",
    "subject_transform",
    "mirror",
    "sources",
    "republish",
    "sealed",
    "no_ack",
    "allow_msg_counter",
    "allow_msg_schedules",
];

impl Drift {
    /// Whether it makes the server drop or hide what was acknowledged, or keep it less safely.
    #[must_use]
    pub fn loses(&self) -> bool {
        let limits = ["max_age", "max_msgs", "max_bytes", "max_msgs_per_subject", "discard", "retention"];
        let safety = ["storage", "persist_mode", "sealed", "subject_transform", "mirror", "no_ack"];
        // A limit of the stream of commands refuses what comes, and drops nothing.
        let commands = self.stream == subjects::COMMANDS && self.field == "max_bytes";
        (limits.contains(&self.field.as_str()) && !commands) || safety.contains(&self.field.as_str())
    }
}

pub(super) fn differences(stream: &str, wanted: &Value, found: &Value) -> Vec<Drift> {
    let drift = |field: &str, wanted: &Value, found: &Value| Drift {
        stream: stream.to_owned(),
        field: field.to_owned(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    };
    let mut all = Vec::new();
    for (field, value) in wanted.as_object().into_iter().flatten() {
        // What is false is left out in answers.
        let is = match &found[field] {
            Value::Null if value.is_boolean() => &Value::Bool(false),
            is => is,
        };
        if is != value {
            all.push(drift(field, value, is));
        }
    }
    for field in ABSENT.iter().filter(|field| wanted.get(field).is_none()) {
        let is = &found[*field];
        let unset = matches!(is, Value::Null | Value::Bool(false)) || is == "default";
        if !unset {
            all.push(drift(field, &Value::Null, is));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(partitions: u16, shards: u16) -> Topology {
        Topology { partitions, shards, replicas: 1 }
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for (partitions, shards) in [(0, 1), (1, 0), (3, 4), (50, 1), (128, 2), (99, 2)] {
            let refused = topology(partitions, shards).check();
            assert!(matches!(refused, Err(TopologyError::Invalid(_))), "{partitions} in {shards}");
        }
        for (partitions, shards) in [(1, 1), (49, 1), (128, 8), (98, 2), (128, 3)] {
            assert_eq!(topology(partitions, shards).check(), Ok(()), "{partitions} in {shards}");
        }
        assert!(Topology { replicas: 2, ..topology(4, 1) }.check().is_err());
    }

    #[test]
    fn each_difference_is_named() {
        let wanted = topology(4, 2).wanted(1);
        let mut found = wanted.clone();
        found["deny_purge"] = Value::Null;
        assert_eq!(differences("S", &wanted, &found), [], "what is false may be left out");
        found["discard"] = json!("old");
        found["allow_atomic"] = Value::Null;
        found["persist_mode"] = json!("async");
        let told: Vec<String> = differences("S", &wanted, &found).iter().map(Drift::to_string).collect();
        assert_eq!(
            told,
            [
                "S: allow_atomic is false, wanted true",
                "S: discard is \"old\", wanted \"new\"",
                "S: persist_mode is \"async\", wanted null"
            ]
        );
    }
}
