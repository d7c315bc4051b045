//! What a node makes of what stands in etcd: pure, so that any order of events can be tried.
//!
//! It is told each key as it changes, and what its own node runs; asked, it says what it wants. Nothing is remembered of what
//! was tried: what is wanted follows from what stands there, so a lost answer, a reconnect or a new session needs no case
//! of its own.
//!
//! - A partition is **run** by whom its claim names. A claim is made only where none stands.
//! - What is placed elsewhere is handed over first and given up then; what somebody else has claimed is lost at once.
//! - A session that ended takes nothing away by itself: as long as nobody else has claimed a partition, its node runs it on.
//!   Whether it may write, the fence decides.

use std::collections::{BTreeMap, BTreeSet};

use retailflow_engine::ids::{NodeId, PartitionId, TimestampMs};
use retailflow_placement::{Assigned, Assignment, Candidate, Policy, plan};

use super::keys::{Key, Keys};
use super::values::{ClaimV1, DrainV1, Holder, NodeV1, PinV1, PlacementV1, SeenV1, ValueError, read};

/// A key as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Observed<T> {
    pub(crate) value: T,
    /// etcd's revision at which it was created: two claims of one key differ in it.
    pub(crate) created: i64,
    /// etcd's revision at which it was last written.
    pub(crate) modified: i64,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Become the leader: nobody is.
    Campaign,
    /// Write this plan, if we are the leader of this creation still and the placement is as we know it (0: there is none).
    Place { placement: PlacementV1, leader_created: i64, placement_modified: i64 },
    /// Claim a partition: it is ours and nobody has it.
    Claim(PartitionId),
    /// Take the claim of this creation away: the partition is handed over.
    Unclaim { partition: PartitionId, created: i64 },
    /// Run a partition: its claim is ours.
    TakeOver(PartitionId),
    /// Finish what is in flight, and say when it is done: it is placed elsewhere.
    HandOver(PartitionId),
    /// Stop at once: another one has claimed it.
    Stop(PartitionId),
}

/// How the own node stands with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    Fully,
    HandingOver,
    Stopping,
}

/// What is known, and who we are.
#[derive(Debug)]
pub(crate) struct Coordinator {
    keys: Keys,
    me: Holder,
    my_node: NodeId,
    partitions: u16,
    dwell_ms: u64,
    required_labels: BTreeMap<String, String>,
    nodes: BTreeMap<NodeId, Observed<NodeV1>>,
    drains: BTreeMap<NodeId, DrainV1>,
    seen: BTreeMap<NodeId, SeenV1>,
    pins: BTreeMap<PartitionId, NodeId>,
    leader: Option<Observed<Holder>>,
    placement: Option<Observed<PlacementV1>>,
    claims: BTreeMap<PartitionId, Observed<Holder>>,
    /// What cannot be read, by its key.
    unreadable: BTreeMap<String, ValueError>,
    running: BTreeMap<PartitionId, Running>,
}

impl Coordinator {
    pub(crate) fn new(keys: Keys, node: NodeId, incarnation: &str, policy: &Policy) -> Self {
        Self {
            keys,
            me: Holder { node: node.to_string(), incarnation: incarnation.to_owned() },
            my_node: node,
            partitions: policy.partitions,
            dwell_ms: policy.dwell_ms,
            required_labels: policy.required_labels.clone(),
            nodes: BTreeMap::new(),
            drains: BTreeMap::new(),
            seen: BTreeMap::new(),
            pins: BTreeMap::new(),
            leader: None,
            placement: None,
            claims: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    pub(crate) fn me(&self) -> &Holder {
        &self.me
    }

    /// All keys are told anew: a watch could not go on where it was.
    pub(crate) fn forget(&mut self) {
        self.nodes.clear();
        self.drains.clear();
        self.seen.clear();
        self.pins.clear();
        self.leader = None;
        self.placement = None;
        self.claims.clear();
        self.unreadable.clear();
    }

    /// A key stands so.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], created: i64, modified: i64) {
        let Some(known) = self.keys.read(key) else { return };
        // What stood there before does so no longer, whether this can be read or not.
        self.delete(key);
        let done: Result<(), ValueError> = (|| {
            match known {
                Key::Node(node) => {
                    let value = read("a node's entry", value)?;
                    self.nodes.insert(node, Observed { value, created, modified });
                }
                Key::Seen(node) => drop(self.seen.insert(node, read("a node that was seen", value)?)),
                Key::Drain(node) => drop(self.drains.insert(node, read("a drain", value)?)),
                Key::Pin(partition) => {
                    let pin: PinV1 = read("a pin", value)?;
                    let damaged = |error: retailflow_engine::ids::IdError| ValueError::Damaged {
                        what: "a pin",
                        why: error.to_string(),
                    };
                    self.pins.insert(partition, NodeId::parse(&pin.node).map_err(damaged)?);
                }
                Key::Leader => {
                    self.leader =
                        Some(Observed { value: read("the leader's entry", value)?, created, modified });
                }
                Key::Placement => {
                    self.placement =
                        Some(Observed { value: read("the placement", value)?, created, modified });
                }
                Key::Claim(partition) => {
                    let claim: ClaimV1 = read("a claim", value)?;
                    self.claims.insert(partition, Observed { value: claim.holder, created, modified });
                }
                Key::Lock(_) => {}
            }
            Ok(())
        })();
        if let Err(error) = done {
            self.unreadable.insert(String::from_utf8_lossy(key).into_owned(), error);
        }
    }

    /// A key stands no more.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.unreadable.remove(&*String::from_utf8_lossy(key));
        match self.keys.read(key) {
            Some(Key::Node(node)) => drop(self.nodes.remove(&node)),
            Some(Key::Seen(node)) => drop(self.seen.remove(&node)),
            Some(Key::Drain(node)) => drop(self.drains.remove(&node)),
            Some(Key::Pin(partition)) => drop(self.pins.remove(&partition)),
            Some(Key::Leader) => self.leader = None,
            Some(Key::Placement) => self.placement = None,
            Some(Key::Claim(partition)) => drop(self.claims.remove(&partition)),
            Some(Key::Lock(_)) | None => {}
        }
    }

    /// The own node runs it from now on, as it was told.
    pub(crate) fn taken_over(&mut self, partition: PartitionId) {
        self.running.insert(partition, Running::Fully);
    }

    /// The own node was told to hand it over.
    pub(crate) fn handing_over(&mut self, partition: PartitionId) {
        self.running.insert(partition, Running::HandingOver);
    }

    /// The own node was told to stop it.
    pub(crate) fn stopping(&mut self, partition: PartitionId) {
        self.running.insert(partition, Running::Stopping);
    }

    /// The own node runs it no more.
    pub(crate) fn released(&mut self, partition: PartitionId) {
        self.running.remove(&partition);
    }

    /// What cannot be read, for people.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (&str, &ValueError)> {
        self.unreadable.iter().map(|(key, error)| (key.as_str(), error))
    }

    /// Whose entry stands under our node's name, if it is another process's.
    pub(crate) fn namesake(&self) -> Option<&NodeV1> {
        self.nodes.get(&self.my_node).map(|observed| &observed.value).filter(|node| node.holder != self.me)
    }

    /// Whether our own entry stands.
    pub(crate) fn is_listed(&self) -> bool {
        self.nodes.get(&self.my_node).is_some_and(|observed| observed.value.holder == self.me)
    }

    /// Whether somebody has asked for this node to be emptied.
    pub(crate) fn is_drained(&self) -> bool {
        self.drains.contains_key(&self.my_node)
    }

    /// All that is known of the cluster.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&NodeId, &NodeV1, bool)> {
        self.nodes.iter().map(|(node, observed)| (node, &observed.value, self.drains.contains_key(node)))
    }

    pub(crate) fn leader(&self) -> Option<&Holder> {
        self.leader.as_ref().map(|observed| &observed.value)
    }

    /// Whom a partition is placed with.
    pub(crate) fn placed(&self, partition: PartitionId) -> Option<&str> {
        let owner = self.placement.as_ref()?.value.owners.get(&partition.0)?;
        Some(&owner.node)
    }

    /// How many partitions the plan knows, if there is one.
    pub(crate) fn planned_partitions(&self) -> Option<u16> {
        Some(self.placement.as_ref()?.value.partitions)
    }

    /// Where an operator has put a partition.
    pub(crate) fn pinned(&self, partition: PartitionId) -> Option<&NodeId> {
        self.pins.get(&partition)
    }

    /// Whether it stands that our node was here.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.contains_key(&self.my_node)
    }

    /// Nodes that were there and are not, though they have not left in good order; with when they came.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (&NodeId, TimestampMs)> {
        let lost = self.seen.iter().filter(|(node, _)| !self.nodes.contains_key(node));
        lost.map(|(node, seen)| (node, TimestampMs(seen.at_ms)))
    }

    /// Who is to be emptied.
    pub(crate) fn drains(&self) -> impl Iterator<Item = (&NodeId, &DrainV1)> {
        self.drains.iter()
    }

    /// Who has claimed a partition.
    pub(crate) fn claimed(&self, partition: PartitionId) -> Option<&Holder> {
        self.claims.get(&partition).map(|observed| &observed.value)
    }

    /// What is to be done now, in a stable order: first what ends something, so that others can begin.
    pub(crate) fn actions(&self, now: TimestampMs) -> Vec<Action> {
        let mut wants = Vec::new();
        let partitions: BTreeSet<PartitionId> = (0..self.partitions).map(PartitionId).collect();
        for partition in &partitions {
            let (claim, running) = (self.claims.get(partition), self.running.get(partition));
            let mine = claim.filter(|observed| observed.value == self.me);
            match (mine, claim, running) {
                (None, Some(_), Some(Running::Fully | Running::HandingOver)) => {
                    wants.push(Action::Stop(*partition))
                }
                (_, _, Some(Running::Fully)) if !self.is_mine(*partition) => {
                    wants.push(Action::HandOver(*partition));
                }
                (Some(observed), _, None) if !self.is_mine(*partition) => {
                    wants.push(Action::Unclaim { partition: *partition, created: observed.created });
                }
                _ => {}
            }
        }
        for partition in &partitions {
            if !self.is_mine(*partition) {
                continue;
            }
            let (claim, running) = (self.claims.get(partition), self.running.get(partition));
            match (claim, running) {
                // A namesake that is not listed waits for its turn.
                (None, None | Some(Running::Fully)) if self.namesake().is_none() => {
                    wants.push(Action::Claim(*partition))
                }
                (Some(observed), None) if observed.value == self.me => {
                    wants.push(Action::TakeOver(*partition))
                }
                // While it is handed over, or another one has it: later.
                _ => {}
            }
        }
        // Who cannot read the plan had better not lead.
        let reads_all = !self.knows_less("leader") && !self.knows_less("placement");
        if self.leader.is_none() && self.is_listed() && reads_all {
            wants.push(Action::Campaign);
        }
        wants.extend(self.place(now));
        wants
    }

    /// The partitions that this node is to run, whether it does so yet or not.
    pub(crate) fn placed_here(&self) -> impl Iterator<Item = PartitionId> {
        (0..self.partitions).map(PartitionId).filter(|partition| self.is_mine(*partition))
    }

    /// Whether the partition is placed with us, as far as can be told. While the placement can't be read, or there is none,
    /// all stays as it is: so it is, too, when etcd has lost all that it had.
    fn is_mine(&self, partition: PartitionId) -> bool {
        match &self.placement {
            Some(observed) => observed
                .value
                .owners
                .get(&partition.0)
                .is_some_and(|owner| owner.node == self.my_node.as_str()),
            None => match self.claims.get(&partition) {
                Some(observed) => observed.value == self.me,
                None => self.running.get(&partition) == Some(&Running::Fully),
            },
        }
    }

    /// Who has what: as it was planned, or, in an etcd that has lost its plan, as it is claimed.
    fn current(&self, now: TimestampMs) -> Assignment {
        if let Some(observed) = &self.placement {
            return observed.value.assignment();
        }
        let claimed = |(partition, observed): (&PartitionId, &Observed<Holder>)| {
            let node = NodeId::parse(&observed.value.node).ok()?;
            Some((*partition, Assigned { node, since: now }))
        };
        self.claims.iter().filter_map(claimed).collect()
    }

    /// Whether something stands under a key that this build cannot read: it must not be written over.
    fn knows_less(&self, ending: &str) -> bool {
        self.unreadable.keys().any(|key| key.ends_with(ending))
    }

    fn place(&self, now: TimestampMs) -> Option<Action> {
        let leader = self.leader.as_ref().filter(|observed| observed.value == self.me)?;
        if self.knows_less("placement") {
            return None;
        }
        let candidates: Vec<Candidate> = self
            .nodes
            .iter()
            .map(|(node, observed)| Candidate {
                node: node.clone(),
                weight: observed.value.weight,
                draining: self.drains.contains_key(node),
                labels: observed.value.labels.clone(),
            })
            .collect();
        let policy = Policy {
            partitions: self.partitions,
            dwell_ms: self.dwell_ms,
            required_labels: self.required_labels.clone(),
            pinned: self.pins.clone(),
        };
        let current = self.current(now);
        let planned = plan(&candidates, &current, &policy, now);
        if self.placement.is_some() && planned == current {
            return None;
        }
        Some(Action::Place {
            placement: PlacementV1::of(self.partitions, &planned, now),
            leader_created: leader.created,
            placement_modified: self.placement.as_ref().map_or(0, |observed| observed.modified),
        })
    }
}

#[cfg(test)]
mod tests;
