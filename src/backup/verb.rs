//! `retailflow backup`: copies of a running server's data, verified.

use std::path::{Path, PathBuf};

use retailflow_disk::log::Position;
use serde_json::json;

use crate::backup::{self, Created, Manifest};
use crate::cli::log_source::LogSource;
use crate::cli::place::AdminArgs;
use crate::cli::{Context, Output, print, render};
use crate::export::verb as export;
use crate::verify::verb as verify;
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// The commands under `backup`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Back up a running server, up to what is durable at this moment
    #[command(after_help = "\
Examples:
  retailflow backup create --admin http://127.0.0.1:8081 --to /backups/shop
  retailflow backup create --admin http://127.0.0.1:8081 --to monday.jsonl

Into a folder that holds a backup of the same log already, only new segments, the last one and the books
are read. All is verified before it takes the
place of what is there; until then, and if it fails, the backup that is there stays. A name that ends in .jsonl gets an
export instead, of the log alone.")]
    Create(CreateArgs),
    /// Check all of a backup
    #[command(after_help = "\
Example:
  retailflow backup verify /backups/shop

Nothing is written there. `retailflow restore --from /backups/shop --data NEW` makes a data directory of it.")]
    Verify(VerifyArgs),
}

/// The arguments of `backup create`.
#[derive(clap::Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The backup's folder, or a file that ends in .jsonl
    #[arg(long, value_name = "DIR|FILE.jsonl")]
    to: PathBuf,
}

/// The arguments of `backup verify`.
#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The backup's folder
    #[arg(value_name = "DIR")]
    backup: PathBuf,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    match args {
        Args::Create(args) => create(&args, &context),
        Args::Verify(args) => check(&args.backup, context),
    }
}

fn create(args: &CreateArgs, context: &Context) -> Result<(), Failure> {
    let client = args.admin.open()?;
    let options = app::log_options(&context.config.config);
    if !is_export(&args.to) {
        let created = backup::create(&client, &args.to, options)?;
        return print(&summary(&created, &args.to, context.output));
    }
    // The lines of an export can be made only of a whole log: it is read beside the file first.
    let parent = args.to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = args.to.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent.unwrap_or_else(|| Path::new(".")).join(format!(".{name}.backup"));
    let mut created = backup::create(&client, &beside, options)?;
    export::to_file(&LogSource::copy(&beside), &args.to, context)?;
    // Made by us a moment ago, and holding nothing else: a folder that does not is refused.
    std::fs::remove_dir_all(&beside)
        .or_exit(ExitStatus::Unreachable, || format!("cannot remove {}", beside.display()))?;
    // An export is of the log alone.
    created.manifest.books.clear();
    print(&summary(&created, &args.to, context.output))
}

fn is_export(to: &Path) -> bool {
    !to.is_dir() && to.extension().is_some_and(|extension| extension == "jsonl")
}

fn summary(created: &Created, to: &Path, output: Output) -> String {
    let Created { manifest, segments_read, bytes_read } = created;
    let (position, frames) = (Position(manifest.position), manifest.last_frame.number);
    let shown = json!({
        "to": to, "log_id": manifest.log_id, "position": manifest.position, "frames": frames,
        "segments": manifest.segments.len(), "segments_read": segments_read, "bytes_read": bytes_read,
        "books": manifest.books.len(),
    });
    let text = format!(
        "backed up to {}: {frames} frames up to position {position}, {} segments ({segments_read} read, {bytes_read} bytes), {} books\n",
        to.display(),
        manifest.segments.len(),
        manifest.books.len()
    );
    render(&shown, text, output)
}

fn check(folder: &Path, context: Context) -> Result<(), Failure> {
    let Some(manifest) = Manifest::read(folder)? else {
        let text = format!("there is no backup in {}, or its first one was broken off", folder.display());
        return Err(Failure::unreachable(text));
    };
    verify::backup(folder, &manifest, &context)
}
