//! `retailflow repair`: cuts what cannot be read, after telling what that loses.

use retailflow_cluster::disk::log::repair::{NoRepair, apply, plan};

use crate::app;
use crate::cli::data::DataArgs;
use crate::cli::{Context, print, verify};
use crate::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  First see what would be lost, then do it:
    retailflow repair --data data --dry-run
    retailflow repair --data data --yes

What is cut is kept beside the log, under another name.";

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
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let config = &context.config.config;
    let (report, _) = verify::inspect(&args.data.data, config)?;
    for problem in &report.problems {
        print(&format!("problem: {}: {}\n", problem.place, problem.what))?;
    }
    let planned = match plan(&report) {
        Ok(planned) => planned,
        Err(NoRepair::NotNeeded) => return print("the log needs no repair\n"),
        Err(error) => return Err(Failure::finding(error)),
    };
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
    if args.dry_run {
        return Err(Failure::told(ExitStatus::Finding));
    }
    if !args.yes {
        return Err(Failure::refused(
            "outcomes that were given for these records would be forgotten: repeat with --yes to cut them",
        ));
    }
    let folder = args.data.data.join("log");
    let kept = apply(app::files().as_ref(), &folder, app::log_options(config), &planned);
    let kept = kept.or_exit(ExitStatus::Unreachable, || "the repair was broken off; run it again")?;
    // Both have seen what is gone: they are built again from what is left.
    for made_from_it in ["index", "views"] {
        let folder = args.data.data.join(made_from_it);
        if folder.exists() {
            let removed = std::fs::remove_dir_all(&folder);
            removed.or_exit(ExitStatus::Unreachable, || format!("cannot remove {}", folder.display()))?;
        }
    }
    let files = kept.iter().map(|file| format!("  {}\n", file.display()));
    print(&format!("cut; what was cut is kept in\n{}", files.collect::<String>()))
}
