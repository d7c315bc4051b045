//! Reading a stream into which strangers may write: in bulk where that works, one by one where a message stands in the way.
//!
//! A bulk read gives each message as its caller made it, with what the server adds behind it. Headers that no client reads are replaced
//! on the way, the server's with them (`filter`): such a message is read from the leader, whose answers carry headers as text within
//! JSON, and the bulk read goes on behind it. After one that failed for another reason, the next messages come from the leader too.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Connections;
use super::answers::{ApiFailure, silent};
use super::api::{Api, StreamInfo};
use super::command::Headers;
use super::connect::EdgeConnection;
use super::direct::{self, DirectRead, LeaderMessage};
use super::errors::NO_MESSAGE;
use super::filter::UNREADABLE;

/// Messages that one bulk read asks for: fewer than its subscription holds.
const PIECE_MESSAGES: usize = 500;
/// Messages that are read one by one after a bulk read that failed.
const SINGLES: u32 = 64;
/// Between two lines that say the same.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// A message as it stands in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignMessage {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) headers: Headers,
    pub(super) payload: Bytes,
}

pub(super) struct Reader {
    /// Its connection carries nothing that a caller wrote but as text.
    api: Api,
    edge: EdgeConnection,
    losses: watch::Receiver<u64>,
    timeout: Duration,
    stream: &'static str,
    filter: String,
    singles: u32,
    told: Option<Instant>,
}

impl Reader {
    /// Reads what of `stream` matches `filter`.
    pub(super) fn new(
        connections: &Connections,
        edge: &EdgeConnection,
        stream: &'static str,
        filter: String,
    ) -> Self {
        Self {
            api: Api::new(connections.read.clone(), connections.request_timeout),
            edge: edge.clone(),
            losses: edge.losses.clone(),
            timeout: edge.request_timeout,
            stream,
            filter,
            singles: 0,
            told: None,
        }
    }

    pub(super) async fn info(&self) -> Result<StreamInfo, ApiFailure> {
        self.api.info(self.stream).await
    }

    /// Hears of what is published to a subject.
    pub(super) async fn listen(&self, subject: String) -> Result<Subscriber, ApiFailure> {
        let listening = self.edge.client.subscribe(subject);
        let listening = tokio::time::timeout(self.timeout, listening).await;
        listening.map_err(|_| ApiFailure::Silent("the client's queue is full".into()))?.map_err(silent)
    }

    /// The next messages at `from` or after it, in order: at most `max`, about `max_bytes`. None only if the leader has none.
    pub(super) async fn piece(
        &mut self,
        from: u64,
        max: usize,
        max_bytes: usize,
    ) -> Result<Vec<ForeignMessage>, ApiFailure> {
        if self.singles == 0 {
            match self.bulk(from, max, max_bytes).await {
                Ok((found, unreadable)) => {
                    self.singles = u32::from(unreadable);
                    if unreadable {
                        self.tell_unreadable(from);
                    }
                    if !found.is_empty() {
                        return Ok(found);
                    }
                    // The end, or that of a replica which is behind; or a message that only the leader can give.
                }
                Err(failure) => {
                    if let Some(left_out) = self.edge.said.due(&failure) {
                        tracing::warn!(stream = self.stream, from, trouble = %failure, left_out, "it is read one by one for a while");
                    }
                    self.singles = SINGLES;
                }
            }
        }
        let found = self.single(from).await?;
        if found.is_some() {
            self.singles = self.singles.saturating_sub(1);
        }
        Ok(found.into_iter().collect())
    }

    /// Names the partition, by its subjects; anybody can send such commands, so it is one line for many. Each becomes a dead letter.
    fn tell_unreadable(&mut self, from: u64) {
        if self.told.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(
                event = "unreadable_command", stream = self.stream, subjects = %self.filter, from,
                "somebody publishes commands that no client can read; they are put away, one by one"
            );
        }
    }

    /// What was found, and whether a message that cannot be read this way stands behind it.
    async fn bulk(
        &mut self,
        from: u64,
        max: usize,
        max_bytes: usize,
    ) -> Result<(Vec<ForeignMessage>, bool), ApiFailure> {
        let batch = max.clamp(1, PIECE_MESSAGES);
        let body = json!({
            "seq": from, "next_by_subj": self.filter, "batch": batch, "max_bytes": max_bytes.max(1),
        });
        self.losses.mark_unchanged();
        let reading = async {
            let mut answers = DirectRead::begin(&self.edge.client, self.stream, &body).await?;
            let (mut found, mut next) = (Vec::new(), from);
            while found.len() < batch {
                let message = answers.next().await?;
                if message.headers.as_ref().is_some_and(|headers| headers.get(UNREADABLE).is_some()) {
                    // It is read by itself, once those before it are taken in.
                    return Ok((found, true));
                }
                match arrived(&message) {
                    Some(arrived) if arrived.sequence >= next => {
                        next = arrived.sequence + 1;
                        found.push(arrived);
                    }
                    Some(arrived) => {
                        return Err(ApiFailure::Strange(format!(
                            "sequence {} after {next}",
                            arrived.sequence
                        )));
                    }
                    None => {
                        direct::ended(&message)?;
                        break;
                    }
                }
            }
            Ok((found, false))
        };
        tokio::select! {
            read = reading => read,
            _ = self.losses.changed() => Err(ApiFailure::Silent("the connection was lost".into())),
            () = tokio::time::sleep(self.timeout) => {
                Err(ApiFailure::Silent(format!("no answer within {:?}", self.timeout)))
            }
        }
    }

    /// The next message at `from` or after it, from the leader.
    pub(super) async fn single(&self, from: u64) -> Result<Option<ForeignMessage>, ApiFailure> {
        self.get(&json!({ "seq": from, "next_by_subj": self.filter })).await
    }

    /// The message at `sequence`, whatever its subject, from the leader.
    pub(super) async fn at(&self, sequence: u64) -> Result<Option<ForeignMessage>, ApiFailure> {
        self.get(&json!({ "seq": sequence })).await
    }

    async fn get(&self, what: &Value) -> Result<Option<ForeignMessage>, ApiFailure> {
        match self.api.ask(&format!("STREAM.MSG.GET.{}", self.stream), what).await {
            Ok(answer) => LeaderMessage::read(&answer["message"]).map(|message| Some(stored(message))),
            Err(ApiFailure::Refused(error)) if error.err_code == NO_MESSAGE => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// A stored message, whatever status its caller gave it; `None` for what the server says itself.
///
/// A caller may have written the server's headers too. The server adds its own behind them, so the last one counts.
fn arrived(message: &Message) -> Option<ForeignMessage> {
    let headers = message.headers.as_ref()?;
    let last = |name: &'static str| headers.get_last(name).map(async_nats::HeaderValue::as_str);
    Some(ForeignMessage {
        sequence: last("Nats-Sequence")?.trim().parse().ok().filter(|sequence| *sequence > 0)?,
        subject: last("Nats-Subject")?.to_owned(),
        headers: Headers::of(Some(headers)),
        payload: message.payload.clone(),
    })
}

/// A message as the leader gives it.
fn stored(message: LeaderMessage) -> ForeignMessage {
    ForeignMessage {
        sequence: message.sequence,
        subject: message.subject,
        headers: Headers::parse(&message.headers),
        payload: message.payload.into(),
    }
}
