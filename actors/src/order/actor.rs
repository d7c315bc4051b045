//! The actor: dispatches its messages.

use std::collections::VecDeque;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::state::{OrderArgs, OrderState};
use crate::messages::{EngineDelivery, OrderMsg};
use crate::mutant::Mutant;
use crate::world::ProbePoint;

/// The actor of one order.
pub(crate) struct OrderActor;

impl Actor for OrderActor {
    type Msg = OrderMsg;
    type State = OrderState;
    type Arguments = OrderArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(OrderState::new(args))
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        Box::pin(state.rebuild()).await?;
        state.drive(&myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // Rare waits are boxed: what is not boxed here is memory that every live order holds.
        match message {
            OrderMsg::Submit(work) => {
                if !work.discarded {
                    state.probe(ProbePoint::OrderDecide)?;
                }
                state.enqueue(work);
            }
            OrderMsg::Resolved { number, proposed } => {
                if let Some(mut lost) = state.resolve(&myself, number, proposed)? {
                    if !state.args.shared.settings.is(Mutant::KeepsStateAfterConflict) {
                        Box::pin(state.rebuild()).await?;
                    }
                    // What the engine itself had decided is asked for again, if it is still asked for.
                    lost.engine.clear();
                    state.drive(&myself);
                    state.requeue(*lost);
                }
            }
            OrderMsg::Engine(news) => state.enqueue_engine(news),
            OrderMsg::Wake => state.drive(&myself),
            OrderMsg::Found(found) => match found.is_due {
                true => {
                    let running = &state.args.shared.effects.running;
                    let last = running.last_words(&state.aggregate.reference);
                    state.enqueue_engine(EngineDelivery::deadline_passed(last));
                }
                false => state.drive(&myself),
            },
            OrderMsg::Passivate => return state.passivate(&myself),
        }
        while let Some(work) = state.advance(&myself)? {
            Box::pin(state.ask_log(work)).await?;
        }
        if state.queue.is_empty() && state.engine.is_empty() {
            // An idle order keeps no room for work.
            state.queue = VecDeque::new();
            state.engine = Vec::new();
        }
        Ok(())
    }
}
