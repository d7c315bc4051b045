//! Callers of a crowd: each has one command, and asks until it has an answer for good.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_actors::IntakeEvent;
use retailflow_engine::ids::{CommandKey, IdError, OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, CommandEvent};

use super::cast::Cast;
use super::plan::{CrowdPlan, Sickness};
use crate::callers::is_final;
use crate::script::{key, place};
use crate::time::{Dice, WorldClock};

/// How the name of the order begins that crashes at every command.
pub(super) const POISONED: &str = "poisoned";
/// The tenant that publishes what is refused.
pub(super) const LOUD: &str = "loud";
/// Lines of its.
pub(super) const REFUSALS: u32 = 200;
/// Commands of the tenant at its limit, orders that they are for, and commands of others behind them.
const LOUD_COMMANDS: u32 = 600;
const LOUD_ORDERS: usize = 8;
const OTHERS_COMMANDS: u32 = 20;
/// Commands for the order that is parked.
const HOT_COMMANDS: u32 = 120;
/// The time within which these come, in milliseconds.
const HOT_WITHIN_MS: u64 = 300;
/// Who has no answer after so many tries never has one.
const TRIES_MAX: u32 = 2_000;

/// A command and when it is asked first.
pub(super) struct Asker {
    pub(super) event: CommandEvent,
    pub(super) first_ms: u64,
}

/// How asking went.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) order: OrderRef,
    pub(super) key: CommandKey,
    pub(super) published: bool,
    pub(super) first_ms: u64,
    /// When there was an answer for good; `None`: never.
    pub(super) answered_ms: Option<u64>,
    /// That answer.
    pub(super) code: Option<Code>,
    /// Refusals on the way that say that there is no room, or nobody there.
    pub(super) refused: Vec<Code>,
    pub(super) again: u64,
}

fn order(tenant: &str, order: &str) -> Result<OrderRef, IdError> {
    Ok(OrderRef { tenant: TenantId::parse(tenant)?, order: OrderId::parse(order)? })
}

/// Who places the orders of a plan, and who cancels some of them.
pub(super) fn askers(seed: u64, plan: &CrowdPlan) -> Result<Vec<Asker>, IdError> {
    let dice = Dice::new(seed, 13);
    let mut askers = Vec::new();
    for number in 0..plan.orders {
        let order = order(&format!("t{}", number % plan.tenants), &format!("o{number}"))?;
        let first_ms = dice.below(plan.spread_ms);
        let event = CommandEvent::new(order.clone(), key("/shop", number)?, place(number));
        askers.push(Asker { event, first_ms });
        let (cancels_permille, within_ms) = match plan.sickness {
            // An order in doubt is turned by its operator, not by a cancel: that would be another world.
            Sickness::Contradicts => (0, 0..1),
            // Late enough that the order has left memory, and must be read.
            Sickness::Reads(_) => (1_000, plan.config.orders.idle_ms * 2..2_500),
            _ => (200, 0..300),
        };
        if dice.chance(cancels_permille) {
            let data =
                CancelData { reason: "changed my mind".into(), lines: Vec::new(), expected_version: None };
            let event = CommandEvent::new(order, key("/till", number)?, CommandData::Cancel(data));
            let after_ms = within_ms.start + dice.below(within_ms.end - within_ms.start);
            askers.push(Asker { event, first_ms: first_ms + after_ms });
        }
    }
    Ok(askers)
}

/// The order that is parked, if there is to be one.
pub(super) fn poisoned_order(plan: &CrowdPlan) -> Result<Option<OrderRef>, IdError> {
    match plan.sickness.parks() {
        None => Ok(None),
        Some(None) => Ok(Some(order("t0", POISONED)?)),
        Some(Some(partition)) => orders_of(plan, "t0", POISONED, partition).next().transpose(),
    }
}

/// Orders of a tenant that live in a partition.
fn orders_of(
    plan: &CrowdPlan,
    tenant: &str,
    name: &str,
    partition: PartitionId,
) -> impl Iterator<Item = Result<OrderRef, IdError>> {
    let partitions = plan.config.log.partitions;
    let orders = (0_u32..).map(move |number| order(tenant, &format!("{name}{number}")));
    orders.filter(move |order| {
        order.as_ref().map_or(true, |order| partition_of(order, partitions) == partition)
    })
}

/// Commands for the order that is parked.
pub(super) fn poisoned(seed: u64, plan: &CrowdPlan) -> Result<Vec<Asker>, IdError> {
    let Some(order) = poisoned_order(plan)? else { return Ok(Vec::new()) };
    let dice = Dice::new(seed, 14);
    // Where its tenant crashes, some of them are parked before its log is silent.
    let before_ms = if let Sickness::TenantCrashes(_) = plan.sickness { 250 } else { 0 };
    let from_ms = plan.sick_from_ms.saturating_sub(before_ms);
    let mut askers = Vec::new();
    for number in 0..HOT_COMMANDS {
        let event = CommandEvent::new(order.clone(), key("/shop", 50_000 + number)?, place(number));
        askers.push(Asker { event, first_ms: from_ms + dice.below(2 * before_ms + HOT_WITHIN_MS) });
    }
    Ok(askers)
}

/// What is published, into one partition.
pub(super) fn published(plan: &CrowdPlan) -> Result<Vec<CommandEvent>, IdError> {
    let mut events = Vec::new();
    match plan.sickness {
        Sickness::Refusals(partition) => {
            for (number, order) in (0..REFUSALS).zip(orders_of(plan, LOUD, "none", partition)) {
                let data =
                    CancelData { reason: "never placed".into(), lines: Vec::new(), expected_version: None };
                events.push(CommandEvent::new(order?, key("/shop", number)?, CommandData::Cancel(data)));
            }
        }
        Sickness::Published(partition) => {
            let orders = orders_of(plan, LOUD, "loud", partition).take(LOUD_ORDERS);
            let orders = orders.collect::<Result<Vec<OrderRef>, IdError>>()?;
            for (number, order) in (0..LOUD_COMMANDS).zip(orders.iter().cycle()) {
                events.push(CommandEvent::new(order.clone(), key("/loud", number)?, place(number)));
            }
            let numbers = 90_000..90_000 + OTHERS_COMMANDS;
            for (number, order) in numbers.zip(orders_of(plan, "t0", "published", partition)) {
                events.push(CommandEvent::new(order?, key("/shop", number)?, place(number)));
            }
        }
        _ => {}
    }
    Ok(events)
}

/// What became of one of those, as somebody who asked.
pub(super) fn asked_by_publishing(event: &CommandEvent, told: &IntakeEvent, times_ms: (u64, u64)) -> Asked {
    Asked {
        order: event.order.clone(),
        key: event.key.clone(),
        published: true,
        first_ms: times_ms.0,
        answered_ms: (!told.given_up).then_some(times_ms.1),
        code: Some(told.outcome.code),
        refused: Vec::new(),
        again: 0,
    }
}

/// Asks until there is an answer for good.
pub(super) async fn ask(
    cast: Arc<Cast>,
    clock: WorldClock,
    asker: Asker,
    patience_ms: u64,
    told: Arc<Mutex<Vec<Asked>>>,
) {
    let wait_ms = asker.first_ms.saturating_sub(clock.elapsed_ms());
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    let first_ms = clock.elapsed_ms();
    let mut asked = Asked {
        order: asker.event.order.clone(),
        key: asker.event.key.clone(),
        published: false,
        first_ms,
        answered_ms: None,
        code: None,
        refused: Vec::new(),
        again: 0,
    };
    let command = Command::from_event(asker.event, Actor::Tenant);
    for _ in 0..TRIES_MAX {
        let patience = Duration::from_millis(patience_ms);
        let answer = tokio::time::timeout(patience, cast.ask(command.clone())).await;
        match answer {
            Ok(outcome) if outcome.code == Code::OutcomeUnknown => {}
            // A cancel that comes before its place is as good as any.
            Ok(outcome) if is_final(&outcome) => {
                asked.answered_ms = Some(clock.elapsed_ms());
                asked.code = Some(outcome.code);
                break;
            }
            Ok(outcome) => asked.refused.push(outcome.code),
            Err(_) => {}
        }
        asked.again += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    told.lock().push(asked);
}
