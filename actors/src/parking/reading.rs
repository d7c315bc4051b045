//! Park marks that are not known yet: read by partition, concurrently, on first use; other partitions' commands do not wait.

use std::time::Duration;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::ParkedOrder;

use super::state::Parking;
use super::unread::refuse;
use crate::messages::TenantMsg;
use crate::mutant::Mutant;

impl Parking {
    /// Whether it is known which orders of the partition are parked.
    pub(crate) fn is_known(&self, partition: PartitionId) -> bool {
        self.known.contains(&partition)
    }

    /// Defers a message for an order whose park mark is not known yet, and starts to read the marks.
    pub(crate) fn defer(&mut self, partition: PartitionId, message: TenantMsg) {
        if !self.shared.table.owns(partition) {
            // Its partition was released meanwhile: the caller asks again, and its owner answers.
            return;
        }
        let max = self.shared.settings.config.orders.queue_max;
        let unread = self.unread.partitions.entry(partition).or_default();
        if unread.failed || unread.waiting.len() >= max {
            let retry_after_ms = self.shared.admission.retry_after_ms();
            unread.rescan |= refuse(message, retry_after_ms);
            return;
        }
        unread.waiting.push(message);
        self.start_reading(partition);
    }

    /// Retries failed reads.
    pub(crate) fn retry_reads(&mut self) {
        let failed = self.unread.partitions.iter().filter(|(_, unread)| unread.failed);
        let failed: Vec<PartitionId> = failed.map(|(partition, _)| *partition).collect();
        failed.into_iter().for_each(|partition| self.start_reading(partition));
    }

    fn start_reading(&mut self, partition: PartitionId) {
        let number = self.number();
        let Some(unread) = self.unread.partitions.get_mut(&partition) else { return };
        if unread.reading.is_some() {
            return;
        }
        unread.reading = Some(number);
        while self.unread.tasks.try_join_next().is_some() {}
        let (shared, myself) = (self.shared.clone(), self.myself.clone());
        let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
        if self.shared.settings.is(Mutant::TenantAwaitsItsLog) {
            self.inline.push(has_ended);
        }
        self.unread.tasks.spawn(async move {
            let _permit = shared.reads.permit(partition).await;
            let time = Duration::from_millis(shared.settings.config.commit.timeout_ms);
            let read = match tokio::time::timeout(time, shared.ports.log.parked(partition)).await {
                Ok(read) => read.map_err(|error| error.to_string()),
                Err(_) => Err("the log did not answer in time".to_owned()),
            };
            // A tenant that has ended restarts without them.
            drop(myself.cast(TenantMsg::Marks(partition, number, read)));
            drop(ended);
        });
    }

    /// The marks were read, or could not be. Gives back what has waited for that.
    pub(crate) fn marks_read(
        &mut self,
        partition: PartitionId,
        number: u64,
        read: Result<Vec<ParkedOrder>, String>,
    ) -> Vec<TenantMsg> {
        let Some(unread) = self.unread.partitions.get_mut(&partition) else { return Vec::new() };
        if unread.reading != Some(number) {
            return Vec::new();
        }
        match read {
            Ok(marks) => self.partition_acquired(partition, &marks),
            Err(error) => {
                tracing::warn!(event = "park_marks_unread", %partition, %error, "park marks cannot be read now; commands of this partition are refused");
                unread.reading = None;
                unread.failed = true;
                let retry_after_ms = self.shared.admission.retry_after_ms();
                for message in std::mem::take(&mut unread.waiting) {
                    unread.rescan |= refuse(message, retry_after_ms);
                }
                Vec::new()
            }
        }
    }

    /// The partition is known now. Gives back what has waited.
    pub(super) fn mark_known(&mut self, partition: PartitionId) -> Vec<TenantMsg> {
        let Some(unread) = self.unread.partitions.remove(&partition) else { return Vec::new() };
        if unread.rescan {
            // Until now its orders got no notices: scan for undriven ones again.
            self.shared.effects.partition_acquired(partition);
        }
        unread.waiting
    }
}
