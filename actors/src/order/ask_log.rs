//! Commands whose ids may have left an order's memory.

use ractor::ActorProcessingErr;

use retailflow_engine::order::RecordedOutcome;
use retailflow_engine::wire::Code;

use super::state::OrderState;
use crate::mutant::Mutant;
use crate::passivation::{LogLookup, find, recall};
use crate::work::Work;

impl OrderState {
    /// An id that may have left memory: the log knows.
    pub(super) async fn ask_log(&mut self, work: Work) -> Result<(), ActorProcessingErr> {
        if self.recalled.is_none() {
            let shared = self.args.shared.clone();
            let permit = shared.reads.permit(self.partition).await;
            let found = find(&shared.ports, &self.args.order, &work.command.key).await?;
            match found {
                LogLookup::Known(found) => {
                    self.located(work, found.as_ref());
                    return Ok(());
                }
                LogLookup::NotIndexed => self.recalled = Some(recall(&shared.ports, &self.args.order).await?),
            }
            drop(permit);
        }
        let found = self.recalled.as_ref().and_then(|all| all.get(&work.command.key)).cloned();
        self.located(work, found.as_ref());
        Ok(())
    }

    /// What the log knows of a command: its outcome again, or that it is new.
    fn located(&mut self, mut work: Work, found: Option<&RecordedOutcome>) {
        let found = found.filter(|_| !self.args.shared.settings.is(Mutant::ForgetsOldIds));
        match found {
            Some(outcome) if outcome.content_hash != work.command.content_hash => {
                let retry_after_ms = self.args.shared.admission.retry_after_ms();
                work.refuse(Code::IdReused, Code::IdReused.meaning(), retry_after_ms);
            }
            Some(outcome) => self.replay(work, &outcome.verdict),
            None => {
                work.certainly_new = true;
                self.queue.push_front(work);
            }
        }
    }
}
