//! `retailflow verify`: is all that is stored in order?

use std::path::{Path, PathBuf};

use retailflow_config::Config;
use retailflow_disk::event_log::scrub::scrub_progress;
use retailflow_disk::log::check::CheckReport;
use retailflow_disk::log::{Frame, FrameKind, Position};
use retailflow_engine::codec::identity;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::invariant::LogChecker;
use retailflow_engine::keys::hex;
use retailflow_engine::ports::LoggedEntry;

use crate::audit::{Audit, Piece, group_of};
use crate::backup::{LastFrame, Manifest};
use crate::cli::log_source::{LogSource, LogSourceArgs};
use crate::cli::{Context, Output, print};
use crate::repair::{Compared, Wanted, compare};
use crate::verify::books::Books;
use crate::verify::found::{Cut, Online, ScrubbedSegments, TenantCounts, Verified};
use crate::verify::text;
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::serving;

const EXAMPLES: &str = "\
Examples:
  retailflow verify --data data
  retailflow verify --data data -o json
  retailflow verify --data /mnt/copy --read-only
  retailflow verify --online --admin http://127.0.0.1:8081

A server that runs (--online) is asked for its log up to what is durable at this moment, --mib-per-s at most, and all of that is
checked here as the log of a data directory is: checksums, chains, transitions, totals. What it does not look at it says.

Exit code 0: all is in order. 1: something is broken, and each place is named; `retailflow repair --dry-run` tells
what could be done about it.";

/// The arguments of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) source: LogSourceArgs,
    /// Look at a server while it runs, which --admin names
    #[arg(long)]
    pub(crate) online: bool,
    /// The file that `run` read: each order that it places up to the log's cut must be in the log
    #[arg(long, value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
    /// What a repair or a salvage wrote of lost decisions: says which outcomes the log has (again), and which not
    #[arg(long, value_name = "FILE")]
    pub(crate) lost: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let source = args.source.open()?;
    if let (LogSource::Data { data, .. }, true) = (&source, args.online) {
        return Err(serving::online_needs_a_server(data));
    }
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
    let config = &context.config.config;
    // The books of a server that runs go on while its log is read.
    let beside = match &source {
        LogSource::Data { data, .. } => Some(data.as_path()),
        LogSource::Server(_) => None,
    };
    let (report, audit) = read(&source, beside, config, &mut seen, &mut each_pass)?;
    tell(&context, &source, report, audit, books, wanted.map(Wanted::conclude))
}

/// As the command does, of a backup: its marks must be in it, too.
pub(crate) fn backup(folder: &Path, manifest: &Manifest, context: &Context) -> Result<(), Failure> {
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
    let source = LogSource::copy(folder);
    // Its books were read after its log and may know more: they are checked for what they are, and not compared.
    let (mut report, audit) = read(&source, None, config, &mut seen, &mut |_| Ok(()))?;
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
    tell(context, &source, report, audit, None, None)
}

fn tell(
    context: &Context,
    source: &LogSource,
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
    let (data, online) = match source {
        LogSource::Data { data, .. } => (Some(data), None),
        LogSource::Server(log) => (None, Some(Online::of(log))),
    };
    let scrubbed = data.and_then(|data| scrub_progress(app::files().as_ref(), &data.join("log")));
    let verified = Verified {
        online,
        sound: report.is_sound() && audit.check.violation_count == 0 && lost == 0 && !sides_differ,
        segments: report.segments,
        frames: report.frames,
        payload_bytes: report.payload_bytes,
        clean_stop: report.clean_stop,
        scrubbed: scrubbed.map(|scrubbed| ScrubbedSegments {
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
        Output::Table => print(&text::of(&verified))?,
    }
    if verified.sound { Ok(()) } else { Err(Failure::reported(ExitStatus::Finding)) }
}

/// The last fence of each partition: where the ledger is cut.
fn cuts(checker: &LogChecker) -> Vec<Cut> {
    let partitions = (0..checker.partitions()).map(PartitionId);
    let heads = partitions.filter_map(|partition| checker.head(partition).map(|head| (partition, head)));
    heads.map(|(partition, (epoch, group))| Cut { partition: partition.0, epoch, group }).collect()
}

/// Reads a log that is not open: checksums, chains, transitions and totals.
pub(crate) fn inspect(
    data: &Path,
    config: &Config,
    seen: &mut dyn FnMut(&Frame),
) -> Result<(CheckReport, Audit), Failure> {
    read(&LogSource::locked(data), None, config, seen, &mut |_| Ok(()))
}

/// Reads a log as often as its orders need; with `beside` the books in that directory. `seen` is given each frame once.
fn read(
    source: &LogSource,
    beside: Option<&Path>,
    config: &Config,
    seen: &mut dyn FnMut(&Frame),
    each_pass: &mut dyn FnMut(&LogChecker) -> Result<(), Failure>,
) -> Result<(CheckReport, Audit), Failure> {
    let mut report = None;
    let mut pass = |take: &mut dyn FnMut(Piece<'_>)| {
        let is_first = report.is_none();
        let checked = source.check(config, &mut |frame| {
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
    let audit = Audit::conduct(&mut pass, beside, source.progress(), each_pass)?;
    Ok((report.unwrap_or_default(), audit))
}
