//! A whole log against the promises, group by group: for `verify`, for chaos checkers, for tests.
//!
//! Memory: about two hundred bytes an order and sixteen a command, up to a bound. Beyond it the checker puts orders off
//! to a further pass over the same log, by their names: as many passes as it takes, and each order is checked whole in
//! one of them. Fences and the ledger are checked in the first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::compare::{BOOKS_SIDE_BYTES, Comparison};
use super::life::Effects;
use super::names::{CheckKey, Name};
use super::order::{Added, OrderTail};
use super::result::LogCheck;
use super::table::{SHARDS, Table, shard_of};
use super::{InvariantId, Ledger, TenantLedger, Violation};
use retailflow_engine::codec::control::{Control, order_ref};
use retailflow_engine::codec::fence::{Fence, IntakeFloor, fence_hash, group_digest};
use retailflow_engine::codec::record::order_of;
use retailflow_engine::codec::v1;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::{GENESIS, Hash, partition_of};
use retailflow_engine::ports::{LoggedEntry, LoggedGroup};

/// Violations kept with their text; further ones are counted.
const VIOLATIONS_MAX: usize = 1000;

#[derive(Debug, Default)]
struct PartitionTail {
    epoch: u64,
    group: u64,
    hash: Hash,
    intake: Vec<IntakeFloor>,
}

/// What is wrong with the orders of a pass, by shard: those of a shard that is put off are found again.
#[derive(Debug, Default)]
struct Found {
    kept: Vec<(Option<u16>, Violation)>,
    counts: BTreeMap<Option<u16>, u64>,
}

/// Takes the groups of a log in their order and checks each against what came before it.
///
/// One that is bounded has to be given the whole log once more for as long as [`Self::next_pass`] says so.
#[derive(Debug)]
pub struct LogChecker {
    partitions: u16,
    key: CheckKey,
    memory_max_bytes: usize,
    /// Which orders this pass looks at, by the shards of their names.
    shards: Range<u16>,
    pass: u32,
    heads: BTreeMap<PartitionId, PartitionTail>,
    orders: Table<OrderTail>,
    /// What the orders' sets of commands hold.
    names_bytes: usize,
    /// Commands waiting behind park marks, by order. Bounded by the limit of those queues.
    parked: HashMap<OrderRef, HashSet<Name>>,
    tenants: HashMap<Box<str>, TenantLedger>,
    found: Found,
    /// What all passes before this one came to.
    done: LogCheck,
}

impl LogChecker {
    /// A checker of a log of so many partitions, in one pass, whatever memory it takes.
    #[must_use]
    pub fn new(partitions: u16, key: CheckKey) -> Self {
        Self::bounded(partitions, key, usize::MAX)
    }

    /// A checker that holds about so many bytes at most, the other side's books included, and asks for further passes.
    /// One 256th of all orders is the least it looks at in a pass.
    #[must_use]
    pub fn bounded(partitions: u16, key: CheckKey, memory_max_bytes: usize) -> Self {
        Self {
            partitions,
            key,
            memory_max_bytes,
            shards: 0..SHARDS,
            pass: 1,
            heads: BTreeMap::new(),
            orders: Table::default(),
            names_bytes: 0,
            parked: HashMap::new(),
            tenants: HashMap::new(),
            found: Found::default(),
            done: LogCheck::default(),
        }
    }

    /// Takes the next group.
    pub fn group(&mut self, group: &LoggedGroup) {
        let fence = match Fence::decode(&group.fence) {
            Ok(fence) => fence,
            Err(error) => {
                let text = format!("the fence at position {}: {error}", group.position.0);
                self.done.groups += u64::from(self.pass == 1);
                return self.report_once(InvariantId::Fence, text);
            }
        };
        if self.pass == 1 {
            self.done.groups += 1;
            self.fence(&fence, group);
        }
        for entry in &group.entries {
            match entry {
                LoggedEntry::Record(bytes) => self.record(&fence, bytes),
                LoggedEntry::Control(bytes) => self.control(&fence, bytes),
            }
        }
    }

    /// The result, of all passes so far. Checking may go on afterwards.
    #[must_use]
    pub fn result(&self) -> LogCheck {
        let mut check = self.done.clone();
        self.add_pass(&mut check);
        let mut ledger = Ledger::new();
        for (name, counts) in &self.tenants {
            if let Ok(tenant) = TenantId::parse(name) {
                ledger.insert(tenant, counts.clone());
            }
        }
        for (tenant, counts) in check.ledger {
            ledger.entry(tenant).or_default().parked += counts.parked;
        }
        LogCheck { ledger, ..check }
    }

    /// Whether the log has to be read once more, from its beginning: then this has made ready for it.
    pub fn next_pass(&mut self) -> bool {
        self.close_pass();
        if self.shards.end == SHARDS {
            return false;
        }
        // Names are spread evenly: what had room in this pass has room in the next.
        let width = self.shards.len().max(1);
        let begin = self.shards.end;
        self.shards = begin..SHARDS.min(begin.saturating_add(u16::try_from(width).unwrap_or(SHARDS)));
        self.pass += 1;
        true
    }

    /// Which pass this is, from 1, and how many there will be, as it seems now.
    #[must_use]
    pub fn passes(&self) -> (u32, u32) {
        let left = u32::from(SHARDS - self.shards.end);
        (self.pass, self.pass + left.div_ceil(u32::try_from(self.shards.len()).unwrap_or(1).max(1)))
    }

    /// The orders of this pass beside the participants' books. It takes them out: what has to be asked about single
    /// orders or commands of this pass has to be asked before.
    #[must_use]
    pub fn comparison(&mut self) -> Comparison {
        let shards = self.shards.clone();
        Comparison::new(self.key, shards, self.close_pass())
    }

    fn close_pass(&mut self) -> Table<OrderTail> {
        let mut done = std::mem::take(&mut self.done);
        self.add_pass(&mut done);
        self.done = done;
        self.found = Found::default();
        self.parked = HashMap::new();
        self.names_bytes = 0;
        std::mem::take(&mut self.orders)
    }

    fn add_pass(&self, check: &mut LogCheck) {
        self.orders.iter().for_each(|(_, tail)| check.order(tail));
        check.parked_orders += self.parked.len() as u64;
        for (order, waiting) in &self.parked {
            let tail = self.orders.get(&self.key.order(order));
            // One that was decided before its order was parked is in the books already.
            let new =
                waiting.iter().filter(|one| !tail.is_some_and(|tail| tail.recorded.contains(one))).count();
            check.ledger.entry(order.tenant.clone()).or_default().parked += new as u64;
        }
        check.violation_count += self.found.counts.values().sum::<u64>();
        let room = VIOLATIONS_MAX.saturating_sub(check.violations.len());
        check.violations.extend(self.found.kept.iter().take(room).map(|(_, violation)| violation.clone()));
    }

    /// What each order of this pass did to goods and money, by [`CheckKey::order`], in no order.
    pub fn effects(&self) -> impl Iterator<Item = (&[u8; 16], &Effects)> {
        self.orders.iter().map(|(key, tail)| (key, &tail.life.effects))
    }

    /// Orders that wait for a step, or for people, in all passes so far.
    #[must_use]
    pub fn open_orders(&self) -> u64 {
        let open = self.orders.iter().filter(|(_, tail)| tail.life.waits()).count();
        self.done.open_orders + open as u64
    }

    /// The orders of this pass under a park mark now, in the order of their names.
    #[must_use]
    pub fn parked(&self) -> Vec<OrderRef> {
        let mut orders: Vec<OrderRef> = self.parked.keys().cloned().collect();
        orders.sort();
        orders
    }

    /// Whether this pass looks at an order. All are looked at in one pass unless memory is bounded.
    #[must_use]
    pub fn covers(&self, order: &OrderRef) -> bool {
        self.shards.contains(&shard_of(&self.key.order(order)))
    }

    /// Is a command of an order of this pass recorded, or does it wait behind a park mark? For auditors who hold the
    /// other side.
    #[must_use]
    pub fn knows(&self, order: &OrderRef, key: &CommandKey) -> bool {
        let name = self.key.command(key.source.as_str(), key.id.as_str());
        self.orders.get(&self.key.order(order)).is_some_and(|tail| tail.recorded.contains(&name))
            || self.parked.get(order).is_some_and(|waiting| waiting.contains(&name))
    }

    /// What names of orders are hashed with.
    #[must_use]
    pub const fn key(&self) -> CheckKey {
        self.key
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
            self.report_once(
                InvariantId::Fence,
                format!("group {} of partition {}: {text}", fence.group, fence.partition),
            );
        }
    }

    fn record(&mut self, fence: &Fence, bytes: &[u8]) {
        let first = self.pass == 1;
        // Most records of a later pass are looked at in another one: their order is all that has to be read of them.
        if !first && order_of(bytes).is_ok_and(|order| !self.covers(&order)) {
            return;
        }
        self.done.records += u64::from(first);
        let decoded = v1::decode(bytes).and_then(|record| {
            let order = order_ref(&record.tenant, &record.order)?;
            Ok((record, order))
        });
        let (record, order) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                let text =
                    format!("a record in group {} of partition {}: {error}", fence.group, fence.partition);
                return self.report_once(InvariantId::Chain, text);
            }
        };
        if first {
            self.count(&record.tenant, Added::by(&record));
        }
        let name = self.key.order(&order);
        let shard = shard_of(&name);
        if !self.shards.contains(&shard) {
            return;
        }
        let mut wrong = Vec::new();
        if partition_of(&order, self.partitions) != fence.partition {
            let text = format!("{order} does not live in partition {}", fence.partition);
            wrong.push(Violation::new(InvariantId::Chain, text));
        }
        let tail = self.orders.get_or_default(name);
        let before = tail.recorded.heap_bytes();
        tail.record(&record, bytes, &self.key, &mut |violation| wrong.push(violation));
        self.names_bytes += tail.recorded.heap_bytes() - before;
        wrong.into_iter().for_each(|violation| self.report(Some(shard), violation));
        while self.memory_bytes() > self.memory_max_bytes && self.shards.len() > 1 {
            self.put_off_one_shard();
        }
    }

    fn count(&mut self, tenant: &str, added: Added) {
        match self.tenants.get_mut(tenant) {
            Some(counts) => {
                counts.applied += added.applied;
                counts.rejected += added.rejected;
            }
            None => {
                let counts = TenantLedger { applied: added.applied, rejected: added.rejected, parked: 0 };
                self.tenants.insert(tenant.into(), counts);
            }
        }
    }

    /// What it holds, and will hold when the other side's books are laid beside it.
    fn memory_bytes(&self) -> usize {
        self.orders.bytes() + self.names_bytes.max(self.orders.len() * BOOKS_SIDE_BYTES)
    }

    /// There is no room: the last shard's orders are forgotten, and checked in a later pass.
    fn put_off_one_shard(&mut self) {
        let shard = self.shards.end - 1;
        self.shards.end = shard;
        for (_, tail) in self.orders.take_shard(shard) {
            self.names_bytes -= tail.recorded.heap_bytes();
        }
        let key = self.key;
        self.parked.retain(|order, _| shard_of(&key.order(order)) != shard);
        self.found.kept.retain(|(of, _)| *of != Some(shard));
        self.found.counts.remove(&Some(shard));
    }

    fn control(&mut self, fence: &Fence, bytes: &[u8]) {
        let control = match Control::decode(bytes) {
            Ok(control) => control,
            Err(error) => {
                let text =
                    format!("a control in group {} of partition {}: {error}", fence.group, fence.partition);
                return self.report_once(InvariantId::Chain, text);
            }
        };
        let (Control::Park { order, .. }
        | Control::ParkedCommand { order, .. }
        | Control::Release { order, .. }) = &control;
        let shard = shard_of(&self.key.order(order));
        if !self.shards.contains(&shard) {
            return;
        }
        match control {
            Control::Park { order, .. } => drop(self.parked.entry(order).or_default()),
            Control::ParkedCommand { order, key, .. } => match self.parked.get_mut(&order) {
                Some(waiting) => drop(waiting.insert(self.key.stored_command(&key))),
                None => {
                    let text = format!("{order}: {} waits behind no park mark", key.replace('\0', "#"));
                    self.report(Some(shard), Violation::new(InvariantId::Ledger, text));
                }
            },
            Control::Release { order, .. } => drop(self.parked.remove(&order)),
        }
    }

    /// What belongs to no order is told in the first pass, and in no other.
    fn report_once(&mut self, id: InvariantId, detail: String) {
        if self.pass == 1 {
            self.report(None, Violation::new(id, detail));
        }
    }

    fn report(&mut self, shard: Option<u16>, violation: Violation) {
        *self.found.counts.entry(shard).or_default() += 1;
        if self.found.kept.len() < VIOLATIONS_MAX {
            self.found.kept.push((shard, violation));
        }
    }
}

/// Checks a log that fits into memory. For tests: names are hashed with [`CheckKey::FIXED`].
#[must_use]
pub fn check_log<'a>(
    partitions: u16,
    groups: impl IntoIterator<Item = &'a LoggedGroup>,
) -> (Ledger, Vec<Violation>) {
    let mut checker = LogChecker::new(partitions, CheckKey::FIXED);
    groups.into_iter().for_each(|group| checker.group(group));
    let check = checker.result();
    (check.ledger, check.violations)
}
