//! SIGTERM and SIGINT: the first one finishes, the second one ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{ExitStatus, Failure, OrExit};

/// What hears the stop, and what asks for it from inside.
pub(crate) type Listening = (watch::Receiver<bool>, watch::Sender<bool>);

/// Listens until the runtime ends; `true` once a stop was asked for. A second signal ends the process at once, also
/// when it waits for a reader of its outcomes: what was answered is in the log, and what was not was told to nobody.
pub(crate) fn listen() -> Result<Listening, Failure> {
    let (stop, stopped) = watch::channel(false);
    let mut term =
        signal(SignalKind::terminate()).or_exit(ExitStatus::Unreachable, || "cannot hear signals")?;
    let mut int =
        signal(SignalKind::interrupt()).or_exit(ExitStatus::Unreachable, || "cannot hear signals")?;
    let asked = stop.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
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
