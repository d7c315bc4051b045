//! What NATS servers said last of whether they sync what they store: for the time when one of them is away.
//!
//! It stands in `RF_META`, so that a node that starts knows it, too. It is a hint: where it is lost, or written twice, the next answer
//! stands again.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use parking_lot::Mutex;
use retailflow_engine::ids::TimestampMs;
use serde::{Deserialize, Serialize};

use super::answers::ApiFailure;
use super::api::Api;
use super::{Connections, subjects};

/// The version of what is stored.
const VERSION: u16 = 1;

/// What a server said. Stored as JSON, so that operators can read it with NATS's own tools; frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatement {
    v: u16,
    /// Its monitoring address, as the configuration has it.
    pub server: String,
    /// It syncs each write.
    pub synced: bool,
    /// When it said so, in milliseconds since 1970.
    pub at_ms: i64,
}

impl SyncStatement {
    /// That `server` said this.
    #[must_use]
    pub fn new(server: &str, synced: bool, at: TimestampMs) -> Self {
        Self { v: VERSION, server: server.to_owned(), synced, at_ms: at.0 }
    }
}

/// What servers said last.
pub struct SyncedServers {
    publish: Api,
    read: Api,
    /// What was heard or read here, for when the stream cannot be read: as many as the configuration has servers.
    heard: Mutex<BTreeMap<String, SyncStatement>>,
}

impl SyncedServers {
    /// In a stream that is there ([`super::DoorStreams::provision`]).
    #[must_use]
    pub fn new(connections: &Connections) -> Self {
        let api = |client: &async_nats::Client| Api::new(client.clone(), connections.request_timeout);
        Self { publish: api(&connections.publish), read: api(&connections.read), heard: Mutex::default() }
    }

    /// What a server said last; `None` if it never did, or what stands there is of another build.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn last(&self, server: &str) -> Result<Option<SyncStatement>, ApiFailure> {
        let stored = match self.read.last(subjects::META, &subjects::synced(server)).await {
            Ok(stored) => stored,
            Err(failure) => return self.heard.lock().get(server).cloned().map(Some).ok_or(failure),
        };
        let said = stored.and_then(|stored| serde_json::from_slice::<SyncStatement>(&stored.payload).ok());
        let said = said.filter(|said| said.v == VERSION && said.server == server);
        let mut heard = self.heard.lock();
        if let Some(said) = &said {
            heard.insert(server.to_owned(), said.clone());
        }
        Ok(said.or_else(|| heard.get(server).cloned()))
    }

    /// Keeps what a server said.
    ///
    /// # Errors
    /// [`ApiFailure`]: it may or may not be kept.
    pub async fn keep(&self, said: &SyncStatement) -> Result<(), ApiFailure> {
        self.heard.lock().insert(said.server.clone(), said.clone());
        let bytes = serde_json::to_vec(said).map_err(|error| ApiFailure::Strange(error.to_string()))?;
        self.publish.publish(&subjects::synced(&said.server), HeaderMap::new(), bytes.into()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_frozen_and_stands_under_one_token() {
        let said = SyncStatement::new("http://127.0.0.1:8222", true, TimestampMs(5));
        let text = r#"{"v":1,"server":"http://127.0.0.1:8222","synced":true,"at_ms":5}"#;
        assert_eq!(serde_json::to_string(&said).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<SyncStatement>(&text.replacen('{', r#"{"later":1,"#, 1)).unwrap(),
            said
        );
        let subject = subjects::synced("http://127.0.0.1:8222");
        assert_eq!(subject.split('.').count(), 4, "{subject}");
        assert_ne!(subject, subjects::synced("http://127.0.0.1:8223"));
    }
}
