//! The log is damaged between a kill and a start: the start refuses and says so, or every outcome stands.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::callers::LoadClients;
use super::process::Process;
use crate::support::poll::wait_for;

const BOUND: std::time::Duration = std::time::Duration::from_secs(60);
/// Outcomes before the older copy of the log is made, and after it.
const OUTCOMES: u64 = 150;

/// What is done to the log's last segment.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// A byte of the last write is zeroed.
    OneByte,
    /// The last 512 bytes that hold something are zeroed.
    LastSector,
    /// The last 4,096 bytes that hold something are zeroed.
    LastPage,
    /// It ends before its last write.
    Truncated,
    Deleted,
    /// As it was some outcomes ago.
    OlderCopy,
    /// It is moved away, and a symbolic link leads there.
    Symlink,
}

const ALL: [Damage; 7] = [
    Damage::OneByte,
    Damage::LastSector,
    Damage::LastPage,
    Damage::Truncated,
    Damage::Deleted,
    Damage::OlderCopy,
    Damage::Symlink,
];

/// The last segment that something was written to, and how many of its bytes that are.
fn last_segment(data: &Path) -> (PathBuf, u64) {
    let entries = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    segments.sort();
    let written = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).map(|last| last as u64 + 1)
    };
    segments.iter().rev().find_map(|path| Some((path.clone(), written(path)?))).expect("a log")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn damage(how: Damage, data: &Path, older: &Path) {
    let (segment, written) = last_segment(data);
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    let zero = |bytes: u64| {
        let start = written.saturating_sub(bytes);
        file.write_all_at(&vec![0; (written - start) as usize], start).unwrap();
    };
    match how {
        // Not the end mark: a byte of what was decided.
        Damage::OneByte => {
            let bytes = fs::read(&segment).unwrap();
            let end = bytes.len().min(written as usize) - 40;
            let at = (0..end).rev().find(|at| bytes[*at] != 0 && at % 512 != 511).unwrap();
            file.write_all_at(&[0], at as u64).unwrap();
        }
        Damage::LastSector => zero(512),
        Damage::LastPage => zero(4096),
        Damage::Truncated => file.set_len(written.saturating_sub(4096)).unwrap(),
        Damage::Deleted => fs::remove_file(&segment).unwrap(),
        Damage::OlderCopy => {
            let old = older.join("log").join(segment.file_name().unwrap());
            fs::copy(old, &segment).unwrap();
        }
        Damage::Symlink => {
            let away = data.join("away");
            fs::rename(&segment, &away).unwrap();
            std::os::unix::fs::symlink(&away, &segment).unwrap();
        }
    }
}

#[test]
fn a_log_damaged_between_two_starts_is_refused_or_keeps_every_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut clients = LoadClients::new(1);
    let mut give = |words: &[&str]| {
        let mut process = Process::start(&path("data"), &path("said"), words).unwrap();
        let address = process.address.clone();
        clients.work(&address, &|_| {}, |progress| {
            wait_for("outcomes", BOUND, || (progress.given() >= OUTCOMES).then_some(()));
        });
        // Nothing is under way: the last write is one that was answered.
        process.kill();
    };
    // Steps are left for later: they would be written after the last answer.
    give(&["--intake-only"]);
    copy(&path("data"), &path("older"));
    give(&["--intake-only"]);
    let mut wrong = Vec::new();
    for how in ALL {
        let data = path(&format!("{how:?}"));
        copy(&path("data"), &data);
        damage(how, &data, &path("older"));
        let mut asked = clients.clone();
        match Process::start(&data, &path("said"), &["--intake-only"]) {
            Err(refusal) => {
                let code = refusal.status.and_then(|status| status.code());
                let says_so = matches!(code, Some(1 | 3 | 4)) && refusal.said.contains("log");
                println!("{how:?}: refused: {}", refusal.said.lines().last().unwrap_or_default());
                if !says_so {
                    wrong.push(format!("{how:?}: refused with {code:?} and {:?}", refusal.said));
                }
            }
            Ok(mut process) => {
                let answers = asked.repeat(&process.address, 100);
                process.kill();
                println!("{how:?}: starts, {} outcomes lost", asked.losses().count());
                if let Err(why) = answers {
                    wrong.push(format!("{how:?}: starts, and does not answer: {why}"));
                }
                if let Some(loss) = asked.losses().next() {
                    wrong.push(format!("{how:?}: {} lost, as in {loss}", asked.losses().count()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
