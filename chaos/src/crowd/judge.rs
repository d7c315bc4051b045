//! Judges a crowd: time first.

use std::collections::{BTreeMap, BTreeSet};

use retailflow_engine::fulfillment::next;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{Aggregate, OrderStatus};
use retailflow_engine::ports::{LoggedEntry, LoggedGroup, Role};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::order::Attention;

use super::callers::{Asked, LOUD, POISONED};
use super::plan::{CrowdPlan, Sickness};
use super::sick::{Call, Committed, Timeline, is_contradicted};

/// Calls under one key where nothing is wrong: the call, a settlement beside it, and what a cancel asks for.
const CALLS_MAX: usize = 4;
/// Calls under one key of a sick participant: before its breaker opens, and as probes after that.
const SICK_CALLS_MAX: usize = 30;
/// Calls under one key of an order whose outcomes cannot be recorded: one for each life of it.
const UNRECORDED_CALLS_MAX: usize = 60;
/// Calls under one key whose participant contradicts itself: waits double from milliseconds to hours.
const CONTRADICTED_CALLS_MAX: usize = 24;

/// What was felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Felt {
    /// An open order that asks for a step was driven by nobody.
    Undriven,
    /// An order asks for attention without a cause, or has a cause and does not.
    Attention,
    /// A step was called for too often.
    Calls,
    /// A command that the sickness does not concern waited.
    Delayed,
    /// A command that the sickness does not concern was refused.
    Refused,
    /// Permits, orders, effects or tasks were not given back.
    Leaked,
    /// A command has no answer, one that was acknowledged is not there, or the crowd does not come to rest.
    Lost,
    /// A healthy owner was driven out of its partition.
    Ousted,
    /// What was refused cost more than it may.
    Cost,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub felt: Felt,
    /// Where, and how much of it.
    pub detail: String,
}

/// All that a crowd left behind.
pub(super) struct Judged<'a> {
    pub(super) plan: &'a CrowdPlan,
    pub(super) groups: &'a [LoggedGroup],
    /// What waits behind the mark of the order that is parked.
    pub(super) queued: &'a BTreeSet<CommandKey>,
    pub(super) asked: &'a [Asked],
    pub(super) timeline: &'a Timeline,
    /// When it came to rest, in milliseconds.
    pub(super) rest_ms: u64,
}

/// What a judge says.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) findings: Vec<Finding>,
    pub(super) ended: u64,
    pub(super) slowest_ms: u64,
    pub(super) undriven_ms: u64,
}

impl Verdict {
    pub(super) fn found(&mut self, felt: Felt, detail: String) {
        self.findings.push(Finding { felt, detail });
    }
}

/// Everything that does not hold.
pub(super) fn judge(judged: &Judged<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    judged.asked(&mut verdict);
    let commits = judged.timeline.commits.lock();
    let calls = judged.timeline.calls.lock();
    for (order, records) in records(judged.groups) {
        let none = (Vec::new(), Vec::new());
        let commits = commits.get(&order).unwrap_or(&none.0);
        let calls = calls.get(&order).unwrap_or(&none.1);
        judged.life(&order, &records, commits, calls, &mut verdict);
        judged.calls(&order, calls, &mut verdict);
    }
    verdict
}

fn records(groups: &[LoggedGroup]) -> BTreeMap<OrderRef, Vec<&[u8]>> {
    let mut records: BTreeMap<OrderRef, Vec<&[u8]>> = BTreeMap::new();
    for entry in groups.iter().flat_map(|group| &group.entries) {
        if let LoggedEntry::Record(bytes) = entry
            && let Ok(order) = retailflow_engine::codec::record::order_of(bytes)
        {
            records.entry(order).or_default().push(bytes);
        }
    }
    records
}

impl Judged<'_> {
    fn partition(&self, order: &OrderRef) -> PartitionId {
        partition_of(order, self.plan.config.log.partitions)
    }

    /// Does the sickness excuse that commands of this order wait, or are refused?
    fn is_sick(&self, order: &OrderRef) -> bool {
        let (here, partitions) = (self.partition(order), self.plan.config.log.partitions);
        match self.plan.sickness {
            sickness @ (Sickness::Log(_) | Sickness::Shard(_) | Sickness::ParkedInDoubt(_)) => {
                sickness.silences(here, partitions)
            }
            Sickness::Reads(partition) | Sickness::Replaced(partition) => here == partition,
            // Its orders end with it, wherever they live, and are woken again.
            Sickness::TenantCrashes(partition) => here == partition || order.tenant.as_str() == "t0",
            Sickness::HotParked => order.order.as_str() == POISONED,
            Sickness::Refusals(_) | Sickness::Published(_) => order.tenant.as_str() == LOUD,
            Sickness::Crowded | Sickness::Silent(_) | Sickness::Slow(_) | Sickness::Contradicts => false,
        }
    }

    fn overlaps(&self, from_ms: u64, until_ms: u64) -> bool {
        // After it the breaker may still be open, and a queue be full.
        from_ms < self.plan.sick_until_ms() + 2 * self.plan.undriven_max_ms
            && until_ms >= self.plan.sick_from_ms
    }

    fn asked(&self, verdict: &mut Verdict) {
        for asked in self.asked {
            let order = &asked.order;
            let Some(answered_ms) = asked.answered_ms else {
                verdict.found(Felt::Lost, format!("{order}: no answer after {} tries", asked.again));
                continue;
            };
            if self.is_sick(order) {
                continue;
            }
            let took_ms = answered_ms.saturating_sub(asked.first_ms);
            verdict.slowest_ms = verdict.slowest_ms.max(took_ms);
            let max_ms = if asked.published { self.plan.published_max_ms } else { self.plan.answer_max_ms };
            if took_ms > max_ms {
                verdict.found(Felt::Delayed, format!("{order}: answered after {took_ms} ms"));
            }
            let is_refusal = |code: &&Code| {
                matches!(code, Code::Throttled | Code::Overloaded | Code::Unavailable | Code::StorageFull)
            };
            if let Some(code) = asked.refused.iter().find(is_refusal) {
                let text = format!("{order}: {code} at {} ms, {} times", asked.first_ms, asked.refused.len());
                verdict.found(Felt::Refused, text);
            }
        }
    }

    /// The life of one order: who drove it when, and what it asked of people.
    fn life(
        &self,
        order: &OrderRef,
        records: &[&[u8]],
        commits: &[Committed],
        calls: &[Call],
        verdict: &mut Verdict,
    ) {
        let mut aggregate = Aggregate::new(order.clone());
        let mut held_ms = None;
        for bytes in records {
            if aggregate.fold(bytes, usize::MAX).is_err() {
                return verdict.found(Felt::Lost, format!("{order}: its records do not fold"));
            }
            let at = commits.iter().position(|commit| commit.next_revision == aggregate.revision);
            let from_ms = at.map_or(0, |at| commits[at].acknowledged_ms);
            let until_ms = match at.and_then(|at| commits.get(at + 1)) {
                Some(next) => next.proposed_ms,
                None => self.rest_ms,
            };
            if aggregate.order.saga.attention.kind() != Attention::None {
                held_ms = held_ms.or(Some(from_ms));
            } else if let Some(effect) = next(order, &aggregate.order) {
                let role = Role::of(effect.request.step);
                self.driven(order, role, (from_ms, until_ms), calls, verdict);
            }
        }
        self.attention(order, held_ms, verdict);
        let has_ended = matches!(aggregate.order.status, OrderStatus::Completed | OrderStatus::Canceled);
        verdict.ended += u64::from(has_ended);
        if !has_ended && held_ms.is_none() {
            let status = aggregate.order.status;
            verdict.found(Felt::Undriven, format!("{order} is {status:?} still when all is at rest"));
        }
    }

    /// The longest time between two calls of somebody who is to be asked.
    fn driven(
        &self,
        order: &OrderRef,
        role: Role,
        (from_ms, until_ms): (u64, u64),
        calls: &[Call],
        verdict: &mut Verdict,
    ) {
        let explained = match self.plan.sickness {
            Sickness::Silent(sick) | Sickness::Slow(sick) => sick == role,
            _ => self.is_sick(order),
        };
        let mut since_ms = from_ms;
        let within = calls.iter().filter(|call| (from_ms..=until_ms).contains(&call.from_ms));
        let ends: Vec<(u64, u64)> =
            within.map(|call| (call.from_ms, call.until_ms)).chain([(until_ms, until_ms)]).collect();
        for (begun_ms, ended_ms) in ends {
            let gap_ms = begun_ms.saturating_sub(since_ms);
            if !(explained && self.overlaps(since_ms, begun_ms)) {
                verdict.undriven_ms = verdict.undriven_ms.max(gap_ms);
                if gap_ms > self.plan.undriven_max_ms {
                    let text = format!(
                        "{order} asks {role:?} and nobody drives it from {since_ms} to {begun_ms} ms"
                    );
                    verdict.found(Felt::Undriven, text);
                }
            }
            since_ms = since_ms.max(ended_ms);
        }
    }

    fn attention(&self, order: &OrderRef, held_ms: Option<u64>, verdict: &mut Verdict) {
        let cause_ms = self.timeline.contradicted.lock().get(order).copied();
        match (cause_ms, held_ms) {
            (None, Some(at_ms)) => {
                verdict.found(
                    Felt::Attention,
                    format!("{order} asks for attention at {at_ms} ms, and nothing is wrong"),
                );
            }
            (Some(cause_ms), None) => {
                let text = format!("{order} was contradicted at {cause_ms} ms, and nobody hears of it");
                verdict.found(Felt::Attention, text);
            }
            (Some(cause_ms), Some(at_ms)) if at_ms.saturating_sub(cause_ms) > self.plan.undriven_max_ms => {
                let text = format!("{order} was contradicted at {cause_ms} ms and held at {at_ms} ms only");
                verdict.found(Felt::Attention, text);
            }
            _ => {}
        }
    }

    fn calls(&self, order: &OrderRef, calls: &[Call], verdict: &mut Verdict) {
        let mut by_key: BTreeMap<&str, (Role, usize)> = BTreeMap::new();
        for call in calls {
            by_key.entry(&call.key).or_insert((call.role, 0)).1 += 1;
        }
        for (key, (role, count)) in by_key {
            let max = match self.plan.sickness {
                Sickness::Silent(sick) | Sickness::Slow(sick) if sick == role => SICK_CALLS_MAX,
                Sickness::Replaced(_) if self.is_sick(order) => UNRECORDED_CALLS_MAX,
                Sickness::Contradicts if is_contradicted(order) => CONTRADICTED_CALLS_MAX,
                _ => CALLS_MAX,
            };
            if count > max {
                verdict.found(Felt::Calls, format!("{order}: {role:?} was called {count} times under {key}"));
            }
        }
    }
}
