//! The streams of the doors: commands, public events, dead letters, and what nodes tell each other. Made and compared like the log's ([`super::topology`]).
//!
//! Callers publish into `RF_CMD` themselves, with headers of their choice. So it takes no rollups, batches, schedules or times to
//! live: each of them would let one caller take away or hold up what another one sent.

use serde_json::{Value, json};

use super::api::Api;
use super::topology::{self, Drift, TopologyDiff, TopologyError};
use super::{Connections, subjects};

/// Most that a command may take in its stream: its body, and its headers.
pub const COMMAND_MAX_BYTES: usize =
    retailflow_engine::wire::limits::BODY_MAX_BYTES + COMMAND_HEADERS_MAX_BYTES;
const COMMAND_HEADERS_MAX_BYTES: usize = 64 * 1024;

/// What the doors' streams are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorStreams {
    /// P, for ever: the same as the log's.
    pub partitions: u16,
    /// Copies of each stream: 1 or 3.
    pub replicas: u8,
    /// How much `RF_CMD` may hold, in bytes, before callers are refused; `None` for as much as there is room for.
    pub commands_max_bytes: Option<u64>,
}

impl DoorStreams {
    /// Makes the streams that are missing and compares the others. May be called again and by many at once.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn provision(&self, connections: &Connections) -> Result<Vec<Drift>, TopologyError> {
        if self.partitions == 0 || !matches!(self.replicas, 1 | 3) {
            let why =
                format!("{} partitions, {} replicas: 1 at least; 1 or 3", self.partitions, self.replicas);
            return Err(TopologyError::Invalid(why));
        }
        let api = Api::new(connections.read.clone(), connections.request_timeout);
        let mut drift = Vec::new();
        for (stream, wanted) in self.all() {
            let found = topology::provision_one(&api, stream, &wanted).await;
            let found =
                found.map_err(|failure| TopologyError::Stream { stream: stream.to_owned(), failure })?;
            drift.extend(topology::differences(stream, &wanted, &found));
        }
        Ok(drift)
    }

    /// Compares the streams, and makes none.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn compare(&self, connections: &Connections) -> Result<TopologyDiff, TopologyError> {
        let wanted = self.all().into_iter().map(|(stream, wanted)| (stream.to_owned(), wanted));
        topology::compare(connections, wanted).await
    }

    /// As [`super::Topology::put_back`].
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn put_back(
        &self,
        connections: &Connections,
        dry_run: bool,
    ) -> Result<Vec<topology::Drift>, TopologyError> {
        let wanted = self.all().into_iter().map(|(stream, wanted)| (stream.to_owned(), wanted));
        topology::put_back(connections, wanted, dry_run).await
    }

    fn all(&self) -> [(&'static str, Value); 4] {
        [
            (subjects::COMMANDS, self.commands()),
            (subjects::EVENTS, self.events()),
            (subjects::DEAD_LETTERS, self.letters()),
            (subjects::META, self.meta()),
        ]
    }

    pub(super) fn commands(&self) -> Value {
        let mut config = self.common(subjects::COMMANDS, &[subjects::COMMANDS_IN]);
        // Nothing unread ages away; a full stream refuses, and that is what holds callers back.
        config["max_bytes"] = self.commands_max_bytes.map_or(json!(-1), |bytes| json!(bytes));
        config["max_msg_size"] = json!(COMMAND_MAX_BYTES);
        config["subject_transform"] =
            json!({ "src": subjects::COMMANDS_IN, "dest": subjects::command_transform(self.partitions) });
        config["republish"] = json!({
            "src": subjects::COMMANDS_STORED, "dest": subjects::COMMAND_WAKES, "headers_only": true,
        });
        config
    }

    fn events(&self) -> Value {
        self.common(subjects::EVENTS, &[subjects::EVENTS_ALL])
    }

    fn letters(&self) -> Value {
        self.common(subjects::DEAD_LETTERS, &[subjects::DEAD_LETTERS_ALL])
    }

    /// Of each subject the newest message only: it takes the older one's place. (`discard: new` refuses where a whole stream is full;
    /// a full subject it would refuse only with `discard_new_per_subject`.)
    fn meta(&self) -> Value {
        let all = [subjects::TENANTS_ALL, subjects::CURSORS_ALL, subjects::SECRETS_ALL, subjects::SYNCED_ALL];
        let mut config = self.common(subjects::META, &all);
        config["max_msgs_per_subject"] = json!(1);
        config["discard_new_per_subject"] = json!(false);
        config
    }

    fn common(&self, name: &str, subjects: &[&str]) -> Value {
        topology::common(name, subjects, self.replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_moved_on_entry_and_told_of() {
        let streams = DoorStreams { partitions: 128, replicas: 3, commands_max_bytes: Some(1 << 30) };
        let commands = streams.commands();
        assert_eq!(commands["max_bytes"], json!(1 << 30));
        assert_eq!(commands["num_replicas"], json!(3));
        assert_eq!(topology::differences("RF_CMD", &commands, &commands), [], "what is wanted is no drift");
        let mut edited = commands.clone();
        edited["subject_transform"]["dest"] = json!(subjects::command_transform(64));
        let drift = topology::differences("RF_CMD", &commands, &edited);
        assert_eq!(drift.len(), 1);
        assert_eq!(drift[0].field, "subject_transform");
    }
}
