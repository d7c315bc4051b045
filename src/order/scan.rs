//! One order out of a log that can only be read: without an index, by going through all of it.

use std::path::Path;

use retailflow_config::Config;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::record;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::view;
use retailflow_engine::ports::LoggedEntry;

use crate::audit::group_of;
use crate::cli::log_source::LogSource;
use crate::client::say;
use crate::order::name::Found;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Whether nothing can be written in a data directory: a snapshot, or a copy that is another user's. Then its index cannot be
/// opened.
pub(crate) fn is_needed(data: &Path) -> bool {
    let log = data.join("log");
    let denied = [rustix::io::Errno::ROFS, rustix::io::Errno::ACCESS, rustix::io::Errno::PERM];
    let is_read_only =
        matches!(rustix::fs::access(&log, rustix::fs::Access::WRITE_OK), Err(why) if denied.contains(&why));
    if is_read_only {
        say(format!(
            "{} can only be read: all of the log is gone through, which may take a while",
            data.display()
        ));
    }
    is_read_only
}

/// An order and its history. Holds the order's records in memory, and nothing else.
///
/// # Errors
/// A [`Failure`] when the log cannot be read. What is broken in it is told on standard error: behind that, decisions may be
/// missing.
pub(crate) fn read(data: &Path, config: &Config, name: &OrderRef) -> Result<Found, Failure> {
    let (mut records, mut reason) = (Vec::new(), None);
    let report = LogSource::copy(data).check(config, &mut |frame| {
        for entry in group_of(frame)?.into_iter().flat_map(|group| group.entries) {
            match entry {
                LoggedEntry::Record(bytes) => {
                    let summary = record::summary(&bytes).map_err(|error| error.to_string())?;
                    if summary.order == *name {
                        records.push(bytes);
                    }
                }
                LoggedEntry::Control(bytes) => {
                    let control = Control::decode(&bytes).map_err(|error| error.to_string())?;
                    match control {
                        Control::Park { order, reason: why, .. } if order == *name => reason = Some(why),
                        Control::Release { order, .. } if order == *name => reason = None,
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    })?;
    for problem in &report.problems {
        say(format!("problem: {}: {}; what comes after it is not shown", problem.place, problem.what));
    }
    view(name, &records, reason.as_deref())
        .or_exit(ExitStatus::Finding, || format!("cannot read order {name}"))
}
