//! The parts of a process that can be ill, each with its name in metrics, and those that are looked at one by one.

use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::NodeHandle;
use retailflow_disk::event_log::DiskLog;
use retailflow_engine::ports::Role;
use retailflow_os::files::DiskWatch;

use super::Watch;

/// No healthy disk takes longer for a write or a sync; one that does holds up all answers.
const DISK_SILENT_MAX: Duration = Duration::from_secs(2);

macro_rules! parts {
    ($($name:ident $text:literal $doc:literal;)*) => {
        /// What can be ill by itself. The names are labels of metrics, and frozen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Part {
            $(#[doc = $doc] $name,)*
        }

        impl Part {
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// Its label.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

parts! {
    Disk "disk" "The log's disk answers.";
    Connection "connection" "A server of the log is connected.";
    Streams "streams" "The streams are there, are those that they were, and are led.";
    Log "log" "The log answers.";
    Room "room" "The log takes records.";
    Regressed "regressed" "The log has what it acknowledged.";
    Ownership "ownership" "What this node is to run it runs.";
    Session "session" "The membership stands.";
    Reading "reading" "Published commands are read.";
    Durability "durability" "The log gives what is asked for.";
    Participants "participants" "Participants answer.";
    Lists "lists" "Lists of orders are shown.";
    Index "index" "The index can be written.";
    Damage "damage" "What was read of the log was whole.";
    Clock "clock" "The clock of this machine is that of the servers.";
}

impl Part {
    /// What to do about it, where nothing more is known.
    fn remedy(self) -> &'static str {
        match self {
            Self::Disk => {
                "see to the disk below the data directory; the node goes on by itself when it answers"
            }
            Self::Connection => {
                "start the NATS servers, or let this machine reach them: `retailflow doctor` names those that are away"
            }
            Self::Streams => "see \"A lost stream\" in docs/cluster.md",
            Self::Log => {
                "start the NATS servers that are away: `retailflow doctor` names them, and the streams that lack copies"
            }
            Self::Room => "make room; it goes on by itself",
            Self::Regressed => {
                "find out what became of the log (a backup put back, a stream purged) and put back what was lost, then start this \
                 process again"
            }
            Self::Ownership => "the lines of this node's log say why; what is silent there is named above",
            Self::Session => {
                "start etcd's members, or let this machine reach them; a new session begins by itself"
            }
            Self::Reading => {
                "what its reason says; where the stream was stopped, `retailflow cluster recover-commands --dry-run` says what would be done"
            }
            Self::Durability => "`retailflow doctor` says what makes it more",
            Self::Participants => "start them, or let this machine reach them; orders go on by themselves",
            Self::Lists => "nothing: they are made anew from the log, and shown then",
            Self::Index => "make room on the disk of the data directory; it is written by itself then",
            Self::Damage => "stop the process, and run `retailflow verify --data DIR`",
            Self::Clock => "have this machine's and the NATS servers' clocks kept by NTP",
        }
    }
}

/// Something that is ill now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthIssue {
    pub part: Part,
    /// For people: what it is, and what it means.
    pub text: String,
    /// What to do.
    pub remedy: String,
    /// For how long, where that is known.
    pub since: Option<Duration>,
    /// The process had better get no requests.
    pub bars: bool,
}

impl HealthIssue {
    pub fn bars(part: Part, text: impl Into<String>) -> Self {
        Self { part, text: text.into(), remedy: part.remedy().into(), since: None, bars: true }
    }

    pub fn note(part: Part, text: impl Into<String>) -> Self {
        Self { bars: false, ..Self::bars(part, text) }
    }

    /// With other advice than its part has.
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    pub fn since(self, since: Duration) -> Self {
        Self { since: Some(since), ..self }
    }
}

/// Says when the log's disk does not answer, and nothing more once it does. Never waits for it.
pub(crate) fn disk(disk: Arc<DiskWatch>) -> Watch {
    Box::new(move || silence(disk.silent_for()).into_iter().collect())
}

pub(super) fn silence(silent: Option<Duration>) -> Option<HealthIssue> {
    let silent = silent.filter(|silent| *silent > DISK_SILENT_MAX)?;
    let text = format!("the log's disk has not answered for {} ms", silent.as_millis());
    Some(HealthIssue::bars(Part::Disk, text).since(silent))
}

/// Says when the index cannot be written, while the log still takes records.
pub(crate) fn index(log: &Arc<DiskLog>) -> Watch {
    let log = Arc::clone(log);
    Box::new(move || {
        let text =
            "the index cannot be written: it waits in memory, and commands are refused when that is full";
        log.index_stats().suspended.then(|| HealthIssue::note(Part::Index, text)).into_iter().collect()
    })
}

/// Says when a read came upon damage in the log. Other orders are served all the same.
pub(crate) fn damage(log: &Arc<DiskLog>) -> Watch {
    let log = Arc::clone(log);
    Box::new(move || {
        let text = |why| format!("the log is damaged ({why}): see `retailflow verify`");
        log.damage().map(|why| HealthIssue::note(Part::Damage, text(why))).into_iter().collect()
    })
}

/// Says why lists of orders are not shown.
pub(crate) fn lists(why_not: impl Fn() -> Option<String> + Send + Sync + 'static) -> Watch {
    Box::new(move || why_not().map(|why| HealthIssue::note(Part::Lists, why)).into_iter().collect())
}

/// Names the participants that are left alone. Commands are taken all the same.
pub(crate) fn participants(node: &NodeHandle) -> Watch {
    let node = node.clone();
    Box::new(move || {
        let away: Vec<_> = node.unavailable_participants().into_iter().map(Role::as_str).collect();
        let text = || {
            format!(
                "{} do not answer, or fail again and again: {} steps wait; new orders are taken, and go on when they are back \
                 (retailflow_effect_calls_total tells how their calls end)",
                away.join(" and "),
                node.effects_running()
            )
        };
        (!away.is_empty()).then(|| HealthIssue::note(Part::Participants, text())).into_iter().collect()
    })
}
