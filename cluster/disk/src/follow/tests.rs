//! Followers beside a writer, after one, and of logs that are not what they were.

use std::time::{Duration, Instant};

use retailflow_engine::ids::TimestampMs;

use super::*;
use crate::log::{FramePayload, LogWriter, NewLog, Opened, Opening};
use retailflow_os::files::faulty::{Disk, Faults, FaultyFiles};
use retailflow_os::files::{LockGuard, RealFiles};

mod cuts;
mod live;
mod marks;

const SMALL: LogOptions = LogOptions {
    segment_bytes: 8 << 10,
    batch_max_bytes: 4 << 10,
    payload_max_bytes: 16 << 10,
    prepare_ahead: false,
};

fn data() -> PathBuf {
    PathBuf::from("/data")
}

fn mark_path() -> PathBuf {
    data().join("log/durable")
}

fn new_log() -> NewLog {
    let created = TimestampMs(1);
    let identity = LogIdentity { log_id: [7; 16], cluster: "test".into(), partitions: 4, shards: 1, created };
    NewLog { log_id: [7; 16], secret: [3; 16], identity: identity::encode(&identity).unwrap() }
}

fn open(files: &Arc<dyn Files>, data: &Path) -> Opened {
    let opening = Opening::begin(Arc::clone(files), &data.join("log"), SMALL, new_log).unwrap();
    opening.finish(None, &mut |_| Ok(())).unwrap()
}

fn follower(files: &Arc<dyn Files>, data: &Path) -> LogFollower {
    LogFollower::open(data, SMALL, Arc::clone(files)).unwrap()
}

/// A group that tells its number, of a size that varies.
fn group(number: u32) -> FramePayload {
    let mut group = group::GroupEncoder::new(Vec::new(), &number.to_le_bytes());
    group.push(group::EntryKind::Record, None, &vec![number as u8; (number as usize * 37) % 700]);
    FramePayload { kind: FrameKind::Group, bytes: group.finish() }
}

fn numbers(groups: &[LoggedGroup]) -> Vec<u32> {
    let number = |group: &LoggedGroup| u32::from_le_bytes(group.fence.as_slice().try_into().unwrap());
    groups.iter().map(number).collect()
}

/// All that there is now, in small pieces.
fn all(follower: &mut LogFollower) -> Vec<LoggedGroup> {
    let mut groups = Vec::new();
    loop {
        let some = follower.next(1000).unwrap();
        if some.is_empty() {
            return groups;
        }
        groups.extend(some);
    }
}

/// Follows until `count` groups are there, at most ten seconds.
fn until(follower: &mut LogFollower, count: usize) -> Vec<LoggedGroup> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut groups = Vec::new();
    while groups.len() < count && Instant::now() < deadline {
        groups.extend(follower.next(1 << 20).unwrap());
        std::thread::yield_now();
    }
    groups
}

/// A log with groups `1 ..= count`, closed or just left; the place of each.
fn written(files: &Arc<dyn Files>, data: &Path, groups: std::ops::RangeInclusive<u32>) -> Vec<Position> {
    let log = open(files, data);
    let mut writer = LogWriter::start(log.appender, 64).unwrap();
    let places =
        groups.flat_map(|n| writer.append(vec![group(n)]).unwrap().blocking_recv().unwrap().unwrap());
    let places = places.collect();
    writer.close();
    places
}

fn faulty(disk: Disk) -> (FaultyFiles, Arc<dyn Files>) {
    let faulty = FaultyFiles::on(disk, Faults::default());
    (faulty.clone(), Arc::new(faulty))
}
