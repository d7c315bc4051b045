//! The actor: what it is told, and how its orders end.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::state::{TenantArgs, TenantState};
use crate::messages::TenantMsg;
use crate::order::is_transient;
use crate::passivation::PASSIVATED;
use crate::supervise::{EndReason, ended};

/// The actor of one tenant.
pub(crate) struct TenantActor;

impl Actor for TenantActor {
    type Msg = TenantMsg;
    type State = TenantState;
    type Arguments = TenantArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let interval_ms = (args.shared.settings.config.orders.idle_ms / 4).clamp(50, 5_000);
        myself.send_interval(Duration::from_millis(interval_ms), || TenantMsg::Sweep);
        Ok(TenantState::new(args, myself))
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let handled = state.handle(&myself, message).await;
        if handled.is_err() {
            state.end_orders();
        }
        state.parking.wait_inline().await;
        handled
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some((order, why)) = ended(event) else { return Ok(()) };
        match &why {
            EndReason::Stopped(Some(reason)) if reason == PASSIVATED => {
                state.passivated(&myself, order).await
            }
            _ => {
                let passing = why.error().is_some_and(is_transient);
                state.crashed(&myself, order, &why.to_string(), passing).await
            }
        }
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.slots.forget_all();
        Ok(())
    }
}
