//! The log against power cuts, flips, missing files and failing disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use retailflow_os::files::faulty::{Disk, Faults, FaultyFiles};

mod damage;
mod failing;
mod power_cut;
mod real;
mod reboot;
mod verify;

pub(super) type Content = (FrameKind, Vec<u8>);

pub(super) const SMALL: LogOptions = LogOptions {
    segment_bytes: 8 << 10,
    batch_max_bytes: 4 << 10,
    payload_max_bytes: 16 << 10,
    prepare_ahead: false,
};

pub(super) fn dir() -> PathBuf {
    PathBuf::from("/data/log")
}

pub(super) fn new_log() -> NewLog {
    NewLog { log_id: *b"0123456789abcdef", secret: *b"nobody knows me!", identity: b"who we are".to_vec() }
}

pub(super) fn segment_path(segment: u32) -> PathBuf {
    segment::Segment::path(&dir(), segment)
}

pub(super) fn segments_of(disk: &Disk) -> Vec<PathBuf> {
    disk.paths().into_iter().filter(|path| path.extension().is_some()).collect()
}

/// Opens the log on `files` and reads all that follows `seen`, the identity left out.
pub(super) fn open(
    files: &FaultyFiles,
    options: LogOptions,
    seen: Option<Cursor>,
) -> Result<(Opened, Vec<Content>), LogError> {
    let opening = Opening::begin(Arc::new(files.clone()), &dir(), options, new_log)?;
    assert_eq!(opening.identity(), b"who we are");
    let mut frames = Vec::new();
    let opened = opening.finish(seen, &mut |frame| {
        if frame.kind != FrameKind::Identity {
            frames.push((frame.kind, frame.payload.clone()));
        }
        Ok(())
    })?;
    Ok((opened, frames))
}

/// What was written, and what was acknowledged after which operation.
#[derive(Default)]
pub(super) struct Story {
    pub(super) frames: Vec<Content>,
    /// (operations done, frames durable, the last of them)
    pub(super) acknowledged: Vec<(u64, usize, Cursor)>,
    /// Entries of `acknowledged` after which the log was closed in good order.
    pub(super) stops: usize,
}

/// A history of batches of varying size over several segments, with clean stops and reopenings.
pub(super) fn tell(files: &FaultyFiles, options: LogOptions, seed: u64, batches: usize) -> Story {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut story = Story::default();
    let mut log = open(files, options, None).unwrap().0;
    for batch in 0..batches {
        for _ in 0..rng.usize(1..6) {
            let length = if rng.u8(..8) == 0 { rng.usize(..1500) } else { rng.usize(..120) };
            // Many zeros: they must not look like sectors that were never written.
            let zeros = rng.bool();
            let payload: Vec<u8> = (0..length).map(|_| if zeros { 0 } else { rng.u8(..) }).collect();
            if log.appender.push(FrameKind::Group, &payload).is_ok() {
                story.frames.push((FrameKind::Group, payload));
            }
        }
        let cursor = log.appender.commit().unwrap().unwrap();
        story.acknowledged.push((files.operations(), story.frames.len(), cursor));
        if batch % 70 == 69 {
            log.appender.clean_stop().unwrap();
            story.stops += 1;
            story.frames.push((FrameKind::CleanStop, Vec::new()));
            story.acknowledged.push((files.operations(), story.frames.len(), log.appender.last()));
            drop(log);
            log = open(files, options, None).unwrap().0;
            assert!(log.recovery.clean_stop);
        }
    }
    story
}

/// A small log of `batches` batches on a disk without faults.
pub(super) fn small_log(options: LogOptions, batches: usize) -> (Disk, Story) {
    let files = FaultyFiles::new(Faults::default());
    let story = tell(&files, options, 5, batches);
    (files.disk(), story)
}

pub(super) fn edited(disk: &Disk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> FaultyFiles {
    let mut disk = disk.clone();
    disk.edit(path, change);
    FaultyFiles::on(disk, Faults::default())
}
