//! The actor: what it is told, and when it writes.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::state::{CommitterArgs, CommitterState};
use crate::messages::{CommitterMsg, ProposalResult};
use crate::mutant::Mutant;

/// The committer of one partition.
pub(crate) struct Committer;

impl Actor for Committer {
    type Msg = CommitterMsg;
    type State = CommitterState;
    type Arguments = CommitterArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(CommitterState::new(args))
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.take_over(myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CommitterMsg::Propose(proposal) => state.waiting.push(proposal),
            CommitterMsg::Control(control) => state.waiting.controls.push_back(control),
            CommitterMsg::Flush => {
                state.flush_queued = false;
                // The group confirms ownership for all callers that asked before it; later ones are behind it in the mailbox.
                if state.flush().await? {
                    state.release_barriers();
                    state.resolve_probes(&ProposalResult::Committed);
                }
                state.write_barrier().await?;
                state.probe(&myself).await?;
            }
            CommitterMsg::Floor(reply) => {
                if state.write_floor().await? {
                    let _ = reply.send(());
                }
            }
            CommitterMsg::OwnershipBarrier(reply) => state.barriers.push(reply),
            CommitterMsg::Probe(ticket) => state.request_probe(ticket),
            CommitterMsg::RetryRefused => state.retry_refused().await?,
            CommitterMsg::Seal(reply) => {
                while !state.waiting.is_empty() {
                    state.flush().await?;
                }
                if state.write_floor().await? {
                    let _ = reply.send(());
                }
            }
        }
        if state.context.settings.is(Mutant::AFenceForEach) {
            state.write_barrier().await?;
        }
        let waiting = !(state.waiting.is_empty() && state.barriers.is_empty() && state.probes.is_empty());
        if waiting && !state.flush_queued {
            state.flush_queued = true;
            myself.cast(CommitterMsg::Flush)?;
        }
        state.queue_retry(&myself);
        Ok(())
    }
}
