//! SIGTERM, SIGINT, SIGHUP and SIGQUIT: the first one finishes, the second one ends at once.
//!
//! SIGHUP is left alone where whoever started the process had it ignored (`nohup`). SIGPIPE is ignored by Rust's runtime: a
//! reader that has gone is an error of the write.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{ExitStatus, Failure, OrExit};

/// What hears the stop, and what asks for it from inside.
pub type Listening = (watch::Receiver<bool>, watch::Sender<bool>);

/// Listens until the runtime ends; `true` once a stop was asked for. A second signal ends the process at once, also
/// when it waits for a reader of its outcomes: what was answered is in the log, and what was not was told to nobody.
pub fn listen() -> Result<Listening, Failure> {
    let (stop, stopped) = watch::channel(false);
    let hear = |kind: SignalKind| signal(kind).or_exit(ExitStatus::Unreachable, || "cannot hear signals");
    let mut term = hear(SignalKind::terminate())?;
    let mut int = hear(SignalKind::interrupt())?;
    let mut quit = hear(SignalKind::quit())?;
    let mut hangup = if is_ignored(SignalKind::hangup()) { None } else { Some(hear(SignalKind::hangup())?) };
    let asked = stop.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                _ = quit.recv() => {}
                () = received(&mut hangup) => {}
            }
            if first {
                tracing::warn!("stopping: what is in flight is finished; a second signal ends at once");
                asked.send_replace(true);
            } else {
                std::process::exit(ExitStatus::Finding as i32);
            }
        }
    });
    Ok((stopped, stop))
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the process ignores a signal. To be asked before it is listened for.
fn is_ignored(kind: SignalKind) -> bool {
    // There is no safe call that only asks.
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, kind.as_raw_value()))
}

fn ignores(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(number - 1).is_ok_and(|bit| mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stands_in_a_mask() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t00000000000004ff\n";
        assert_eq!([1, 2, 13, 15].map(|number| ignores(status, number)), [true, false, true, false]);
        assert!(!ignores("", 1) && !ignores(status, 0) && !ignores(status, 99));
    }
}
