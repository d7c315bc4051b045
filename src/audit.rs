//! Reading a whole log through the engine's checker: for the report of a run, and for `verify`.

use std::collections::BTreeMap;
use std::path::Path;

use retailflow_cluster::disk::log::group::{EntryKind, decode_group};
use retailflow_cluster::disk::log::{Frame, FrameKind};
use retailflow_engine::codec::control::Note;
use retailflow_engine::invariant::{Effects, InvariantId, LogCheck, LogChecker, sides};
use retailflow_engine::memory::participants::BookTotals;
use retailflow_engine::ports::{EventLog, LogPosition, LoggedEntry, LoggedGroup};
use retailflow_engine::wire::order::Attention;
use retailflow_engine::wire::report::{BookSums, BooksReport, InvariantResult, OrderCounts};
use tokio::runtime::Runtime;

use crate::exit::{ExitStatus, Failure, OrExit};
use crate::participants;

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
    /// Both sides of the books, where participants keep some.
    pub(crate) books: Option<BooksReport>,
    checker: LogChecker,
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
        Ok(Self::conclude(checker))
    }

    /// What a checker that has seen all of a log says.
    pub(crate) fn conclude(checker: LogChecker) -> Self {
        let check = checker.result();
        let parked = checker.parked().len() as u64;
        let owned = |counts: &BTreeMap<&'static str, u64>| -> BTreeMap<String, u64> {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let mut by_attention = owned(&check.by_attention);
        if parked > 0 {
            let none = by_attention.entry(Attention::None.as_str().to_owned()).or_default();
            *none = none.saturating_sub(parked);
            *by_attention.entry(Attention::Parked.as_str().to_owned()).or_default() += parked;
        }
        by_attention.retain(|_, count| *count > 0);
        let told = [
            InvariantId::Chain,
            InvariantId::Fence,
            InvariantId::OnceRecorded,
            InvariantId::Transitions,
            InvariantId::Amounts,
            InvariantId::Money,
            InvariantId::Goods,
            InvariantId::Deadline,
        ];
        let invariants = told.into_iter().map(|id| result(id, &check)).collect();
        let orders = OrderCounts { by_status: owned(&check.by_status), by_attention };
        Self { orders, invariants, check, books: None, checker }
    }

    /// Compares with the books that participants keep beside a data directory, if they do.
    ///
    /// # Errors
    /// A [`Failure`] when a book cannot be read.
    pub(crate) fn with_books(mut self, data: &Path) -> Result<Self, Failure> {
        let folder = participants::folder(data);
        if !folder.is_dir() {
            return Ok(self);
        }
        let totals = retailflow_cluster::participants::audit(&folder);
        let totals = totals.or_exit(ExitStatus::Finding, || "the participants' books cannot be read")?;
        let open = self.checker.open_orders();
        let differences = if open == 0 { sides(self.checker.effects(), &totals) } else { Vec::new() };
        let detail = match differences.first() {
            _ if open > 0 => format!("not compared: {open} orders are on their way"),
            None => format!("{} orders, {} entries in their books", totals.orders.len(), totals.entries),
            Some(first) => format!("{} differences; the first: {}", differences.len(), first.detail),
        };
        let held = differences.is_empty();
        self.invariants.push(InvariantResult { id: InvariantId::Sides.as_str().to_owned(), held, detail });
        let ours = ours(&self.check, self.checker.effects());
        self.books = Some(BooksReport {
            ours,
            theirs: theirs(&totals),
            agree: held,
            compensations: self.check.effects.values().map(|sums| sums.compensations).sum(),
            ..BooksReport::default()
        });
        Ok(self)
    }
}

fn clamped(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(i64::MAX)
}

fn ours<'a>(check: &LogCheck, effects: impl Iterator<Item = (&'a [u8; 16], &'a Effects)>) -> BookSums {
    let mut sums = BookSums::default();
    for (currency, of) in check.effects.iter().filter(|(currency, _)| !currency.trim_matches('\0').is_empty())
    {
        sums.captured_minor.insert(currency.clone(), clamped(of.captured_minor));
        sums.refunded_minor.insert(currency.clone(), clamped(of.refunded_minor));
        sums.reserved_units += of.reserved_units;
        sums.booked_units += of.booked_units;
        sums.restocked_units += of.restocked_units;
    }
    sums.orders_without_payment = effects.filter(|(_, effects)| !effects.payment_asked).count() as u64;
    sums
}

fn theirs(totals: &BookTotals) -> BookSums {
    let mut sums = BookSums::default();
    for (currency, money) in &totals.money {
        sums.captured_minor.insert(currency.code().to_owned(), clamped(money.captured));
        sums.refunded_minor.insert(currency.code().to_owned(), clamped(money.refunded));
    }
    let net = |plus: i64, minus: i64| u64::try_from(plus - minus).unwrap_or(0);
    for sides in totals.orders.values() {
        sums.reserved_units += net(sides.reserved_units, sides.released_units);
        sums.booked_units += net(sides.booked_units, sides.canceled_units);
        sums.restocked_units += net(sides.restocked_units, 0);
        sums.orders_without_payment += u64::from(sides.payment_calls == 0);
    }
    sums
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
