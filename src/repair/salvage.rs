//! A new log of what is whole in a damaged one.
//!
//! Invariant: an order's decisions are in the new log from its first one up to the first that is lost, and none after. An order
//! that has lost one is parked: nothing is decided on a state that is not its last, until somebody has looked. The log is a new
//! one, with an id of its own and fences of its own: positions and floors of the old one mean nothing in it, and commands that
//! are read once more are decided or replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use retailflow_config::Config;
use retailflow_disk::event_log::DiskLog;
use retailflow_disk::log::salvage::{Found, Gap, log_id, walk};
use retailflow_disk::log::{Frame, FrameKind};
use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::fence::{Fence, fence_hash, group_digest};
use retailflow_engine::codec::{identity, record};
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::{GENESIS, Hash, hex, partition_of};
use retailflow_engine::ports::{
    Clock as _, CommitError, ControlEntry, DeadLetter, DeadLetterCause, DeadLetters, EventLog, Group,
    LogIdentity, LoggedEntry, OrderEntry, Tenants,
};
use tokio::runtime::Runtime;

use super::lost::{LineResult, LostFile, Sums, stopped};
use crate::audit::group_of;
use retailflow_server::app::{self, SystemClock};

/// The file, in the new data directory, of all that stood behind the first gap.
pub(crate) const FILE: &str = "salvaged.jsonl";
/// Says in the fences who wrote them.
const NODE: &str = "salvage";

/// What was made.
pub(crate) struct Salvaged {
    /// The new log.
    pub(crate) identity: LogIdentity,
    /// Records in it.
    pub(crate) records: u64,
    /// Orders that have lost decisions, and are parked.
    pub(crate) parked: Vec<OrderRef>,
    /// What stood behind the first gap.
    pub(crate) sums: Sums,
}

/// Makes a data directory in `new` of what is whole in the log in `dir`.
///
/// # Errors
/// What can't be read or written, or a log without its identity.
pub(crate) fn salvage(dir: &Path, new: &Path, log_id: [u8; 16], config: &Config) -> anyhow::Result<Salvaged> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut work: Option<Work> = None;
    let mut failed = None;
    // What is wrong with the first segment's header is met before the log's identity is.
    let mut gaps: Vec<Gap> = Vec::new();
    let begun = |frame: &Frame| -> anyhow::Result<Work> {
        let mut work = Work::begin(frame, dir, new, log_id, config)?;
        if frame.kind != FrameKind::Identity {
            work.frame(&runtime, frame)?;
        }
        Ok(work)
    };
    let walked = walk(app::files().as_ref(), dir, app::log_options(config), &mut |found| {
        let done = match (work.as_mut(), found) {
            (None, Found::Frame(frame)) => match begun(frame) {
                Ok(mut begun) => {
                    let told = gaps.drain(..).try_for_each(|gap| begun.gap(&gap));
                    work = Some(begun);
                    told
                }
                Err(error) => match gaps.first() {
                    Some(gap) => Err(error.context(gap.reason.clone())),
                    None => Err(error),
                },
            },
            (None, Found::Gap(gap)) => {
                gaps.push(gap.clone());
                Ok(())
            }
            (Some(work), Found::Frame(frame)) => work.frame(&runtime, frame),
            (Some(work), Found::Gap(gap)) => work.gap(gap),
        };
        done.map_err(|error| stopped(&mut failed, io::Error::other(format!("{error:#}"))))
    });
    if let Some(error) = failed {
        bail!(error);
    }
    walked?;
    work.with_context(|| gaps.first().map_or_else(|| "there is no log".to_owned(), |gap| gap.reason.clone()))?
        .finish(&runtime)
}

/// The identity of a log whose first frame is lost: what a new log here would have. Whether its number of partitions is the
/// right one shows in each group.
fn guessed(dir: &Path, config: &Config) -> anyhow::Result<LogIdentity> {
    let log_id = log_id(app::files().as_ref(), dir)?.context("no segment's header can be read")?;
    let (cluster, partitions) = (config.log.cluster.clone(), config.log.partitions);
    Ok(LogIdentity { log_id, cluster, partitions, shards: 1, created: SystemClock.now() })
}

fn order_of(entry: &LoggedEntry) -> anyhow::Result<OrderRef> {
    Ok(match entry {
        LoggedEntry::Record(bytes) => record::summary(bytes)?.order,
        LoggedEntry::Control(bytes) => Control::decode(bytes)?.order().clone(),
    })
}

struct Work {
    old: LogIdentity,
    identity: LogIdentity,
    log: Arc<DiskLog>,
    file: LostFile,
    behind_gap: bool,
    /// The last fence of each partition of the new log, and its hash.
    heads: BTreeMap<PartitionId, (Fence, Hash)>,
    /// Orders that have lost something.
    holed: BTreeSet<OrderRef>,
    /// Orders that are parked in the new log.
    parked: BTreeSet<OrderRef>,
    records: u64,
}

impl Work {
    fn begin(
        frame: &Frame,
        dir: &Path,
        new: &Path,
        log_id: [u8; 16],
        config: &Config,
    ) -> anyhow::Result<Self> {
        let is_lost = frame.kind != FrameKind::Identity;
        let old = if is_lost { guessed(dir, config)? } else { identity::decode(&frame.payload)? };
        let identity = LogIdentity { log_id, created: SystemClock.now(), ..old.clone() };
        let opened = DiskLog::open(new, &app::disk_options(config), &app::files(), &identity, &mut |_| ());
        let (log, _) = opened?;
        let file = LostFile::create(&new.join(FILE), &hex(&old.log_id), Some(&hex(&log_id)))?;
        let (heads, holed, parked) = Default::default();
        // What stood beside the identity may be lost, too.
        Ok(Self { old, identity, log, file, behind_gap: is_lost, heads, holed, parked, records: 0 })
    }

    fn gap(&mut self, gap: &Gap) -> anyhow::Result<()> {
        self.behind_gap |= !gap.unfinished_write;
        self.file.gap(gap).map_err(Into::into)
    }

    fn frame(&mut self, runtime: &Runtime, frame: &Frame) -> anyhow::Result<()> {
        match frame.kind {
            FrameKind::Note => match Note::decode(&frame.payload)? {
                Note::DeadLetter(letter) => runtime.block_on(DeadLetters::put(self.log.as_ref(), letter))?,
                Note::Tenant(setting) => runtime.block_on(Tenants::put(self.log.as_ref(), setting))?,
            },
            FrameKind::Group => {
                let group = group_of(frame).map_err(anyhow::Error::msg)?.context("it is a group")?;
                let fence = Fence::decode(&group.fence)?;
                let home = self.identity.partitions;
                for entry in &group.entries {
                    let order = order_of(entry)?;
                    ensure!(
                        partition_of(&order, home) == fence.partition,
                        "the log's identity is lost, and it had another number of partitions than {home}: give it with \
                         --set log.partitions=N"
                    );
                }
                runtime.block_on(self.group(fence, group.entries))?;
            }
            FrameKind::Identity | FrameKind::CleanStop => {}
        }
        Ok(())
    }

    async fn group(&mut self, old: Fence, mut entries: Vec<LoggedEntry>) -> anyhow::Result<()> {
        loop {
            let mut kept = Vec::with_capacity(entries.len());
            for entry in entries {
                match self.follows(&entry)? {
                    true => kept.push(entry),
                    false => self.file.entry(&entry, LineResult::BehindHole)?,
                }
            }
            if kept.is_empty() {
                return Ok(());
            }
            match self.commit(old.partition, old.epoch, &kept).await? {
                None => {
                    for entry in &kept {
                        self.taken(entry)?;
                    }
                    return Ok(());
                }
                // The one before it is lost; the others are tried once more without it.
                Some(conflict) => drop(self.holed.insert(conflict)),
            }
            entries = kept;
        }
    }

    /// Whether an entry may go on: nothing of its order is known to be lost.
    fn follows(&mut self, entry: &LoggedEntry) -> anyhow::Result<bool> {
        let (order, needs_mark) = match entry {
            LoggedEntry::Record(bytes) => (record::summary(bytes)?.order, false),
            LoggedEntry::Control(bytes) => {
                let control = Control::decode(bytes)?;
                (control.order().clone(), !matches!(control, Control::Park { .. }))
            }
        };
        if needs_mark && !self.parked.contains(&order) {
            // The mark that it stands behind is lost.
            self.holed.insert(order.clone());
        }
        Ok(!self.holed.contains(&order))
    }

    fn taken(&mut self, entry: &LoggedEntry) -> anyhow::Result<()> {
        match entry {
            LoggedEntry::Record(_) => self.records += 1,
            LoggedEntry::Control(bytes) => match Control::decode(bytes)? {
                Control::Park { order, .. } => drop(self.parked.insert(order)),
                Control::Release { order, .. } => drop(self.parked.remove(&order)),
                Control::ParkedCommand { .. } => {}
            },
        }
        if self.behind_gap {
            self.file.entry(entry, LineResult::Salvaged)?;
        }
        Ok(())
    }

    /// Commits entries under a fence of the new log; answers the order whose record does not follow, if one does not.
    async fn commit(
        &mut self,
        partition: PartitionId,
        epoch: u64,
        entries: &[LoggedEntry],
    ) -> anyhow::Result<Option<OrderRef>> {
        let bytes = |entry: &LoggedEntry| match entry {
            LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes) => bytes.clone(),
        };
        let all: Vec<Vec<u8>> = entries.iter().map(bytes).collect();
        let head = self.heads.get(&partition);
        let (group, previous) = head.map_or((0, GENESIS), |(fence, hash)| (fence.group, *hash));
        let fence = Fence {
            partition,
            epoch: epoch.max(head.map_or(0, |(fence, _)| fence.epoch)),
            group: group + 1,
            previous,
            digest: group_digest(all.iter().map(Vec::as_slice)),
            entries: u32::try_from(all.len())?,
            intake: Vec::new(),
            effects_floor: 0,
            node: NODE.to_owned(),
            written: SystemClock.now(),
        };
        let mut proposed = Group { fence: fence.clone(), records: Vec::new(), controls: Vec::new() };
        for (entry, bytes) in entries.iter().zip(all) {
            match entry {
                LoggedEntry::Record(_) => {
                    let summary = record::summary(&bytes)?;
                    proposed.records.push(OrderEntry {
                        order: summary.order,
                        expected_revision: summary.expected_revision,
                        next_revision: summary.next_revision,
                        deadline: summary.deadline,
                        bytes: bytes.into(),
                    });
                }
                LoggedEntry::Control(_) => {
                    let order = Control::decode(&bytes)?.order().clone();
                    proposed.controls.push(ControlEntry { order, bytes: bytes.into() });
                }
            }
        }
        match self.log.commit(proposed).await {
            Ok(_) => {
                let hash = fence_hash(&fence.encode()?);
                self.heads.insert(partition, (fence, hash));
                Ok(None)
            }
            Err(CommitError::Conflict(order)) => Ok(Some(order)),
            Err(error) => Err(error.into()),
        }
    }

    fn finish(mut self, runtime: &Runtime) -> anyhow::Result<Salvaged> {
        let at = SystemClock.now();
        let holed = std::mem::take(&mut self.holed);
        for order in &holed {
            if self.parked.contains(order) {
                continue;
            }
            let reason = format!("salvaged: decisions are lost, and what is known of them stands in {FILE}");
            let mark = Control::Park { order: order.clone(), reason, at }.encode()?;
            let partition = partition_of(order, self.identity.partitions);
            let epoch = self.heads.get(&partition).map_or(1, |(fence, _)| fence.epoch);
            let refused = runtime.block_on(self.commit(partition, epoch, &[LoggedEntry::Control(mark)]))?;
            ensure!(refused.is_none(), "{order} cannot be parked");
        }
        let sums = self.file.finish()?;
        let reason = format!(
            "this log was salvaged from log {}: {} gaps; {} orders are known to have lost decisions and are parked; {} decisions \
             behind the first gap are listed in {FILE}; what the gaps held is not known",
            hex(&self.old.log_id),
            sums.gaps,
            holed.len(),
            sums.decisions
        );
        let name = reason.clone();
        let (origin, code) = ("retailflow repair --salvage".to_owned(), "salvaged".to_owned());
        let cause = DeadLetterCause { tenant: None, origin, code, reason };
        let letter = DeadLetter::of(name.as_bytes(), cause, (Vec::new(), 0), at);
        runtime.block_on(DeadLetters::put(self.log.as_ref(), letter))?;
        self.log.close();
        Ok(Salvaged {
            identity: self.identity,
            records: self.records,
            parked: holed.into_iter().collect(),
            sums,
        })
    }
}
