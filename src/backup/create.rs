//! Making a backup of a running server, or bringing one up to date.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use retailflow_disk::log::copy::{WholeSegment, bytes_until, number_of, read_segment};
use retailflow_disk::log::{LogOptions, Position};
use retailflow_engine::keys::hex;
use retailflow_engine::ports::Clock as _;
use retailflow_engine::wire::admin::{BackupCut, BackupPart};
use retailflow_engine::wire::time::format_time;

use super::folder::Folder;
use super::{BOOKS, LOG};
use crate::client::Client;
use retailflow_server::app::{self, SystemClock};
use retailflow_server::backup_manifest::{Book, LastFrame, Manifest, Segment, sum};
use retailflow_server::durable_file::DurableFile;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// What was made.
pub(crate) struct Created {
    /// What the backup is now.
    pub(crate) manifest: Manifest,
    /// Segments that were read; the others were there already.
    pub(crate) segments_read: usize,
    /// Bytes that came from the server.
    pub(crate) bytes_read: u64,
}

/// Makes or updates the backup in `to`. What is there stays a whole backup until the new one is, verified and synced.
///
/// # Errors
/// A [`Failure`]; the backup that was there is as it was.
pub(crate) fn create(client: &Client, to: &Path, options: LogOptions) -> Result<Created, Failure> {
    let folder = Folder::open(to)?;
    let answer = client.get("/v1/admin/backup")?;
    if answer.status != 200 {
        return Err(answer.refusal());
    }
    let cut: BackupCut = answer.read()?;
    if let Some(before) = &folder.before {
        refuse_another_log(before, &cut, to)?;
    }
    let (segments, books): (Vec<&BackupPart>, Vec<&BackupPart>) =
        cut.parts.iter().partition(|part| number_of(&part.name).is_some());
    let mut chain = Chain::new(&folder, client, options, &cut);
    for (number, part) in (1..).zip(segments) {
        chain.segment(number, part)?;
    }
    let (mut manifest, read) = chain.finish()?;
    let segments_read = read.len();
    let mut bytes_read = read.iter().map(|(_, bytes)| bytes).sum();
    for part in books {
        if !is_plain(&part.name) {
            return Err(odd(&format!("it names a book {:?}", part.name)));
        }
        take(client, &folder, part)?;
        let cannot = || format!("cannot read {} back", part.name);
        let sha256 =
            sum(&folder.incoming().join(&part.name), part.bytes).or_exit(ExitStatus::Unreachable, cannot)?;
        manifest.books.push(Book { name: part.name.clone(), bytes: part.bytes, sha256 });
        bytes_read += part.bytes;
    }
    let taken = folder
        .take_over(LOG, read.iter().map(|(name, _)| name.as_str()))
        .and_then(|()| folder.take_over(BOOKS, manifest.books.iter().map(|book| book.name.as_str())));
    taken.or_exit(ExitStatus::Unreachable, || format!("cannot write {}", to.display()))?;
    manifest.write(to)?;
    Ok(Created { manifest, segments_read, bytes_read })
}

fn refuse_another_log(before: &Manifest, cut: &BackupCut, to: &Path) -> Result<(), Failure> {
    let to = to.display();
    if before.log_id != cut.log_id {
        return Err(Failure::refused(format!(
            "{to} holds a backup of another log ({}; the server's is {}): name another folder",
            before.log_id, cut.log_id
        )));
    }
    if before.position > cut.position {
        return Err(Failure::finding(format!(
            "the server's log ends at {}, before the backup in {to}, which goes up to {}: the server has lost data. \
             The backup is as it was; keep it, and back up into another folder",
            Position(cut.position),
            Position(before.position)
        )));
    }
    Ok(())
}

/// The server's answer makes no sense.
fn odd(what: &str) -> Failure {
    Failure::finding(format!("the server's answer cannot be a backup: {what}"))
}

/// Reads a part into the folder, durably, and fills its last sector with zeros if it is a segment's.
fn take(client: &Client, folder: &Folder, part: &BackupPart) -> Result<(), Failure> {
    let path = folder.incoming().join(&part.name);
    let cannot = || format!("cannot write {}", path.display());
    let mut file = DurableFile::create(&path).or_exit(ExitStatus::Unreachable, cannot)?;
    client.part(&part.name, part.bytes, &mut file)?;
    let rest = padded(part) - part.bytes;
    file.write_all(&vec![0; usize::try_from(rest).unwrap_or(0)]).or_exit(ExitStatus::Unreachable, cannot)?;
    file.finish().or_exit(ExitStatus::Unreachable, cannot)
}

/// The bytes of a part as it is kept: a segment in whole sectors.
fn padded(part: &BackupPart) -> u64 {
    match number_of(&part.name) {
        Some(_) => part.bytes.next_multiple_of(512),
        None => part.bytes,
    }
}

/// A name that leads nowhere else.
fn is_plain(name: &str) -> bool {
    !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Segments, each of which must follow the one before it.
struct Chain<'a> {
    folder: &'a Folder,
    client: &'a Client,
    options: LogOptions,
    cut: &'a BackupCut,
    segments: Vec<Segment>,
    /// Names and bytes of those that were read now.
    read: Vec<(String, u64)>,
    end: Option<Position>,
    last_frame: Option<LastFrame>,
}

impl<'a> Chain<'a> {
    fn new(folder: &'a Folder, client: &'a Client, options: LogOptions, cut: &'a BackupCut) -> Self {
        let (segments, read) = (Vec::new(), Vec::new());
        Self { folder, client, options, cut, segments, read, end: None, last_frame: None }
    }

    fn segment(&mut self, number: u32, part: &BackupPart) -> Result<(), Failure> {
        if number_of(&part.name) != Some(number) {
            return Err(odd(&format!("segment {number} is not where it should be")));
        }
        let segment = match self.kept(part) {
            Some(kept) => kept,
            None => self.read(number, part)?,
        };
        let begins = match self.segments.last() {
            None => segment.first_frame == 1,
            Some(before) => segment.first_frame == before.next_frame && segment.previous == before.last_hash,
        };
        if !begins {
            return Err(self.another(&format!("segment {number} does not follow the one before it")));
        }
        self.segments.push(segment);
        Ok(())
    }

    /// What the backup has of a segment already, if that is all of it: one that others follow does not change any more.
    fn kept(&self, part: &BackupPart) -> Option<Segment> {
        let before = self.folder.before.as_ref()?;
        let (_, full) = before.segments.split_last()?;
        let kept = full.iter().find(|kept| kept.name == part.name && kept.bytes == padded(part))?;
        let log = self.folder.path.join(LOG);
        let there = fs::metadata(log.join(&kept.name)).ok()?;
        let number = number_of(&kept.name)?;
        // What is kept is read as well: a backup may lie for months, and rot.
        match read_segment(app::files().as_ref(), &log, self.options, number, &mut |_| {}) {
            Ok(_) if there.len() == kept.bytes => Some(kept.clone()),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(event = "backup_rotten", %error, segment = kept.name, "the backup's copy is damaged; it is read anew");
                None
            }
        }
    }

    fn read(&mut self, number: u32, part: &BackupPart) -> Result<Segment, Failure> {
        take(self.client, self.folder, part)?;
        let before = self.folder.before.as_ref().map(|before| before.last_frame.clone());
        let mut seen = before.clone().filter(|before| Position(before.position).segment() == number);
        let mut last = None;
        let files = app::files();
        let whole =
            read_segment(files.as_ref(), &self.folder.incoming(), self.options, number, &mut |frame| {
                let frame =
                    LastFrame { position: frame.position.0, number: frame.number, hash: hex(&frame.hash) };
                if seen.as_ref() == Some(&frame) {
                    seen = None;
                }
                last = Some(frame);
            });
        let whole: WholeSegment =
            whole.or_exit(ExitStatus::Finding, || format!("{} is not whole as it came", part.name))?;
        if hex(&whole.log_id) != self.cut.log_id {
            return Err(odd(&format!("{} is of another log", part.name)));
        }
        if let Some(seen) = seen {
            return Err(self.another(&format!(
                "it has no frame {} at {}",
                seen.number,
                Position(seen.position)
            )));
        }
        self.read.push((part.name.clone(), part.bytes));
        self.end = Some(whole.end);
        self.last_frame = last.or(self.last_frame.take());
        Ok(Segment {
            name: part.name.clone(),
            bytes: padded(part),
            first_frame: whole.first_frame,
            previous: hex(&whole.previous),
            next_frame: whole.next_frame,
            last_hash: hex(&whole.last_hash),
        })
    }

    /// The server's log is not the one that was backed up, although it says so.
    fn another(&self, what: &str) -> Failure {
        let to = self.folder.path.display();
        Failure::finding(format!(
            "the server's log is not the one in {to} although it has its id: {what}. The server has lost data, or one of the two was restored and went on by itself. The backup is as it was"
        ))
    }

    /// The manifest, without books yet, and what was read.
    fn finish(self) -> Result<(Manifest, Vec<(String, u64)>), Failure> {
        let (Some(end), Some(last_frame)) = (self.end, self.last_frame) else {
            return Err(odd("there is no log in it"));
        };
        let wanted = Position(self.cut.position);
        if (end.segment(), bytes_until(end)) != (wanted.segment(), bytes_until(wanted)) {
            return Err(odd(&format!("the log ends at {end} and not at {wanted}")));
        }
        let made_at = format_time(SystemClock.now());
        let mut manifest = Manifest::new(&self.cut.log_id, made_at, self.cut.position, last_frame);
        manifest.segments = self.segments;
        Ok((manifest, self.read))
    }
}
