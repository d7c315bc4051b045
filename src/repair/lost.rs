//! The file of what a repair takes away, or a salvage found behind a gap: JSON lines, a decision each.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use retailflow_disk::log::salvage::{Found, Gap, walk};
use retailflow_disk::log::{LogError, LogOptions, Place, Position};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::ports::LoggedEntry;
use retailflow_engine::wire::order::HistoryEntry;
use retailflow_invariants::{LoneDecision, MoneyStep, lone_record};
use serde::{Deserialize, Serialize};

use crate::audit::group_of;
use retailflow_server::app;
use retailflow_server::durable_file::DurableFile;

const SCHEMA: &str = "retailflow.lost.v1";
/// The longest line that is read back.
const LINE_MAX_BYTES: u64 = 16 << 20;
/// Amounts of orders whose place is not in the file.
const UNKNOWN_CURRENCY: &str = "unknown";

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineResult {
    /// The log that it was in is cut before it.
    Cut,
    /// It is in the new log, and what was given between it and the gap may not be.
    Salvaged,
    /// It is in no log any more: decisions before it are lost, and its order takes no commands until somebody has looked.
    BehindHole,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    /// First: of which log, and into which.
    Log {
        schema: String,
        log_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_log_id: Option<String>,
    },
    /// A stretch that can't be believed: what was in it is not known.
    Gap { from: String, until: Option<String>, reason: String, frames: Option<u64>, unfinished_write: bool },
    /// A decision that stands behind the first gap.
    Decision {
        tenant: String,
        order: String,
        fate: LineResult,
        #[serde(flatten)]
        entry: HistoryEntry,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placed: Option<(String, i64)>,
        #[serde(default, skip_serializing_if = "is_zero")]
        captured_minor: i64,
        #[serde(default, skip_serializing_if = "is_zero")]
        refunded_minor: i64,
    },
    /// A mark or a command of a parked order, or a note, in words.
    Other { fate: LineResult, what: String },
    /// Last.
    End(Sums),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

/// What stands in the file, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Gaps.
    pub(crate) gaps: u64,
    /// Orders with a decision in the file.
    pub(crate) orders: u64,
    /// Decisions.
    pub(crate) decisions: u64,
    /// Totals of the orders that were placed by one of them, in minor units by currency.
    pub(crate) placed_minor: BTreeMap<String, i64>,
    /// What they captured, in minor units by currency.
    pub(crate) captured_minor: BTreeMap<String, i64>,
    /// What they paid back, in minor units by currency.
    pub(crate) refunded_minor: BTreeMap<String, i64>,
    /// Captures and refunds whose amount does not stand in the file: they were asked for before the gap.
    pub(crate) unknown_amounts: u64,
}

/// A file of lost decisions that is being written.
pub(crate) struct LostFile {
    file: DurableFile,
    sums: Sums,
    orders: HashMap<OrderRef, Known>,
}

/// What the file has said of an order so far.
#[derive(Default)]
struct Known {
    currency: Option<String>,
    asked: HashMap<MoneyStep, i64>,
}

impl LostFile {
    /// Begins one about the log `log_id`.
    pub(crate) fn create(path: &Path, log_id: &str, new_log_id: Option<&str>) -> io::Result<Self> {
        let file = DurableFile::create(path)?;
        let mut this = Self { file, sums: Sums::default(), orders: HashMap::new() };
        let (schema, log_id) = (SCHEMA.to_owned(), log_id.to_owned());
        this.line(&Line::Log { schema, log_id, new_log_id: new_log_id.map(str::to_owned) })?;
        Ok(this)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")
    }

    /// Writes a gap.
    pub(super) fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        self.sums.gaps += 1;
        self.line(&Line::Gap {
            from: Place(gap.from).to_string(),
            until: gap.until.map(|until| Place(until).to_string()),
            reason: gap.reason.clone(),
            frames: gap.frames,
            unfinished_write: gap.unfinished_write,
        })
    }

    /// Writes an entry of a group.
    pub(super) fn entry(&mut self, entry: &LoggedEntry, fate: LineResult) -> io::Result<()> {
        match entry {
            LoggedEntry::Record(bytes) => {
                let record = lone_record(bytes).map_err(io::Error::other)?;
                record.decisions.iter().try_for_each(|decision| self.decision(&record.order, decision, fate))
            }
            LoggedEntry::Control(bytes) => {
                let control = Control::decode(bytes).map_err(io::Error::other)?;
                let order = control.order();
                let what = match &control {
                    Control::Park { reason, .. } => format!("{order} was parked: {reason}"),
                    Control::ParkedCommand { sequence, key, .. } => {
                        format!("command {sequence} behind {order}: {}", key.replace('\0', " "))
                    }
                    Control::Release { actor, .. } => format!("{order} was released by {actor}"),
                };
                self.line(&Line::Other { fate, what })
            }
        }
    }

    /// Writes what is no decision, in words.
    pub(super) fn other(&mut self, what: String, fate: LineResult) -> io::Result<()> {
        self.line(&Line::Other { fate, what })
    }

    fn decision(&mut self, order: &OrderRef, decision: &LoneDecision, fate: LineResult) -> io::Result<()> {
        self.sums.decisions += 1;
        if !self.orders.contains_key(order) {
            self.sums.orders += 1;
        }
        let known = self.orders.entry(order.clone()).or_default();
        if let Some((currency, total)) = &decision.placed {
            known.currency = Some(currency.clone());
            *self.sums.placed_minor.entry(currency.clone()).or_default() += total;
        }
        let currency = known.currency.as_deref().unwrap_or(UNKNOWN_CURRENCY);
        let (mut captured_minor, mut refunded_minor) = (0, 0);
        for (step, named) in &decision.moved {
            let (sums, here) = match step {
                MoneyStep::Capture => (&mut self.sums.captured_minor, &mut captured_minor),
                MoneyStep::Refund => (&mut self.sums.refunded_minor, &mut refunded_minor),
            };
            match named.or_else(|| known.asked.get(step).copied()) {
                Some(minor) => {
                    *here += minor;
                    *sums.entry(currency.to_owned()).or_default() += minor;
                }
                None => self.sums.unknown_amounts += 1,
            }
        }
        known
            .asked
            .extend(decision.asked.iter().filter_map(|(step, minor)| minor.map(|minor| (*step, minor))));
        self.line(&Line::Decision {
            tenant: order.tenant.to_string(),
            order: order.order.to_string(),
            fate,
            entry: decision.entry.clone(),
            placed: decision.placed.clone(),
            captured_minor,
            refunded_minor,
        })
    }

    /// Makes it durable under its name.
    pub(crate) fn finish(mut self) -> io::Result<Sums> {
        let sums = self.sums.clone();
        self.line(&Line::End(sums.clone()))?;
        self.file.finish()?;
        Ok(sums)
    }
}

/// Writes what stands in the log in `dir` behind `cut`: what a repair would take away.
///
/// # Errors
/// What can't be read or written.
pub(crate) fn write_lost(
    dir: &Path,
    options: LogOptions,
    cut: Position,
    log_id: &str,
    to: &Path,
) -> anyhow::Result<Sums> {
    let mut file =
        LostFile::create(to, log_id, None).with_context(|| format!("cannot write {}", to.display()))?;
    let mut failed = None;
    let walked = walk(app::files().as_ref(), dir, options, &mut |found| {
        let written = match found {
            Found::Gap(gap) => file.gap(gap),
            Found::Frame(frame) if frame.position < cut => Ok(()),
            Found::Frame(frame) => match group_of(frame) {
                Ok(Some(group)) => {
                    group.entries.iter().try_for_each(|entry| file.entry(entry, LineResult::Cut))
                }
                Ok(None) => file.other(format!("frame {} ({:?})", frame.number, frame.kind), LineResult::Cut),
                Err(what) => file.other(format!("frame {}: {what}", frame.number), LineResult::Cut),
            },
        };
        written.map_err(|error| stopped(&mut failed, error))
    });
    match (walked, failed) {
        (_, Some(error)) => return Err(error).with_context(|| format!("cannot write {}", to.display())),
        (walked, None) => walked?,
    }
    file.finish().with_context(|| format!("cannot write {}", to.display()))
}

/// Ends a walk for a reason that is not the log's.
pub(super) fn stopped(failed: &mut Option<io::Error>, error: io::Error) -> LogError {
    let reason = error.to_string();
    *failed = Some(error);
    LogError::Refused { place: Place(Position(0)), reason }
}

/// What became of the decisions of a file in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Compared {
    /// Commands in the file.
    pub(crate) commands: u64,
    /// With the same outcome in the log.
    pub(crate) same: u64,
    /// With another one.
    pub(crate) changed: u64,
    /// Not in the log.
    pub(crate) missing: u64,
    /// The first of those that are not the same, by name.
    pub(crate) named: Vec<String>,
}

/// Names at most.
const NAMED_MAX: usize = 20;

/// What a command is known by.
type Key = (OrderRef, String, String);

/// The commands of a file of lost decisions, to be looked for in a log.
pub(crate) struct Wanted(HashMap<Key, (HistoryEntry, Option<bool>)>);

/// Reads a file of lost decisions.
///
/// # Errors
/// When it is none, or cut short.
pub(crate) fn compare(path: &Path) -> anyhow::Result<Wanted> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut input = BufReader::with_capacity(1 << 18, file);
    let mut wanted = HashMap::new();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        (&mut input).take(LINE_MAX_BYTES).read_until(b'\n', &mut text)?;
        let at = || format!("{}, line {number}", path.display());
        ensure!(!text.is_empty(), "{}: the file is cut short: it has no end mark", at());
        match serde_json::from_slice(&text).with_context(at)? {
            Line::Log { schema, .. } => ensure!(schema == SCHEMA, "{}: {schema} is not supported here", at()),
            Line::Decision { tenant, order, entry, .. } => {
                let (tenant, order) = (TenantId::parse(&tenant), OrderId::parse(&order));
                let order = OrderRef { tenant: tenant.with_context(at)?, order: order.with_context(at)? };
                let (Some(source), Some(id)) = (&entry.source, &entry.command_id) else { continue };
                wanted.insert((order, source.to_string(), id.to_string()), (entry, None));
            }
            Line::Gap { .. } | Line::Other { .. } => {}
            Line::End(_) => break,
        }
    }
    Ok(Wanted(wanted))
}

impl Wanted {
    /// Looks at an order's record in a log.
    ///
    /// # Errors
    /// What is wrong with the record, in words.
    pub(crate) fn see(&mut self, record: &[u8]) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let record = lone_record(record).map_err(|error| error.to_string())?;
        for LoneDecision { entry, .. } in record.decisions {
            let (Some(source), Some(id)) = (&entry.source, &entry.command_id) else { continue };
            let key = (record.order.clone(), source.to_string(), id.to_string());
            if let Some((wanted, seen)) = self.0.get_mut(&key) {
                *seen = Some(
                    (wanted.status, wanted.code, wanted.version) == (entry.status, entry.code, entry.version),
                );
            }
        }
        Ok(())
    }

    /// What was found.
    pub(crate) fn conclude(self) -> Compared {
        let mut compared = Compared { commands: self.0.len() as u64, ..Compared::default() };
        let mut named = Vec::new();
        for ((order, source, id), (_, seen)) in self.0 {
            let what = match seen {
                Some(true) => {
                    compared.same += 1;
                    continue;
                }
                Some(false) => {
                    compared.changed += 1;
                    "has another outcome now"
                }
                None => {
                    compared.missing += 1;
                    "is not in the log"
                }
            };
            named.push(format!("{order}: command {id} of {source} {what}"));
        }
        named.sort();
        named.truncate(NAMED_MAX);
        Compared { named, ..compared }
    }
}
