//! The few requests of JetStream that the log needs, spoken directly: answers are read by number, and every wait is bounded.
//!
//! Reads on which safety hangs go through the stream's leader (`STREAM.MSG.GET`, `STREAM.INFO`). The direct ones may be
//! answered by a replica that is behind: they are for bulk, and whoever calls them asks the leader for the rest.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use retailflow_engine::codec::CodecError;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answers::{ApiFailure, answer, bounded};
use super::batch::{BATCH_SEQUENCE, GROUP_SIZE};
use super::direct::{self, DirectRead, LeaderMessage, without};
use super::errors::NO_MESSAGE;
use super::hedged::hedged_read;

/// Messages that one direct read asks for. Below what a subscription holds: an overflow would drop some silently.
const PIECE_MESSAGES: usize = 500;
/// Beyond every sequence: to the end, wherever that is.
pub(super) const END: u64 = u64::MAX - 1;
/// Before it is asked again whether another one's message has come to stand, in milliseconds at most.
const IN_FLIGHT_PAUSE_MS: u64 = 20;
/// Bytes that one direct read asks for.
const PIECE_BYTES: usize = 4 << 20;

/// A message as it stands in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredMessage {
    pub(super) subject: String,
    pub(super) sequence: u64,
    /// Its number within its batch, from 1; 0 for one that was published by itself.
    pub(super) number: u64,
    /// How many messages its batch has.
    pub(super) of: u64,
    pub(super) payload: Vec<u8>,
}

impl StoredMessage {
    /// It could not be decoded.
    pub(super) fn unreadable(&self, stream: &str, error: &CodecError) -> ApiFailure {
        ApiFailure::unreadable(format_args!("{stream}, sequence {}, {}", self.sequence, self.subject), error)
    }

    /// The sequence of the last message of its batch: a batch's messages stand one after another.
    pub(super) fn group_end(&self) -> u64 {
        self.sequence.saturating_add(self.of.saturating_sub(self.number.max(1)))
    }
}

/// A message that was published and is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PubAck {
    pub(super) sequence: u64,
    /// It was stored before, under the same message id.
    pub(super) duplicate: bool,
}

/// What of a stream's state is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamInfo {
    pub(super) config: Value,
    /// When it was made, as the server writes it: another stream of the same name has another one.
    pub(super) created: String,
    /// The sequence of its first message; where it has none, that of the next one, or 0.
    pub(super) first_sequence: u64,
    /// Messages that are gone from between others.
    pub(super) deleted: u64,
    pub(super) last_sequence: u64,
    /// How many subjects have messages.
    pub(super) subjects: u64,
    /// It has copies, and none of them leads: it takes nothing, and its leader cannot be asked.
    pub(super) leaderless: bool,
    /// What it holds, in bytes, and the most that it takes, if there is such a limit.
    pub(super) bytes: u64,
    pub(super) bytes_max: Option<u64>,
}

impl StreamInfo {
    /// The sequence before the first that it was made to give: 0, unless whoever made it chose another one.
    pub(super) fn before_first(&self) -> u64 {
        self.config["first_seq"].as_u64().unwrap_or(0).saturating_sub(1)
    }
}

/// Some of a stream's subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subjects {
    pub(super) subjects: Vec<String>,
    /// How many there are.
    pub(super) total: u64,
    pub(super) last_sequence: u64,
}

/// Speaks to JetStream.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
    timeout: Duration,
}

impl Api {
    pub(super) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    pub(super) async fn create_stream(&self, name: &str, config: &Value) -> Result<(), ApiFailure> {
        self.ask(&format!("STREAM.CREATE.{name}"), config).await.map(drop)
    }

    pub(super) async fn info(&self, stream: &str) -> Result<StreamInfo, ApiFailure> {
        let answer = self.read(&format!("STREAM.INFO.{stream}"), &Value::Null).await?;
        let last = answer["state"]["last_seq"].as_u64();
        let last_sequence =
            last.ok_or_else(|| ApiFailure::Strange(format!("{stream} tells no last sequence")))?;
        Ok(StreamInfo {
            subjects: answer["state"]["num_subjects"].as_u64().unwrap_or(0),
            config: answer["config"].clone(),
            created: answer["created"].as_str().unwrap_or_default().to_owned(),
            first_sequence: answer["state"]["first_seq"].as_u64().unwrap_or(0),
            deleted: answer["state"]["num_deleted"].as_u64().unwrap_or(0),
            last_sequence,
            leaderless: answer["cluster"].is_object()
                && answer["config"]["num_replicas"].as_u64().unwrap_or(1) > 1
                && answer["cluster"]["leader"].as_str().unwrap_or_default().is_empty(),
            bytes: answer["state"]["bytes"].as_u64().unwrap_or(0),
            bytes_max: answer["config"]["max_bytes"].as_i64().and_then(|bytes| u64::try_from(bytes).ok()),
        })
    }

    /// The subjects of a stream that match `filter` and have messages, in the order of their names without the first `after`, as many
    /// as the server gives at once; from the leader.
    pub(super) async fn subjects(
        &self,
        stream: &str,
        filter: &str,
        after: usize,
    ) -> Result<Subjects, ApiFailure> {
        let body = json!({ "subjects_filter": filter, "offset": after });
        let mut answer = self.read(&format!("STREAM.INFO.{stream}"), &body).await?;
        let last_sequence = answer["state"]["last_seq"].as_u64();
        let last_sequence =
            last_sequence.ok_or_else(|| ApiFailure::Strange(format!("{stream} tells no last sequence")))?;
        let subjects: Vec<String> = match answer["state"]["subjects"].take() {
            Value::Object(subjects) => subjects.into_iter().map(|(subject, _)| subject).collect(),
            _ => Vec::new(),
        };
        let total = answer["total"].as_u64().unwrap_or(subjects.len() as u64);
        Ok(Subjects { subjects, total, last_sequence })
    }

    /// The last message of a subject, from the leader.
    pub(super) async fn last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<StoredMessage>, ApiFailure> {
        self.get(stream, &json!({ "last_by_subj": subject })).await
    }

    /// The message of a sequence, from the leader.
    pub(super) async fn at(&self, stream: &str, sequence: u64) -> Result<Option<StoredMessage>, ApiFailure> {
        self.get(stream, &json!({ "seq": sequence })).await
    }

    /// The first message at `sequence` or after it whose subject matches `filter`, from the leader.
    pub(super) async fn next(
        &self,
        stream: &str,
        filter: &str,
        sequence: u64,
    ) -> Result<Option<StoredMessage>, ApiFailure> {
        self.get(stream, &json!({ "seq": sequence, "next_by_subj": filter })).await
    }

    /// The sequence of the last message whose subject matches `filter`, from the leader; 0 for none. Nothing else of it is read, so
    /// that anybody may have written it.
    pub(super) async fn last_sequence(&self, stream: &str, filter: &str) -> Result<u64, ApiFailure> {
        match self.read(&format!("STREAM.MSG.GET.{stream}"), &json!({ "last_by_subj": filter })).await {
            Ok(answer) => {
                let sequence = answer["message"]["seq"].as_u64();
                sequence.ok_or_else(|| ApiFailure::Strange("a message without a sequence".into()))
            }
            Err(ApiFailure::Refused(error)) if error.err_code == NO_MESSAGE => Ok(0),
            Err(failure) => Err(failure),
        }
    }

    async fn get(&self, stream: &str, what: &Value) -> Result<Option<StoredMessage>, ApiFailure> {
        match self.read(&format!("STREAM.MSG.GET.{stream}"), what).await {
            Ok(answer) => stored_in(LeaderMessage::read(&answer["message"])?).map(Some),
            Err(ApiFailure::Refused(error)) if error.err_code == NO_MESSAGE => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Publishes one message that is the first of its subject.
    ///
    /// # Errors
    /// `Refused` with [`ApiError::was_slower`] when it is not.
    pub(super) async fn publish_first(&self, subject: &str, payload: Vec<u8>) -> Result<(), ApiFailure> {
        self.publish_after(subject, 0, HeaderMap::new(), payload.into()).await.map(drop)
    }

    /// Publishes one message whose subject's last one is `expected`, and gives its sequence. While another one for the subject is on its
    /// way, it is not known yet who was faster: that is waited for, as long as for an answer.
    ///
    /// # Errors
    /// `Refused` with [`ApiError::was_slower`] when it is another one.
    pub(super) async fn publish_after(
        &self,
        subject: &str,
        expected: u64,
        mut headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, ApiFailure> {
        headers.insert(super::batch::EXPECTED_LAST, expected.to_string());
        let until = Instant::now() + self.timeout;
        loop {
            match self.publish(subject, headers.clone(), payload.clone()).await {
                Err(ApiFailure::Refused(error)) if error.is_in_flight() && Instant::now() < until => {
                    let pause_ms = fastrand::u64(IN_FLIGHT_PAUSE_MS / 2..=IN_FLIGHT_PAUSE_MS);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                done => return done.map(|stored| stored.sequence),
            }
        }
    }

    /// Publishes one message, whatever stands there already.
    pub(super) async fn publish(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PubAck, ApiFailure> {
        let request = self.client.request_with_headers(subject.to_owned(), headers, payload);
        let acknowledged = answer(&bounded(self.timeout, request).await?)?;
        // Anything else is nobody's word that it is stored.
        let sequence = acknowledged["seq"].as_u64();
        let sequence =
            sequence.ok_or_else(|| ApiFailure::Silent(format!("no acknowledgement: {acknowledged}")))?;
        Ok(PubAck { sequence, duplicate: acknowledged["duplicate"] == true })
    }

    /// Asks JetStream for something that is not asked for elsewhere.
    pub(super) async fn ask(&self, what: &str, body: &Value) -> Result<Value, ApiFailure> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = self.client.request(format!("$JS.API.{what}"), body);
        answer(&bounded(self.timeout, request).await?)
    }

    /// Asks JetStream for what changes nothing.
    async fn read(&self, what: &str, body: &Value) -> Result<Value, ApiFailure> {
        let body: Bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let ask = |left: Duration| {
            let request = self.client.request(format!("$JS.API.{what}"), body.clone());
            async move { answer(&bounded(left, request).await?) }
        };
        hedged_read(self.timeout, ask).await
    }

    /// All messages from `from` to `to` whose subject matches `filter`, about `limit_bytes` of them: in bulk from
    /// whichever replica, the rest from the leader. Gives them, and whether there are no more.
    pub(super) async fn range(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
        to: u64,
        limit_bytes: usize,
    ) -> Result<(Vec<StoredMessage>, bool), ApiFailure> {
        let (mut found, mut next, mut bytes) = (Vec::new(), from.max(1), 0);
        while next <= to {
            if bytes >= limit_bytes {
                return Ok((found, false));
            }
            let mut piece = self.direct(stream, filter, next, to, limit_bytes - bytes).await?;
            if piece.is_empty() {
                // The end, or that of a replica which is behind.
                match self.next(stream, filter, next).await? {
                    Some(message) => piece.push(message),
                    None => {
                        self.reaches(stream, to).await?;
                        break;
                    }
                }
            }
            for message in piece {
                if message.sequence < next {
                    return Err(ApiFailure::Strange(format!("sequence {} after {next}", message.sequence)));
                }
                next = message.sequence + 1;
                if message.sequence > to {
                    break;
                }
                bytes += message.payload.len();
                found.push(message);
            }
        }
        Ok((found, true))
    }

    /// Fails while whoever answers for a stream does not have a sequence that it is known to have: a leader that was deposed does
    /// not know it for a while, and what it has not is no end. [`END`] is known of no stream.
    pub(super) async fn reaches(&self, stream: &str, to: u64) -> Result<(), ApiFailure> {
        if to >= END {
            return Ok(());
        }
        match self.info(stream).await?.last_sequence {
            last if last < to => Err(ApiFailure::Silent(format!("{stream} ends at {last}, and has {to}"))),
            _ => Ok(()),
        }
    }

    /// Whether a message at `from` or after it matches `filter`, as whichever copy says that is asked: one without a leader answers, too.
    /// Nothing of the message's headers is read, so that anybody may have written it.
    pub(super) async fn direct_has(&self, stream: &str, filter: &str, from: u64) -> Result<bool, ApiFailure> {
        let body = json!({ "seq": from, "next_by_subj": filter, "no_hdr": true });
        let request = self.client.request(direct::subject(stream), body.to_string().into());
        match bounded(self.timeout, request).await?.status.map(|status| status.as_u16()) {
            None | Some(200) => Ok(true),
            Some(404) => Ok(false),
            status => Err(ApiFailure::Silent(format!("no copy answers: {status:?}"))),
        }
    }

    async fn direct(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
        to: u64,
        limit_bytes: usize,
    ) -> Result<Vec<StoredMessage>, ApiFailure> {
        let read = async {
            let max_bytes = limit_bytes.clamp(1, PIECE_BYTES);
            let batch =
                usize::try_from(to - from).unwrap_or(PIECE_MESSAGES).saturating_add(1).min(PIECE_MESSAGES);
            let body = json!({
                "seq": from, "next_by_subj": filter, "batch": batch, "max_bytes": max_bytes,
            });
            let mut answers = DirectRead::begin(&self.client, stream, &body).await?;
            let mut found = Vec::new();
            loop {
                let message = answers.next().await?;
                match message.status.map(|status| status.as_u16()) {
                    None | Some(200) => found.push(stored_of(&message)?),
                    Some(_) => return direct::ended(&message).map(|()| found),
                }
            }
        };
        tokio::time::timeout(self.timeout, read)
            .await
            .unwrap_or_else(|_| Err(ApiFailure::Silent(format!("no answer within {:?}", self.timeout))))
    }
}

/// A message as its stream's leader gives it.
fn stored_in(message: LeaderMessage) -> Result<StoredMessage, ApiFailure> {
    let headers = String::from_utf8(message.headers).map_err(|_| without("readable headers"))?;
    let header = |name: &str| {
        let value = headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map_or(Ok(0), |value| value.trim().parse().map_err(|_| without(name)))
    };
    Ok(StoredMessage {
        subject: message.subject,
        sequence: message.sequence,
        number: header(BATCH_SEQUENCE)?,
        of: header(GROUP_SIZE)?,
        payload: message.payload,
    })
}

/// A message as a direct read gives it: what it is stands in its headers.
fn stored_of(message: &Message) -> Result<StoredMessage, ApiFailure> {
    let header = |name: &'static str| {
        message.headers.as_ref().and_then(|headers| headers.get(name)).map(async_nats::HeaderValue::as_str)
    };
    let number = |name: &'static str| {
        header(name).map_or(Ok(0), |value| value.trim().parse::<u64>().map_err(|_| without(name)))
    };
    let sequence = number("Nats-Sequence")?;
    Ok(StoredMessage {
        subject: header("Nats-Subject").ok_or_else(|| without("a subject"))?.to_owned(),
        sequence: if sequence == 0 { return Err(without("a sequence")) } else { sequence },
        number: number(BATCH_SEQUENCE)?,
        of: number(GROUP_SIZE)?,
        payload: message.payload.to_vec(),
    })
}
