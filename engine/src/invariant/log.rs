//! A whole log against the promises, group by group: for `verify`, for chaos checkers, for tests.
//!
//! Memory: about a hundred bytes an order and eight a command; nothing else grows with the log.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::fingerprints::DigestMap;
use super::life::Effects;
use super::order::{OrderTail, fingerprint_of, fingerprint_of_name};
use super::{InvariantId, Ledger, TenantLedger, Violation};
use crate::codec::control::Control;
use crate::codec::fence::{Fence, IntakeFloor, fence_hash, group_digest};
use crate::codec::v1::{self, AttentionV1, StatusV1};
use crate::ids::{CommandKey, OrderRef, PartitionId, TenantId};
use crate::keys::{GENESIS, Hash, order_key, partition_of};
use crate::ports::{LoggedEntry, LoggedGroup};

/// Violations kept with their text; further ones are counted.
const VIOLATIONS_MAX: usize = 1000;

/// What a checked log came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCheck {
    /// What was recorded, by tenant.
    pub ledger: Ledger,
    /// What does not hold, in the order of the log; at most a thousand.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub violation_count: u64,
    /// Groups read.
    pub groups: u64,
    /// Records of orders read.
    pub records: u64,
    /// Orders met.
    pub orders: u64,
    /// Orders by their status.
    pub by_status: BTreeMap<&'static str, u64>,
    /// Orders by their attention, park marks aside.
    pub by_attention: BTreeMap<&'static str, u64>,
    /// What all orders of a currency did to goods and money.
    pub effects: BTreeMap<String, EffectSums>,
}

/// Sums over orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectSums {
    /// Captured, in minor units.
    pub captured_minor: i128,
    /// Paid back, in minor units.
    pub refunded_minor: i128,
    /// Authorized and neither captured nor given up, in minor units.
    pub authorized_minor: i128,
    /// Set aside or gone, in units.
    pub reserved_units: u64,
    /// In shipments, in units.
    pub booked_units: u64,
    /// Back in stock, in units.
    pub restocked_units: u64,
    /// Steps of cancellations that were done.
    pub compensations: u64,
}

#[derive(Debug, Default)]
struct PartitionTail {
    epoch: u64,
    group: u64,
    hash: Hash,
    intake: Vec<IntakeFloor>,
}

/// Takes the groups of a log in their order and checks each against what came before it.
#[derive(Debug)]
pub struct LogChecker {
    partitions: u16,
    heads: BTreeMap<PartitionId, PartitionTail>,
    orders: DigestMap<[u8; 16], OrderTail>,
    /// Commands waiting behind park marks, by order. Bounded by the limit of those queues.
    parked: HashMap<OrderRef, HashSet<u64>>,
    tenants: HashMap<Box<str>, TenantLedger>,
    done: LogCheck,
}

impl LogChecker {
    /// A checker of a log of so many partitions.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        Self {
            partitions,
            heads: BTreeMap::new(),
            orders: DigestMap::default(),
            parked: HashMap::new(),
            tenants: HashMap::new(),
            done: LogCheck::default(),
        }
    }

    /// Takes the next group.
    pub fn group(&mut self, group: &LoggedGroup) {
        self.done.groups += 1;
        let fence = match Fence::decode(&group.fence) {
            Ok(fence) => fence,
            Err(error) => {
                let text = format!("the fence at position {}: {error}", group.position.0);
                return self.report(InvariantId::Fence, text);
            }
        };
        self.fence(&fence, group);
        for entry in &group.entries {
            match entry {
                LoggedEntry::Record(bytes) => self.record(&fence, bytes),
                LoggedEntry::Control(bytes) => self.control(&fence, bytes),
            }
        }
    }

    /// The result. Checking may go on afterwards.
    #[must_use]
    pub fn result(&self) -> LogCheck {
        let mut check = self.done.clone();
        check.orders = self.orders.len() as u64;
        for tail in self.orders.values() {
            let life = &tail.life;
            *check.by_status.entry(status_name(life.status)).or_default() += 1;
            *check.by_attention.entry(attention_name(life.attention.0)).or_default() += 1;
            let currency = String::from_utf8_lossy(&life.currency).into_owned();
            let (sums, effects) = (check.effects.entry(currency).or_default(), &life.effects);
            sums.captured_minor += i128::from(effects.captured_minor);
            sums.refunded_minor += i128::from(effects.refunded_minor);
            sums.authorized_minor += i128::from(effects.authorized_minor);
            sums.reserved_units += u64::from(effects.reserved_units);
            sums.booked_units += u64::from(effects.booked_units);
            sums.restocked_units += u64::from(effects.restocked_units);
            sums.compensations += u64::from(effects.compensations);
        }
        for (name, counts) in &self.tenants {
            if let Ok(tenant) = TenantId::parse(name) {
                check.ledger.insert(tenant, counts.clone());
            }
        }
        for (order, waiting) in &self.parked {
            let tail = self.orders.get(&order_key(order));
            // One that was decided before its order was parked is in the books already.
            let new =
                waiting.iter().filter(|one| !tail.is_some_and(|tail| tail.recorded.contains(**one))).count();
            check.ledger.entry(order.tenant.clone()).or_default().parked += new as u64;
        }
        check
    }

    /// What each order did to goods and money, by [`order_key`], in no order.
    pub fn effects(&self) -> impl Iterator<Item = (&[u8; 16], &Effects)> {
        self.orders.iter().map(|(key, tail)| (key, &tail.life.effects))
    }

    /// Orders that wait for a step, or for people.
    #[must_use]
    pub fn open_orders(&self) -> u64 {
        self.orders.values().filter(|tail| tail.life.waits()).count() as u64
    }

    /// The orders under a park mark now, in the order of their names.
    #[must_use]
    pub fn parked(&self) -> Vec<OrderRef> {
        let mut orders: Vec<OrderRef> = self.parked.keys().cloned().collect();
        orders.sort();
        orders
    }

    /// Is a command recorded, or does it wait behind a park mark? For auditors who hold the other side.
    #[must_use]
    pub fn knows(&self, order: &OrderRef, key: &CommandKey) -> bool {
        let fingerprint = fingerprint_of(key.source.as_str(), key.id.as_str());
        let name = format!("{}\0{}", key.source, key.id);
        self.orders.get(&order_key(order)).is_some_and(|tail| tail.recorded.contains(fingerprint))
            || self
                .parked
                .get(order)
                .is_some_and(|waiting| waiting.contains(&fingerprint_of_name(name.as_bytes())))
    }

    /// Epoch and group of a partition's last fence: the position that a ledger's cut names.
    #[must_use]
    pub fn head(&self, partition: PartitionId) -> Option<(u64, u64)> {
        self.heads.get(&partition).map(|tail| (tail.epoch, tail.group))
    }

    /// How many partitions the log has.
    #[must_use]
    pub const fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The intake floors of a partition's last fence.
    #[must_use]
    pub fn floors(&self, partition: PartitionId) -> &[IntakeFloor] {
        self.heads.get(&partition).map_or(&[], |tail| &tail.intake)
    }

    fn fence(&mut self, fence: &Fence, group: &LoggedGroup) {
        let tail = self
            .heads
            .entry(fence.partition)
            .or_insert_with(|| PartitionTail { hash: GENESIS, ..Default::default() });
        let mut wrong = Vec::new();
        if fence.partition.0 >= self.partitions {
            wrong.push(format!("there are only {} partitions", self.partitions));
        }
        if fence.group != tail.group + 1 {
            wrong.push(format!("follows group {}", tail.group));
        }
        if fence.previous != tail.hash {
            wrong.push("names another group as the one before it".into());
        }
        if fence.epoch < tail.epoch || fence.epoch == 0 {
            wrong.push(format!("epoch {} after epoch {}", fence.epoch, tail.epoch));
        }
        let entries = group.entries.iter().map(|entry| {
            let (LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes)) = entry;
            bytes.as_slice()
        });
        if fence.digest != group_digest(entries) {
            wrong.push("its entries are not the ones it was written with".into());
        }
        if fence.entries as usize != group.entries.len() {
            wrong.push(format!("{} entries, its fence says {}", group.entries.len(), fence.entries));
        }
        for floor in &fence.intake {
            let before = tail.intake.iter().find(|before| before.inbox == floor.inbox);
            if let Some(before) = before.filter(|before| before.position > floor.position) {
                wrong.push(format!("its intake floor fell from {} to {}", before.position, floor.position));
            }
        }
        *tail = PartitionTail {
            epoch: fence.epoch,
            group: fence.group,
            hash: fence_hash(&group.fence),
            intake: fence.intake.clone(),
        };
        for text in wrong {
            self.report(
                InvariantId::Fence,
                format!("group {} of partition {}: {text}", fence.group, fence.partition),
            );
        }
    }

    fn record(&mut self, fence: &Fence, bytes: &[u8]) {
        self.done.records += 1;
        let decoded = v1::decode(bytes).and_then(|record| {
            let order = crate::codec::control::order_ref(&record.tenant, &record.order)?;
            Ok((record, order))
        });
        let (record, order) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                let text =
                    format!("a record in group {} of partition {}: {error}", fence.group, fence.partition);
                return self.report(InvariantId::Chain, text);
            }
        };
        if partition_of(&order, self.partitions) != fence.partition {
            self.report(
                InvariantId::Chain,
                format!("{order} does not live in partition {}", fence.partition),
            );
        }
        let mut wrong = Vec::new();
        let tail = self.orders.entry(order_key(&order)).or_default();
        let added = tail.record(&record, bytes, &mut |violation| wrong.push(violation));
        match self.tenants.get_mut(record.tenant.as_str()) {
            Some(counts) => {
                counts.applied += added.applied;
                counts.rejected += added.rejected;
            }
            None => {
                let counts = TenantLedger { applied: added.applied, rejected: added.rejected, parked: 0 };
                self.tenants.insert(record.tenant.as_str().into(), counts);
            }
        }
        wrong.into_iter().for_each(|violation| self.report(violation.id, violation.detail));
    }

    fn control(&mut self, fence: &Fence, bytes: &[u8]) {
        let control = match Control::decode(bytes) {
            Ok(control) => control,
            Err(error) => {
                let text =
                    format!("a control in group {} of partition {}: {error}", fence.group, fence.partition);
                return self.report(InvariantId::Chain, text);
            }
        };
        match control {
            Control::Park { order, .. } => drop(self.parked.entry(order).or_default()),
            Control::ParkedCommand { order, key, .. } => match self.parked.get_mut(&order) {
                Some(waiting) => drop(waiting.insert(fingerprint_of_name(key.as_bytes()))),
                None => {
                    let name = key.replace('\0', "#");
                    self.report(InvariantId::Ledger, format!("{order}: {name} waits behind no park mark"));
                }
            },
            Control::Release { order, .. } => drop(self.parked.remove(&order)),
        }
    }

    fn report(&mut self, id: InvariantId, detail: String) {
        self.done.violation_count += 1;
        if self.done.violations.len() < VIOLATIONS_MAX {
            self.done.violations.push(Violation::new(id, detail));
        }
    }
}

const fn status_name(status: Option<StatusV1>) -> &'static str {
    match status {
        None | Some(StatusV1::Open) => "open",
        Some(StatusV1::Completed) => "completed",
        Some(StatusV1::Canceling) => "canceling",
        Some(StatusV1::Canceled) => "canceled",
    }
}

const fn attention_name(attention: AttentionV1) -> &'static str {
    match attention {
        AttentionV1::None => "none",
        AttentionV1::Held => "held",
        AttentionV1::Stalled => "stalled",
        AttentionV1::Parked => "parked",
    }
}

/// Checks a log that fits into memory.
#[must_use]
pub fn check_log<'a>(
    partitions: u16,
    groups: impl IntoIterator<Item = &'a LoggedGroup>,
) -> (Ledger, Vec<Violation>) {
    let mut checker = LogChecker::new(partitions);
    groups.into_iter().for_each(|group| checker.group(group));
    let check = checker.result();
    (check.ledger, check.violations)
}
