//! Reading a whole log through the engine's checker: for the report of a run, and for `verify`.
//!
//! Invariant: it holds no more memory than [`MEMORY_MAX_BYTES`] for orders, however many there are: it reads the log, and
//! the participants' books, as often as it takes, and says how far it is. What was not compared is said as that.

mod books;
mod progress;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use retailflow_disk::log::group::{EntryKind, decode_group};
use retailflow_disk::log::{Frame, FrameKind};
use retailflow_engine::codec::control::Note;
use retailflow_engine::codec::record::order_of;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{EventLog, LogPosition, LoggedEntry, LoggedGroup};
use retailflow_engine::wire::order::Attention;
use retailflow_engine::wire::report::{BooksReport, InvariantResult, OrderCounts};
use retailflow_invariants::{InvariantId, LogCheck, LogChecker, SidesCheck};
use tokio::runtime::Runtime;

use self::books::BooksSide;
pub(crate) use self::progress::Progress;
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Bytes of groups read at once.
const SCAN_BYTES: usize = 8 << 20;
/// Violations named in one invariant's detail.
const NAMED_MAX: usize = 5;
/// What orders may take in memory, both sides' books together. A process has some 60 MB beside that.
const MEMORY_MAX_BYTES: usize = 384 << 20;

/// A piece of a log, as it is read from its beginning.
pub(crate) enum Piece<'a> {
    /// How many partitions it has. Comes before the first group.
    Partitions(u16),
    /// A group.
    Group(&'a LoggedGroup),
}

/// Reads a log from its beginning to its end, each time it is called, and gives away its pieces.
pub(crate) type ReadLog<'a> = dyn FnMut(&mut dyn FnMut(Piece<'_>)) -> Result<(), Failure> + 'a;

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
    /// The checker, which knows where each partition ends.
    pub(crate) checker: LogChecker,
}

impl Audit {
    /// Reads all of an open log, and the books beside it.
    pub(crate) fn of(
        log: &dyn EventLog,
        runtime: &Runtime,
        data: &Path,
        progress: Progress,
    ) -> Result<Self, Failure> {
        let mut read = |take: &mut dyn FnMut(Piece<'_>)| {
            take(Piece::Partitions(log.identity().partitions));
            let mut after = LogPosition(0);
            loop {
                let groups = runtime.block_on(log.scan(after, SCAN_BYTES));
                let groups = groups.or_exit(ExitStatus::Finding, || "cannot read the log")?;
                let Some(last) = groups.last() else { return Ok(()) };
                after = last.position;
                groups.iter().for_each(|group| take(Piece::Group(group)));
            }
        };
        Self::conduct(&mut read, Some(data), progress, &mut |_| Ok(()))
    }

    /// Reads a log as often as it takes, and with `data` the books beside it. `each_pass` may ask the checker about
    /// the orders of a pass.
    ///
    /// # Errors
    /// What reading says; a [`Failure`] when a book cannot be read.
    pub(crate) fn conduct(
        read: &mut ReadLog<'_>,
        data: Option<&Path>,
        mut progress: Progress,
        each_pass: &mut dyn FnMut(&LogChecker) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let key = app::check_key();
        let mut checker = LogChecker::bounded(1, key, MEMORY_MAX_BYTES);
        let mut side = data.and_then(BooksSide::beside);
        let mut sides = SidesCheck::default();
        loop {
            progress.pass();
            read(&mut |piece| match piece {
                // It is said again in each pass, and was known in the first.
                Piece::Partitions(partitions) if checker.passes().0 == 1 => {
                    checker = LogChecker::bounded(partitions, key, MEMORY_MAX_BYTES);
                }
                Piece::Partitions(_) => {}
                Piece::Group(group) => {
                    checker.group(group);
                    progress.group(group, checker.passes());
                }
            })?;
            each_pass(&checker)?;
            if let Some(side) = &mut side {
                sides.merge(side.compare(&mut checker, &mut progress));
            }
            if !checker.next_pass() {
                break;
            }
        }
        if side.is_some() {
            name_orders(read, &checker, &mut sides)?;
        }
        let mut audit = Self::conclude(checker);
        let (books, result) = match &side {
            Some(side) => side.conclude(&audit.check, &sides),
            None => (None, books::none(data)),
        };
        audit.books = books;
        audit.invariants.extend(result);
        Ok(audit)
    }

    /// What a checker that has seen all of a log says.
    fn conclude(checker: LogChecker) -> Self {
        let check = checker.result();
        let parked = check.parked_orders;
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
}

/// Differences know their orders by a hash; people know them by their names. Those that no book has are in the log.
fn name_orders(read: &mut ReadLog<'_>, checker: &LogChecker, sides: &mut SidesCheck) -> Result<(), Failure> {
    let key = checker.key();
    let unnamed = sides.named.iter().filter(|difference| difference.order.is_none());
    let mut names: HashMap<[u8; 16], Option<OrderRef>> = unnamed.map(|one| (one.key, None)).collect();
    if names.is_empty() {
        return Ok(());
    }
    read(&mut |piece| {
        let Piece::Group(group) = piece else { return };
        for entry in &group.entries {
            let LoggedEntry::Record(bytes) = entry else { continue };
            let Ok(order) = order_of(bytes) else { continue };
            if let Some(name @ None) = names.get_mut(&key.order(&order)) {
                *name = Some(order);
            }
        }
    })?;
    for difference in sides.named.iter_mut().filter(|difference| difference.order.is_none()) {
        difference.order = names.get(&difference.key).cloned().flatten();
    }
    Ok(())
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
    InvariantResult { id: id.as_str().to_owned(), held: broken.is_empty(), not_compared: false, detail }
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
