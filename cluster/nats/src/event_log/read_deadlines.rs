//! The deadlines of a partition, current.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream as streams};
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::ports::ReadError;
use tokio::sync::MutexGuard;

use super::changelog::{PIECE_BYTES, catch_up};
use super::deadlines::OpenDeadlines;
use super::state::Inner;
use crate::answers::ApiFailure;
use crate::api::END;
use crate::subjects::{self, Subject};

/// Deadlines that are asked for one by one at once.
const READS_AT_ONCE: usize = 32;

impl Inner {
    /// The deadlines of a partition, current up to the leader's last fence.
    pub(super) async fn deadlines(
        &self,
        partition: PartitionId,
    ) -> Result<MutexGuard<'_, OpenDeadlines>, ReadError> {
        let here = self.partition(partition)?;
        let mut open = here.deadlines.lock().await;
        let (hash, end) = self.caught_up(partition, &mut *open, &here.deadlines_changes).await?;
        if open.at != Some(hash) {
            open.at = None;
            self.read_deadlines(partition, &mut open, end).await?;
            open.at = Some(hash);
            catch_up(&mut *open, &here.deadlines_changes);
        }
        Ok(open)
    }

    async fn read_deadlines(
        &self,
        partition: PartitionId,
        open: &mut OpenDeadlines,
        to: u64,
    ) -> Result<(), ReadError> {
        let (stream, filter) = (self.stream(partition), subjects::deadlines_of(partition));
        open.due.clear();
        open.by_order.clear();
        let mut from = 1;
        loop {
            // Up to the very end: a newer group may have taken an older one's deadline away.
            let (messages, ended) = self.api.range(&stream, &filter, from, END, PIECE_BYTES).await?;
            for message in messages {
                let deadline = Deadline::decode(&message.payload);
                let deadline = deadline.map_err(|error| message.unreadable(&stream, &error))?;
                open.deadline(&deadline.order, deadline.at);
                from = message.sequence + 1;
            }
            if ended {
                break;
            }
        }
        self.api.reaches(&stream, to).await?;
        self.drop_what_is_gone(partition, open, to.max(from - 1)).await
    }

    /// A replica that is behind shows deadlines that were cleared so long ago that nothing is left of it: those have no message any more,
    /// as the leader knows. `read`: up to where has been read; a leader that was deposed does not have that, and is not believed.
    async fn drop_what_is_gone(
        &self,
        partition: PartitionId,
        open: &mut OpenDeadlines,
        read: u64,
    ) -> Result<(), ReadError> {
        if open.by_order.is_empty() {
            return Ok(());
        }
        let (stream, filter) = (self.stream(partition), subjects::deadlines_of(partition));
        let list = async |filter: &str, after: usize| match self.api.subjects(&stream, filter, after).await {
            Ok(page) if page.last_sequence < read => {
                Err(ApiFailure::Silent(format!("{stream} ends at {}, and has {read}", page.last_sequence)))
            }
            answer => answer,
        };
        let (mut there, mut seen) = (HashSet::new(), 0);
        loop {
            let page = list(&filter, seen).await?;
            seen += page.subjects.len();
            let ended = page.subjects.is_empty() || seen as u64 >= page.total;
            there.extend(page.subjects.iter().filter_map(|subject| match subjects::parse(subject) {
                Some(Subject::Deadline(_, order)) => Some(order),
                _ => None,
            }));
            if ended {
                break;
            }
        }
        // Of more than one page a subject may be missing because others went meanwhile.
        let gone: Vec<OrderRef> =
            open.by_order.keys().filter(|order| !there.contains(*order)).cloned().collect();
        let ask = async |order: OrderRef| {
            let found = list(&subjects::deadline(partition, &order), 0).await?;
            Ok::<_, ApiFailure>((order, found.total))
        };
        let mut asked = streams::iter(gone).map(ask).buffer_unordered(READS_AT_ONCE);
        while let Some((order, found)) = asked.try_next().await? {
            if found == 0 {
                open.deadline(&order, None);
            }
        }
        Ok(())
    }
}
