//! Reading a whole log through the engine's checker: for the report of a run, and for `verify`.

use std::collections::BTreeMap;

use retailflow_cluster::disk::log::group::{EntryKind, decode_group};
use retailflow_cluster::disk::log::{Frame, FrameKind};
use retailflow_engine::codec::control::Note;
use retailflow_engine::invariant::{InvariantId, LogCheck, LogChecker};
use retailflow_engine::ports::{EventLog, LogPosition, LoggedEntry, LoggedGroup};
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_engine::wire::report::{InvariantResult, OrderCounts};
use tokio::runtime::Runtime;

use crate::exit::{ExitStatus, Failure, OrExit};

/// Bytes of groups read at once.
const SCAN_BYTES: usize = 8 << 20;
/// Violations named in one invariant's detail.
const NAMED_MAX: usize = 5;

/// What the log says of the invariants.
pub(crate) struct Audit {
    /// How many orders there are, by what they show.
    pub(crate) orders: OrderCounts,
    /// Whether each invariant that the log can tell of held.
    pub(crate) invariants: Vec<InvariantResult>,
    /// All that was counted.
    pub(crate) check: LogCheck,
}

impl Audit {
    /// Reads all of an open log.
    pub(crate) fn of(log: &dyn EventLog, runtime: &Runtime) -> Result<Self, Failure> {
        let mut checker = LogChecker::new(log.identity().partitions);
        let mut after = LogPosition(0);
        loop {
            let groups = runtime.block_on(log.scan(after, SCAN_BYTES));
            let groups = groups.or_exit(ExitStatus::Finding, || "cannot read the log")?;
            let Some(last) = groups.last() else { break };
            after = last.position;
            groups.iter().for_each(|group| checker.group(group));
        }
        Ok(Self::conclude(&checker))
    }

    /// What a checker that has seen all of a log says.
    pub(crate) fn conclude(checker: &LogChecker) -> Self {
        let check = checker.result();
        let parked = checker.parked().len() as u64;
        // Every order that exists is open until the saga moves it on.
        let by_status = BTreeMap::from([(OrderStatus::Open.as_str().to_owned(), check.orders)]);
        let by_attention =
            [(Attention::None, check.orders.saturating_sub(parked)), (Attention::Parked, parked)];
        let by_attention = by_attention.into_iter().filter(|(_, count)| *count > 0);
        let told = [
            InvariantId::Chain,
            InvariantId::Fence,
            InvariantId::OnceRecorded,
            InvariantId::Transitions,
            InvariantId::Amounts,
        ];
        let invariants = told.into_iter().map(|id| result(id, &check)).collect();
        let orders = OrderCounts {
            by_status,
            by_attention: by_attention
                .map(|(attention, count)| (attention.as_str().to_owned(), count))
                .collect(),
        };
        Self { orders, invariants, check }
    }
}

fn result(id: InvariantId, check: &LogCheck) -> InvariantResult {
    let broken: Vec<&str> =
        check.violations.iter().filter(|violation| violation.id == id).map(|v| v.detail.as_str()).collect();
    let detail = if broken.is_empty() {
        format!("{} groups, {} records, {} orders", check.groups, check.records, check.orders)
    } else {
        let named = broken.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join("; ");
        let more = broken.len().saturating_sub(NAMED_MAX);
        if more > 0 { format!("{named}; and {more} more") } else { named }
    };
    InvariantResult { id: id.as_str().to_owned(), held: broken.is_empty(), detail }
}

/// A frame as the engine's checker takes it; `None` for frames that hold no group.
///
/// # Errors
/// What is wrong with the frame's content, in words.
pub(crate) fn group_of(frame: &Frame) -> Result<Option<LoggedGroup>, String> {
    match frame.kind {
        FrameKind::Group => {}
        FrameKind::Note => {
            return Note::decode(&frame.payload).map(|_| None).map_err(|error| error.to_string());
        }
        _ => return Ok(None),
    }
    let (fence, entries) = decode_group(&frame.payload)?;
    let entries = entries
        .into_iter()
        .map(|entry| match entry.kind {
            EntryKind::Record => LoggedEntry::Record(entry.bytes.to_vec()),
            EntryKind::Control => LoggedEntry::Control(entry.bytes.to_vec()),
        })
        .collect();
    Ok(Some(LoggedGroup { position: LogPosition(frame.position.0), fence: fence.to_vec(), entries }))
}
