//! `retailflow restore`: a data directory from exported records, or from a backup.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use retailflow_config::Config;
use retailflow_disk::event_log::DiskLog;
use retailflow_engine::codec::identity;
use retailflow_invariants::LogChecker;

use crate::backup::{self, Manifest};
use crate::cli::data::DataArgs;
use crate::cli::{Context, print};
use crate::export::archive::{Line, Trailer, apply_group, apply_note, decode};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::new_data_dir::NewDataDir;

/// The longest line that is read: a group of the largest size in base64, and some.
const LINE_MAX_BYTES: u64 = 96 << 20;

const EXAMPLES: &str = "\
Examples:
  retailflow restore --from backup.jsonl --data new-data
  gunzip -c backup.jsonl.gz | retailflow restore --from - --data new-data
  retailflow restore --from /backups/shop --data new-data

The data directory must not exist, or be empty (`lost+found` may be there). All is verified on the way in; a file that is
cut short is refused. Until all is there and synced, the directory holds no log: a restore that was killed is run again.";

/// The arguments of `restore`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What `export` wrote, or a folder that `backup create` made; `-` reads standard input
    #[arg(long, value_name = "FILE|DIR|-")]
    pub(crate) from: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Check the file and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let config = &context.config.config;
    if args.from.is_dir() {
        return from_backup(&args, config);
    }
    let input: Box<dyn Read> = if args.from.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(&args.from);
        Box::new(file.or_exit(ExitStatus::Usage, || format!("cannot read {}", args.from.display()))?)
    };
    let data = &args.data.data;
    let new = NewDataDir::begin(data)?;
    let restored = restore(input, new.path(), config);
    let trailer = restored.map_err(|error| Failure::new(ExitStatus::Finding, error))?;
    if args.dry_run {
        drop(new);
        return print(&format!("whole: {} lines; nothing was written\n", trailer.lines));
    }
    new.finish()?;
    print(&format!("restored: {} lines into {}\n", trailer.lines, data.display()))
}

fn from_backup(args: &Args, config: &Config) -> Result<(), Failure> {
    let (from, data) = (&args.from, &args.data.data);
    let Some(manifest) = Manifest::read(from)? else {
        return Err(Failure::usage(format!("there is no backup in {}", from.display())));
    };
    let new = NewDataDir::begin(data)?;
    let filled = backup::fill(from, &manifest, new.path(), app::log_options(config));
    let frames = filled.map_err(|error| {
        Failure::new(ExitStatus::Finding, error.context(format!("the backup in {}", from.display())))
    })?;
    if args.dry_run {
        drop(new);
        return print(&format!("whole: {frames} frames; nothing was written\n"));
    }
    new.finish()?;
    let books = match manifest.books.len() {
        0 => String::new(),
        books => format!(" and {books} books of participants"),
    };
    print(&format!("restored: {frames} frames{books} of {} into {}\n", manifest.made_at, data.display()))
}

fn restore(input: Box<dyn Read>, data: &Path, config: &Config) -> anyhow::Result<Trailer> {
    let mut lines = Lines { input: BufReader::with_capacity(1 << 20, input), trailer: Trailer::default() };
    let Some(Line::Log { identity: first, .. }) = lines.next()? else {
        bail!("line 1 does not begin an export: it must name the log");
    };
    let new = identity::decode(&decode(&first)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (log, _) = DiskLog::open(data, &app::disk_options(config), &app::files(), &new, &mut |_| ())?;
    let mut checker = LogChecker::new(new.partitions, app::check_key());
    let end = loop {
        let number = lines.trailer.lines + 1;
        let at = || format!("line {number}");
        match lines.next().with_context(at)? {
            Some(Line::Group { fence, entries }) => {
                runtime.block_on(apply_group(&log, &mut checker, &fence, &entries)).with_context(at)?;
            }
            Some(Line::Note { bytes }) => runtime.block_on(apply_note(&log, &bytes)).with_context(at)?,
            Some(Line::End(end)) => {
                ensure!(
                    lines.is_at_end()?,
                    "more stands after the end mark in line {number}: this is not one export"
                );
                break end;
            }
            Some(Line::Log { .. }) => bail!("line {number} begins another export"),
            None => bail!("the export is cut short after {} lines: it has no end mark", lines.trailer.lines),
        }
    };
    log.close();
    let check = checker.result();
    ensure!(check.violation_count == 0, "the records are not in order: {:?}", check.violations.first());
    ensure!(
        end == lines.before_end(),
        "lines were changed or lost: the end mark does not fit what stands before it"
    );
    Ok(end)
}

struct Lines {
    input: BufReader<Box<dyn Read>>,
    trailer: Trailer,
}

impl Lines {
    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        let mut text = Vec::new();
        (&mut self.input).take(LINE_MAX_BYTES).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        ensure!(text.ends_with(b"\n"), "the line is cut short, or over {LINE_MAX_BYTES} bytes long");
        let line = serde_json::from_slice(&text).context("this is no line of an export")?;
        if !matches!(line, Line::End(_)) {
            self.trailer.add(&text);
        }
        Ok(Some(line))
    }

    fn is_at_end(&mut self) -> std::io::Result<bool> {
        Ok(self.input.fill_buf()?.is_empty())
    }

    fn before_end(&self) -> Trailer {
        self.trailer.clone()
    }
}
