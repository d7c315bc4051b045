//! `retailflow export`: the records of a data directory as JSON lines.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use retailflow_disk::log::{Frame, FrameKind};
use retailflow_engine::codec::identity;
use retailflow_invariants::LogChecker;

use crate::audit::group_of;
use crate::cli::Context;
use crate::cli::log_source::{LogSource, LogSourceArgs};
use crate::export::archive::{Line, Trailer, line_of};
use retailflow_server::app;
use retailflow_server::durable_file::DurableFile;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow export --data data --to backup.jsonl
  retailflow export --data data | gzip > backup.jsonl.gz
  retailflow export --admin http://127.0.0.1:8081 --to backup.jsonl

Of a server that runs it is the log up to what is durable at this moment, read --mib-per-s at most.

All is verified on the way out. A file takes the name only when it is whole and synced: until then, and if the export
fails, what had the name stays. `retailflow restore` makes a data directory of it again.";

/// The arguments of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) source: LogSourceArgs,
    /// Where the lines go; `-` is standard output
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) to: PathBuf,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let source = args.source.open()?;
    if args.to.as_os_str() != "-" {
        return to_file(&source, &args.to, &context);
    }
    let mut sink = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    export(&source, &context, &mut sink, Failure::output)
}

/// Writes all of a log into a file, which takes its name when it is whole.
pub(crate) fn to_file(source: &LogSource, to: &Path, context: &Context) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", to.display());
    let failed = |error| Failure::new(ExitStatus::Unreachable, anyhow::Error::new(error).context(cannot()));
    let mut file = DurableFile::create(to).or_exit(ExitStatus::Unreachable, cannot)?;
    export(source, context, &mut file, failed)?;
    file.finish().or_exit(ExitStatus::Unreachable, cannot)
}

/// Writes all of a log into `sink`; what that refuses is told as `refused` says.
fn export(
    source: &LogSource,
    context: &Context,
    mut sink: &mut impl Write,
    refused: impl Fn(std::io::Error) -> Failure,
) -> Result<(), Failure> {
    let mut checker = LogChecker::new(1, app::check_key());
    let mut trailer = Trailer::default();
    let mut failed = None;
    let report = source.check(&context.config.config, &mut |frame| {
        let text = check_frame(frame, &mut checker)?;
        if let (Some(line), None) = (text, &failed) {
            failed = write(&mut sink, &mut trailer, &line).err();
        }
        Ok(())
    })?;
    if let Some(error) = failed {
        return Err(refused(error));
    }
    let violations = checker.result().violation_count;
    if !report.is_sound() || violations > 0 {
        let text = "the log is not in order, and there is no whole export of it: `retailflow verify` tells what is broken";
        return Err(Failure::finding(text));
    }
    let end = Line::End(trailer.clone());
    write(&mut sink, &mut trailer, &end).and_then(|()| sink.flush()).map_err(refused)
}

fn check_frame(frame: &Frame, checker: &mut LogChecker) -> Result<Option<Line>, String> {
    if frame.kind == FrameKind::Identity {
        let identity = identity::decode(&frame.payload).map_err(|error| error.to_string())?;
        *checker = LogChecker::new(identity.partitions, checker.key());
    }
    if let Some(group) = group_of(frame)? {
        checker.group(&group);
    }
    line_of(frame)
}

fn write(sink: &mut impl Write, trailer: &mut Trailer, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    trailer.add(&text);
    sink.write_all(&text)
}
