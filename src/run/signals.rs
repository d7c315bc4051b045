//! SIGTERM and SIGINT: the first one finishes, the second one ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::exit::{ExitStatus, Failure, OrExit};

/// What hears the stop, what asks for it from inside, and the task that listens.
pub(crate) type Listening = (watch::Receiver<bool>, watch::Sender<bool>, JoinHandle<()>);

/// Listens from now on; `true` once a stop was asked for. A second signal ends the process at once: what was
/// answered is in the log, and what was not was told to nobody.
pub(crate) fn listen() -> Result<Listening, Failure> {
    let (stop, stopped) = watch::channel(false);
    let mut term =
        signal(SignalKind::terminate()).or_exit(ExitStatus::Unreachable, || "cannot hear signals")?;
    let mut int =
        signal(SignalKind::interrupt()).or_exit(ExitStatus::Unreachable, || "cannot hear signals")?;
    let asked = stop.clone();
    let task = tokio::spawn(async move {
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
    Ok((stopped, stop, task))
}
