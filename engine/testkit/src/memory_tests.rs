//! Regressions of the reference adapters; what they share with others stands in the suites.

use crate::author::{Author, CONTEXT, Writer, control, order};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::keys::GENESIS;
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    CommitError, ControlEntry, DeadlineChange, Group, LogIdentity, PartitionHead,
};

fn log() -> MemoryLog {
    let (cluster, created) = ("test".into(), TimestampMs(1));
    MemoryLog::new(LogIdentity { log_id: [9; 16], cluster, partitions: 1, shards: 1, created })
}

fn writer() -> Writer {
    Writer { partition: PartitionId(0), epoch: 1, head: PartitionHead { fence: None, hash: GENESIS } }
}

#[track_caller]
fn refused(log: &MemoryLog, group: &Group, why: &str) {
    let Err(CommitError::Broken(text)) = log.commit_now(group) else { panic!("{why}: taken") };
    assert!(text.contains(why), "{text}");
    assert!(log.groups().is_empty(), "a refused group leaves no trace");
}

#[test]
fn a_control_that_cannot_be_read_is_refused_before_anything_is_written() {
    let log = log();
    let entry = ControlEntry { order: order("shop", "o-2"), bytes: vec![1, 2, 3].into() };
    let mut author = Author::new(&order("shop", "o-1"));
    refused(&log, &writer().group(vec![author.clone().write(1)], vec![entry]), "a control");
    log.commit_now(&writer().group(vec![author.write(1)], vec![])).unwrap();
}

#[test]
fn a_group_that_contradicts_itself_is_refused() {
    let log = log();
    let entry = Author::new(&order("shop", "o-1")).write(1);
    let whole = writer().group(vec![entry.clone()], vec![]);
    let mut other_digest = whole.clone();
    other_digest.fence.digest = [1; 32];
    refused(&log, &other_digest, "the digest");
    let mut other_count = whole.clone();
    other_count.fence.entries = 2;
    refused(&log, &other_count, "counts 2");
    let mut foreign = whole;
    foreign.fence.partition = PartitionId(1);
    refused(&log, &foreign, "does not live");
    let mut late = entry.clone();
    late.deadline = DeadlineChange::Keep;
    refused(&log, &writer().group(vec![late], vec![]), "the entry says");
    let mut renamed = entry;
    renamed.order = order("shop", "o-2");
    refused(&log, &writer().group(vec![renamed], vec![]), "under the name");
    let park = Control::Park { order: order("shop", "o-1"), reason: String::new(), at: CONTEXT.now };
    let mut elsewhere = control(&park);
    elsewhere.order = order("shop", "o-3");
    refused(&log, &writer().group(vec![], vec![elsewhere]), "under the name");
}
