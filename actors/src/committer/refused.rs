//! What of a group is refused alone, so that the others of it can be written.

use std::collections::VecDeque;
use std::time::Duration;

use ractor::ActorRef;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::metric;
use retailflow_engine::ports::{Commit, CommitError};
use retailflow_engine::wire::Code;
use tokio::time::Instant;

use super::end::CommitterError;
use super::state::CommitterState;
use crate::messages::{CommitterMsg, ControlProposal, Proposal, ProposalResult};
use crate::mutant::Mutant;

/// Time between two log lines of one partition that say the same.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Between two looks whether a log that took nothing takes something again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl CommitterState {
    /// Reports once when the log begins to refuse records, and once when it accepts them again.
    pub(super) fn note_capacity(&mut self, answer: &Result<Commit, CommitError>) {
        match answer {
            Ok(_) if std::mem::take(&mut self.is_refused) => {
                self.context.table.clear_refusing(self.context.partition);
                tracing::info!(event = "log_takes_again", partition = %self.context.partition, "the log takes records again");
            }
            Err(error) => {
                let Some(code) = error.refused_as() else { return };
                self.context.table.mark_refusing(self.context.partition, code);
                if !std::mem::replace(&mut self.is_refused, true) {
                    tracing::warn!(
                        event = "log_refuses", partition = %self.context.partition, why = %error, "the log takes no more for now"
                    );
                }
            }
            Ok(_) => {}
        }
    }

    /// A node that is not ready gets no commands, which alone would show that there is room again.
    pub(super) fn queue_retry(&mut self, myself: &ActorRef<CommitterMsg>) {
        if self.is_refused && !std::mem::replace(&mut self.retry_queued, true) {
            myself.send_after(RETRY_INTERVAL, || CommitterMsg::RetryRefused);
        }
    }

    /// Writes a fence, unless something else has been written meanwhile: where the log says of a probe already that it takes nothing,
    /// nothing is written into what little room there is.
    pub(super) async fn retry_refused(&mut self) -> Result<(), CommitterError> {
        self.retry_queued = false;
        if self.is_refused && self.probe_log().await.is_ok() {
            self.write_fence().await?;
        }
        Ok(())
    }

    /// After the log would not take the group for its size: the entry that is too large is refused, by name; where it is not known,
    /// half of the group waits for the next one, until one is left that is refused alone. Nobody else's is refused.
    pub(super) fn make_smaller(
        &mut self,
        proposals: &mut VecDeque<Proposal>,
        controls: &mut VecDeque<ControlProposal>,
        entry: Option<usize>,
        why: String,
    ) {
        let members = proposals.len() + controls.len();
        let Some(at) = entry.filter(|at| *at < members).or((members == 1).then_some(0)) else {
            let half = members / 2;
            let records = proposals.split_off(half.min(proposals.len()));
            let marks = controls.split_off((half - proposals.len()).min(controls.len()));
            self.waiting.put_back(records, marks);
            return;
        };
        let control = at.checked_sub(proposals.len()).and_then(|at| controls.remove(at));
        let proposal = if control.is_none() { proposals.remove(at) } else { None };
        let order = proposal.as_ref().map(|proposal| &proposal.entry.order);
        let order = order.or(control.as_ref().map(|control| &control.entry.order));
        metrics::counter!(metric::RECORDS_TOO_LARGE.name).increment(1);
        if let Some(order) = order
            && self.too_large_reported_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL)
        {
            self.too_large_reported_at = Some(Instant::now());
            tracing::warn!(
                event = "record_too_large", partition = %self.context.partition, %order, %why,
                "the log takes no record of this size; it alone is refused"
            );
        }
        if let Some(proposal) = proposal {
            proposal.ticket.resolve(ProposalResult::TooLarge(why));
        } else if let Some(control) = control {
            control.ticket.refused(Code::TooLarge, why);
        }
    }

    /// Gives back what the order has here to queue: those behind it, too, for they were to stand behind it. Whether there was any in
    /// the group.
    pub(super) fn return_taken_numbers(
        &mut self,
        order: &OrderRef,
        group: &mut VecDeque<ControlProposal>,
    ) -> bool {
        let found = group.iter().any(|control| control.entry.order == *order);
        for controls in [group, &mut self.waiting.controls] {
            let mut others = VecDeque::with_capacity(controls.len());
            for control in controls.drain(..) {
                match control.entry.order == *order {
                    true if self.context.settings.is(Mutant::AcknowledgesTakenNumbers) => {
                        control.ticket.durable()
                    }
                    true => control.ticket.number_taken(),
                    false => others.push_back(control),
                }
            }
            *controls = others;
        }
        found
    }
}
