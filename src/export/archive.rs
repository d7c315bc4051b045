//! The lines of an export: the log as JSON, one frame a line, an end mark at the end.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use retailflow_disk::event_log::DiskLog;
use retailflow_disk::log::{Frame, FrameKind};
use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::codec::{identity, record};
use retailflow_engine::keys::{hex, sha256};
use retailflow_engine::ports::{
    CommitError, ControlEntry, DeadLetters, EventLog, Group, LogPosition, LoggedEntry, LoggedGroup,
    OrderEntry, Tenants,
};
use retailflow_engine::wire::base64;
use retailflow_invariants::LogChecker;
use serde::{Deserialize, Serialize};

use crate::audit::group_of;

/// One line. Bytes are base64; what stands beside them is for people and is not read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// First: which log.
    Log {
        /// Name and version of this format.
        schema: String,
        /// The log's first record.
        identity: String,
        /// For people.
        about: BTreeMap<String, String>,
    },
    /// A commit group.
    Group {
        /// The encoded fence.
        fence: String,
        /// What follows it.
        entries: Vec<Entry>,
    },
    /// A tenant's setting or a dead letter.
    Note {
        /// The encoded note.
        bytes: String,
    },
    /// Last: what stood before it.
    End(Trailer),
}

/// An entry of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Entry {
    /// An order's record.
    Record {
        /// For people.
        order: String,
        /// The encoded record.
        bytes: String,
    },
    /// A park mark or a parked command.
    Control {
        /// For people.
        order: String,
        /// The encoded control record.
        bytes: String,
    },
}

/// How many lines there were, and a hash over them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trailer {
    /// Lines before this one.
    pub(crate) lines: u64,
    /// SHA-256 over each line's SHA-256 in turn, beginning with an empty text.
    pub(crate) sha256: String,
}

impl Trailer {
    /// Takes a line in, with its end.
    pub(crate) fn add(&mut self, line: &[u8]) {
        let chained = [self.sha256.as_bytes(), &sha256(line)].concat();
        self.sha256 = hex(&sha256(&chained));
        self.lines += 1;
    }
}

/// Bytes of a line's field.
///
/// # Errors
/// When they are no base64.
pub(crate) fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    base64::decode(text).context("these are not bytes in base64")
}

/// The line that stands for a frame; none for a clean stop.
///
/// # Errors
/// What is wrong with the frame's content, in words.
pub(crate) fn line_of(frame: &Frame) -> Result<Option<Line>, String> {
    match frame.kind {
        FrameKind::Identity => {
            let identity = identity::decode(&frame.payload).map_err(|error| error.to_string())?;
            let about = [("cluster", identity.cluster), ("partitions", identity.partitions.to_string())];
            Ok(Some(Line::Log {
                schema: "retailflow.export.v1".into(),
                identity: base64::encode(&frame.payload),
                about: about.into_iter().map(|(name, text)| (name.to_owned(), text)).collect(),
            }))
        }
        FrameKind::Note => Ok(Some(Line::Note { bytes: base64::encode(&frame.payload) })),
        FrameKind::CleanStop => Ok(None),
        FrameKind::Group => {
            let Some(group) = group_of(frame)? else { return Ok(None) };
            let entries = group.entries.iter().map(entry_of).collect::<Result<_, String>>()?;
            Ok(Some(Line::Group { fence: base64::encode(&group.fence), entries }))
        }
    }
}

fn entry_of(entry: &LoggedEntry) -> Result<Entry, String> {
    match entry {
        LoggedEntry::Record(bytes) => {
            let summary = record::summary(bytes).map_err(|error| error.to_string())?;
            Ok(Entry::Record { order: summary.order.to_string(), bytes: base64::encode(bytes) })
        }
        LoggedEntry::Control(bytes) => {
            let control = Control::decode(bytes).map_err(|error| error.to_string())?;
            Ok(Entry::Control { order: control.order().to_string(), bytes: base64::encode(bytes) })
        }
    }
}

/// Commits a group of an export to a new log, which checks every condition as it did at first.
///
/// # Errors
/// What does not fit.
pub(crate) async fn apply_group(
    log: &DiskLog,
    checker: &mut LogChecker,
    fence: &str,
    entries: &[Entry],
) -> anyhow::Result<()> {
    let fence_bytes = decode(fence)?;
    let mut group = Group { fence: Fence::decode(&fence_bytes)?, records: Vec::new(), controls: Vec::new() };
    let mut logged = Vec::new();
    for entry in entries {
        match entry {
            Entry::Record { bytes, .. } => {
                ensure!(group.controls.is_empty(), "a record stands after a control record");
                let bytes = decode(bytes)?;
                let summary = record::summary(&bytes)?;
                logged.push(LoggedEntry::Record(bytes.clone()));
                group.records.push(OrderEntry {
                    order: summary.order,
                    expected_revision: summary.expected_revision,
                    next_revision: summary.next_revision,
                    deadline: summary.deadline,
                    bytes: bytes.into(),
                });
            }
            Entry::Control { bytes, .. } => {
                let bytes = decode(bytes)?;
                let order = Control::decode(&bytes)?.order().clone();
                logged.push(LoggedEntry::Control(bytes.clone()));
                group.controls.push(ControlEntry { order, bytes: bytes.into() });
            }
        }
    }
    checker.group(&LoggedGroup { position: LogPosition(0), fence: fence_bytes, entries: logged });
    match log.commit(group).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(order)) => {
            bail!("order {order}: a record is missing before this one, or repeated")
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts a note of an export into a new log.
///
/// # Errors
/// What does not fit.
pub(crate) async fn apply_note(log: &DiskLog, bytes: &str) -> anyhow::Result<()> {
    match Note::decode(&decode(bytes)?)? {
        Note::DeadLetter(letter) => DeadLetters::put(log, letter).await?,
        Note::Tenant(setting) => Tenants::put(log, setting).await?,
    }
    Ok(())
}
