//! Whether the streams that a node stands on are there, led, whole and have room: looked at every few seconds, for who asks.
//!
//! A stream that is lost in one of these ways answers publishers with silence, and nothing else tells of it: a stopped one (one message
//! with `Nats-Expected-Last-Msg-Id` does that) still has its configuration, its messages, and all its copies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answers::ApiFailure;
use super::api::{Api, StreamInfo};
use super::errors::{STREAM_NOT_FOUND, TEMPORARILY_UNAVAILABLE};
use super::fill::{Fill, FillLevel, account_fill};
use super::{Connections, subjects};
use retailflow_os::repeated::Repeated;

/// A leader that was deposed tells an older end for a while: only what lasts longer is believed.
const DEPOSED_MAX: Duration = Duration::from_secs(15);
/// What may pass by itself is said when it has lasted for so long.
const SAID_AFTER: Duration = Duration::from_secs(10);

/// What is wrong with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFault {
    /// It is not there.
    Missing,
    /// None of its copies leads. Where others are led, its servers are there, and it was stopped.
    Leaderless {
        /// Others are led.
        alone: bool,
    },
    /// Nobody answers for it.
    Silent(String),
    /// It is another one than this process began with.
    Replaced {
        /// When the one before was made, as the server has it.
        before: String,
        /// When this one was.
        now: String,
    },
    /// It ends before what was seen of it: it was restored from an older copy, or lost its end.
    Shorter {
        /// The last sequence that was seen.
        seen: u64,
        /// Its last one now.
        last: u64,
    },
}

/// A fault of a stream, and for how long it has been so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyStream {
    /// Which stream.
    pub stream: String,
    /// What is wrong.
    pub fault: StreamFault,
    /// For how long.
    pub lasts: Duration,
}

impl FaultyStream {
    /// Whether it is the log's: then what was acknowledged is in danger, or cannot be added to.
    #[must_use]
    pub fn is_log(&self) -> bool {
        subjects::is_log_stream(&self.stream)
    }

    /// What an operator does about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        let commands = self.stream == subjects::COMMANDS;
        match &self.fault {
            StreamFault::Leaderless { alone: false } | StreamFault::Silent(_) => {
                "look at the NATS servers: most of those that hold it are away, or one has reached max_file_store (it gives up all leaders \
                 then): make room or raise it, and restart the servers one after another"
            }
            StreamFault::Leaderless { alone: true } if commands => {
                "if it stays so, it was stopped (Nats-Expected-Last-Msg-Id): `retailflow cluster recover-commands --dry-run`"
            }
            StreamFault::Missing if commands => "`retailflow cluster recover-commands` makes it again",
            _ if self.is_log() => {
                "restore it from a backup, all streams of one moment; never make it anew (docs/cluster.md, \"A lost stream\")"
            }
            _ => "see \"A lost stream\" in docs/cluster.md",
        }
    }
}

impl std::fmt::Display for FaultyStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, fault, lasts } = self;
        let lasts = lasts.as_secs();
        match fault {
            StreamFault::Missing => write!(f, "stream {stream} has not been there for {lasts} s"),
            StreamFault::Leaderless { alone: true } => {
                write!(
                    f,
                    "stream {stream} has had no leader for {lasts} s, and others have: whoever publishes gets no answer"
                )
            }
            StreamFault::Leaderless { alone: false } => {
                write!(f, "stream {stream} has had no leader for {lasts} s, as all others")
            }
            StreamFault::Silent(why) => {
                write!(f, "nobody has answered for stream {stream} for {lasts} s ({why})")
            }
            StreamFault::Replaced { before, now } => {
                write!(
                    f,
                    "stream {stream} is another one, made at {now}; that of before was made at {before}"
                )
            }
            StreamFault::Shorter { seen, last } => {
                write!(
                    f,
                    "stream {stream} ends at {last}, and {seen} was seen: it lost its end, or is an older copy"
                )
            }
        }
    }
}

/// Looks at streams until it is closed.
pub struct StreamWatch {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

type OnRoom = Box<dyn Fn(Option<&str>) + Send + Sync>;

struct Shared {
    api: Api,
    streams: Vec<String>,
    seen: Mutex<Seen>,
    full: Repeated,
    /// Is told why nothing more may be stored, or that it may.
    on_room: OnRoom,
}

#[derive(Default)]
struct Seen {
    streams: BTreeMap<String, StreamSeen>,
    /// Of streams and the account; and what others know of the servers.
    fills: Vec<Fill>,
    servers: Vec<Fill>,
}

#[derive(Default)]
struct StreamSeen {
    created: String,
    last: u64,
    shorter_since: Option<Instant>,
    /// What is wrong, since when, and whether it was said.
    fault: Option<(StreamFault, Instant, bool)>,
}

impl StreamWatch {
    /// Begins to look at the streams of a log of so many shards and at those of the doors, `every` so often. After each look `on_room` is told
    /// why nothing more may be stored, if that is so: a server's store, the account's, or a stream of the log is filled to 97 %. What
    /// meets such a limit in the middle of a group may be stored in part, and copies lose their leaders (ADR 35).
    #[must_use]
    pub fn start(
        connections: &Connections,
        shards: u16,
        every: Duration,
        on_room: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::new(connections, shards, Box::new(on_room)));
        let stop = CancellationToken::new();
        let (looking, end) = (Arc::clone(&shared), stop.clone());
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = end.cancelled() => return,
                    () = looking.check() => {}
                }
                tokio::select! {
                    () = end.cancelled() => return,
                    () = tokio::time::sleep(every) => {}
                }
            }
        });
        Self { shared, stop, task: Mutex::new(Some(task)) }
    }

    /// Looks once, for who asks once: a fault then has lasted for no time yet, and a leader may be changing.
    pub async fn once(connections: &Connections, shards: u16) -> Self {
        let shared = Arc::new(Shared::new(connections, shards, Box::new(|_| {})));
        shared.check().await;
        Self { shared, stop: CancellationToken::new(), task: Mutex::new(None) }
    }

    /// What is wrong now, the log's streams first. Never waits.
    #[must_use]
    pub fn faulty(&self) -> Vec<FaultyStream> {
        let seen = self.shared.seen.lock();
        let trouble = |stream: &String| {
            let (fault, since, _) = seen.streams.get(stream)?.fault.as_ref()?;
            Some(FaultyStream { stream: stream.clone(), fault: fault.clone(), lasts: since.elapsed() })
        };
        self.shared.streams.iter().filter_map(trouble).collect()
    }

    /// What is full to 80 % or more. Never waits.
    #[must_use]
    pub fn filling(&self) -> Vec<Fill> {
        let seen = self.shared.seen.lock();
        let fills = seen.fills.iter().chain(&seen.servers);
        fills.filter(|fill| fill.level() > FillLevel::Fine).cloned().collect()
    }

    /// How full the servers' stores are, from who can ask them.
    pub fn servers(&self, fills: Vec<Fill>) {
        self.shared.seen.lock().servers = fills;
        self.shared.warn();
    }

    /// Why nothing more may be stored, if that is so. Never waits.
    #[must_use]
    pub fn no_room(&self) -> Option<String> {
        self.shared.seen.lock().no_room()
    }

    /// Looks no more. A look under way is cut off: it only reads.
    pub async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!(event = "task_panicked", "what looks at streams ended badly");
        }
    }
}

impl Drop for StreamWatch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn new(connections: &Connections, shards: u16, on_room: OnRoom) -> Self {
        let doors = [subjects::COMMANDS, subjects::EVENTS, subjects::DEAD_LETTERS, subjects::META];
        let streams = (0..shards).map(subjects::stream).chain(doors.map(str::to_owned)).collect();
        let api = Api::new(connections.read.clone(), connections.request_timeout);
        Self { api, streams, seen: Mutex::default(), full: Repeated::new(), on_room }
    }

    async fn check(&self) {
        let asked = self.streams.iter().map(|stream| self.api.info(stream));
        let (answers, account) = futures_util::join!(join_all(asked), self.api.ask("INFO", &Value::Null));
        let led = answers.iter().flatten().any(|info| !info.leaderless);
        let mut fills = Vec::new();
        {
            let now = Instant::now();
            let mut seen = self.seen.lock();
            for (stream, answer) in self.streams.iter().zip(answers) {
                if let Ok(info) = &answer
                    && let Some(max_bytes) = info.bytes_max
                {
                    fills.push(Fill { of: format!("stream {stream}"), used_bytes: info.bytes, max_bytes });
                }
                let told = seen.streams.entry(stream.clone()).or_default().note(stream, answer, led, now);
                if let Some((fault, lasts)) = told {
                    let trouble = FaultyStream { stream: stream.clone(), fault, lasts };
                    tracing::error!(event = "stream_trouble", %stream, mend = trouble.remedy(), "{trouble}");
                }
            }
            fills.extend(account.ok().as_ref().and_then(account_fill));
            seen.fills = fills;
        }
        self.warn();
    }

    fn warn(&self) {
        let seen = self.seen.lock();
        (self.on_room)(seen.no_room().as_deref());
        for fill in seen.fills.iter().chain(&seen.servers) {
            let said = match fill.level() {
                FillLevel::Fine => continue,
                level => self.full.due(&format_args!("{} {level:?}", fill.of)),
            };
            match (said, fill.level()) {
                (Some(_), FillLevel::NearlyFull | FillLevel::NoRoom) => tracing::error!(
                    event = "store_nearly_full",
                    "{fill}: make room now; what finds none is refused (storage_full) and taken again when there is"
                ),
                (Some(_), _) => tracing::warn!(event = "store_filling", "{fill}: make room soon"),
                (None, _) => {}
            }
        }
    }
}

impl Seen {
    /// Commands are not the log's: their stream is full at times, and refuses whoever publishes.
    fn no_room(&self) -> Option<String> {
        let commands = format!("stream {}", subjects::COMMANDS);
        let mut fills = self.fills.iter().filter(|fill| fill.of != commands).chain(&self.servers);
        let full = fills.find(|fill| fill.level() == FillLevel::NoRoom)?;
        Some(format!(
            "{full}: the rest is kept free, because a NATS that meets its limit does not come back by itself; make room, or raise the limit"
        ))
    }
}

impl StreamSeen {
    /// Takes in what was answered. Gives a fault that is new, or has come to last.
    fn note(
        &mut self,
        stream: &str,
        answer: Result<StreamInfo, ApiFailure>,
        others_led: bool,
        now: Instant,
    ) -> Option<(StreamFault, Duration)> {
        let fault = match answer {
            Ok(info) => self.of(stream, &info, others_led, now),
            Err(ApiFailure::Refused(error)) if error.err_code == STREAM_NOT_FOUND => {
                Some(StreamFault::Missing)
            }
            Err(ApiFailure::Refused(error)) if error.err_code == TEMPORARILY_UNAVAILABLE => {
                Some(StreamFault::Leaderless { alone: others_led })
            }
            Err(trouble) => Some(StreamFault::Silent(trouble.to_string())),
        };
        let Some(fault) = fault else {
            if let Some((_, since, true)) = self.fault.take() {
                let lasted_s = now.saturating_duration_since(since).as_secs();
                tracing::info!(event = "stream_well", stream, lasted_s, "the stream is well again");
            }
            return None;
        };
        let same = |before: &StreamFault| std::mem::discriminant(before) == std::mem::discriminant(&fault);
        let (since, said) = match &self.fault {
            Some((before, since, said)) if same(before) => (*since, *said),
            _ => (now, false),
        };
        let lasts = now.saturating_duration_since(since);
        // A leader that changes is away for some seconds.
        let passing = matches!(fault, StreamFault::Leaderless { .. } | StreamFault::Silent(_));
        let due = !said && (!passing || lasts >= SAID_AFTER);
        self.fault = Some((fault.clone(), since, said || due));
        due.then_some((fault, lasts))
    }

    fn of(&mut self, stream: &str, info: &StreamInfo, others_led: bool, now: Instant) -> Option<StreamFault> {
        if info.leaderless {
            return Some(StreamFault::Leaderless { alone: others_led });
        }
        if self.created.is_empty() {
            self.created.clone_from(&info.created);
        }
        if self.created != info.created {
            let (before, now) = (self.created.clone(), info.created.clone());
            // Another log is never ours; whatever else was made anew is read from its beginning.
            if !subjects::is_log_stream(stream) {
                tracing::warn!(
                    event = "stream_replaced",
                    stream,
                    before,
                    now,
                    "the stream is another one; it is read from its beginning"
                );
                // What was wrong with the one before stays until it is told that it is over.
                (self.created, self.last, self.shorter_since) = (now, info.last_sequence, None);
                return None;
            }
            return Some(StreamFault::Replaced { before, now });
        }
        if info.last_sequence >= self.last {
            self.last = info.last_sequence;
            self.shorter_since = None;
            return None;
        }
        let since = *self.shorter_since.get_or_insert(now);
        let lasts = now.saturating_duration_since(since) >= DEPOSED_MAX;
        lasts.then_some(StreamFault::Shorter { seen: self.last, last: info.last_sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::ApiError;

    fn info(created: &str, last: u64, leaderless: bool) -> Result<StreamInfo, ApiFailure> {
        Ok(StreamInfo {
            config: Value::Null,
            created: created.into(),
            first_sequence: 1,
            deleted: 0,
            last_sequence: last,
            subjects: 0,
            leaderless,
            bytes: 0,
            bytes_max: None,
        })
    }

    fn refused(err_code: u32) -> Result<StreamInfo, ApiFailure> {
        Err(ApiFailure::Refused(ApiError { code: 404, err_code, description: "no".into() }))
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_in_which_a_stream_is_lost_is_named_once_and_with_what_helps() {
        let mut seen = StreamSeen::default();
        let mut note = |answer| seen.note("RF_CMD", answer, true, Instant::now()).map(|(fault, _)| fault);
        assert_eq!(note(info("a", 7, false)), None);
        assert_eq!(note(info("a", 7, true)), None, "it may be choosing one");
        tokio::time::advance(SAID_AFTER).await;
        assert_eq!(note(info("a", 7, true)), Some(StreamFault::Leaderless { alone: true }));
        assert_eq!(note(info("a", 7, true)), None, "said once");
        assert_eq!(note(refused(10_008)), None, "the same");
        assert_eq!(note(refused(10_059)), Some(StreamFault::Missing));
        assert_eq!(note(info("b", 0, false)), None, "commands that were made anew are read on");
        assert_eq!(note(info("b", 9, false)), None);
        assert_eq!(note(info("b", 8, false)), None, "a leader that was deposed");
        tokio::time::advance(DEPOSED_MAX).await;
        assert_eq!(note(info("b", 8, false)), Some(StreamFault::Shorter { seen: 9, last: 8 }));
        assert_eq!(note(Err(ApiFailure::Silent("away".into()))), None);
        tokio::time::advance(SAID_AFTER).await;
        assert!(matches!(note(Err(ApiFailure::Silent("still".into()))), Some(StreamFault::Silent(_))));
        let mut log = StreamSeen::default();
        assert_eq!(log.note("RF_LOG_0", info("a", 7, false), true, Instant::now()), None);
        let told = log.note("RF_LOG_0", info("b", 7, false), true, Instant::now());
        assert!(matches!(told, Some((StreamFault::Replaced { .. }, _))), "{told:?}");
        let trouble = |stream: &str, fault| FaultyStream {
            stream: stream.into(),
            fault,
            lasts: Duration::from_secs(61),
        };
        let stopped = trouble("RF_CMD", StreamFault::Leaderless { alone: true });
        assert!(
            stopped.to_string().contains("no leader for 61 s")
                && stopped.remedy().contains("recover-commands")
        );
        assert!(trouble("RF_LOG_3", StreamFault::Missing).remedy().contains("never make it anew"));
        assert!(!trouble("RF_META", StreamFault::Missing).remedy().contains("never"));
    }
}
