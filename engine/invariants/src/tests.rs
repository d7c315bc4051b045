//! The checker on a log that keeps every promise, and on what each kind of damage makes of it.

use super::*;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::fence::{Fence, IntakeFloor};
use retailflow_engine::codec::v1::{self, BodyV1, EventV1, VerdictV1};
use retailflow_engine::ids::{
    CommandId, CommandKey, OrderId, OrderRef, PartitionId, Source, TenantId, TimestampMs,
};
use retailflow_engine::memory::{MemoryLog, next_fence};
use retailflow_engine::order::{Actor, Aggregate, Command, Context, Draft, Policy};
use retailflow_engine::ports::{
    ControlEntry, Group, LogIdentity, LoggedEntry, LoggedGroup, OrderEntry, PartitionHead,
};
use retailflow_engine::wire::{Code, Durability, Outcome, decode_command};

const POLICY: Policy = Policy { step_deadline_ms: 1000, decisions_max: 1000, ..Policy::v1() };

fn order() -> OrderRef {
    OrderRef { tenant: TenantId::parse("t").unwrap(), order: OrderId::parse("o").unwrap() }
}

fn command(id: &str) -> Command {
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"retailflow.order.place.v1","tenant":"t","subject":"o",
        "data":{{"customer":"c","currency":"USD","lines":[{{"line_id":"1","sku":"s","quantity":1,"amount_minor":5}}]}}}}"#
    );
    Command::from_event(decode_command(text.as_bytes()).unwrap(), Actor::Tenant)
}

/// A log of one partition: a take-over, a record of two decisions, a record of one, a park mark with a command.
fn log() -> Vec<LoggedGroup> {
    log_until(false)
}

/// As `log`; `released`: until what waits is decided and the mark gone.
fn log_until(released: bool) -> Vec<LoggedGroup> {
    let identity = LogIdentity {
        log_id: [1; 16],
        cluster: "c".into(),
        partitions: 1,
        shards: 1,
        created: TimestampMs(0),
    };
    let log = MemoryLog::new(identity);
    let mut head = PartitionHead { fence: None, hash: retailflow_engine::keys::GENESIS };
    let mut append = |records: Vec<OrderEntry>, controls: Vec<ControlEntry>, floor: u64| {
        let mut group = Group { fence: next_fence(&head, PartitionId(0), 1), records, controls };
        group.fence.entries = (group.records.len() + group.controls.len()) as u32;
        group.fence.digest = MemoryLog::digest_of(&group);
        group.fence.intake = vec![IntakeFloor { inbox: [3; 16], position: floor }];
        log.commit_now(&group).unwrap();
        let hash = retailflow_engine::codec::fence::fence_hash(&group.fence.encode().unwrap());
        head = PartitionHead { fence: Some(group.fence), hash };
    };
    let mut aggregate = Aggregate::new(order());
    append(Vec::new(), Vec::new(), 0);
    for (floor, ids) in [(2, &["a", "b"][..]), (3, &["c"][..])] {
        let mut draft = Draft::new(&aggregate);
        for id in ids {
            draft.decide(&aggregate, &command(id), &Context { now: TimestampMs(9), policy: POLICY }, false);
        }
        let sealed = draft.seal(&aggregate).unwrap();
        let entry = OrderEntry {
            order: order(),
            expected_revision: sealed.expected_revision,
            next_revision: sealed.next_revision,
            deadline: sealed.deadline,
            bytes: sealed.bytes.clone(),
        };
        append(vec![entry], Vec::new(), floor);
        sealed.commit_to(&mut aggregate, 10);
    }
    let at = TimestampMs(9);
    let mark = Control::Park { order: order(), reason: "r".into(), at };
    let waits = |sequence: u64, id: &str| Control::ParkedCommand {
        order: order(),
        sequence,
        key: format!("/s\0{id}"),
        content_hash: command(id).content_hash,
        body: Vec::new(),
        actor: retailflow_engine::codec::v1::ActorV1::Tenant,
        trace_id: None,
        at,
    };
    let entry = |control: Control| ControlEntry { order: order(), bytes: control.encode().unwrap().into() };
    append(
        Vec::new(),
        vec![entry(mark), entry(waits(1, "d")), entry(waits(2, "a")), entry(waits(3, "d"))],
        4,
    );
    if released {
        let mut draft = Draft::new(&aggregate);
        draft.decide(&aggregate, &command("d"), &Context { now: at, policy: POLICY }, false);
        let sealed = draft.seal(&aggregate).unwrap();
        let record = OrderEntry {
            order: order(),
            expected_revision: sealed.expected_revision,
            next_revision: sealed.next_revision,
            deadline: sealed.deadline,
            bytes: sealed.bytes,
        };
        append(vec![record], Vec::new(), 5);
        append(Vec::new(), vec![entry(Control::Release { order: order(), actor: "ann".into(), at })], 5);
    }
    log.groups()
}

fn found(groups: &[LoggedGroup]) -> Vec<InvariantId> {
    let mut ids: Vec<InvariantId> =
        check_log(1, groups).1.into_iter().map(|violation| violation.id).collect();
    ids.dedup();
    ids
}

/// Changes a record as a forger would who does not know of digests: only what is asked about is looked for.
fn with_record(change: impl Fn(&mut v1::RecordV1)) -> Vec<InvariantId> {
    let mut groups = log();
    let LoggedEntry::Record(bytes) = &mut groups[1].entries[0] else { panic!("a record") };
    let mut record = v1::decode(bytes).unwrap();
    change(&mut record);
    *bytes = v1::encode(&record).unwrap();
    found(&groups)
}

fn with_fence(at: usize, change: impl Fn(&mut Fence)) -> Vec<InvariantId> {
    let mut groups = log();
    let mut fence = Fence::decode(&groups[at].fence).unwrap();
    change(&mut fence);
    groups[at].fence = fence.encode().unwrap();
    found(&groups)
}

#[test]
fn an_honest_log_holds_and_is_counted() {
    let (ledger, violations) = check_log(1, &log());
    assert_eq!(violations, []);
    // `a` waits behind the mark, and is in the books already; `d` is counted once.
    assert_eq!(ledger[&order().tenant], TenantLedger { applied: 1, rejected: 2, parked: 1 });
}

#[test]
fn a_released_command_is_counted_once() {
    let released = log_until(true);
    for (groups, parked) in [(&released[..], 0), (&released[..released.len() - 1], 0)] {
        let (ledger, violations) = check_log(1, groups);
        assert_eq!(violations, []);
        assert_eq!(ledger[&order().tenant], TenantLedger { applied: 1, rejected: 3, parked });
    }
}

#[test]
fn damage_to_the_groups_is_seen() {
    assert_eq!(with_fence(3, |fence| fence.epoch = 0), [InvariantId::Fence]);
    assert_eq!(with_fence(3, |fence| fence.group = 9), [InvariantId::Fence]);
    assert_eq!(with_fence(3, |fence| fence.previous = [1; 32]), [InvariantId::Fence]);
    assert_eq!(with_fence(3, |fence| fence.digest = [1; 32]), [InvariantId::Fence]);
    assert_eq!(with_fence(3, |fence| fence.entries = 2), [InvariantId::Fence]);
    assert_eq!(with_fence(3, |fence| fence.intake[0].position = 1), [InvariantId::Fence]);
    assert_eq!(with_fence(3, |fence| fence.partition = PartitionId(4)), [InvariantId::Fence]);
    for gone in 0..3 {
        let mut groups = log();
        groups.remove(gone);
        assert!(found(&groups).contains(&InvariantId::Fence), "group {gone}");
    }
    let mut groups = log();
    groups[3].entries.remove(0);
    assert!(found(&groups).contains(&InvariantId::Ledger), "a queue without a mark");
}

#[test]
fn damage_to_a_record_is_seen() {
    let decisions =
        |record: &mut v1::RecordV1, change: &dyn Fn(&mut Vec<v1::DecisionV1>)| match &mut record.body {
            BodyV1::Decisions(decisions) => change(decisions),
            _ => panic!("decisions"),
        };
    assert!(with_record(|record| record.expected_revision = 1).contains(&InvariantId::Chain));
    assert!(with_record(|record| record.previous = [1; 32]).contains(&InvariantId::Chain));
    let repeated = |all: &mut Vec<v1::DecisionV1>| all[1].id = "a".into();
    assert!(with_record(|record| decisions(record, &repeated)).contains(&InvariantId::OnceRecorded));
    let version = |all: &mut Vec<v1::DecisionV1>| all[0].verdict = VerdictV1::Applied { version: 2 };
    assert!(with_record(|record| decisions(record, &version)).contains(&InvariantId::Transitions));
    let turned = |all: &mut Vec<v1::DecisionV1>| all.reverse();
    assert!(with_record(|record| decisions(record, &turned)).contains(&InvariantId::Transitions));
    let total = |all: &mut Vec<v1::DecisionV1>| {
        let EventV1::Placed(placed) = &mut all[0].events[0] else { panic!("placed") };
        placed.total_minor += 1;
    };
    assert!(with_record(|record| decisions(record, &total)).contains(&InvariantId::Amounts));
    let mut groups = log();
    groups[1].entries[0] = LoggedEntry::Record(b"nothing".to_vec());
    assert!(found(&groups).contains(&InvariantId::Chain));
}

#[test]
fn what_was_told_must_stand_in_the_log() {
    let key =
        |id: &str| CommandKey { source: Source::parse("/s").unwrap(), id: CommandId::parse(id).unwrap() };
    let applied = |id: &str| Outcome::recorded(&order(), &key(id), Code::Applied, 1, Durability::MEMORY);
    let mut book = OutcomeBook::default();
    book.given(&order(), &key("a"), &applied("a")).unwrap();
    book.given(&order(), &key("a"), &applied("a").into_replayed()).unwrap();
    let parked = Outcome::recorded(&order(), &key("d"), Code::Parked, None, Durability::MEMORY);
    book.given(&order(), &key("d"), &parked).unwrap();
    assert_eq!(book.check_log(&log()), []);
    assert_eq!(book.answered().count(), 2);

    let other = Outcome { version: Some(2), ..applied("a") };
    assert_eq!(book.given(&order(), &key("a"), &other).unwrap_err().id, InvariantId::OneOutcome);
    // `b` was rejected, `e` never came, `c` does not wait, and `d` has no other content.
    book.given(&order(), &key("b"), &applied("b")).unwrap();
    book.given(&order(), &key("e"), &applied("e")).unwrap();
    book.given(&order(), &key("c"), &Outcome { command_id: Some(key("c").id), ..parked }).unwrap();
    book.refused_as_reused(&order(), &key("d"), command("d").content_hash);
    let lost = book.check_log(&log());
    assert!(lost.len() == 4 && lost.iter().all(|violation| violation.id == InvariantId::Durable), "{lost:?}");
}

/// A log of one record of so many orders, each under its own name.
fn log_of_orders(count: u64) -> Vec<LoggedGroup> {
    let identity = LogIdentity {
        log_id: [1; 16],
        cluster: "c".into(),
        partitions: 1,
        shards: 1,
        created: TimestampMs(0),
    };
    let log = MemoryLog::new(identity);
    let mut head = PartitionHead { fence: None, hash: retailflow_engine::keys::GENESIS };
    for number in 0..count {
        let order = OrderRef { order: OrderId::parse(&format!("o{number}")).unwrap(), ..order() };
        let mut aggregate = Aggregate::new(order.clone());
        // Some orders are met again after others.
        for round in 0..=number % 2 {
            let mut draft = Draft::new(&aggregate);
            let command = Command { order: order.clone(), ..command(&format!("c{round}")) };
            draft.decide(&aggregate, &command, &Context { now: TimestampMs(9), policy: POLICY }, false);
            let sealed = draft.seal(&aggregate).unwrap();
            let record = OrderEntry {
                order: order.clone(),
                expected_revision: sealed.expected_revision,
                next_revision: sealed.next_revision,
                deadline: sealed.deadline,
                bytes: sealed.bytes.clone(),
            };
            let mut group = Group {
                fence: next_fence(&head, PartitionId(0), 1),
                records: vec![record],
                controls: vec![],
            };
            group.fence.entries = 1;
            group.fence.digest = MemoryLog::digest_of(&group);
            log.commit_now(&group).unwrap();
            let hash = retailflow_engine::codec::fence::fence_hash(&group.fence.encode().unwrap());
            head = PartitionHead { fence: Some(group.fence), hash };
            sealed.commit_to(&mut aggregate, 10);
        }
    }
    log.groups()
}

/// However little memory there is: each order is checked in one pass, and all passes together find and count the same.
#[test]
fn a_bounded_checker_comes_to_the_same() {
    let mut groups = log_of_orders(600);
    // One record that follows nothing, and one that cannot be read.
    groups.remove(101);
    let LoggedEntry::Record(bytes) = &mut groups[300].entries[0] else { panic!("a record") };
    bytes.truncate(20);
    let mut whole = LogChecker::new(1, CheckKey::FIXED);
    groups.iter().for_each(|group| whole.group(group));
    let mut expected = whole.result();
    assert!(expected.violation_count >= 3 && expected.orders > 590);
    for key in [CheckKey::FIXED, CheckKey::new([9; 16])] {
        let mut checker = LogChecker::bounded(1, key, 40_000);
        let (mut passes, mut covered) = (0, 0);
        loop {
            groups.iter().for_each(|group| checker.group(group));
            passes += 1;
            covered += checker.effects().count();
            assert_eq!(checker.passes().0, passes);
            if !checker.next_pass() {
                break;
            }
        }
        assert!((3..40).contains(&passes), "{passes} passes");
        let mut result = checker.result();
        assert_eq!(covered as u64, result.orders, "each order in one pass");
        let by_text = |violations: &mut Vec<Violation>| {
            violations.sort_by(|a, b| a.detail.cmp(&b.detail));
        };
        by_text(&mut result.violations);
        by_text(&mut expected.violations);
        assert_eq!(result, expected);
    }
}
