//! How a command ends: its exit code, and what it says about it.
//!
//! The message says what to do. What a command has told already is not told twice ([`Failure::told`]).

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The exit codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// All is fine.
    Fine = 0,
    /// Something was found: a broken record, a bad row.
    Finding = 1,
    /// The command line, the configuration or an input file is not as it must be.
    Usage = 2,
    /// A server, a data directory or a disk does not answer.
    Unreachable = 3,
    /// It could be done and is not: another process, a foreign log, a missing `--yes`.
    Refused = 4,
}

/// Why a command did not simply end: the exit code, and the message unless all has been told.
#[derive(Debug)]
pub struct Failure {
    /// What the process exits with.
    pub code: ExitStatus,
    /// What goes to standard error.
    pub error: Option<anyhow::Error>,
}

impl Failure {
    /// A failure with its cause.
    pub fn new(code: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: Some(error.into()) }
    }

    /// A failure whose message has been given already.
    pub const fn reported(code: ExitStatus) -> Self {
        Self { code, error: None }
    }

    /// The caller can put it right: flags, configuration, an input file.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Usage, anyhow::Error::msg(message.to_string()))
    }

    /// Something was found.
    pub fn finding(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Finding, anyhow::Error::msg(message.to_string()))
    }

    /// Something does not answer, or cannot be read or written.
    pub fn unreachable(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Unreachable, anyhow::Error::msg(message.to_string()))
    }

    /// It is not done.
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Refused, anyhow::Error::msg(message.to_string()))
    }

    /// Writing to standard output failed. When the reader has gone (`| head`) that is its good right: the command ends
    /// quietly, and fine.
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::reported(ExitStatus::Fine);
        }
        Self::new(
            ExitStatus::Unreachable,
            anyhow::Error::new(error).context("cannot write to standard output"),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{error:#}"),
            None => write!(f, "exit code {}", self.code as u8),
        }
    }
}

/// Gives an error of a library its exit code, and says what was being done.
pub trait OrExit<T> {
    /// `what` begins the message: "cannot read orders.csv".
    fn or_exit<W: fmt::Display>(self, code: ExitStatus, what: impl FnOnce() -> W) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit<W: fmt::Display>(self, code: ExitStatus, what: impl FnOnce() -> W) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(code, error.into().context(what().to_string())))
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Writes to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gone_reader_is_no_failure() {
        let gone = Failure::output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((gone.code, gone.error.is_none()), (ExitStatus::Fine, true));
        let full = Failure::output(io::ErrorKind::StorageFull.into());
        assert_eq!(full.code, ExitStatus::Unreachable);
        assert!(full.to_string().starts_with("cannot write to standard output: "), "{full}");
    }

    #[test]
    fn the_message_holds_what_and_why() {
        let failed: Result<(), io::Error> = Err(io::ErrorKind::NotFound.into());
        let failure = failed.or_exit(ExitStatus::Usage, || "cannot read x.csv").unwrap_err();
        assert_eq!(failure.code, ExitStatus::Usage);
        assert_eq!(failure.to_string(), "cannot read x.csv: entity not found");
    }
}
