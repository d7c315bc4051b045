//! Durable appends: the raw file, the segment log on it, in groups of 1 to 512 records of 300 bytes.
//!
//! `cargo bench --bench append` (set `TMPDIR` to a folder on the disk that is to be measured)

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use retailflow_disk::log::{FrameKind, LogOptions, NewLog, Opening};
use retailflow_os::files::{Files, RealFiles};

fn main() {
    divan::main();
}

const RECORD_BYTES: usize = 300;

/// Write and `fdatasync` into a file of zeros: what the disk gives.
#[divan::bench(args = [1, 16, 64, 512], sample_count = 200, sample_size = 1)]
fn raw_file(bencher: Bencher<'_, '_>, records: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("raw");
    std::fs::write(&path, vec![0; 64 << 20]).expect("room");
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    file.sync_all().expect("synced");
    let bytes = vec![7; records * RECORD_BYTES];
    let mut offset = 0;
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        file.write_all_at(&bytes, offset).expect("written");
        file.sync_data().expect("synced");
        offset = (offset + bytes.len() as u64) % (32 << 20);
    });
}

/// The same bytes as one frame of the segment log.
#[divan::bench(args = [1, 16, 64, 512], sample_count = 200, sample_size = 1)]
fn segment_log(bencher: Bencher<'_, '_>, records: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    let new = || NewLog { log_id: [1; 16], secret: [2; 16], identity: vec![1; 64] };
    let opening = Opening::begin(files, folder.path(), LogOptions::default(), new).expect("a log");
    let mut opened = opening.finish(None, &mut |_| Ok(())).expect("a log");
    let bytes = vec![7; records * RECORD_BYTES];
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let appender = &mut opened.appender;
        if appender.push(FrameKind::Group, &bytes).is_err() {
            // The segment is full: its successor takes it.
            appender.commit().expect("synced");
            appender.push(FrameKind::Group, &bytes).expect("room");
        }
        appender.commit().expect("synced")
    });
}
