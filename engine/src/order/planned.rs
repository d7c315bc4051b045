//! What a saga's plan asks of its way, and the plan as a snapshot holds it.

use std::sync::Arc;

use super::plan::Plan;
use super::policy::Policy;
use super::saga::Saga;
use crate::codec::snapshot::PlanV5;
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

    pub(super) fn plan_mut(&mut self) -> &mut Plan {
        Arc::make_mut(self.plan.get_or_insert_default())
    }
}

pub(super) fn plan_to_stored(saga: &Saga) -> Option<PlanV5> {
    let Plan { flow } = saga.plan.as_deref()?;
    Some(PlanV5 { flow: (*flow).into() })
}

pub(super) fn plan_from_stored(stored: Option<PlanV5>, saga: &mut Saga) {
    saga.plan = stored.map(|PlanV5 { flow }| Arc::new(Plan { flow: flow.into() }));
}
