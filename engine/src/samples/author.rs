//! Writes realistic records and groups, as an order and a committer would.

use std::sync::Arc;

use crate::codec::control::Control;
use crate::codec::fence::{Fence, fence_hash, group_digest};
use crate::codec::v1::{self, BodyV1, CheckpointV1, DeadlineV1, RecordV1};
use crate::ids::{CommandId, CommandKey, OrderId, OrderRef, PartitionId, Source, TenantId, TimestampMs};
use crate::keys::{GENESIS, chain_hash, partition_of, sha256};
use crate::order::{Actor, Aggregate, Command, Context, Draft, Drafted, Policy};
use crate::ports::{Commit, ControlEntry, DeadlineChange, EventLog, Group, OrderEntry, PartitionHead};
use crate::wire::{CommandData, content_hash};

/// How many ids the authors' orders keep in memory.
pub const RECENT_MAX: usize = 1000;

/// The context of all decisions made here.
pub const CONTEXT: Context = Context {
    now: TimestampMs(1_700_000_000_000),
    policy: Policy { step_deadline_ms: 60_000, ..Policy::v1() },
};

/// An order by its names.
#[must_use]
pub fn order(tenant: &str, order: &str) -> OrderRef {
    OrderRef { tenant: TenantId::parse(tenant).unwrap(), order: OrderId::parse(order).unwrap() }
}

/// `count` orders that live in `partition`.
#[must_use]
pub fn orders_in(partition: PartitionId, partitions: u16, count: usize) -> Vec<OrderRef> {
    let names =
        (0..).map(|number: u32| order(["shop", "till"][(number % 2) as usize], &format!("o-{number}")));
    names.filter(|order| partition_of(order, partitions) == partition).take(count).collect()
}

/// A place command under id `id`.
#[must_use]
pub fn place(order: &OrderRef, id: &str) -> Command {
    let data = serde_json::json!({
        "customer": "c-1",
        "currency": "EUR",
        "lines": [{ "line_id": "1", "sku": format!("sku of {id}"), "quantity": 2, "amount_minor": 1999 }],
        "attributes": { "channel": "web" },
    });
    let data = CommandData::Place(serde_json::from_value(data).unwrap());
    Command {
        order: order.clone(),
        key: CommandKey { source: Source::parse("/contract").unwrap(), id: CommandId::parse(id).unwrap() },
        actor: Actor::Tenant,
        time: Some(CONTEXT.now),
        trace_id: Some([7; 16]),
        content_hash: content_hash(&data),
        data: Arc::new(data),
    }
}

/// Writes one order's records, each following the last one it wrote.
#[derive(Debug, Clone)]
pub struct Author {
    /// The order as its records say it is.
    pub aggregate: Aggregate,
    commands: u64,
}

impl Author {
    /// The author of an order of which nothing is recorded.
    #[must_use]
    pub fn new(order: &OrderRef) -> Self {
        Self { aggregate: Aggregate::new(order.clone()), commands: 0 }
    }

    /// The next record, of `decisions` decisions: the first one ever places, the others are rejected. The deadline
    /// is what the domain says.
    pub fn write(&mut self, decisions: usize) -> OrderEntry {
        let mut draft = Draft::new(&self.aggregate);
        for _ in 0..decisions {
            self.commands += 1;
            let command = place(&self.aggregate.reference, &format!("c-{}", self.commands));
            let drafted = draft.decide(&self.aggregate, &command, &CONTEXT, true);
            assert!(matches!(drafted, Drafted::Decided(_)), "{drafted:?}");
        }
        let sealed = draft.seal(&self.aggregate).unwrap();
        let entry = OrderEntry {
            order: self.aggregate.reference.clone(),
            expected_revision: sealed.expected_revision,
            next_revision: sealed.next_revision,
            deadline: sealed.deadline,
            bytes: sealed.bytes.clone(),
        };
        sealed.commit_to(&mut self.aggregate, RECENT_MAX);
        entry
    }

    /// The next record, of one decision that does `deadline`.
    pub fn write_deadline(&mut self, deadline: DeadlineChange) -> OrderEntry {
        let before = self.aggregate.clone();
        let mut entry = self.write(1);
        let mut record = v1::decode(&entry.bytes).unwrap();
        let BodyV1::Decisions(decisions) = &mut record.body else { panic!("a draft holds decisions") };
        decisions[0].deadline = match deadline {
            DeadlineChange::Keep => DeadlineV1::Keep,
            DeadlineChange::Set(at) => DeadlineV1::Set(at.0),
            DeadlineChange::Clear => DeadlineV1::Clear,
        };
        entry.bytes = v1::encode(&record).unwrap().into();
        entry.deadline = deadline;
        self.aggregate = before;
        self.aggregate.fold(&entry.bytes, RECENT_MAX).unwrap();
        entry
    }

    /// A checkpoint of all that was written, for a log that holds `held` decisions of this order.
    pub fn checkpoint(&mut self, held: u64, log_id: [u8; 16]) -> OrderEntry {
        let mut ids: Vec<String> = self.aggregate.recent().map(|outcome| outcome.key.to_string()).collect();
        ids.sort_unstable();
        let record = RecordV1 {
            tenant: self.aggregate.reference.tenant.to_string(),
            order: self.aggregate.reference.order.to_string(),
            expected_revision: held,
            previous: self.aggregate.chain,
            body: BodyV1::Checkpoint(CheckpointV1 {
                version: self.aggregate.order.version,
                revision: self.aggregate.revision,
                state: self.aggregate.to_snapshot(log_id).unwrap(),
                ids_digest: sha256(ids.join("\n").as_bytes()),
                deadline: DeadlineV1::Keep,
            }),
        };
        let bytes = v1::encode(&record).unwrap();
        self.aggregate.chain = chain_hash(&bytes);
        OrderEntry {
            order: self.aggregate.reference.clone(),
            expected_revision: held,
            next_revision: record.next_revision(),
            deadline: DeadlineChange::Keep,
            bytes: bytes.into(),
        }
    }
}

/// A control record as a group's entry.
#[must_use]
pub fn control(control: &Control) -> ControlEntry {
    ControlEntry { order: control.order().clone(), bytes: control.encode().unwrap().into() }
}

/// Makes one partition's groups, each following the last acknowledged one. It holds no handle of the log, so that
/// the log can be reopened under it.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The partition it owns.
    pub partition: PartitionId,
    /// Its epoch.
    pub epoch: u64,
    /// The last group it knows of.
    pub head: PartitionHead,
}

impl Writer {
    /// Owns `partition` in `epoch`, and goes on where the log stands. Writes nothing.
    pub async fn open(log: &dyn EventLog, partition: PartitionId, epoch: u64) -> Self {
        Self { partition, epoch, head: log.head(partition).await.unwrap() }
    }

    /// The next group.
    #[must_use]
    pub fn group(&self, records: Vec<OrderEntry>, controls: Vec<ControlEntry>) -> Group {
        let parts =
            records.iter().map(|record| &*record.bytes).chain(controls.iter().map(|entry| &*entry.bytes));
        let fence = Fence {
            partition: self.partition,
            epoch: self.epoch,
            group: self.head.fence.as_ref().map_or(1, |fence| fence.group + 1),
            previous: self.head.hash,
            digest: group_digest(parts),
            entries: u32::try_from(records.len() + controls.len()).unwrap(),
            intake: Vec::new(),
            effects_floor: 0,
            node: "contract".into(),
            written: CONTEXT.now,
        };
        Group { fence, records, controls }
    }

    /// Takes note that `group` was acknowledged.
    pub fn acknowledged(&mut self, group: &Group) {
        self.head = head_after(group);
    }

    /// Appends the next group, which must be taken.
    pub async fn append(
        &mut self,
        log: &dyn EventLog,
        records: Vec<OrderEntry>,
        controls: Vec<ControlEntry>,
    ) -> (Group, Commit) {
        let group = self.group(records, controls);
        let commit = log.commit(group.clone()).await;
        let commit = commit.unwrap_or_else(|error| panic!("a group that follows must be taken: {error}"));
        self.acknowledged(&group);
        for record in &group.records {
            assert!(!log.seems_new(&record.order), "{} has a record", record.order);
        }
        (group, commit)
    }
}

/// The head of a partition whose last group is `group`.
#[must_use]
pub fn head_after(group: &Group) -> PartitionHead {
    PartitionHead { hash: fence_hash(&group.fence.encode().unwrap()), fence: Some(group.fence.clone()) }
}

/// Checks that `records`, as read from a log, are one whole chain: from the order's beginning or from a checkpoint,
/// each naming its predecessor's hash and revision. Gives the revision that it ends with.
pub fn verify_chain(order: &OrderRef, records: &[Vec<u8>]) -> u64 {
    let mut last: Option<(u64, [u8; 32])> = None;
    for (number, bytes) in records.iter().enumerate() {
        let summary = crate::codec::record::summary(bytes).unwrap();
        assert_eq!(summary.order, *order, "record {number} is another order's");
        match last {
            Some((revision, chain)) => {
                assert_eq!(summary.expected_revision, revision, "record {number} of {order}: a gap");
                assert_eq!(summary.previous, chain, "record {number} of {order} follows another record");
            }
            None => {
                let starts = matches!(v1::decode(bytes).unwrap().body, BodyV1::Checkpoint(_));
                assert!(
                    starts || summary.previous == GENESIS,
                    "{order}: a chain begins at nothing or a checkpoint"
                );
                assert!(starts || summary.expected_revision == 0, "{order}: the beginning is missing");
            }
        }
        last = Some((summary.next_revision, chain_hash(bytes)));
    }
    last.map_or(0, |(revision, _)| revision)
}
