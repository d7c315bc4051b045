//! `retailflow verify`: is all that is stored in order?

use std::path::{Path, PathBuf};

use retailflow_cluster::disk::event_log::scrub::scrubbed;
use retailflow_cluster::disk::log::check::{CheckReport, check, check_read_only};
use retailflow_cluster::disk::log::{Frame, FrameKind, LogError, Position};
use retailflow_config::Config;
use retailflow_engine::codec::identity;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::invariant::LogChecker;
use retailflow_engine::keys::hex;
use retailflow_engine::ports::LoggedEntry;
use serde::Serialize;

use crate::app;
use crate::audit::{Audit, Piece, Progress, group_of};
use crate::backup::{LastFrame, Manifest};
use crate::cli::books::Books;
use crate::cli::data::{DataArgs, ReadOnlyArgs};
use crate::cli::{Context, Output, print};
use crate::exit::{ExitStatus, Failure, OrExit};
use crate::repair::{Compared, Wanted, compare};

const EXAMPLES: &str = "\
Examples:
  retailflow verify --data data
  retailflow verify --data data -o json
  retailflow verify --data /mnt/copy --read-only

Exit code 0: all is in order. 1: something is broken, and each place is named; `retailflow repair --dry-run` tells
what could be done about it.";

/// The arguments of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) read_only: ReadOnlyArgs,
    /// The file that `run` read: each order that it places up to the log's cut must be in the log
    #[arg(long, value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
    /// What a repair or a salvage wrote of lost decisions: says which outcomes the log has (again), and which not
    #[arg(long, value_name = "FILE")]
    pub(crate) lost: Option<PathBuf>,
}

/// What `verify` found, for programs.
#[derive(Serialize)]
struct Verified {
    sound: bool,
    segments: u32,
    frames: u64,
    payload_bytes: u64,
    clean_stop: bool,
    /// What the server has read again in the background, where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    scrubbed: Option<ScrubbedSegments>,
    groups: u64,
    records: u64,
    orders: u64,
    tenants: Vec<TenantCounts>,
    cuts: Vec<Cut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    books: Option<Books>,
    /// What became of lost decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Compared>,
    /// Goods and money on both sides' books.
    #[serde(skip_serializing_if = "Option::is_none")]
    sides: Option<retailflow_engine::wire::report::BooksReport>,
    problems: Vec<String>,
    invariants: Vec<retailflow_engine::wire::report::InvariantResult>,
}

/// How far the server's scrubber has come.
#[derive(Serialize)]
struct ScrubbedSegments {
    /// Segments read in the pass under way.
    segments: u32,
    /// When the last whole pass ended, in milliseconds since 1970; 0 for never.
    pass_ended_ms: u64,
}

/// The last fence of a partition.
#[derive(Serialize)]
struct Cut {
    partition: u16,
    epoch: u64,
    group: u64,
}

#[derive(Serialize)]
struct TenantCounts {
    tenant: String,
    applied: u64,
    rejected: u64,
    parked: u64,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let read_only = args.read_only.read_only;
    let wanted = args.lost.as_deref().map(compare).transpose();
    let mut wanted = wanted.map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let mut books: Option<Books> = None;
    let mut seen = |frame: &Frame| {
        let Some(wanted) = &mut wanted else { return };
        // What is no group, or a broken one, is told by the check itself.
        for entry in group_of(frame).ok().flatten().into_iter().flat_map(|group| group.entries) {
            if let LoggedEntry::Record(bytes) = entry {
                drop(wanted.see(&bytes));
            }
        }
    };
    let mut each_pass = |checker: &LogChecker| {
        let Some(file) = args.commands.as_deref() else { return Ok(()) };
        books.get_or_insert_default().add(file, checker)
    };
    let data = &args.data.data;
    let config = &context.config.config;
    let (report, audit) = read(data, Some(data), config, read_only, &mut seen, &mut each_pass)?;
    tell(&context, data, report, audit, books, wanted.map(Wanted::conclude))
}

/// As the command does, of a backup: its marks must be in it, too.
pub(super) fn backup(folder: &Path, manifest: &Manifest, context: &Context) -> Result<(), Failure> {
    let mark = &manifest.last_frame;
    let (mut found, mut log_id) = (false, None);
    let mut seen = |frame: &Frame| {
        if frame.kind == FrameKind::Identity {
            log_id = identity::decode(&frame.payload).ok().map(|identity| hex(&identity.log_id));
        }
        let seen = frame.position.0 == mark.position && frame.number == mark.number;
        found |= seen && hex(&frame.hash) == mark.hash;
    };
    let config = &context.config.config;
    // Its books were read after its log and may know more: they are checked for what they are, and not compared.
    let (mut report, audit) = read(folder, None, config, true, &mut seen, &mut |_| Ok(()))?;
    if !found {
        let LastFrame { position, number, .. } = mark;
        let text = format!("the manifest knows frame {number}, which is not in the log: data is lost");
        report.problem(Position(*position), text);
    }
    if log_id.as_ref() != Some(&manifest.log_id) {
        report.problem(Position::new(1, 0), "the log is not the one that the manifest names");
    }
    for problem in manifest.check_books(folder) {
        report.problem(Position(manifest.position), problem);
    }
    tell(context, folder, report, audit, None, None)
}

fn tell(
    context: &Context,
    data: &Path,
    report: CheckReport,
    audit: Audit,
    books: Option<Books>,
    compared: Option<Compared>,
) -> Result<(), Failure> {
    let cuts = cuts(&audit.checker);
    let sides_differ = audit.books.as_ref().is_some_and(|books| !books.agree)
        || audit.invariants.iter().any(retailflow_engine::wire::report::InvariantResult::is_broken);
    let lost = books.as_ref().map_or(0, |books| books.missing);
    let ledger = audit.check.ledger.iter().map(|(tenant, counts)| TenantCounts {
        tenant: tenant.to_string(),
        applied: counts.applied,
        rejected: counts.rejected,
        parked: counts.parked,
    });
    let verified = Verified {
        sound: report.is_sound() && audit.check.violation_count == 0 && lost == 0 && !sides_differ,
        segments: report.segments,
        frames: report.frames,
        payload_bytes: report.payload_bytes,
        clean_stop: report.clean_stop,
        scrubbed: scrubbed(app::files().as_ref(), &data.join("log")).map(|scrubbed| ScrubbedSegments {
            segments: scrubbed.segments,
            pass_ended_ms: scrubbed.pass_ended_ms,
        }),
        groups: audit.check.groups,
        records: audit.check.records,
        orders: audit.check.orders,
        tenants: ledger.collect(),
        cuts,
        books,
        lost: compared,
        sides: audit.books,
        problems: report
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.what))
            .collect(),
        invariants: audit.invariants,
    };
    match context.output {
        Output::Json => {
            let text = serde_json::to_string_pretty(&verified)
                .or_exit(ExitStatus::Unreachable, || "cannot show it")?;
            print(&(text + "\n"))?;
        }
        Output::Table => print(&text(&verified))?,
    }
    if verified.sound { Ok(()) } else { Err(Failure::told(ExitStatus::Finding)) }
}

/// The last fence of each partition: where the ledger is cut.
fn cuts(checker: &LogChecker) -> Vec<Cut> {
    let partitions = (0..checker.partitions()).map(PartitionId);
    let heads = partitions.filter_map(|partition| checker.head(partition).map(|head| (partition, head)));
    heads.map(|(partition, (epoch, group))| Cut { partition: partition.0, epoch, group }).collect()
}

/// Reads a log that is not open: checksums, chains, transitions and totals.
pub(super) fn inspect(
    data: &Path,
    config: &Config,
    seen: &mut dyn FnMut(&Frame),
) -> Result<(CheckReport, Audit), Failure> {
    read(data, None, config, false, seen, &mut |_| Ok(()))
}

/// Reads a log that is not open, frame by frame.
pub(super) fn check_log(
    data: &Path,
    config: &Config,
    read_only: bool,
    each: &mut dyn FnMut(&Frame) -> Result<(), String>,
) -> Result<CheckReport, Failure> {
    let folder = data.join("log");
    if !folder.is_dir() {
        return Err(Failure::unreachable(format!("there is no data directory in {}", data.display())));
    }
    let options = app::log_options(config);
    let checked = match read_only {
        true => check_read_only(app::files().as_ref(), &folder, options, each),
        false => check(app::files().as_ref(), &folder, options, each),
    };
    checked.map_err(|error| {
        if matches!(error, LogError::InUse { .. }) {
            let hint = "a running server is backed up with `retailflow backup create`";
            return Failure::new(ExitStatus::Refused, anyhow::Error::new(error).context(hint));
        }
        Failure::new(ExitStatus::Unreachable, error)
    })
}

/// Reads a log that is not open, as often as its orders need; with `beside` the books in that directory. `seen` is given
/// each frame once.
fn read(
    data: &Path,
    beside: Option<&Path>,
    config: &Config,
    read_only: bool,
    seen: &mut dyn FnMut(&Frame),
    each_pass: &mut dyn FnMut(&LogChecker) -> Result<(), Failure>,
) -> Result<(CheckReport, Audit), Failure> {
    let mut report = None;
    let mut pass = |take: &mut dyn FnMut(Piece<'_>)| {
        let is_first = report.is_none();
        let checked = check_log(data, config, read_only, &mut |frame| {
            if is_first {
                seen(frame);
            }
            if frame.kind == FrameKind::Identity {
                let identity = identity::decode(&frame.payload).map_err(|error| error.to_string())?;
                take(Piece::Partitions(identity.partitions));
            }
            if let Some(group) = group_of(frame)? {
                take(Piece::Group(&group));
            }
            Ok(())
        })?;
        // All passes read the same.
        report.get_or_insert(checked);
        Ok(())
    };
    let audit = Audit::conduct(&mut pass, beside, Progress::of(data), each_pass)?;
    Ok((report.unwrap_or_default(), audit))
}

fn text(verified: &Verified) -> String {
    let mut text = format!(
        "log: {} segments, {} frames, {} bytes, {}\n",
        verified.segments,
        verified.frames,
        verified.payload_bytes,
        match verified.clean_stop {
            true => "closed in good order",
            false if verified.problems.is_empty() =>
                "not closed in good order (killed, or a copy: no harm by itself)",
            false => "not closed in good order",
        }
    );
    if let Some(scrubbed) = &verified.scrubbed {
        text.push_str(&format!("scrubbed in the background: segments 1 to {}\n", scrubbed.segments));
    }
    text.push_str(&format!("orders: {} in {} records\n", verified.orders, verified.records));
    for tenant in &verified.tenants {
        text.push_str(&format!(
            "ledger {}: {} applied + {} rejected + {} parked = {} commands\n",
            tenant.tenant,
            tenant.applied,
            tenant.rejected,
            tenant.parked,
            tenant.applied + tenant.rejected + tenant.parked
        ));
    }
    for cut in &verified.cuts {
        text.push_str(&format!(
            "cut: partition {} at group {} of epoch {}\n",
            cut.partition, cut.group, cut.epoch
        ));
    }
    if let Some(books) = &verified.books {
        text.push_str(&format!(
            "books: {} orders placed up to the cut, {} missing\n",
            books.placed, books.missing
        ));
        books.named.iter().for_each(|missing| text.push_str(&format!("missing: {missing}\n")));
    }
    if let Some(lost) = &verified.lost {
        let Compared { commands, same, changed, missing, named } = lost;
        text.push_str(&format!(
            "lost: {commands} commands; {same} have the same outcome here, {changed} another one, {missing} are not here\n"
        ));
        named.iter().for_each(|one| text.push_str(&format!("lost: {one}\n")));
    }
    if let Some(sides) = &verified.sides {
        let line = |name: &str, sums: &retailflow_engine::wire::report::BookSums| {
            let money: Vec<String> = sums
                .captured_minor
                .iter()
                .map(|(currency, minor)| {
                    let refunded = sums.refunded_minor.get(currency).copied().unwrap_or(0);
                    format!("{currency} {minor} captured, {refunded} paid back")
                })
                .collect();
            format!(
                "{name}: {}; {} units booked, {} restocked; {} orders without a payment call\n",
                money.join("; "),
                sums.booked_units,
                sums.restocked_units,
                sums.orders_without_payment
            )
        };
        text.push_str(&line("ours  ", &sides.ours));
        text.push_str(&line("theirs", &sides.theirs));
        for difference in &sides.differences {
            text.push_str(&format!("differs: {difference}\n"));
        }
        if !sides.agree {
            text.push_str("`retailflow reconcile` asks the participants step by step what they know\n");
        }
    }
    for invariant in &verified.invariants {
        let mark = match invariant {
            invariant if invariant.held => "held  ",
            invariant if invariant.not_compared => "PARTLY",
            _ => "BROKEN",
        };
        text.push_str(&format!("{mark} {:<14} {}\n", invariant.id, invariant.detail));
    }
    for problem in &verified.problems {
        text.push_str(&format!("problem: {problem}\n"));
    }
    text.push_str(match (verified.sound, verified.problems.is_empty()) {
        (true, _) => "all is in order\n",
        (false, false) => "NOT in order; `retailflow repair --dry-run` tells what can be done\n",
        // No repair of the log helps against what others' books say.
        (false, true) => {
            "NOT in order, and the log itself is whole: `retailflow reconcile` asks participants key by key; an order that stands \
             in their books alone is decided when its caller sends its command again\n"
        }
    });
    text
}
