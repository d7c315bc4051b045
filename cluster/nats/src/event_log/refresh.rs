//! The last group of a partition, read from the leader again, and what is in memory caught up to it.

use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::keys::{GENESIS, Hash};
use retailflow_engine::ports::ReadError;
use tokio::time::Instant;

use super::changelog::{Changelog, Indexed, catch_up};
use super::state::{Head, Inner, Writing};
use crate::answers::ApiFailure;

/// Between two looks at a log that seems to have lost something.
const REGRESSED_PAUSE: Duration = Duration::from_millis(200);

/// Why the last group was not read.
pub(super) enum Refresh {
    Api(ApiFailure),
    /// The log has lost a group that was acknowledged here, in words.
    Regressed(String),
}

impl Inner {
    /// Reads the last group from the leader. A leader that was deposed and has not noticed yet tells an older one for some
    /// seconds: the log has lost something only if it keeps saying so.
    pub(super) async fn refresh(&self, writing: &mut Writing, partition: PartitionId) -> Result<(), Refresh> {
        let begun = Instant::now();
        loop {
            let head = self.read_head(partition).await.map_err(Refresh::Api)?;
            let found = head.as_ref().map_or((0, GENESIS), |head| (head.fence.group, head.hash));
            let lost = writing.acknowledged.filter(|acknowledged| {
                found.0 < acknowledged.0 || (found.0 == acknowledged.0 && found.1 != acknowledged.1)
            });
            let Some((group, _)) = lost else {
                self.observe_head(writing, partition, head, found.1);
                return Ok(());
            };
            if begun.elapsed() >= self.regressed_after {
                let last = found.0;
                return Err(Refresh::Regressed(format!(
                    "group {group} of partition {partition} was acknowledged; the log has group {last}"
                )));
            }
            tokio::time::sleep(REGRESSED_PAUSE.min(self.regressed_after)).await;
        }
    }

    fn observe_head(&self, writing: &mut Writing, partition: PartitionId, head: Option<Head>, hash: Hash) {
        let ours = writing.in_doubt == Some(hash);
        if !ours && writing.head.as_ref().map_or(GENESIS, |head| head.hash) != hash {
            // Another writer.
            self.partitions[usize::from(partition.0)].places.lock().clear();
            self.partitions[usize::from(partition.0)].new_orders.lock().forget();
        }
        writing.head = head;
        writing.known = true;
    }

    /// Takes in what our groups changed up to the leader's last fence, and gives that fence and where its group ends.
    pub(super) async fn caught_up<K: Indexed>(
        &self,
        partition: PartitionId,
        kept: &mut K,
        since: &Mutex<Changelog<K::Change>>,
    ) -> Result<(Hash, u64), ReadError> {
        // Whatever is stored from here on is noted.
        catch_up(kept, since);
        let mut writing = self.partition(partition)?.writing.lock().await;
        self.refresh(&mut writing, partition).await.map_err(|refresh| match refresh {
            Refresh::Api(failure) => failure.into(),
            Refresh::Regressed(why) => ReadError::Damaged(why),
        })?;
        catch_up(kept, since);
        Ok(writing.head.as_ref().map_or((GENESIS, 0), |head| (head.hash, head.end)))
    }
}
