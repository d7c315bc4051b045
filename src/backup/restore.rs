//! From a backup to what a data directory is made of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use retailflow_disk::log::copy::{number_of, read_segment};
use retailflow_disk::log::{FrameKind, LogOptions};
use retailflow_engine::codec::identity;
use retailflow_engine::keys::hex;
use retailflow_invariants::LogChecker;

use super::{BOOKS, LOG};
use crate::audit::group_of;
use retailflow_server::app;
use retailflow_server::backup_manifest::{Manifest, sum};
use retailflow_server::durable_file::create_folders;

/// Copies the backup in `from` into the folder `data`, and verifies what stands there then. Answers the number of frames.
///
/// # Errors
/// What is wrong with the backup, or cannot be read or written.
pub(crate) fn fill(
    from: &Path,
    manifest: &Manifest,
    data: &Path,
    options: LogOptions,
) -> anyhow::Result<u64> {
    let (log, books) = (data.join(LOG), data.join(BOOKS));
    create_folders(&log)?;
    let mut checker = LogChecker::new(1, app::check_key());
    let mut wrong = None;
    let mut next = (1, None);
    for (number, segment) in (1..).zip(&manifest.segments) {
        let name = &segment.name;
        ensure!(number_of(name) == Some(number), "the manifest names {name:?} as segment {number}");
        copy(&from.join(LOG).join(name), &log.join(name), segment.bytes).with_context(|| name.clone())?;
        let read = read_segment(app::files().as_ref(), &log, options, number, &mut |frame| {
            let checked = match frame.kind {
                FrameKind::Identity => identity::decode(&frame.payload)
                    .map(|identity| checker = LogChecker::new(identity.partitions, app::check_key()))
                    .map_err(|error| error.to_string()),
                _ => group_of(&frame).map(|group| group.iter().for_each(|group| checker.group(group))),
            };
            if let Err(why) = checked {
                wrong.get_or_insert(format!("frame {} at {}: {why}", frame.number, frame.position));
            }
        })?;
        ensure!(hex(&read.log_id) == manifest.log_id, "{name} is of another log");
        let begins = read.first_frame == next.0 && next.1.is_none_or(|hash| hash == read.previous);
        ensure!(begins, "{name} does not follow the segment before it");
        ensure!(hex(&read.last_hash) == segment.last_hash, "{name} is not the segment that was backed up");
        next = (read.next_frame, Some(read.last_hash));
    }
    let last = &manifest.last_frame;
    ensure!(
        next.0 == last.number + 1 && next.1.is_some_and(|hash| hex(&hash) == last.hash),
        "the log does not end with frame {}, as the manifest says",
        last.number
    );
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    let check = checker.result();
    ensure!(check.violation_count == 0, "the records are not in order: {:?}", check.violations.first());
    if !manifest.books.is_empty() {
        create_folders(&books)?;
    }
    for book in &manifest.books {
        let plain = Path::new(&book.name).file_name().is_some_and(|name| *name == *book.name);
        ensure!(plain, "the manifest names a book {:?}", book.name);
        let to = books.join(&book.name);
        copy(&from.join(BOOKS).join(&book.name), &to, book.bytes).with_context(|| book.name.clone())?;
        ensure!(
            sum(&to, book.bytes)? == book.sha256,
            "the book {} is not the one that was backed up",
            book.name
        );
    }
    Ok(last.number)
}

/// Copies the first `bytes` of a file, durably.
fn copy(from: &Path, to: &Path, bytes: u64) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = io::copy(&mut File::open(from)?.take(bytes), &mut new)?;
    if copied != bytes {
        let text = format!("the file has {} bytes and not {bytes}", fs::metadata(from)?.len());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    new.sync_all()
}
