//! A participant whose answers wait until its book is on disk.

use std::sync::Arc;

use retailflow_engine::ports::{
    KeyStanding, Participant, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};

use super::journal::FileJournal;

pub(super) struct Synced {
    pub(super) role: Role,
    pub(super) participant: Arc<dyn Participant>,
    pub(super) journal: Arc<FileJournal>,
}

impl Participant for Synced {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            if let Err(reason) = self.journal.usable(self.role) {
                return StepAnswer::Unknown { reason: (*reason).into() };
            }
            let answer = self.participant.perform(request).await;
            // These say nothing that has to stay.
            if matches!(answer, StepAnswer::Failed { .. } | StepAnswer::Unknown { .. } | StepAnswer::Expired)
            {
                return answer;
            }
            match self.journal.durable(self.role).await {
                Ok(()) => answer,
                Err(reason) => StepAnswer::Unknown { reason: (*reason).into() },
            }
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async move {
            if let Err(reason) = self.journal.usable(self.role) {
                return KeyStanding::Unknown { reason: (*reason).into() };
            }
            let standing = self.participant.query(request).await;
            match self.journal.durable(self.role).await {
                Ok(()) => standing,
                Err(reason) => KeyStanding::Unknown { reason: (*reason).into() },
            }
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async move {
            if let Err(reason) = self.journal.usable(self.role) {
                return Settlement::Unknown { reason: (*reason).into() };
            }
            let settlement = self.participant.settle(request).await;
            match self.journal.durable(self.role).await {
                Ok(()) => settlement,
                Err(reason) => Settlement::Unknown { reason: (*reason).into() },
            }
        })
    }

    fn remembers_ms(&self) -> u64 {
        self.participant.remembers_ms()
    }
}
