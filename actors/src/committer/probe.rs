//! Whether the log takes writes, found out while nothing else is written: by the engine's own order, every few seconds.
//!
//! A log that owes a probe's answer is late, as one that owes a group's: it is asked again until it answers, so that a partition
//! that gets no commands recovers as soon as its log does.

use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::ports::CommitError;
use retailflow_engine::wire::Code;
use tokio::time::Instant;

use super::append::LATE;
use super::state::CommitterState;
use crate::messages::{CommitterMsg, ProposalResult, Ticket};

/// Time between two probes of a log that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl CommitterState {
    pub(super) fn request_probe(&mut self, ticket: Ticket) {
        if ticket.is_detached() {
            self.probe_scheduled = false;
        }
        self.probes.push(ticket);
    }

    pub(super) fn resolve_probes(&mut self, proposed: &ProposalResult) {
        self.probes.drain(..).for_each(|ticket| ticket.resolve(proposed.clone()));
    }

    pub(super) async fn probe(&mut self, myself: &ActorRef<CommitterMsg>) -> Result<(), ActorProcessingErr> {
        if self.probes.is_empty() {
            return Ok(());
        }
        // Where records were refused, only a record shows that they are not any more, and it is tried once a second: a log may take
        // what leaves nothing, and have no room.
        let tried = match self.is_refused {
            true => Err(CommitError::Unavailable("the log takes no more for now".into())),
            false => self.probe_log().await,
        };
        let proposed = match tried {
            Ok(()) => {
                if self.context.table.is_late(self.context.partition) {
                    self.context.table.clear_late(self.context.partition);
                }
                ProposalResult::Committed
            }
            Err(CommitError::Broken(why)) => return Err(self.ended(CommitError::Broken(why)).into()),
            Err(error) => match error.refused_as() {
                Some(code) => {
                    let why = error.to_string();
                    self.note_capacity(&Err(error));
                    ProposalResult::Unavailable(code, why)
                }
                None => {
                    self.mark_late();
                    if !std::mem::replace(&mut self.probe_scheduled, true) {
                        myself.send_after(PROBE_INTERVAL, || CommitterMsg::Probe(Ticket::detached()));
                    }
                    ProposalResult::Unavailable(Code::Unavailable, error.to_string())
                }
            },
        };
        self.resolve_probes(&proposed);
        Ok(())
    }

    pub(super) async fn probe_log(&self) -> Result<(), CommitError> {
        let timeout = Duration::from_millis(self.context.settings.config.commit.timeout_ms);
        let mut probe = self.context.ports.log.probe(self.context.partition);
        let begun = Instant::now();
        if let Ok(answer) = tokio::time::timeout(timeout.min(LATE), &mut probe).await {
            return answer;
        }
        self.mark_late();
        match tokio::time::timeout_at(begun + timeout, probe).await {
            Ok(answer) => answer,
            Err(_) => Err(CommitError::Unknown("the log did not answer in time".into())),
        }
    }
}
