use proptest::prelude::*;

use super::*;

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn candidate(name: &str, weight: u32) -> Candidate {
    Candidate { node: node(name), weight, draining: false, labels: BTreeMap::new() }
}

fn policy(partitions: u16) -> Policy {
    Policy { partitions, ..Policy::default() }
}

fn counts(assignment: &Assignment) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for assigned in assignment.values() {
        *counts.entry(assigned.node.to_string()).or_default() += 1;
    }
    counts
}

const NOW: TimestampMs = TimestampMs(1_000_000);

#[test]
fn one_then_three_then_two_nodes() {
    let (a, b, c) = (candidate("a", 1), candidate("b", 1), candidate("c", 1));
    let one = plan(std::slice::from_ref(&a), &Assignment::new(), &policy(128), NOW);
    assert_eq!(counts(&one), BTreeMap::from([("a".into(), 128)]));
    let three = plan(&[a.clone(), b.clone(), c], &one, &policy(128), NOW.plus_ms(1));
    assert_eq!(counts(&three), BTreeMap::from([("a".into(), 43), ("b".into(), 43), ("c".into(), 42)]));
    assert_eq!(moves(&one, &three), 85, "what the others are to have, and no more");
    let two = plan(&[a, b], &three, &policy(128), NOW.plus_ms(2));
    assert_eq!(counts(&two), BTreeMap::from([("a".into(), 64), ("b".into(), 64)]));
    assert_eq!(moves(&three, &two), 42, "what the third one had");
}

#[test]
fn weights_are_shares() {
    let nodes = [candidate("a", 1), candidate("b", 3), candidate("c", 0)];
    let planned = plan(&nodes, &Assignment::new(), &policy(100), NOW);
    assert_eq!(counts(&planned), BTreeMap::from([("a".into(), 25), ("b".into(), 75)]));
}

#[test]
fn a_draining_node_gives_all_away_unless_nobody_else_is_there() {
    let (a, b) = (candidate("a", 1), candidate("b", 1));
    let draining = Candidate { draining: true, ..a.clone() };
    let both = plan(&[a, b.clone()], &Assignment::new(), &policy(10), NOW);
    let policy = Policy { dwell_ms: 60_000, ..policy(10) };
    let drained = plan(&[draining.clone(), b], &both, &policy, NOW.plus_ms(1));
    assert_eq!(counts(&drained), BTreeMap::from([("b".into(), 10)]), "dwelling keeps nobody who leaves");
    let alone = plan(&[draining], &both, &policy, NOW.plus_ms(1));
    assert_eq!(counts(&alone), BTreeMap::from([("a".into(), 5)]), "what it has it keeps, and gets no more");
}

#[test]
fn what_moved_a_short_while_ago_stays() {
    let (a, b) = (candidate("a", 1), candidate("b", 1));
    let policy = Policy { dwell_ms: 30_000, ..policy(10) };
    let one = plan(std::slice::from_ref(&a), &Assignment::new(), &policy, NOW);
    let both = [a, b];
    let soon = plan(&both, &one, &policy, NOW.plus_ms(29_999));
    assert_eq!(moves(&one, &soon), 0);
    let later = plan(&both, &one, &policy, NOW.plus_ms(30_000));
    assert_eq!(moves(&one, &later), 5);
}

#[test]
fn labels_and_pins_hold() {
    let of_zone = |name, zone: &str| {
        let labels = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        Candidate { labels, ..candidate(name, 1) }
    };
    let nodes = [of_zone("a", "1"), of_zone("b", "1"), of_zone("c", "2")];
    let policy = Policy {
        required_labels: BTreeMap::from([("zone".to_owned(), "1".to_owned())]),
        // To "c" it can't be moved; "b" has both of the others, and more than its share.
        pinned: (0..6).map(|p| (PartitionId(p), node(if p == 0 { "c" } else { "b" }))).collect(),
        ..policy(6)
    };
    let planned = plan(&nodes, &Assignment::new(), &policy, NOW);
    assert_eq!(counts(&planned), BTreeMap::from([("a".into(), 1), ("b".into(), 5)]));
    assert_eq!(planned[&PartitionId(0)].node, node("a"));
}

/// Candidates, and what they own by chance: some of it owned by nodes that are gone.
fn situations() -> impl Strategy<Value = (Vec<Candidate>, Assignment, u16)> {
    let candidates = prop::collection::vec((0..6u32, prop::bool::weighted(0.2)), 0..7);
    let owners = prop::collection::vec(prop::option::of((0..9usize, 0..2_000i64)), 1..150);
    (candidates, owners).prop_map(|(candidates, owners)| {
        let candidates = candidates.into_iter().enumerate().map(|(number, (weight, draining))| Candidate {
            draining,
            ..candidate(&format!("n{number}"), weight)
        });
        let partitions = owners.len() as u16;
        let current = owners.into_iter().enumerate().filter_map(|(partition, owner)| {
            let (number, age) = owner?;
            let since = TimestampMs(NOW.0 - age);
            Some((PartitionId(partition as u16), Assigned { node: node(&format!("n{number}")), since }))
        });
        (candidates.collect(), current.collect(), partitions)
    })
}

proptest! {
    #[test]
    fn plans_are_whole_fair_and_move_little((candidates, current, partitions) in situations()) {
        let policy = policy(partitions);
        let planned = plan(&candidates, &current, &policy, NOW);
        let takers: Vec<_> = candidates.iter().filter(|one| !one.draining && one.weight > 0).collect();
        if takers.is_empty() {
            prop_assert!(planned.iter().all(|(partition, assigned)| current[partition] == *assigned));
            return Ok(());
        }
        prop_assert_eq!(planned.len(), usize::from(partitions), "every partition has an owner");
        let total: u64 = takers.iter().map(|one| u64::from(one.weight)).sum();
        let (counts, had) = (counts(&planned), counts(&current));
        let mut surplus = 0;
        for one in &takers {
            let has = counts.get(one.node.as_str()).copied().unwrap_or_default() as u64;
            let share = u64::from(one.weight) * u64::from(partitions);
            prop_assert!(has == share / total || has == share.div_ceil(total), "{} has {has}", one.node);
            let had = had.get(one.node.as_str()).copied().unwrap_or_default() as u64;
            surplus += had.saturating_sub(has);
        }
        let forced = current.values().filter(|owner| !takers.iter().any(|one| one.node == owner.node)).count();
        prop_assert_eq!(moves(&current, &planned) as u64, forced as u64 + surplus);
        // Fractions go to those who have more already: no other choice of them moves less.
        prop_assert_eq!(&plan(&candidates, &planned, &policy, NOW.plus_ms(5)), &planned, "a plan is at rest");
        let mut turned = candidates.clone();
        turned.reverse();
        prop_assert_eq!(&plan(&turned, &current, &policy, NOW), &planned, "in any order");
    }

    #[test]
    fn dwelling_only_ever_keeps_things_where_they_are((candidates, current, partitions) in situations()) {
        let dwelling = Policy { dwell_ms: 1_000, ..policy(partitions) };
        let planned = plan(&candidates, &current, &dwelling, NOW);
        let may_have = |owner: &NodeId| candidates.iter().any(|one| one.node == *owner && !one.draining && one.weight > 0);
        for (partition, before) in &current {
            let young = NOW < before.since.plus_ms(dwelling.dwell_ms);
            if young && may_have(&before.node) {
                prop_assert_eq!(&planned[partition], before);
            }
        }
        let free = plan(&candidates, &current, &policy(partitions), NOW);
        prop_assert!(moves(&current, &planned) <= moves(&current, &free));
        prop_assert_eq!(planned.len(), free.len());
    }
}
