//! Reading which orders a partition has, for its index of new ones.

use retailflow_engine::ids::PartitionId;

use super::new_orders::{Found, Hashes, ORDERS_MAX, ToRead, hash};
use super::state::Inner;
use crate::answers::ApiFailure;
use crate::subjects::{self, Subject};

/// Subjects of a whole stream beyond which the server is not asked for any list.
const STREAM_SUBJECTS_MAX: u64 = 20_000_000;

impl Inner {
    /// Whether a partition's orders are to be read; who is told so reads them.
    pub(super) fn orders_to_list(&self, partition: PartitionId) -> Option<ToRead> {
        self.partitions[usize::from(partition.0)].new_orders.lock().to_read.take()
    }

    /// Reads them.
    pub(super) async fn list_orders(&self, partition: PartitionId, due: ToRead) {
        let found = self.orders_there(partition, due.written).await.unwrap_or_else(|failure| {
            tracing::debug!(%partition, trouble = %failure, "the orders of a partition cannot be listed now");
            Found::Nothing
        });
        self.partitions[usize::from(partition.0)].new_orders.lock().end(due.turn, found);
    }

    /// The pages are of one list by name, which only ever grows: an order's first record stays. (Whoever lets records go some day must
    /// read otherwise here: where subjects vanish between two pages, others slip through.)
    async fn orders_there(&self, partition: PartitionId, written: u64) -> Result<Found, ApiFailure> {
        // One after another: each holds the stream up while the server gathers its subjects.
        let _one = self.learning.acquire().await;
        let (stream, filter) = (self.stream(partition), subjects::records_of(partition));
        if self.api.info(&stream).await?.subjects > STREAM_SUBJECTS_MAX {
            return Ok(Found::TooMany);
        }
        let mut found = Hashes::new();
        loop {
            let page = self.api.subjects(&stream, &filter, found.len()).await?;
            if page.last_sequence < written {
                return Err(ApiFailure::Strange(format!("{stream} ends before {written}")));
            }
            if page.total > ORDERS_MAX {
                return Ok(Found::TooMany);
            }
            let before = found.len();
            for subject in &page.subjects {
                match subjects::parse(subject) {
                    Some(Subject::Record(_, order)) => found.push(hash(&order)),
                    _ => {
                        return Err(ApiFailure::Strange(format!(
                            "{subject} among the records of {partition}"
                        )));
                    }
                }
            }
            if found.len() as u64 >= page.total {
                return Ok(Found::All(found));
            }
            if found.len() == before {
                return Err(ApiFailure::Strange(format!("{before} of {} subjects of {stream}", page.total)));
            }
        }
    }
}
