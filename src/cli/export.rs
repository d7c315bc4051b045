//! `retailflow export`: the records of a data directory as JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use retailflow_cluster::disk::log::check::check;
use retailflow_cluster::disk::log::{Frame, FrameKind};
use retailflow_engine::codec::identity;
use retailflow_engine::invariant::LogChecker;

use crate::app;
use crate::archive::{Line, Trailer, line_of};
use crate::audit::group_of;
use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow export --data data --to backup.jsonl
  retailflow export --data data | gzip > backup.jsonl.gz

All is verified on the way out. `retailflow restore` makes a data directory of it again.";

/// The arguments of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where the lines go; `-` is standard output
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) to: PathBuf,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let folder = args.data.data.join("log");
    if !folder.is_dir() {
        return Err(Failure::unreachable(format!(
            "there is no data directory in {}",
            args.data.data.display()
        )));
    }
    let sink: Box<dyn Write> = if args.to.as_os_str() == "-" {
        Box::new(std::io::stdout().lock())
    } else {
        let file = File::create(&args.to);
        Box::new(file.or_exit(ExitStatus::Unreachable, || format!("cannot write {}", args.to.display()))?)
    };
    let mut sink = BufWriter::with_capacity(1 << 20, sink);
    let mut checker = LogChecker::new(1, app::check_key());
    let mut trailer = Trailer::default();
    let mut failed = None;
    let options = app::log_options(&context.config.config);
    let report = check(app::files().as_ref(), &folder, options, &mut |frame| {
        let text = check_frame(frame, &mut checker)?;
        if let (Some(line), None) = (text, &failed) {
            failed = write(&mut sink, &mut trailer, &line).err();
        }
        Ok(())
    });
    let report = report.or_exit(ExitStatus::Refused, || "cannot read the log")?;
    if let Some(error) = failed {
        return Err(Failure::output(error));
    }
    let violations = checker.result().violation_count;
    if !report.is_sound() || violations > 0 {
        let text = "the log is not in order, and the export has no end mark: `retailflow verify` tells what is broken";
        return Err(Failure::finding(text));
    }
    let end = Line::End(trailer.clone());
    write(&mut sink, &mut trailer, &end).and_then(|()| sink.flush()).map_err(Failure::output)
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
