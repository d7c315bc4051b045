//! The metrics of a node: the series of `engine::metric`, made once and held, so that counting
//! costs an atomic. Without a recorder, as in a batch run and in tests, it is nothing at all.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use parking_lot::RwLock;
use retailflow_engine::ids::TenantId;
use retailflow_engine::metric::{self, OTHER_TENANTS, TENANTS_MAX};
use retailflow_engine::order::StepOutcome;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::Step;
use retailflow_engine::wire::{Code, CommandType, Outcome, Status};

const STATUSES: [Status; 4] = [Status::Applied, Status::Rejected, Status::Parked, Status::Refused];
const RESULTS: [&str; 7] = ["done", "declined", "refused", "pending", "not_done", "failed", "unknown"];

/// How a call of a participant went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    Ok,
    Failure,
    Timeout,
}

const CALLS: [(CallResult, &str); 3] =
    [(CallResult::Ok, "ok"), (CallResult::Failure, "trouble"), (CallResult::Timeout, "timeout")];

/// A tenant's commands by type and status; a series is made when it first counts.
struct TenantSeries {
    tenant: Box<str>,
    series: Vec<[OnceLock<Counter>; STATUSES.len()]>,
}

impl TenantSeries {
    fn new(tenant: &str) -> Arc<Self> {
        let series = CommandType::ALL.iter().map(|_| Default::default()).collect();
        Arc::new(Self { tenant: tenant.into(), series })
    }

    fn count(&self, kind: CommandType, status: Status) {
        let series = self.series[kind as usize][status as usize].get_or_init(|| {
            let (tenant, kind, status) = (self.tenant.to_string(), kind.verb(), status.as_str());
            counter!(metric::COMMANDS.name, "tenant" => tenant, "type" => kind, "status" => status)
        });
        series.increment(1);
    }
}

/// All series of a node.
pub(crate) struct NodeMetrics {
    tenants: RwLock<HashMap<TenantId, Arc<TenantSeries>>>,
    others: Arc<TenantSeries>,
    seconds: Vec<Histogram>,
    refused: Vec<Counter>,
    replayed: Counter,
    effects: Vec<(Step, [Counter; RESULTS.len()])>,
    calls: [[Counter; CALLS.len()]; Role::ALL.len()],
    call_seconds: [Histogram; Role::ALL.len()],
    pub(crate) orders_ended: Counter,
    pub(crate) orders_undriven: Counter,
    pub(crate) group_records: Histogram,
    pub(crate) commit_seconds: Histogram,
}

fn participant(role: Role) -> &'static str {
    match role {
        Role::Inventory => "inventory",
        Role::Payments => "payments",
        Role::Shipping => "shipping",
        Role::Review => "review",
    }
}

impl NodeMetrics {
    pub(crate) fn new() -> Self {
        let results = |step: &Step| {
            let role = participant(Role::of(*step));
            RESULTS.map(|result| {
                counter!(metric::EFFECTS.name, "participant" => role, "step" => step.as_str(), "result" => result)
            })
        };
        let calls = |role| {
            CALLS.map(|(_, result)| {
                counter!(metric::EFFECT_CALLS.name, "participant" => participant(role), "result" => result)
            })
        };
        let all = CommandType::ALL.iter();
        Self {
            tenants: RwLock::default(),
            others: TenantSeries::new(OTHER_TENANTS),
            seconds: all
                .map(|kind| histogram!(metric::COMMAND_SECONDS.name, "type" => kind.verb()))
                .collect(),
            refused: Code::ALL
                .iter()
                .map(|code| counter!(metric::REFUSED.name, "code" => code.as_str()))
                .collect(),
            replayed: counter!(metric::REPLAYED.name),
            effects: Step::ALL.iter().map(|step| (*step, results(step))).collect(),
            calls: Role::ALL.map(calls),
            call_seconds: Role::ALL
                .map(|role| histogram!(metric::EFFECT_CALL_SECONDS.name, "participant" => participant(role))),
            orders_ended: counter!(metric::ORDERS_ENDED.name),
            orders_undriven: counter!(metric::ORDERS_UNDRIVEN.name),
            group_records: histogram!(metric::GROUP_RECORDS.name),
            commit_seconds: histogram!(metric::COMMIT_SECONDS.name),
        }
    }

    /// A command was answered.
    pub(crate) fn record_outcome(&self, kind: CommandType, outcome: &Outcome, took: Duration) {
        let index = kind as usize;
        if let Some(tenant) = &outcome.tenant {
            self.of(tenant, outcome.status).count(kind, outcome.status);
        }
        self.seconds[index].record(took);
        if outcome.status == Status::Refused {
            self.refused[outcome.code as usize].increment(1);
        }
        if outcome.replayed {
            self.replayed.increment(1);
        }
    }

    /// A command was refused before anybody had read it.
    pub(crate) fn count_refused(&self, code: Code) {
        self.refused[code as usize].increment(1);
    }

    /// The series of a tenant, from its first recorded outcome on: callers choose names, and a refusal makes none a tenant's.
    fn of(&self, tenant: &TenantId, status: Status) -> Arc<TenantSeries> {
        if let Some(found) = self.tenants.read().get(tenant) {
            return found.clone();
        }
        let mut tenants = self.tenants.write();
        if tenants.len() >= TENANTS_MAX || status == Status::Refused {
            return self.others.clone();
        }
        tenants.entry(tenant.clone()).or_insert_with(|| TenantSeries::new(tenant.as_str())).clone()
    }

    /// An effect ended.
    pub(crate) fn record_effect(&self, step: Step, outcome: &StepOutcome) {
        let result = match outcome {
            StepOutcome::Done { .. } | StepOutcome::Settled { done: true, .. } => 0,
            StepOutcome::Declined { .. } => 1,
            StepOutcome::Refused { .. } => 2,
            StepOutcome::Pending { .. } => 3,
            StepOutcome::Settled { done: false, .. } | StepOutcome::NotDone { .. } => 4,
            StepOutcome::Failed { .. } => 5,
            _ => 6,
        };
        if let Some((_, results)) = self.effects.iter().find(|(of, _)| *of == step) {
            results[result].increment(1);
        }
    }

    /// A participant was called.
    pub(crate) fn record_call(&self, role: Role, result: CallResult, took: Duration) {
        self.calls[role as usize][result as usize].increment(1);
        self.call_seconds[role as usize].record(took);
    }
}

/// Sets a gauge without labels.
pub(crate) fn set(metric: &metric::Metric, value: usize) {
    gauge!(metric.name).set(value as f64);
}

/// Sets a gauge with one label.
pub(crate) fn set_of(metric: &metric::Metric, label: &'static str, value: usize) {
    if let [name] = metric.labels {
        gauge!(metric.name, *name => label).set(value as f64);
    }
}

pub(crate) fn breaker_open(role: Role, open: bool) {
    set_of(&metric::BREAKER_OPEN, participant(role), usize::from(open));
}
