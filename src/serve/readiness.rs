//! Whether the process can do its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use retailflow_actors::NodeHandle;
use retailflow_cluster::disk::event_log::DiskLog;
use retailflow_cluster::disk::files::DiskWatch;
use retailflow_engine::ports::Role;
use retailflow_gateway::Readiness;
use tokio::sync::watch;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It takes nothing yet.
    Starting,
    /// It works.
    Serving,
    /// It ends.
    Draining,
}

/// What else can keep a process from its work: why, if it does.
pub(super) type Watch = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// No healthy disk takes longer for a write or a sync; one that does holds up all answers.
const DISK_SILENT_MAX: Duration = Duration::from_secs(2);

/// Says when the log's disk does not answer, and nothing more once it does. Never waits for it.
pub(super) fn disk(disk: Arc<DiskWatch>) -> Watch {
    Box::new(move || silence(disk.silent_for()))
}

/// Says when the index cannot be written, while the log still takes records.
pub(super) fn index(log: &Arc<DiskLog>) -> Watch {
    let log = Arc::clone(log);
    Box::new(move || {
        let text =
            "the index cannot be written: it waits in memory, and commands are refused when that is full";
        log.index_stats().suspended.then(|| text.to_owned())
    })
}

/// Says when a read came upon damage in the log. Other orders are served all the same.
pub(super) fn damage(log: &Arc<DiskLog>) -> Watch {
    let log = Arc::clone(log);
    Box::new(move || log.damage().map(|why| format!("the log is damaged ({why}): see `retailflow verify`")))
}

/// Names the partitions that stand still because their log lost what it had acknowledged. Other partitions are served all the same.
pub(super) fn stopped(node: &NodeHandle) -> Watch {
    let node = node.clone();
    Box::new(move || {
        let stopped: Vec<String> = node.stopped().iter().map(ToString::to_string).collect();
        let text = || {
            format!(
                "partitions {} are stopped, because their log lost acknowledged data: find out what became of it (a backup put \
                 back, a stream purged) before this process is started again",
                stopped.join(", ")
            )
        };
        (!stopped.is_empty()).then(text)
    })
}

/// Names the participants that are left alone. Commands are taken all the same.
pub(super) fn participants(node: &NodeHandle) -> Watch {
    let node = node.clone();
    Box::new(move || {
        let away: Vec<_> = node.participants_away().into_iter().map(Role::as_str).collect();
        let text = || {
            format!(
                "{} do not answer, or fail again and again: {} steps wait; new orders are taken, and go on when they are back \
                 (retailflow_effect_calls_total tells how their calls end)",
                away.join(" and "),
                node.effects_running()
            )
        };
        (!away.is_empty()).then(text)
    })
}

fn silence(silent: Option<Duration>) -> Option<String> {
    let silent = silent.filter(|silent| *silent > DISK_SILENT_MAX)?;
    Some(format!("the log's disk has not answered for {} ms", silent.as_millis()))
}

/// The phase, and whether the log still takes records.
pub(super) struct State {
    phase: AtomicU8,
    failed: watch::Receiver<Option<Arc<str>>>,
    watches: Vec<Watch>,
    /// What is told, and keeps the process from nothing.
    notes: Vec<Watch>,
}

impl State {
    pub(super) fn new(failed: watch::Receiver<Option<Arc<str>>>, watches: Vec<Watch>) -> Self {
        Self { phase: AtomicU8::new(Phase::Starting as u8), failed, watches, notes: Vec::new() }
    }

    /// Tells this as well.
    pub(super) fn with_note(mut self, note: Watch) -> Self {
        self.notes.push(note);
        self
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) == phase as u8
    }
}

impl Readiness for State {
    fn not_ready(&self) -> Vec<String> {
        let mut reasons = self.not_alive();
        if self.is(Phase::Starting) {
            reasons.push("starting: partitions are taken over".into());
        }
        reasons.extend(self.watches.iter().filter_map(|watch| watch()));
        if self.is(Phase::Draining) {
            reasons.push("draining: send what is new to another node, or here after the restart".into());
        }
        reasons
    }

    fn notes(&self) -> Vec<String> {
        self.notes.iter().filter_map(|note| note()).collect()
    }

    fn not_alive(&self) -> Vec<String> {
        // The reason itself may name files of this machine: it is in the log.
        match &*self.failed.borrow() {
            Some(_) => vec!["the log failed for good: start the process again when the disk is well".into()],
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_told_of_only_while_it_is_silent_for_long() {
        let ms = Duration::from_millis;
        assert_eq!(silence(None), None);
        assert_eq!(silence(Some(ms(2_000))), None);
        let told = silence(Some(ms(2_345)));
        assert_eq!(told.as_deref(), Some("the log's disk has not answered for 2345 ms"));
    }
}
