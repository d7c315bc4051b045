//! Many nodes on one small etcd of the test's own: late news, lost sessions, crashes, drains, in any order.

use super::*;
use crate::values::write;

const PARTITIONS: u16 = 12;

struct Entry {
    value: Vec<u8>,
    created: i64,
    modified: i64,
    lease: Option<u64>,
}

/// The key; what stands there, and since when and how it was created, if anything does.
type Change = (String, Option<(Vec<u8>, i64, i64)>);

/// What of etcd matters here: keys with revisions, leases, and the history that watchers are told.
#[derive(Default)]
struct Etcd {
    keys: BTreeMap<String, Entry>,
    revision: i64,
    /// Each change: the key, and what stands there then.
    history: Vec<Change>,
}

impl Etcd {
    fn put(&mut self, key: &str, value: Vec<u8>, lease: Option<u64>) {
        self.revision += 1;
        let created = self.keys.get(key).map_or(self.revision, |entry| entry.created);
        let entry = Entry { value: value.clone(), created, modified: self.revision, lease };
        self.keys.insert(key.to_owned(), entry);
        self.history.push((key.to_owned(), Some((value, created, self.revision))));
    }

    fn delete(&mut self, key: &str) {
        if self.keys.remove(key).is_some() {
            self.revision += 1;
            self.history.push((key.to_owned(), None));
        }
    }

    fn created(&self, key: &str) -> i64 {
        self.keys.get(key).map_or(0, |entry| entry.created)
    }

    fn modified(&self, key: &str) -> i64 {
        self.keys.get(key).map_or(0, |entry| entry.modified)
    }

    fn end_lease(&mut self, lease: u64) {
        let ended = self.keys.iter().filter(|(_, entry)| entry.lease == Some(lease));
        let keys: Vec<String> = ended.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.delete(key));
    }
}

struct Node {
    name: NodeId,
    coordinator: Coordinator,
    /// How much of the history it was told.
    told: usize,
    lease: Option<u64>,
}

struct World {
    etcd: Etcd,
    keys: Keys,
    nodes: Vec<Node>,
    leases: u64,
    now: TimestampMs,
    random: fastrand::Rng,
}

impl World {
    fn new(seed: u64, nodes: usize) -> Self {
        let mut world = Self {
            etcd: Etcd::default(),
            keys: Keys::new("test"),
            nodes: Vec::new(),
            leases: 0,
            now: TimestampMs(1),
            random: fastrand::Rng::with_seed(seed),
        };
        for number in 0..nodes {
            let name = NodeId::parse(&format!("n{number}")).unwrap();
            let node = world.started(name);
            world.nodes.push(node);
        }
        world
    }

    fn started(&mut self, name: NodeId) -> Node {
        self.leases += 1;
        let policy = Policy { partitions: PARTITIONS, dwell_ms: 20, ..Policy::default() };
        let incarnation = format!("{:x}", self.leases);
        let coordinator = Coordinator::new(self.keys.clone(), name.clone(), &incarnation, &policy);
        Node { name, coordinator, told: 0, lease: None }
    }

    /// Tells a node up to `count` changes.
    fn tell(&mut self, node: usize, count: usize) {
        let node = &mut self.nodes[node];
        for (key, stands) in self.etcd.history.iter().skip(node.told).take(count) {
            match stands {
                Some((value, created, modified)) => {
                    node.coordinator.put(key.as_bytes(), value, *created, *modified);
                }
                None => node.coordinator.delete(key.as_bytes()),
            }
        }
        node.told = self.etcd.history.len().min(node.told.saturating_add(count));
    }

    /// Begins a session where there is none.
    fn join(&mut self, node: usize) {
        let key = self.keys.of(&Key::Node(self.nodes[node].name.clone()));
        if self.nodes[node].lease.is_some() || self.etcd.keys.contains_key(&key) {
            return;
        }
        self.leases += 1;
        let value = NodeV1 {
            holder: self.nodes[node].coordinator.me().clone(),
            weight: 1,
            labels: BTreeMap::new(),
            build: "test".into(),
            admin: None,
            started_ms: 0,
        };
        self.etcd.put(&key, write(&value), Some(self.leases));
        self.nodes[node].lease = Some(self.leases);
    }

    /// Does one of the things that a node wants. Whether there was any.
    fn act(&mut self, node: usize, choose: usize) -> bool {
        let wants = self.nodes[node].coordinator.actions(self.now);
        let Some(want) = wants.get(choose % wants.len().max(1)).cloned() else { return false };
        let Node { coordinator, lease, .. } = &mut self.nodes[node];
        let holder = coordinator.me().clone();
        match want {
            Action::TakeOver(partition) => coordinator.taken_over(partition),
            Action::HandOver(partition) => coordinator.handing_over(partition),
            Action::Stop(partition) => coordinator.stopping(partition),
            Action::Campaign if lease.is_some() => {
                let key = self.keys.of(&Key::Leader);
                if self.etcd.created(&key) == 0 {
                    self.etcd.put(&key, write(&holder), *lease);
                }
            }
            Action::Claim(partition) if lease.is_some() => {
                let key = self.keys.of(&Key::Claim(partition));
                if self.etcd.created(&key) == 0 {
                    self.etcd.put(&key, write(&ClaimV1 { holder, at_ms: self.now.0 }), *lease);
                }
            }
            Action::Unclaim { partition, created } => {
                let key = self.keys.of(&Key::Claim(partition));
                if self.etcd.created(&key) == created {
                    self.etcd.delete(&key);
                }
            }
            Action::Place { placement, leader_created, placement_modified } => {
                let (leader, key) = (self.keys.of(&Key::Leader), self.keys.of(&Key::Placement));
                if self.etcd.created(&leader) == leader_created
                    && self.etcd.modified(&key) == placement_modified
                {
                    self.etcd.put(&key, write(&placement), None);
                }
            }
            // Without a session nothing is held.
            Action::Campaign | Action::Claim(_) => return false,
        }
        true
    }

    fn release_some(&mut self, node: usize) {
        let coordinator = &mut self.nodes[node].coordinator;
        let done = coordinator.running.iter().find(|(_, running)| **running != Running::Fully);
        if let Some(partition) = done.map(|(partition, _)| *partition) {
            coordinator.released(partition);
        }
    }

    fn chaos(&mut self) {
        let node = self.random.usize(..self.nodes.len());
        self.now = self.now.plus_ms(self.random.u64(..3));
        match self.random.u8(..100) {
            0..40 => {
                let count = self.random.usize(..6);
                self.tell(node, count);
            }
            40..75 => {
                let choose = self.random.usize(..40);
                self.act(node, choose);
            }
            75..82 => self.release_some(node),
            82..88 => self.join(node),
            88..91 => {
                // etcd was not reached for too long: the session ends, the process goes on.
                if let Some(lease) = self.nodes[node].lease.take() {
                    self.etcd.end_lease(lease);
                }
            }
            91..93 => {
                // The process dies; its lease lives on a while, or not.
                let name = self.nodes[node].name.clone();
                let lease = self.nodes[node].lease;
                self.nodes[node] = self.started(name);
                if let Some(lease) = lease {
                    self.etcd.end_lease(lease);
                }
            }
            93..95 => {
                // The watch could not go on: all is read anew.
                let Node { coordinator, told, .. } = &mut self.nodes[node];
                coordinator.forget();
                for (key, entry) in &self.etcd.keys {
                    coordinator.put(key.as_bytes(), &entry.value, entry.created, entry.modified);
                }
                *told = self.etcd.history.len();
            }
            95..97 => {
                let key = self.keys.of(&Key::Drain(self.nodes[node].name.clone()));
                self.etcd.put(&key, write(&DrainV1 { by: "ann".into(), at_ms: 0 }), None);
            }
            97..99 => {
                let key = self.keys.of(&Key::Drain(self.nodes[node].name.clone()));
                self.etcd.delete(&key);
            }
            _ => {
                let (partition, pin) = (self.random.u16(..PARTITIONS), self.nodes[node].name.to_string());
                let key = self.keys.of(&Key::Pin(PartitionId(partition)));
                self.etcd.put(&key, write(&PinV1 { node: pin, by: "ann".into(), at_ms: 0 }), None);
            }
        }
    }

    /// Nothing goes wrong any more: how many rounds until nobody wants anything.
    fn calm(&mut self) -> usize {
        // One at least may have partitions: else they have no owner, and that is right.
        let key = self.keys.of(&Key::Drain(self.nodes[0].name.clone()));
        self.etcd.delete(&key);
        for round in 0..500 {
            let mut busy = false;
            self.now = self.now.plus_ms(10);
            for node in 0..self.nodes.len() {
                self.join(node);
                self.tell(node, usize::MAX);
                while self.act(node, 0) {
                    busy = true;
                    self.tell(node, usize::MAX);
                }
                self.release_some(node);
                busy |= self.nodes[node].coordinator.running.values().any(|one| *one != Running::Fully);
            }
            // A dwelling partition may want to move a little later.
            if !busy && round > 20 {
                return round;
            }
        }
        panic!("it does not come to rest");
    }

    fn check(&self) {
        for partition in (0..PARTITIONS).map(PartitionId) {
            let runners: Vec<&NodeId> = self
                .nodes
                .iter()
                .filter(|node| node.coordinator.running.contains_key(&partition))
                .map(|node| &node.name)
                .collect();
            let coordinator = &self.nodes[0].coordinator;
            let placed = coordinator.placed(partition).expect("every partition is placed");
            assert_eq!(
                runners.iter().map(|node| node.as_str()).collect::<Vec<_>>(),
                [placed],
                "{partition:?}"
            );
            assert_eq!(coordinator.claimed(partition).map(|holder| holder.node.as_str()), Some(placed));
        }
        let leaders =
            self.nodes.iter().filter(|node| node.coordinator.leader() == Some(node.coordinator.me())).count();
        assert_eq!(leaders, 1);
    }
}

#[test]
fn after_any_trouble_each_partition_is_run_by_the_one_it_is_placed_with() {
    for seed in 0..400 {
        let nodes = 1 + (seed % 5) as usize;
        let mut world = World::new(seed, nodes);
        for _ in 0..world.random.usize(..1_500) {
            world.chaos();
        }
        world.calm();
        world.check();
    }
}

#[test]
fn a_lost_session_stops_nothing_by_itself() {
    let mut world = World::new(1, 2);
    world.calm();
    world.check();
    let held: Vec<PartitionId> = world.nodes[0].coordinator.running.keys().copied().collect();
    let lease = world.nodes[0].lease.take().unwrap();
    world.etcd.end_lease(lease);
    world.tell(0, usize::MAX);
    let wants = world.nodes[0].coordinator.actions(world.now);
    assert!(
        !wants.iter().any(|want| matches!(want, Action::Stop(_) | Action::HandOver(_))),
        "nobody else has them: {wants:?}"
    );
    assert!(held.iter().all(|partition| wants.contains(&Action::Claim(*partition))));
    // The other one has noticed, and took one of them: that one alone is lost.
    let key = world.keys.of(&Key::Claim(held[0]));
    let holder = world.nodes[1].coordinator.me().clone();
    world.etcd.put(&key, write(&ClaimV1 { holder, at_ms: 0 }), None);
    world.tell(0, usize::MAX);
    let stops: Vec<Action> = world.nodes[0].coordinator.actions(world.now);
    assert!(stops.contains(&Action::Stop(held[0])) && !stops.contains(&Action::Stop(held[1])), "{stops:?}");
}

#[test]
fn what_a_later_build_wrote_is_neither_overwritten_nor_taken_for_nothing() {
    let mut world = World::new(2, 1);
    world.calm();
    let coordinator = &mut world.nodes[0].coordinator;
    let key = world.keys.of(&Key::Placement);
    coordinator.put(key.as_bytes(), br#"{"v":2,"owners":[]}"#, 5, 900);
    assert_eq!(coordinator.actions(world.now), [], "all stays as it is");
    let (named, error) = coordinator.unreadable().next().unwrap();
    assert_eq!((named, error), (key.as_str(), &ValueError::Unsupported { what: "the placement", found: 2 }));
    let leader = world.keys.of(&Key::Leader);
    coordinator.put(leader.as_bytes(), br#"{"v":2}"#, 5, 901);
    assert_eq!(coordinator.actions(world.now), [], "somebody leads");
}

#[test]
fn two_processes_of_one_name_are_noticed() {
    let mut world = World::new(3, 1);
    world.calm();
    let name = world.nodes[0].name.clone();
    let second = world.started(name);
    world.nodes.push(second);
    world.tell(1, usize::MAX);
    assert!(world.nodes[0].coordinator.namesake().is_none());
    assert_eq!(
        world.nodes[1].coordinator.namesake().map(|node| &node.holder),
        Some(world.nodes[0].coordinator.me())
    );
    assert_eq!(world.nodes[1].coordinator.actions(world.now), [], "its partitions are the first one's");
}

/// A wiped etcd knows no plan, no node and no claim, and counts from one: whoever runs a partition enters it again, and goes on.
#[test]
fn when_etcd_has_lost_all_nodes_go_on_with_what_they_run() {
    for seed in 0..50 {
        let mut world = World::new(seed, 1 + (seed % 4) as usize);
        for _ in 0..world.random.usize(..300) {
            world.chaos();
        }
        world.calm();
        world.check();
        let running = |world: &World| -> Vec<Vec<PartitionId>> {
            let of = |node: &Node| node.coordinator.running.keys().copied().collect();
            world.nodes.iter().map(of).collect()
        };
        let before = running(&world);
        world.etcd = Etcd::default();
        for node in &mut world.nodes {
            (node.told, node.lease) = (0, None);
            node.coordinator.forget();
            let wants = node.coordinator.actions(world.now);
            assert!(
                !wants.iter().any(|want| matches!(want, Action::Stop(_) | Action::HandOver(_))),
                "{wants:?}"
            );
        }
        // Each enters itself and claims what it runs before anybody plans.
        for (node, ran) in before.iter().enumerate() {
            world.join(node);
            world.tell(node, usize::MAX);
            for partition in ran {
                let (key, holder) =
                    (world.keys.of(&Key::Claim(*partition)), world.nodes[node].coordinator.me().clone());
                assert!(
                    world.nodes[node].coordinator.actions(world.now).contains(&Action::Claim(*partition))
                );
                let lease = world.nodes[node].lease;
                world.etcd.put(&key, write(&ClaimV1 { holder, at_ms: world.now.0 }), lease);
            }
        }
        world.calm();
        world.check();
        // Drains and pins are gone with it, so that a fair share may be another one; nothing else moves.
        let after = running(&world);
        let kept = before.iter().zip(&after).map(|(before, after)| {
            let kept = before.iter().filter(|partition| after.contains(partition)).count();
            usize::min(before.len(), after.len()) - kept
        });
        assert_eq!(kept.sum::<usize>(), 0, "seed {seed}: {before:?} became {after:?}");
    }
}
