//! Reading whole logs: shard after shard, group after group.

use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{LogPosition, LoggedEntry, LoggedGroup, ReadError};

use super::state::Inner;
use crate::api::StoredMessage;
use crate::subjects::{self, Subject};

/// A position is a shard and a sequence in its stream.
const SEQUENCE_BITS: u32 = 48;
/// Bytes that are read at once, at most; a group is kept whole, however large.
const PIECE_BYTES: usize = 4 << 20;
/// And at least.
const PIECE_MIN_BYTES: usize = 64 << 10;

/// Where a message stands.
pub(super) fn position(shard: u16, sequence: u64) -> LogPosition {
    LogPosition(u64::from(shard) << SEQUENCE_BITS | sequence)
}

pub(crate) fn parts(position: LogPosition) -> (u16, u64) {
    let shard = u16::try_from(position.0 >> SEQUENCE_BITS).unwrap_or(u16::MAX);
    (shard, position.0 & ((1 << SEQUENCE_BITS) - 1))
}

/// An entry and its sequence in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedAt {
    pub(crate) sequence: u64,
    pub(crate) entry: LoggedEntry,
}

/// A group of which some entries have been read.
struct Begun {
    group: LoggedGroup,
    sequence: u64,
    /// The sequence of its last message, which may be one that is no entry.
    end: u64,
    /// Entries that the fence counts.
    entries: usize,
}

impl Begun {
    /// Whether all of it stands in a stream that ends at `stream_end`.
    fn whole(&self, stream_end: u64) -> bool {
        self.group.entries.len() == self.entries && self.end <= stream_end
    }
}

impl Inner {
    /// Groups after a position. It goes through one shard after another: who follows a log that is being written must
    /// follow each shard by itself.
    pub(super) async fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedGroup>, ReadError> {
        let (first, after) = parts(after);
        let mut groups = Vec::new();
        let mut bytes = 0;
        for shard in first..self.identity.shards {
            let after = if shard == first { after } else { 0 };
            bytes += self.scan_shard(shard, after, limit_bytes.saturating_sub(bytes), &mut groups).await?;
            if bytes >= limit_bytes {
                break;
            }
        }
        Ok(groups)
    }

    /// See [`super::NatsLog::entries_after`].
    pub(super) async fn entries_after(
        &self,
        partition: PartitionId,
        after: u64,
        limit_bytes: usize,
    ) -> Result<(Vec<LoggedAt>, u64, bool), ReadError> {
        let stream = self.stream(partition);
        let end = self.api.info(&stream).await?.last_sequence;
        if end <= after {
            return Ok((Vec::new(), after, true));
        }
        let filter = subjects::of_partition(partition);
        let (messages, all) = self.api.range(&stream, &filter, after + 1, end, limit_bytes).await?;
        let (mut entries, mut reached) = (Vec::with_capacity(messages.len()), after);
        for message in messages {
            // The rest of its group is not there yet: it is for the next look.
            if message.group_end() > end {
                return Ok((entries, reached, true));
            }
            // Nor is a torn one ever told, though others' groups stand behind it.
            self.await_whole(partition, &message).await?;
            reached = message.sequence;
            entries.extend(logged(message));
        }
        Ok((entries, if all { end } else { reached }, all))
    }

    /// See [`super::NatsLog::controls_before`].
    pub(super) async fn controls_before(
        &self,
        order: &OrderRef,
        before: u64,
    ) -> Result<Vec<LoggedAt>, ReadError> {
        let partition = partition_of(order, self.identity.partitions);
        let (stream, subject) = (self.stream(partition), subjects::control(partition, order));
        let last = before.saturating_sub(1);
        let (messages, _) = self.api.range(&stream, &subject, 1, last, usize::MAX).await?;
        Ok(messages.into_iter().filter_map(logged).collect())
    }

    /// Adds groups of one shard, one at least if there is one. Gives the bytes that they hold.
    async fn scan_shard(
        &self,
        shard: u16,
        after: u64,
        limit_bytes: usize,
        groups: &mut Vec<LoggedGroup>,
    ) -> Result<usize, ReadError> {
        let stream = subjects::stream(shard);
        // As the leader has it now: what was acknowledged before is there.
        let end = self.api.info(&stream).await?.last_sequence;
        let (mut next, mut bytes, mut begun) = (after + 1, 0, None::<Begun>);
        while next <= end {
            // Not as little as the caller may want: what is read in vain costs less than one more request.
            let piece = limit_bytes.clamp(PIECE_MIN_BYTES, PIECE_BYTES);
            let (messages, _) = self.api.range(&stream, subjects::ALL, next, end, piece).await?;
            let Some(last) = messages.last() else { break };
            next = last.sequence + 1;
            for message in messages {
                let size = message.payload.len();
                take(&stream, shard, message, &mut begun)?;
                if let Some(whole) = begun.take_if(|begun| begun.whole(end)) {
                    groups.push(whole.group);
                    bytes += size;
                    if bytes >= limit_bytes {
                        return Ok(bytes);
                    }
                } else if begun.is_some() {
                    bytes += size;
                }
            }
        }
        // A group that has begun and not ended is being stored: it is for the next scan.
        Ok(bytes)
    }
}

fn logged(message: StoredMessage) -> Option<LoggedAt> {
    let entry = match subjects::parse(&message.subject)? {
        Subject::Record(..) => LoggedEntry::Record(message.payload),
        Subject::Control(..) => LoggedEntry::Control(message.payload),
        Subject::Fence(_) | Subject::Identity(_) | Subject::Deadline(..) | Subject::Probe(_) => {
            return None;
        }
    };
    Some(LoggedAt { sequence: message.sequence, entry })
}

/// Takes a message into the group that it belongs to.
fn take(
    stream: &str,
    shard: u16,
    message: StoredMessage,
    begun: &mut Option<Begun>,
) -> Result<(), ReadError> {
    let damaged = |why: String| ReadError::Damaged(format!("{stream}, sequence {}: {why}", message.sequence));
    let entry = match subjects::parse(&message.subject) {
        Some(Subject::Fence(_)) => {
            if let Some(torn) = begun {
                return Err(damaged(format!("the group at {} is not whole", torn.sequence)));
            }
            let fence =
                Fence::decode(&message.payload).map_err(|error| message.unreadable(stream, &error))?;
            let (position, sequence) = (position(shard, message.sequence), message.sequence);
            let end = message.group_end();
            let group = LoggedGroup { position, fence: message.payload, entries: Vec::new() };
            *begun = Some(Begun { group, sequence, end, entries: fence.entries as usize });
            return Ok(());
        }
        Some(Subject::Record(..)) => LoggedEntry::Record(message.payload),
        Some(Subject::Control(..)) => LoggedEntry::Control(message.payload),
        Some(Subject::Identity(_) | Subject::Deadline(..) | Subject::Probe(_)) => return Ok(()),
        None => return Err(damaged(format!("subject {:?} is not the log's", message.subject))),
    };
    // Before the first fence stands the rest of a group that the reader has already.
    if let Some(begun) = begun {
        begun.group.entries.push(entry);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_rise_with_shards_and_sequences() {
        assert_eq!(position(0, 1), LogPosition(1));
        assert!(position(0, (1 << 48) - 1) < position(1, 0));
        for (shard, sequence) in [(0, 0), (0, 1), (7, 1 << 40), (65_535, (1 << 48) - 1)] {
            assert_eq!(parts(position(shard, sequence)), (shard, sequence));
        }
    }
}
