//! A log that is read from its beginning to its end: in a data directory, or of a server that runs.

use std::path::{Path, PathBuf};

use retailflow_config::Config;
use retailflow_disk::log::check::{CheckReport, check, check_read_only};
use retailflow_disk::log::copy::bytes_until;
use retailflow_disk::log::{Frame, LogError, Position};

use crate::audit::Progress;
use crate::cli::data::ReadOnlyArgs;
use crate::cli::place::{AdminPlaceArgs, Place};
use crate::client::remote_log::RemoteLog;
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure};
use retailflow_server::serving;

/// Where a log is read.
#[derive(clap::Args, Debug)]
pub(crate) struct LogSourceArgs {
    #[command(flatten)]
    place: AdminPlaceArgs,
    #[command(flatten)]
    read_only: ReadOnlyArgs,
    /// Of a running server's log at most so many MiB are read a second, so that it has time for its work
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Server")]
    mib_per_s: u32,
}

impl LogSourceArgs {
    /// The log that is named.
    ///
    /// # Errors
    /// A [`Failure`] where none is, or the server does not answer.
    pub(crate) fn open(&self) -> Result<LogSource, Failure> {
        match self.place.open()? {
            Place::Data(data) => Ok(LogSource::Data { data, read_only: self.read_only.read_only }),
            Place::Server(_) if self.read_only.read_only => {
                Err(Failure::usage("--read-only is for a data directory; of a server all is only read"))
            }
            Place::Server(client) => {
                RemoteLog::open(client, u64::from(self.mib_per_s) << 20).map(LogSource::Server)
            }
        }
    }
}

/// A log, and how it may be read.
pub(crate) enum LogSource {
    /// In a data directory that no process has open.
    Data {
        /// Which.
        data: PathBuf,
        /// No lock is taken, and nothing written.
        read_only: bool,
    },
    /// Of a running server, up to what was durable when it was asked.
    Server(RemoteLog),
}

impl LogSource {
    /// A data directory, locked while it is read.
    pub(crate) fn locked(data: &Path) -> Self {
        Self::Data { data: data.to_owned(), read_only: false }
    }

    /// A copy, or what else can only be read.
    pub(crate) fn copy(data: &Path) -> Self {
        Self::Data { data: data.to_owned(), read_only: true }
    }

    /// Who tells how far it is.
    pub(crate) fn progress(&self) -> Progress {
        match self {
            Self::Data { data, .. } => Progress::of(data),
            Self::Server(log) => Progress::of_bytes(log.bytes()),
        }
    }

    /// Reads all of it, frame by frame.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot be read. What is wrong with it is in the report.
    pub(crate) fn check(
        &self,
        config: &Config,
        each: &mut dyn FnMut(&Frame) -> Result<(), String>,
    ) -> Result<CheckReport, Failure> {
        let options = app::log_options(config);
        match self {
            Self::Data { data, read_only } => {
                let folder = data.join("log");
                if !folder.is_dir() {
                    let text = format!("there is no data directory in {}", data.display());
                    return Err(Failure::unreachable(text));
                }
                let files = app::files();
                let checked = match read_only {
                    true => check_read_only(files.as_ref(), &folder, options, each),
                    false => check(files.as_ref(), &folder, options, each),
                };
                checked.map_err(|error| match error {
                    LogError::InUse { holder, .. } => serving::in_use(data, &holder),
                    error => Failure::new(ExitStatus::Unreachable, error),
                })
            }
            Self::Server(log) => {
                let checked = check_read_only(log, log.folder(), options, each);
                let mut report = checked.map_err(|error| Failure::new(ExitStatus::Unreachable, error))?;
                // It is durable: no end of it can be an unfinished write.
                let whole = |end: Position| {
                    end.segment() == log.end.segment() && bytes_until(end) == bytes_until(log.end)
                };
                if report.is_sound() && !report.end.is_some_and(whole) {
                    let text = format!(
                        "the server says that its log is durable up to {}, and whole frames end here",
                        log.end
                    );
                    report.problem(report.end.unwrap_or(log.end), text);
                }
                Ok(report)
            }
        }
    }
}
