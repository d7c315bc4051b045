//! Commands that stand where no partition may decide them, because the `subject_transform` of their stream was another one for a while.
//!
//! While it is another one nothing is read: an order's commands would be decided by two partitions. Once it is right again, such
//! commands are put with the dead letters, whole, before what stands behind them is given; `dlq redrive` publishes them anew, and one
//! that was decided meanwhile has one outcome.

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::{partition_of, sha256};
use retailflow_engine::wire::{Code, DecodeError};
use serde_json::Value;

use super::{InboxFault, NatsInbox, inbox_id};
use crate::api::StreamInfo;
use crate::command;
use crate::foreign::{ForeignMessage, Reader};
use crate::subjects;

/// Every subject of the stream.
const ALL: &str = ">";
/// Stands for none in what names a letter: there are fewer partitions.
const NO_PARTITION: PartitionId = PartitionId(u16::MAX);

/// Shared by all inboxes of a node: what was stored under subjects that none of them reads.
#[derive(Debug, Default)]
pub struct MisroutedCommands {
    /// Behind this position there may be some.
    after: Mutex<Option<u64>>,
    /// One inbox looks for all.
    looking: tokio::sync::Mutex<()>,
}

impl MisroutedCommands {
    fn may_stand_after(&self, position: u64) {
        let mut after = self.after.lock();
        *after = Some(after.map_or(position, |known| known.min(position)));
    }

    fn after(&self) -> Option<u64> {
        *self.after.lock()
    }

    /// All behind `position` were put away. A word that came meanwhile stays.
    fn none_after(&self, position: u64) {
        let mut after = self.after.lock();
        if *after == Some(position) {
            *after = None;
        }
    }
}

/// As the server moves commands on entry, and as it has to, where that differs.
pub(crate) fn other_transform(info: &StreamInfo, partitions: u16) -> Option<(String, String)> {
    let is = |field: &str, wanted: &str| info.config["subject_transform"][field] == wanted;
    let wanted = subjects::command_transform(partitions);
    let found = match &info.config["subject_transform"] {
        Value::Null => "none".to_owned(),
        found => found.to_string(),
    };
    (!is("src", subjects::COMMANDS_IN) || !is("dest", &wanted)).then_some((found, wanted))
}

impl NatsInbox {
    /// That commands come to where they belong. `known_to` is the stream's end when that was last seen.
    pub(super) fn check_transform(&self, info: &StreamInfo, known_to: u64) -> Result<(), InboxFault> {
        match other_transform(info, self.options.partitions) {
            None => Ok(()),
            Some((found, wanted)) => {
                self.options.misrouted.may_stand_after(known_to);
                Err(InboxFault::SubjectsDiffer { found, wanted })
            }
        }
    }

    /// Puts away what stands under subjects of no partition, up to `last`, where there may be such.
    pub(super) async fn put_misrouted_away(&self, last: u64) -> Result<(), InboxFault> {
        let misrouted = &self.options.misrouted;
        if misrouted.after().is_none() {
            return Ok(());
        }
        // No partition reads on before all of them are put away: floors would rise above them, and they would be trimmed.
        let _looking = misrouted.looking.lock().await;
        let Some(known) = misrouted.after() else { return Ok(()) };
        let mut reader = Reader::new(&self.connections, &self.edge, subjects::COMMANDS, ALL.to_owned());
        let mut after = known;
        while after < last {
            let piece = reader.piece(after + 1, usize::MAX, self.options.batch_max_bytes).await?;
            let Some(end) = piece.last().map(|arrived| arrived.sequence) else { break };
            for arrived in piece {
                let read_by = subjects::parse_command(&arrived.subject).map(|(partition, ..)| partition);
                if read_by.is_none_or(|partition| partition.0 >= self.options.partitions) {
                    self.put_misrouted(&arrived).await?;
                }
            }
            after = end;
        }
        misrouted.none_after(known);
        Ok(())
    }

    /// Whether it is this partition's by our reckoning, too, and not only by the server's.
    pub(super) fn belongs_here(&self, partition: PartitionId, order: Option<&OrderRef>) -> bool {
        let ours = order.map_or(partition, |order| partition_of(order, self.options.partitions));
        ours == partition && partition == self.partition
    }

    /// Puts it with the dead letters: whole, so that it can be published anew.
    pub(super) async fn put_misrouted(&self, arrived: &ForeignMessage) -> Result<(), InboxFault> {
        let order = subjects::parse_command(&arrived.subject)
            .and_then(|(_, tenant, order)| command::order_of(tenant, order).ok());
        let text = format!(
            "published while the subject_transform of {} was another one, it stands under {}, where no partition may decide it: redrive it",
            subjects::COMMANDS,
            arrived.subject
        );
        let mut error = DecodeError::new(Code::MismatchedAddress, "", text);
        error.address.tenant = order.as_ref().map(|order| order.tenant.clone());
        let mut letter = self.letter(arrived, &error);
        // The same letter, whichever partition and node finds it.
        let mut named = inbox_id(&self.created, NO_PARTITION).to_vec();
        named.extend_from_slice(&arrived.sequence.to_le_bytes());
        letter.key.copy_from_slice(&sha256(&named)[..16]);
        let whole = order.and_then(|order| self.body(&order, arrived).ok());
        letter.body = whole.unwrap_or_else(|| arrived.payload.to_vec());
        letter.length_bytes = letter.body.len() as u64;
        letter.body.truncate(self.options.body_max_bytes);
        self.letters.put(letter).await.map_err(|why| InboxFault::Unavailable(why.to_string()))?;
        tracing::warn!(
            event = "misplaced_command",
            position = arrived.sequence,
            subject = arrived.subject,
            "a command that no partition may decide was put with the dead letters"
        );
        Ok(())
    }
}
