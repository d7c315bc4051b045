//! `retailflow repair`: cuts what cannot be read, after telling what that loses; or makes a new log of what can.

use std::io;
use std::path::{Path, PathBuf};

use retailflow_config::Config;
use retailflow_disk::log::check::{CheckReport, LostEnd};
use retailflow_disk::log::repair::{RepairPlan, RepairRefused, apply, plan};
use retailflow_engine::codec::identity;
use retailflow_engine::keys::hex;
use retailflow_participants::{BookFileError, BookRepair, problems, repair_book};

use crate::cli::data::DataArgs;
use crate::cli::{Context, print};
use crate::repair::{Salvaged, Sums, salvage, write_lost};
use crate::verify::verb;
use retailflow_server::app;
use retailflow_server::durable_file::sync_folder;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::new_data_dir::NewDataDir;
use retailflow_server::participants;

const EXAMPLES: &str = "\
Examples:
  First see what would be lost, order by order, then do it:
    retailflow repair --data data --dry-run --lost lost.jsonl
    retailflow repair --data data --yes --lost lost.jsonl
  Or keep what is whole behind the damage, too, in a new data directory:
    retailflow repair --data data --salvage --to new-data

What is cut is kept beside the log, under another name. `retailflow verify --lost lost.jsonl` says later which of the
outcomes are there again. A salvage changes nothing in the old directory; orders that have lost a decision are parked
in the new one.";

/// The arguments of `repair`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Tell what would be cut and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it: what is cut is no longer part of the log
    #[arg(long)]
    pub(crate) yes: bool,
    /// Where each decision that goes is written, as JSON lines
    #[arg(long, value_name = "FILE", conflicts_with = "salvage")]
    pub(crate) lost: Option<PathBuf>,
    /// Make a new log of all that is whole, also behind the damage; with --to
    #[arg(long, requires = "to", conflicts_with_all = ["yes", "dry_run"])]
    pub(crate) salvage: bool,
    /// The data directory that a salvage makes; its salvaged.jsonl lists each decision behind the damage
    #[arg(long, value_name = "DIR", requires = "salvage")]
    pub(crate) to: Option<PathBuf>,
}

/// Lists of lost decisions beside each other; with so many, the first is written anew.
const LOST_FILES_MAX: u32 = 1000;

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let (data, config) = (&args.data.data, &context.config.config);
    if !data.join("log").is_dir() && participants::folder(data).is_dir() {
        // Of `retailflow participants`, which has no log.
        return mend_books(&args);
    }
    let mut log_id = String::new();
    let (report, _) = verb::inspect(data, config, &mut |frame| {
        if let Ok(identity) = identity::decode(&frame.payload) {
            log_id = hex(&identity.log_id);
        }
    })?;
    for problem in &report.problems {
        print(&format!("problem: {}: {}\n", problem.place, problem.what))?;
    }
    if let Some(to) = &args.to {
        return make_new(data, to, config);
    }
    let planned = match plan(&report) {
        Ok(planned) => planned,
        // The last repair may have been cut short when the log itself was done.
        Err(RepairRefused::NotNeeded) => {
            print("the log needs no repair\n")?;
            return mend_books(&args);
        }
        Err(error @ RepairRefused::OtherFormat(_)) => return Err(Failure::refused(error)),
        Err(error) => return Err(Failure::finding(error)),
    };
    tell(&planned, &report)?;
    let folder = data.join("log");
    if let Some(to) = &args.lost {
        // A repair that was broken off may have listed what is cut by now, and is in no log any more.
        let to = &free_name(to);
        let written = write_lost(&folder, app::log_options(config), planned.cut_at, &log_id, to);
        let sums = written.map_err(|error| Failure::new(ExitStatus::Unreachable, error))?;
        print(&format!("{}{} has each of them\n", summary(&sums), to.display()))?;
    }
    if args.dry_run {
        return Err(Failure::reported(ExitStatus::Finding));
    }
    if !args.yes {
        return Err(Failure::refused(
            "outcomes that were given would be forgotten: repeat with --yes to go on without them, or see --salvage",
        ));
    }
    // Both have seen what goes, and are built again from what is left. Before the log is cut: a repair that is broken off is
    // run again, and then all of it is done.
    for made_from_it in ["index", "views"] {
        let folder = data.join(made_from_it);
        remove(&folder).or_exit(ExitStatus::Unreachable, || format!("cannot remove {}", folder.display()))?;
    }
    sync_folder(data).or_exit(ExitStatus::Unreachable, || format!("cannot sync {}", data.display()))?;
    let kept = apply(app::files().as_ref(), &folder, app::log_options(config), &planned);
    let kept = kept.or_exit(ExitStatus::Unreachable, || "the repair was broken off; run it again")?;
    let files = kept.iter().map(|file| format!("  {}\n", file.display()));
    let files: String = files.collect();
    match files.is_empty() {
        true => print("cut; there was nothing to keep\n")?,
        false => print(&format!("cut; what was cut is kept in\n{files}"))?,
    }
    mend_books(&args)
}

/// The books of simulated participants, which are no part of the log: each that cannot be used is told, and with --yes mended.
fn mend_books(args: &Args) -> Result<(), Failure> {
    let folder = participants::folder(&args.data.data);
    let (mut left, mut mendable) = (0, false);
    for (role, error) in if folder.exists() { problems(&folder) } else { Vec::new() } {
        print(&format!("problem: {error}\n"))?;
        // What cannot be read may be whole.
        let can_be = !matches!(error, BookFileError::Io { .. } | BookFileError::InUse { .. });
        mendable |= can_be;
        if !can_be || !args.yes {
            left += 1;
            continue;
        }
        let mended = repair_book(app::files().as_ref(), &folder, role);
        let BookRepair { lines, left_out, kept } =
            mended.map_err(|error| Failure::new(ExitStatus::Unreachable, error))?;
        let kept =
            kept.map_or_else(String::new, |kept| format!("; the book as it was is {}", kept.display()));
        print(&format!(
            "the book of {} goes on with its {lines} whole lines; {left_out} pieces that are none were left out{kept}. `retailflow \
             reconcile` says which steps it does not know any more\n",
            role.as_str()
        ))?;
    }
    if mendable && !args.yes && !args.dry_run {
        return Err(Failure::refused(
            "what is no whole line of a book would be left out of it: repeat with --yes to go on without that",
        ));
    }
    if left > 0 { Err(Failure::reported(ExitStatus::Finding)) } else { Ok(()) }
}

fn tell(planned: &RepairPlan, report: &CheckReport) -> Result<(), Failure> {
    let lost = planned.lost;
    print(&format!(
        "the log can be believed up to segment {}, offset {}; all after it would go:\n  {} whole frames ({} groups with {} \
         records), and at least {} frames that cannot be read\n",
        planned.cut_at.segment(),
        planned.cut_at.offset(),
        lost.frames,
        lost.groups,
        lost.records,
        lost.unreadable_frames
    ))?;
    if let Some(LostEnd { source_name, seen, end }) = &report.lost {
        print(&format!(
            "  and what had been durable behind that: {source_name} says up to {seen}, and the log ends at {end}. At least one \
             write is lost, and what it held cannot be told: outcomes that were given last may be among it. After this, have \
             callers send again what they sent last\n"
        ))?;
    }
    if lost.frames > 0 && report.other_format.is_none() {
        print("what is whole can be kept in a new data directory: see --salvage\n")?;
    }
    Ok(())
}

fn summary(sums: &Sums) -> String {
    let mut text = format!("  {} decisions on {} orders\n", sums.decisions, sums.orders);
    if sums.gaps > 0 {
        text.push_str(&format!(
            "  {} stretches that cannot be read: what stood there is not known, and may be decisions that were answered\n",
            sums.gaps
        ));
    }
    for (what, of) in [
        ("placed", &sums.placed_minor),
        ("captured", &sums.captured_minor),
        ("paid back", &sums.refunded_minor),
    ] {
        for (currency, minor) in of {
            text.push_str(&format!("  {what}: {currency} {minor} (in minor units)\n"));
        }
    }
    if sums.unknown_amounts > 0 {
        text.push_str(&format!(
            "  {} more captures and refunds, of amounts that stand before\n",
            sums.unknown_amounts
        ));
    }
    text
}

/// `to`, or a name beside it that nothing has yet.
fn free_name(to: &Path) -> PathBuf {
    let stem = to.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = |number: u32| match to.extension() {
        Some(extension) => to.with_file_name(format!("{stem}-{number}.{}", extension.to_string_lossy())),
        None => to.with_file_name(format!("{stem}-{number}")),
    };
    let mut names = std::iter::once(to.to_owned()).chain((2..=LOST_FILES_MAX).map(name));
    names.find(|name| !name.exists()).unwrap_or_else(|| to.to_owned())
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_new(data: &Path, to: &Path, config: &Config) -> Result<(), Failure> {
    let new = NewDataDir::begin(to)?;
    let made = salvage(&data.join("log"), new.path(), app::new_log_id(), config);
    let made = made.map_err(|error| Failure::new(ExitStatus::Finding, error.context("nothing was made")))?;
    new.finish()?;
    let Salvaged { identity, records, parked, sums } = made;
    print(&format!(
        "salvaged: {records} records into {}, log {}\nbehind the first gap:\n{}",
        to.display(),
        hex(&identity.log_id),
        summary(&sums)
    ))?;
    print(&format!(
        "{} orders have lost decisions and are parked: `retailflow parked list --data {}`\n{} has each decision that stood \
         behind a gap. The participants' books are where they were: copy {}\n",
        parked.len(),
        to.display(),
        to.join("salvaged.jsonl").display(),
        data.join("participants").display()
    ))
}
