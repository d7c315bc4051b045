//! Plain requests and batches, for tools that work beside the log in streams of their own: measurements, above all.

use std::time::Duration;

use async_nats::Client;
use serde_json::Value;

use super::answers::ApiFailure;
use super::api::Api;
use super::batch::{self, BatchMessage};
use super::connect::Connections;

/// JetStream, as the log speaks to it.
#[derive(Debug, Clone)]
pub struct JetStream {
    api: Api,
    publish: Client,
}

impl JetStream {
    /// Over the connections of a log.
    #[must_use]
    pub fn new(connections: &Connections) -> Self {
        let api = Api::new(connections.read.clone(), connections.request_timeout);
        Self { api, publish: connections.publish.clone() }
    }

    /// Asks for `what`, such as `STREAM.INFO.<name>`, with a body where that is not `null`.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn request(&self, what: &str, body: &Value) -> Result<Value, ApiFailure> {
        self.api.ask(what, body).await
    }

    /// Publishes a batch, all or nothing, and gives the sequence of its first message.
    ///
    /// # Errors
    /// [`ApiFailure::Silent`]: it may be stored now, later or never. [`ApiFailure::Refused`]: by what the server says.
    pub async fn publish_batch(
        &self,
        messages: Vec<BatchMessage>,
        timeout: Duration,
    ) -> Result<u64, ApiFailure> {
        batch::publish(&self.publish, messages, timeout).await
    }
}
