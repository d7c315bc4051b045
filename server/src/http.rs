//! What a node itself asks over HTTP: servers' monitoring addresses, other nodes, a collector of spans. Blocks.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use ureq::Agent;

/// Largest answer that is read, in bytes.
const ANSWER_MAX_BYTES: u64 = 4 << 20;

/// Asks, and goes through no proxy: what it asks is near.
#[derive(Debug, Clone)]
pub struct Asker(Agent);

impl Asker {
    /// Each answer has so long.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder().timeout_global(Some(timeout)).proxy(None);
        Self(config.http_status_as_error(false).build().new_agent())
    }

    /// The status and the text of what stands at an address.
    ///
    /// # Errors
    /// In words: there was no whole answer.
    pub fn get(&self, url: &str) -> Result<(u16, String), String> {
        let mut answer = self.0.get(url).call().map_err(|error| error.to_string())?;
        let text = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
        Ok((answer.status().as_u16(), text.map_err(|error| error.to_string())?))
    }
}

/// Spans are sent from the exporter's own thread, which may wait.
#[async_trait::async_trait]
impl HttpClient for Asker {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER_MAX_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
