//! Commands of one partition, by position, from the stream of commands.
//!
//! Invariants:
//! - A position is the sequence of a message in `RF_CMD`. What is given rises strictly, and what is given again is the same.
//! - Nothing is skipped: a message that belongs to the partition is given, or stands in the dead letters before anything behind
//!   it is given. What was trimmed away above the floor stops the inbox ([`InboxFault::Gap`]), and so does a stream that is shorter
//!   than the floor ([`InboxFault::Shorter`]). One that was made anew is another inbox, and read from its beginning, wherever that is
//!   ([`InboxFault::MadeAnew`]): what is missing before it was never there.
//! - While the server moves commands otherwise than it has to, nothing is given: one order would have two owners. What was stored meanwhile
//!   where nobody may decide it is put with the dead letters, once it is right again (`misplaced`).
//! - Nothing is kept at the server: a read names where it begins, and may be dropped or repeated at any time.
//!
//! How it waits: where there is nothing more, it listens for the partition's wake (which the server publishes for each command
//! that it stores), reads once more, and only then waits. A wake is a hint: without one it looks again after `idle_ms`.
//!
//! What is given as [`Body::Bytes`] is the message's body, or, where headers said a part of it, the same command in one piece.

mod misrouted;
mod replies;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures_util::StreamExt;
use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::sha256;
use retailflow_engine::ports::{
    Body, Clock, CommandInbox, DeadLetter, DeadLetterCause, DeadLetters, Delivery, InboxError, InboxId,
    PortFuture, StoreError,
};
use retailflow_engine::wire::limits::BODY_MAX_BYTES;
use retailflow_engine::wire::{Code, DecodeError};

pub use self::misrouted::MisroutedCommands;
pub(super) use self::misrouted::other_transform;
pub use self::replies::ReplyAddresses;
use super::answers::ApiFailure;
use super::api::StreamInfo;
use super::command::{self, NoCommand};
use super::connect::EdgeConnection;
use super::foreign::{ForeignMessage, Reader};
use super::{Connections, subjects};

/// So long a stream must be shorter than what was read of it before that is believed.
const DEPOSED_MAX: Duration = Duration::from_secs(15);

/// How an inbox reads.
#[derive(Debug, Clone)]
pub struct InboxOptions {
    /// P, for ever.
    pub partitions: u16,
    /// Largest body that is given whole, in bytes.
    pub body_max_bytes: usize,
    /// About how much one batch may hold, in bytes.
    pub batch_max_bytes: usize,
    /// How long it waits for a wake before it looks by itself, in milliseconds.
    pub idle_ms: u64,
    /// Wait at the end for what comes, or end there.
    pub follow: bool,
    /// Shared by the inboxes of a node: what none of them reads.
    pub misrouted: Arc<MisroutedCommands>,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            partitions: 128,
            body_max_bytes: BODY_MAX_BYTES,
            batch_max_bytes: 1 << 20,
            idle_ms: 2_000,
            follow: true,
            misrouted: Arc::default(),
        }
    }
}

/// Why an inbox gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboxFault {
    /// Passing trouble: read again.
    #[error("{0}")]
    Unavailable(String),
    /// Commands that were not dealt with are gone. People must look.
    #[error("RF_CMD has lost commands after position {after}: {what}")]
    Gap {
        /// The last position dealt with or given.
        after: u64,
        /// What shows it.
        what: String,
    },
    /// The stream ends before what was read of it.
    #[error("RF_CMD lost its end, or was restored from an older copy: {0}")]
    Shorter(String),
    /// The stream was deleted and made anew. Whoever reads opens another inbox, which begins at its beginning; what was not decided of the
    /// one before is gone with it.
    #[error("RF_CMD was deleted and made anew, and is read from its beginning: {0}")]
    MadeAnew(String),
    /// The server moves commands to other partitions than we reckon. Nothing is read until it is put back.
    #[error(
        "the subject_transform of RF_CMD was changed, so commands go where nobody may decide them: put it back \
         (`retailflow cluster repair-streams`); it is {found}, and its dest has to be {wanted}"
    )]
    SubjectsDiffer {
        /// As it is.
        found: String,
        /// As its destination has to be.
        wanted: String,
    },
}

impl From<ApiFailure> for InboxFault {
    fn from(failure: ApiFailure) -> Self {
        Self::Unavailable(failure.to_string())
    }
}

impl From<InboxFault> for StoreError {
    fn from(fault: InboxFault) -> Self {
        match fault {
            InboxFault::Unavailable(why) => Self::Unavailable(why),
            fault @ InboxFault::MadeAnew(_) => Self::Unavailable(fault.to_string()),
            fault => Self::Damaged(fault.to_string()),
        }
    }
}

/// One partition's commands.
pub struct NatsInbox {
    id: InboxId,
    partition: PartitionId,
    created: String,
    options: InboxOptions,
    connections: Connections,
    edge: EdgeConnection,
    reader: Reader,
    letters: Arc<dyn DeadLetters>,
    clock: Arc<dyn Clock>,
    /// The last position given, or put away; at first the floor.
    after: u64,
    /// Up to here the partition has nothing that was not given.
    seen: u64,
    /// The stream's last sequence when it was last looked at.
    last: u64,
    wakes: Option<Subscriber>,
    /// Since when the stream has been shorter than what was read of it.
    shorter_since: Option<Instant>,
    quiet: Arc<AtomicU64>,
    replies: Arc<ReplyAddresses>,
}

impl NatsInbox {
    /// Opens a partition's commands after what a fence says of this inbox: the beginning, if it says nothing.
    ///
    /// # Errors
    /// [`InboxFault`].
    pub async fn resume(
        connections: &Connections,
        edge: &EdgeConnection,
        partition: PartitionId,
        floors: &[IntakeFloor],
        letters: Arc<dyn DeadLetters>,
        clock: Arc<dyn Clock>,
        options: InboxOptions,
    ) -> Result<Self, InboxFault> {
        let floor = |id: &InboxId| floors.iter().find(|floor| floor.inbox == *id).map_or(0, |at| at.position);
        Self::begin(connections, edge, partition, floor, letters, clock, options).await
    }

    /// Opens a partition's commands after `floor`. What cannot be a command goes into `letters`, where its body alone would
    /// not show it.
    ///
    /// # Errors
    /// [`InboxFault`].
    pub async fn open(
        connections: &Connections,
        edge: &EdgeConnection,
        partition: PartitionId,
        floor: u64,
        letters: Arc<dyn DeadLetters>,
        clock: Arc<dyn Clock>,
        options: InboxOptions,
    ) -> Result<Self, InboxFault> {
        Self::begin(connections, edge, partition, |_| floor, letters, clock, options).await
    }

    async fn begin(
        connections: &Connections,
        edge: &EdgeConnection,
        partition: PartitionId,
        floor: impl Fn(&InboxId) -> u64,
        letters: Arc<dyn DeadLetters>,
        clock: Arc<dyn Clock>,
        options: InboxOptions,
    ) -> Result<Self, InboxFault> {
        let reader = Reader::new(connections, edge, subjects::COMMANDS, subjects::commands_of(partition));
        let info = reader.info().await?;
        let id = inbox_id(&info.created, partition);
        let (created, floor) = (info.created.clone(), floor(&id).max(info.before_first()));
        let mut inbox = Self {
            id,
            partition,
            created,
            options,
            connections: connections.clone(),
            edge: edge.clone(),
            reader,
            letters,
            clock,
            after: floor,
            seen: floor,
            last: info.last_sequence,
            wakes: None,
            shorter_since: None,
            quiet: Arc::default(),
            replies: Arc::default(),
        };
        inbox.check(&info)?;
        inbox.check_transform(&info, info.first_sequence.saturating_sub(1))?;
        Ok(inbox)
    }

    /// Up to here the partition has nothing that was not given: the floor of one that has nothing may rise to it, once all that
    /// was given is dealt with. Without that, a partition that is never used would hold up trimming.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen.max(self.after)
    }

    /// The same for others to look at, but only while nothing was given that whoever reads has not taken in: it rises when the
    /// end was reached and more was asked for.
    #[must_use]
    pub fn idle_floor(&self) -> Arc<AtomicU64> {
        self.quiet.clone()
    }

    /// Where the outcomes of what was given are to be sent.
    #[must_use]
    pub fn replies(&self) -> Arc<ReplyAddresses> {
        self.replies.clone()
    }

    /// The next deliveries, at most `max`; none at the end, unless it waits there. May be dropped while it waits.
    ///
    /// # Errors
    /// [`InboxFault`]: reading again goes on after the last position given.
    pub async fn read(&mut self, max: usize) -> Result<Vec<Delivery>, InboxFault> {
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            let piece = self.reader.piece(self.after + 1, max, self.options.batch_max_bytes).await?;
            // After the read: what was there before it, and is not there now, may have been missed.
            let info = self.reader.info().await?;
            self.check(&info)?;
            self.check_transform(&info, self.last)?;
            self.put_misrouted_away(info.last_sequence).await?;
            let last_before = std::mem::replace(&mut self.last, info.last_sequence);
            if info.last_sequence < last_before {
                // Whoever answered is not the leader any more, and what was read of it is not all there is.
                let why = format!("its leader ends at {}, and {last_before} was seen", info.last_sequence);
                self.last = last_before;
                return Err(InboxFault::Unavailable(why));
            }
            let Some(end) = piece.last().map(|arrived| arrived.sequence) else {
                self.seen = self.seen.max(last_before);
                self.quiet.fetch_max(self.seen(), Ordering::AcqRel);
                if !self.options.follow {
                    return Ok(Vec::new());
                }
                self.wait().await?;
                continue;
            };
            let mut given = Vec::with_capacity(piece.len());
            for arrived in piece {
                let delivery = self.take(&arrived).await?;
                if delivery.is_some() {
                    self.replies.keep(&arrived);
                }
                given.extend(delivery);
            }
            self.after = end;
            if !given.is_empty() {
                return Ok(given);
            }
        }
    }

    /// What was given before, behind `after` and up to `up_to`: at most `max`, from the first on.
    ///
    /// # Errors
    /// [`InboxFault`].
    pub async fn read_again(
        &mut self,
        mut after: u64,
        up_to: u64,
        max: usize,
    ) -> Result<Vec<Delivery>, InboxFault> {
        let up_to = up_to.min(self.after);
        while after < up_to && max > 0 {
            let piece = self.reader.piece(after + 1, max, self.options.batch_max_bytes).await?;
            let first = piece.first().map(|arrived| arrived.sequence).filter(|first| *first <= up_to);
            let (Some(_), Some(end)) = (first, piece.last().map(|arrived| arrived.sequence)) else {
                let what = format!("what was read before, up to {up_to}, is not there");
                return Err(InboxFault::Gap { after, what });
            };
            let mut given = Vec::with_capacity(piece.len());
            for arrived in piece.iter().take_while(|arrived| arrived.sequence <= up_to) {
                given.extend(self.take(arrived).await?);
            }
            if !given.is_empty() {
                return Ok(given);
            }
            after = end;
        }
        Ok(Vec::new())
    }

    /// Listens first: what comes between the last read and the wait is found by the read between.
    async fn wait(&mut self) -> Result<(), InboxFault> {
        match &mut self.wakes {
            None => self.wakes = Some(self.reader.listen(subjects::command_wakes_of(self.partition)).await?),
            Some(wakes) => {
                let idle = Duration::from_millis(self.options.idle_ms.max(1));
                if tokio::time::timeout(idle, wakes.next()).await.is_ok() {
                    // While there is something to read nobody listens, and nothing piles up.
                    self.wakes = None;
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, info: &StreamInfo) -> Result<(), InboxFault> {
        // What others' commands were trimmed away of, up to where it has looked, is nothing that it misses.
        let after = self.seen();
        if info.created != self.created {
            let text = format!("it was made at {}, the one read before at {}", info.created, self.created);
            return Err(InboxFault::MadeAnew(text));
        }
        if info.last_sequence < after {
            let text = format!("it ends at {}, and {after} was dealt with", info.last_sequence);
            // A leader that was deposed does not know it for a while.
            return Err(match self.shorter_since.get_or_insert_with(Instant::now).elapsed() < DEPOSED_MAX {
                true => InboxFault::Unavailable(text),
                false => InboxFault::Shorter(text),
            });
        }
        self.shorter_since = None;
        if info.first_sequence > after + 1 {
            let what = format!("it begins at {}", info.first_sequence);
            return Err(InboxFault::Gap { after, what });
        }
        if info.deleted > 0 {
            let what = format!("{} messages are gone from its middle", info.deleted);
            return Err(InboxFault::Gap { after, what });
        }
        Ok(())
    }

    /// What is given of a message, if anything.
    async fn take(&self, arrived: &ForeignMessage) -> Result<Option<Delivery>, InboxFault> {
        let position = arrived.sequence;
        let parsed = subjects::parse_command(&arrived.subject);
        let parsed = parsed.map(|(partition, tenant, order)| (partition, command::order_of(tenant, order)));
        let parsed = parsed.filter(|(partition, order)| self.belongs_here(*partition, order.as_ref().ok()));
        let Some((_, order)) = parsed else {
            self.put_misrouted(arrived).await?;
            return Ok(None);
        };
        let length_bytes = arrived.payload.len() as u64;
        if arrived.payload.len() > self.options.body_max_bytes {
            let kept = DeadLetter::BODY_MAX_BYTES.min(self.options.body_max_bytes);
            let body = Body::TooLong { prefix: arrived.payload[..kept].to_vec(), length_bytes };
            return Ok(Some(Delivery { position, body }));
        }
        match order.and_then(|order| self.body(&order, arrived)) {
            Ok(bytes) => Ok(Some(Delivery { position, body: Body::Bytes(bytes) })),
            Err(error) => {
                let letter = self.letter(arrived, &error);
                self.letters.put(letter).await.map_err(|why| InboxFault::Unavailable(why.to_string()))?;
                tracing::warn!(event = "command_dead_lettered", position, %error, "a command was put with the dead letters");
                self.replies.put_away(arrived, error);
                Ok(None)
            }
        }
    }

    /// The command in one piece.
    fn body(&self, order: &OrderRef, arrived: &ForeignMessage) -> Result<Vec<u8>, DecodeError> {
        let read = command::read(order, &arrived.headers, &arrived.payload);
        if let Ok(read) = &read {
            command::must_be_carried_out(&arrived.headers, &read.command)?;
        }
        match read {
            Ok(read) if !read.whole => {
                let bytes = read.command.to_json();
                if bytes.len() > self.options.body_max_bytes {
                    let text = format!("in one piece it is {} bytes long", bytes.len());
                    return Err(DecodeError::new(Code::TooLarge, "", text));
                }
                Ok(bytes)
            }
            // Whoever reads its body finds the same: it is counted and put away there.
            Ok(_) | Err(NoCommand::Body(_)) => Ok(arrived.payload.to_vec()),
            Err(NoCommand::Envelope(error)) => Err(error),
        }
    }

    /// The same message at the same position is the same letter, however often it is read.
    fn letter(&self, arrived: &ForeignMessage, error: &DecodeError) -> DeadLetter {
        let mut name = self.id.to_vec();
        name.extend_from_slice(&arrived.sequence.to_le_bytes());
        let origin = format!("{}, position {}, {}", subjects::COMMANDS, arrived.sequence, arrived.subject);
        let (payload, kept) = (&arrived.payload, arrived.payload.len().min(DeadLetter::BODY_MAX_BYTES));
        let body = (payload[..kept].to_vec(), payload.len() as u64);
        DeadLetter::of(&name, DeadLetterCause::undecodable(origin, error), body, self.clock.now())
    }
}

/// Names the commands of a partition in the stream that was made at `created`. Frozen: fences carry it.
pub(super) fn inbox_id(created: &str, partition: PartitionId) -> InboxId {
    let mut named = b"rf-inbox-1\0".to_vec();
    named.extend_from_slice(created.as_bytes());
    named.extend_from_slice(&[0, 0]);
    named.extend_from_slice(&partition.0.to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(&named)[..16]);
    id
}

impl CommandInbox for NatsInbox {
    fn id(&self) -> InboxId {
        self.id
    }

    fn next(&mut self, max: usize) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>> {
        Box::pin(async move {
            let read = self.read(max).await;
            read.map_err(|fault| InboxError { after: self.after, cause: fault.into() })
        })
    }

    fn reads_again(&self) -> bool {
        true
    }

    fn again(
        &mut self,
        after: u64,
        up_to: u64,
        max: usize,
    ) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>> {
        Box::pin(async move {
            let read = self.read_again(after, up_to, max).await;
            read.map_err(|fault| InboxError { after, cause: fault.into() })
        })
    }
}
