//! A data directory, looked at from outside: nothing in it is opened for writing.

use std::path::Path;

use retailflow_config::Config;
use retailflow_os::files::{Files as _, RealFiles};

use super::report::Report;
use super::room;
use retailflow_server::app;

/// The lock that whoever works on a log holds.
const LOCK: [&str; 2] = ["log", "lock"];

/// Looks at a data directory. Whether somebody works on it.
pub(super) fn examine(config: &Config, data: &Path, report: &mut Report) -> bool {
    let what = format!("data {}", data.display());
    let serve = format!("serve --data {}", data.display());
    match std::fs::metadata(data) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.problem(what, "is not there", format!("`retailflow {serve}` makes it"));
            report.by(serve);
            return false;
        }
        Err(error) => {
            report.problem(what, error.to_string(), "let this user read it, or name another one");
            return false;
        }
        Ok(found) if !found.is_dir() => {
            report.problem(what, "is no directory", "name the data directory with --data DIR");
            return false;
        }
        Ok(_) => {}
    }
    report.servers_reached += 1;
    if let Some((free, size)) = app::room(data) {
        let remedy =
            "make room there, or raise the quota; commands are refused as `storage_full` when it is full";
        room::report_fill(format!("room at {}", data.display()), size - free.min(size), size, remedy, report);
    }
    if !data.join("log").is_dir() {
        report.problem(what, "holds no log", format!("`retailflow {serve}` begins one"));
        report.by(serve);
        return false;
    }
    let lock: std::path::PathBuf = LOCK.iter().fold(data.to_owned(), |path, name| path.join(name));
    match RealFiles::default().is_locked(&lock) {
        Ok(true) => {
            report.ok(what, "a process works on it");
            true
        }
        Ok(false) => {
            report.problem(what, "no process works on it", format!("`retailflow {serve}` starts one"));
            report.by(serve);
            whole(config, data, report);
            false
        }
        Err(error) => {
            report.problem(what, format!("its lock cannot be looked at: {error}"), "let this user read it");
            false
        }
    }
}

/// Whether a start would find what it needs.
fn whole(config: &Config, data: &Path, report: &mut Report) {
    let what = format!("log of {}", data.display());
    match app::looks_whole(data, config) {
        Ok(None) => report.ok(what, "what was looked at is whole (`retailflow verify` reads all of it)"),
        Ok(Some(why)) => {
            let verify = format!("verify --data {}", data.display());
            let remedy = format!(
                "`retailflow {verify}` says what is wrong with it; then `retailflow repair --help`, or a backup that is put back"
            );
            report.problem(what, why, remedy);
        }
        Err(failure) => report.problem(what, failure.to_string(), "let this user read it"),
    }
}
