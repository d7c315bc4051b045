//! What a saga's plan asks of its way, and the plan as a snapshot holds it.

use std::sync::Arc;

use super::plan::Plan;
use super::policy::Policy;
use super::saga::{Saga, Waiting};
use super::step::StepAt;
use crate::codec::snapshot::PlanV5;
use crate::codec::v1::ShipmentStateV1;
use crate::ids::TimestampMs;
use crate::wire::flow_rules::FlowRules;

impl Saga {
    /// The flow that the order keeps.
    #[must_use]
    pub fn flow(&self) -> &FlowRules {
        self.plan.as_ref().map_or(&FlowRules::DEFAULT, |plan| &plan.flow)
    }

    /// By which version of the rules its decisions are made.
    #[must_use]
    pub fn policy_version(&self, policy: &Policy) -> u32 {
        self.plan.as_ref().map_or(policy.version, |plan| plan.flow.version)
    }

    /// Generations of a forward step before it is given up.
    #[must_use]
    pub fn attempts_max(&self, policy: &Policy) -> u32 {
        self.flow().attempts_max.unwrap_or(policy.step_attempts_max)
    }

    /// How often an authorization that is over is asked for anew.
    #[must_use]
    pub fn renewals_max(&self, policy: &Policy) -> u32 {
        self.flow().renewals_max.unwrap_or(policy.renewals_max)
    }

    /// When the order's goods can be set aside at the earliest, where that was to come when it was placed.
    #[must_use]
    pub fn available_from(&self) -> Option<TimestampMs> {
        self.plan.as_ref()?.available_from
    }

    /// When the goods of delivery `number` can be set aside at the earliest, where that was to come when it was placed.
    #[must_use]
    pub fn delivery_from(&self, number: u16) -> Option<TimestampMs> {
        self.plan.as_ref()?.delivery_from(number)
    }

    /// What is asked for as `at` is pending still, and not looked at before `until`.
    pub(super) fn pending_until(&mut self, at: &StepAt, until: TimestampMs) {
        let Some(active) = self.active.as_mut().filter(|active| active.at == *at) else { return };
        if let Waiting::Pending { until: known, .. } = &mut active.waiting {
            *known = Some(until);
            active.asked_again = false;
        }
    }
}

/// The plan of a saga, to be changed.
pub(super) fn plan_mut(saga: &mut Saga) -> &mut Plan {
    Arc::make_mut(saga.plan.get_or_insert_default())
}

pub(super) fn plan_to_stored(saga: &Saga) -> Option<PlanV5> {
    let Plan { flow, available_from, deliveries_from, shipments } = saga.plan.as_deref()?;
    Some(PlanV5 {
        flow: (*flow).into(),
        available_from_ms: available_from.map(|at| at.0),
        deliveries_from_ms: deliveries_from
            .iter()
            .map(|(delivery, at)| (u32::from(*delivery), at.0))
            .collect(),
        shipments: shipments.iter().map(|(state, at)| ((*state).into(), at.0)).collect(),
    })
}

pub(super) fn plan_from_stored(stored: Option<PlanV5>, saga: &mut Saga) {
    saga.plan = stored.map(|PlanV5 { flow, available_from_ms, deliveries_from_ms, shipments }| {
        let delivery =
            |(number, at_ms): (u32, i64)| (u16::try_from(number).unwrap_or(u16::MAX), TimestampMs(at_ms));
        let shipment = |(state, at_ms): (ShipmentStateV1, i64)| (state.into(), TimestampMs(at_ms));
        Arc::new(Plan {
            flow: flow.into(),
            available_from: available_from_ms.map(TimestampMs),
            deliveries_from: deliveries_from_ms.into_iter().map(delivery).collect(),
            shipments: shipments.into_iter().map(shipment).collect(),
        })
    });
}
