//! Which node owns which partition: a pure plan.
//!
//! The leader computes it and writes it down; nodes claim what it gives them. Safety hangs on none of this: two nodes that
//! both believe they own a partition are told apart by the fence in its log.
//!
//! - **Fair**: a node's share is its weight's, rounded down or up.
//! - **Minimal movement**: a partition moves only if its owner is gone, may not have it, or has more than its share.
//! - **No flapping**: what moved a short while ago is not moved again for the sake of fairness alone.
//! - **The same for all**: nodes and partitions in any order give the same plan.

use std::collections::{BTreeMap, BTreeSet};

use retailflow_wire::ids::{NodeId, PartitionId, TimestampMs};

/// Greatest weight of a node.
pub const WEIGHT_MAX: u32 = 1_000;

/// A node that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub node: NodeId,
    /// Its share of the partitions against the others' weights. 0 gets none; above [`WEIGHT_MAX`] counts as that.
    pub weight: u32,
    /// It is being emptied: it gets nothing, and gives away what it has as soon as others can take it.
    pub draining: bool,
    /// What operators say of it, as `zone=a`.
    pub labels: BTreeMap<String, String>,
}

/// Who owns a partition, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The owner.
    pub node: NodeId,
    /// When it was given to it.
    pub since: TimestampMs,
}

/// What is asked of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many partitions there are.
    pub partitions: u16,
    /// What moved less than this long ago does not move for fairness, in milliseconds.
    pub dwell_ms: u64,
    /// Only nodes with all of these labels get partitions.
    pub required_labels: BTreeMap<String, String>,
    /// Partitions that an operator put somewhere: they stay there as long as that node may have any.
    pub pinned: BTreeMap<PartitionId, NodeId>,
}

/// Who is to own what.
pub type Assignment = BTreeMap<PartitionId, Assigned>;

/// Plans who is to own what from `now` on. What stays keeps its `since`.
///
/// Where no node may have any partition, each stays with its owner as long as that one is there, and the rest has none.
#[must_use]
pub fn plan(candidates: &[Candidate], current: &Assignment, policy: &Policy, now: TimestampMs) -> Assignment {
    let there: BTreeMap<&NodeId, &Candidate> = candidates.iter().map(|one| (&one.node, one)).collect();
    let labeled = |one: &Candidate| {
        policy.required_labels.iter().all(|(name, value)| one.labels.get(name) == Some(value))
    };
    let takers: BTreeMap<&NodeId, u32> = there
        .values()
        .filter(|one| !one.draining && one.weight > 0 && labeled(one))
        .map(|one| (&one.node, one.weight.min(WEIGHT_MAX)))
        .collect();
    let partitions = || (0..policy.partitions).map(PartitionId);
    let mut plan = Assignment::new();
    if takers.is_empty() {
        plan.extend(partitions().filter_map(|partition| {
            let assigned = current.get(&partition).filter(|assigned| there.contains_key(&assigned.node))?;
            Some((partition, assigned.clone()))
        }));
        return plan;
    }

    // What stays where it is for now, what must move, and what an operator has placed.
    let mut owned: BTreeMap<&NodeId, BTreeSet<PartitionId>> =
        takers.keys().map(|node| (*node, BTreeSet::new())).collect();
    let mut pinned = BTreeSet::new();
    let mut homeless = BTreeSet::new();
    for partition in partitions() {
        let pin = policy.pinned.get(&partition).filter(|node| takers.contains_key(node));
        if pin.is_some() {
            pinned.insert(partition);
        }
        let owner = pin.or_else(|| current.get(&partition).map(|assigned| &assigned.node));
        match owner.and_then(|owner| owned.get_mut(owner)) {
            Some(has) => drop(has.insert(partition)),
            None => drop(homeless.insert(partition)),
        }
    }

    let shares = shares(&takers, &owned, policy.partitions);
    for (node, has) in &mut owned {
        let dwells = |partition: &PartitionId| {
            let since = current.get(partition).filter(|assigned| assigned.node == **node);
            since.is_some_and(|assigned| now < assigned.since.plus_ms(policy.dwell_ms))
        };
        // The highest numbers go: any rule does, as long as it is the same one everywhere.
        let surplus = has.len().saturating_sub(shares[*node]);
        let movable = has.iter().rev().filter(|partition| !pinned.contains(partition) && !dwells(partition));
        let leaving: Vec<PartitionId> = movable.copied().take(surplus).collect();
        for partition in leaving {
            has.remove(&partition);
            homeless.insert(partition);
        }
    }
    for partition in homeless {
        // Somebody always lacks one: what is homeless is what the shares exceed that which all have.
        let lack = |node: &NodeId, has: &BTreeSet<_>| shares[node].saturating_sub(has.len());
        let next = owned
            .iter_mut()
            .max_by(|(a, has_a), (b, has_b)| lack(a, has_a).cmp(&lack(b, has_b)).then_with(|| b.cmp(a)));
        if let Some((_, has)) = next {
            has.insert(partition);
        }
    }

    for (node, has) in owned {
        for partition in has {
            let stays = current.get(&partition).filter(|assigned| assigned.node == *node);
            let assigned = stays.cloned().unwrap_or_else(|| Assigned { node: node.clone(), since: now });
            plan.insert(partition, assigned);
        }
    }
    plan
}

/// How many partitions each may have: its weight's share, rounded down, and one of those that are left over for some. They
/// go first to who has them already, so that nothing moves for a fraction, then to the greatest fractions.
fn shares<'a>(
    takers: &BTreeMap<&'a NodeId, u32>,
    owned: &BTreeMap<&NodeId, BTreeSet<PartitionId>>,
    partitions: u16,
) -> BTreeMap<&'a NodeId, usize> {
    let total: u64 = takers.values().map(|weight| u64::from(*weight)).sum();
    let mut shares = BTreeMap::new();
    let mut fractions = Vec::new();
    let mut left = usize::from(partitions);
    for (node, weight) in takers {
        let exact = u64::from(*weight) * u64::from(partitions);
        let share = (exact / total) as usize;
        left -= share;
        shares.insert(*node, share);
        let has_more = owned.get(node).is_some_and(|has| has.len() > share);
        if exact % total > 0 {
            fractions.push((!has_more, std::cmp::Reverse(exact % total), *node));
        }
    }
    fractions.sort_unstable();
    for (_, _, node) in fractions.into_iter().take(left) {
        *shares.entry(node).or_default() += 1;
    }
    shares
}

/// How many partitions `after` gives to another owner than `before`; those that had none do not count.
#[must_use]
pub fn moves(before: &Assignment, after: &Assignment) -> usize {
    let moved = |(partition, assigned): &(&PartitionId, &Assigned)| {
        before.get(partition).is_some_and(|earlier| earlier.node != assigned.node)
    };
    after.iter().filter(moved).count()
}

#[cfg(test)]
mod tests;
