//! The park marks of a partition, current.

use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::ports::{ReadError, number_taken};
use tokio::sync::MutexGuard;

use super::changelog::{PIECE_BYTES, catch_up};
use super::parks::Parks;
use super::prepared::Prepared;
use super::state::Inner;
use crate::subjects;

impl Inner {
    /// Whether a group gives a parked command a number that is taken; told of the moment before the group, from memory where only our
    /// own groups came before it. Must be asked before the partition is locked for writing.
    pub(super) async fn number_taken(&self, prepared: &Prepared<'_>) -> Result<Option<OrderRef>, String> {
        if !prepared.controls.iter().any(|control| matches!(control, Control::ParkedCommand { .. })) {
            return Ok(None);
        }
        let here = self.partition(prepared.partition).map_err(|error| error.to_string())?;
        let before = Some(prepared.group.fence.previous);
        let mut parks = here.parks.lock().await;
        catch_up(&mut *parks, &here.parks_changes);
        if parks.at != before {
            drop(parks);
            parks = self.parks(prepared.partition).await.map_err(|error| error.to_string())?;
            if parks.at != before {
                // It stands already, or may not follow: whoever asks is told so, unless it may.
                return Err("the park marks are not those before the group".into());
            }
        }
        let queue = |order: &OrderRef| parks.parks.get(order);
        let marked = |order: &OrderRef| Ok(queue(order).is_some());
        let waits = |order: &OrderRef, number: u64| {
            Ok(queue(order).is_some_and(|park| park.waiting.contains_key(&number)))
        };
        number_taken([], &prepared.controls, marked, waits)
    }

    /// The park marks of a partition, current up to the leader's last fence.
    pub(super) async fn parks(&self, partition: PartitionId) -> Result<MutexGuard<'_, Parks>, ReadError> {
        let here = self.partition(partition)?;
        let mut parks = here.parks.lock().await;
        let (hash, end) = self.caught_up(partition, &mut *parks, &here.parks_changes).await?;
        if parks.at != Some(hash) {
            parks.at = None;
            self.read_controls(partition, &mut parks, end).await?;
            parks.at = Some(hash);
            catch_up(&mut *parks, &here.parks_changes);
        }
        Ok(parks)
    }

    async fn read_controls(
        &self,
        partition: PartitionId,
        parks: &mut Parks,
        to: u64,
    ) -> Result<(), ReadError> {
        let (stream, filter) = (self.stream(partition), subjects::controls_of(partition));
        loop {
            let from = parks.to + 1;
            let (messages, ended) = self.api.range(&stream, &filter, from, to, PIECE_BYTES).await?;
            for message in messages {
                let control = Control::decode(&message.payload);
                let control = control.map_err(|error| message.unreadable(&stream, &error))?;
                parks.control(&control, message.sequence);
                parks.to = message.sequence;
            }
            if ended {
                parks.to = parks.to.max(to);
                return Ok(());
            }
        }
    }
}
