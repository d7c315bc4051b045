//! What must hold when a world has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::codec::record::summary;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::invariant::{CheckKey, InvariantId, LogChecker, OutcomeBook, Violation, sides};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::Aggregate;
use retailflow_engine::ports::{Body, LoggedEntry, LoggedGroup};
use retailflow_engine::wire::{CommandData, decode_command};
use retailflow_testkit::simulated::BookTotals;

use crate::script::{POISON, Script};

type Name = (OrderRef, CommandKey);

/// All that a world left behind.
pub(crate) struct Rest<'a> {
    pub(crate) groups: &'a [LoggedGroup],
    pub(crate) partitions: u16,
    pub(crate) book: &'a OutcomeBook,
    pub(crate) script: &'a Script,
    /// Commands that only the competing writer was given.
    pub(crate) others_own: &'a BTreeSet<Name>,
    pub(crate) dead_letters: u64,
    /// What the participants' own books add up to.
    pub(crate) books: &'a BookTotals,
}

/// Everything that does not hold.
pub(crate) fn check(rest: &Rest<'_>) -> Vec<Violation> {
    let mut checker = LogChecker::new(rest.partitions, CheckKey::FIXED);
    rest.groups.iter().for_each(|group| checker.group(group));
    let result = checker.result();
    let mut violations = result.violations;
    violations.extend(rest.book.check_log(rest.groups));

    let counted: u64 =
        result.ledger.values().map(|tenant| tenant.applied + tenant.rejected + tenant.parked).sum();
    let answered: BTreeSet<&Name> = rest.book.answered().collect();
    let expected = answered.len() + rest.others_own.iter().filter(|name| !answered.contains(name)).count();
    if counted != expected as u64 {
        let text = format!(
            "{counted} commands recorded or parked in the log, {expected} answered so: {:?}",
            result.ledger
        );
        violations.push(Violation::new(InvariantId::Ledger, text));
    }
    if rest.dead_letters != rest.script.malformed {
        let text = format!("{} dead letters of {} malformed lines", rest.dead_letters, rest.script.malformed);
        violations.push(Violation::new(InvariantId::Ledger, text));
    }

    let poisoned =
        rest.script.events.iter().map(|event| &event.order).filter(|order| order.order.as_str() == POISON);
    let poisoned: BTreeSet<OrderRef> = poisoned.cloned().collect();
    let parked: BTreeSet<OrderRef> = checker.parked().into_iter().collect();
    if parked != poisoned {
        let text = format!("parked are {parked:?}, poisoned are {poisoned:?}");
        violations.push(Violation::new(InvariantId::Progress, text));
    }
    violations.extend(floors(rest, &checker));
    violations.extend(sides(checker.effects(), rest.books));
    violations
}

/// Below a partition's intake floor every command is recorded, parked or dead-lettered, or was refused for good: at
/// every group, not only at the end. And after a clean stop the floor is the end of the inbox.
fn floors(rest: &Rest<'_>, checker: &LogChecker) -> Vec<Violation> {
    let mut open: BTreeMap<PartitionId, BTreeMap<u64, Name>> = BTreeMap::new();
    for (position, body) in (1_u64..).zip(&rest.script.bodies) {
        let Body::Bytes(bytes) = body else { continue };
        let Ok(event) = decode_command(bytes) else { continue };
        // All but places are refused for good by this version.
        if matches!(event.data, CommandData::Place(_)) {
            let partition = partition_of(&event.order, rest.partitions);
            open.entry(partition).or_default().insert(position, (event.order, event.key));
        }
    }
    let mut violations = Vec::new();
    let mut logged: BTreeSet<Name> = BTreeSet::new();
    for group in rest.groups {
        logged.extend(group.entries.iter().flat_map(names));
        let Ok(fence) = Fence::decode(&group.fence) else { continue };
        let (Some(floor), Some(lines)) = (fence.intake.first(), open.get_mut(&fence.partition)) else {
            continue;
        };
        lines.retain(|_, name| !logged.contains(name));
        let below = lines.range(..=floor.position).next();
        if let Some((position, (order, key))) = below {
            let text = format!(
                "group {} of partition {} has floor {}, and {order} {key} of line {position} is nowhere",
                fence.group, fence.partition, floor.position
            );
            violations.push(Violation::new(InvariantId::Fence, text));
            break;
        }
    }
    let end = rest.script.bodies.len() as u64;
    for partition in (0..rest.partitions).map(PartitionId) {
        let reached = checker.floors(partition).first().map_or(0, |floor| floor.position);
        if reached != end {
            let text = format!("after a clean stop the floor of partition {partition} is {reached} of {end}");
            violations.push(Violation::new(InvariantId::Fence, text));
        }
    }
    violations
}

/// The commands that an entry records or parks.
fn names(entry: &LoggedEntry) -> Vec<Name> {
    match entry {
        LoggedEntry::Record(bytes) => {
            let (Ok(summary), Ok(outcomes)) = (summary(bytes), Aggregate::outcomes_in(bytes)) else {
                return Vec::new();
            };
            outcomes.into_iter().map(|outcome| (summary.order.clone(), outcome.key)).collect()
        }
        LoggedEntry::Control(bytes) => match Control::decode(bytes) {
            Ok(Control::ParkedCommand { order, body, .. }) => {
                decode_command(&body).map(|event| (order, event.key)).into_iter().collect()
            }
            _ => Vec::new(),
        },
    }
}
