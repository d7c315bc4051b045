//! Reading a stream in bulk from whichever copy answers, and what a leader's answer holds.

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use retailflow_engine::wire::base64;
use serde_json::Value;

use super::answers::{ApiFailure, silent};

/// A message in an answer of a stream's leader (`STREAM.MSG.GET`), its headers as text.
pub(super) struct LeaderMessage {
    pub(super) subject: String,
    pub(super) sequence: u64,
    pub(super) headers: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// A message without something that it needs.
pub(super) fn without(what: &str) -> ApiFailure {
    ApiFailure::Strange(format!("a message without {what}"))
}

impl LeaderMessage {
    pub(super) fn read(message: &Value) -> Result<Self, ApiFailure> {
        let decoded = |field: &str| match message[field].as_str() {
            None => Ok(Vec::new()),
            Some(text) => base64::decode(text).ok_or_else(|| without(field)),
        };
        Ok(Self {
            subject: message["subject"].as_str().ok_or_else(|| without("a subject"))?.to_owned(),
            sequence: message["seq"].as_u64().ok_or_else(|| without("a sequence"))?,
            headers: decoded("hdrs")?,
            payload: decoded("data")?,
        })
    }
}

/// The subject that whichever copy of a stream answers.
pub(super) fn subject(stream: &str) -> String {
    format!("$JS.API.DIRECT.GET.{stream}")
}

/// The messages that one direct read gives, until the server says that there are no more.
pub(super) struct DirectRead(Subscriber);

impl DirectRead {
    /// Asks for what `body` says.
    pub(super) async fn begin(client: &Client, stream: &str, body: &Value) -> Result<Self, ApiFailure> {
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await.map_err(silent)?;
        client.publish_with_reply(subject(stream), inbox, body.to_string().into()).await.map_err(silent)?;
        Ok(Self(answers))
    }

    /// The next answer: a message, or what the server says of the read ([`ended`]).
    pub(super) async fn next(&mut self) -> Result<Message, ApiFailure> {
        self.0.next().await.ok_or_else(|| ApiFailure::Silent("the subscription ended".into()))
    }
}

/// What an answer says that is no message: that there are no more.
///
/// # Errors
/// [`ApiFailure`] where it says something else.
pub(super) fn ended(message: &Message) -> Result<(), ApiFailure> {
    match message.status.map(|status| status.as_u16()) {
        // The end of the piece; nothing found.
        Some(204 | 404) => Ok(()),
        Some(503) => Err(ApiFailure::Silent("no responders".into())),
        status => {
            let why = message.description.as_deref().unwrap_or_default();
            Err(ApiFailure::Strange(format!("{status:?} {why}")))
        }
    }
}
