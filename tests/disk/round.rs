//! One round: a disk, a server on it, load, a failure, starts before and after the reboot, and every outcome again.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use retailflow_chaos_disk::{Disk, Fault, Mount};
use tempfile::TempDir;

use super::callers::{LoadClients, Progress};
use super::plan::DiskFailure;
use super::process::{Process, Refusal};
use crate::support::poll::wait_up_to;

/// How long a failure may take to come about, or to be over.
const BOUND: Duration = Duration::from_secs(30);
/// How long faults are waited for: some files are seldom written.
const STRIKES_WITHIN: Duration = Duration::from_secs(4);
/// Of the outcomes given so far, so many in a hundred are asked for after a start that is not the last.
const SAMPLE_PERCENT: u32 = 20;
/// A file's segment is at most this many sectors; those at the end are not written yet.
const SPOILED_SECTOR_MAX: u64 = 64;

/// What came of a round.
pub(super) struct Report {
    pub(super) told: usize,
    pub(super) compared: u64,
    /// Starts that were refused where they may be.
    pub(super) refused: u32,
    /// Outcomes lost or changed, and whatever else must not be.
    pub(super) wrong: Vec<String>,
    /// How it went.
    pub(super) course: String,
}

/// A round under way.
struct Round {
    failure: DiskFailure,
    seed: u64,
    rng: fastrand::Rng,
    disk: Disk,
    // Before the folder: it is unmounted first.
    mount: Mount,
    folder: TempDir,
    clients: LoadClients,
    report: Report,
}

/// A disk mounted at a folder of its own.
pub(super) fn mounted(seed: u64) -> std::io::Result<(Disk, Mount, TempDir)> {
    let (disk, folder) = (Disk::new(seed), tempfile::tempdir()?);
    let at = folder.path().join("disk");
    std::fs::create_dir(&at)?;
    let mount = Mount::new(&disk, &at)?;
    Ok((disk, mount, folder))
}

/// Runs the round that `seed` says, with this failure. `planted` faults strike from the beginning, besides.
pub(super) fn run(failure: DiskFailure, seed: u64, planted: &[Fault]) -> Report {
    let (disk, mount, folder) = mounted(seed).expect("FUSE was there a moment ago");
    planted.iter().for_each(|fault| disk.arm(fault.clone()));
    let report = Report { told: 0, compared: 0, refused: 0, wrong: Vec::new(), course: String::new() };
    let clients = LoadClients::new(seed);
    let rng = fastrand::Rng::with_seed(seed);
    let mut round = Round { failure, seed, rng, disk, mount, folder, clients, report };
    round.go();
    let Round { mut report, clients, .. } = round;
    report.wrong.extend(clients.losses().map(str::to_owned));
    (report.told, report.compared) = (clients.outcomes(), clients.compared());
    report
}

impl Round {
    fn go(&mut self) {
        let Some(process) = self.start("first") else { return };
        self.trouble_under_load(process);
        if self.failure == DiskFailure::LastSectorLost {
            self.disk.write_back();
        }
        if self.disk.is_off() {
            self.reboot(0);
        }
        // Before the reboot, where the power is still on: the cache has what it had.
        if let Some(process) = self.start("again") {
            self.more(process);
        }
        self.reboot(1);
        if self.failure == DiskFailure::Unreadable {
            let sector = self.rng.u64(..SPOILED_SECTOR_MAX);
            let segment = PathBuf::from("data/log/0000000000000001.seg");
            self.note(&format!("sector {sector} unreadable"));
            assert!(self.disk.spoil(&segment, sector), "there is a first segment");
        }
        let Some(mut process) = self.start("rebooted") else { return };
        if let Err(why) = self.clients.repeat(&process.address, 100) {
            self.wrong(&format!("no answer after the reboot: {why}"));
        }
        match process.stop() {
            Some(0) => {}
            code => self.wrong(&format!("the last stop ends with {code:?}: {}", self.log("rebooted"))),
        }
    }

    /// Load until the failure has come about and the process is gone.
    fn trouble_under_load(&mut self, mut process: Process) {
        let wanted = self.rng.u64(50..600);
        let lasts = Duration::from_millis(self.rng.u64(50..500));
        let faults = self.failure.faults(&mut self.rng);
        let (failure, disk) = (self.failure, self.disk.clone());
        let on_answer = |given: u64| {
            if failure == DiskFailure::CutAtAnswer && given == wanted {
                disk.power_off();
            }
        };
        let address = process.address.clone();
        let mut notes = Vec::new();
        self.clients.work(&address, &on_answer, |progress| {
            wait_for_answers(progress, &mut process, wanted);
            let has_struck = faults.is_empty() || {
                faults.into_iter().for_each(|fault| disk.arm(fault));
                wait_up_to(STRIKES_WITHIN, || (disk.is_idle() || process.has_ended()).then_some(())).is_some()
            };
            if !has_struck {
                notes.push("the faults did not all strike".to_owned());
            }
            match failure {
                DiskFailure::Cut => disk.power_off(),
                DiskFailure::Stop => drop(process.stop()),
                DiskFailure::Full => {
                    disk.set_full(true);
                    let refused = wait_up_to(lasts * 4, || {
                        (progress.refused() > 0 || process.has_ended()).then_some(())
                    });
                    disk.set_full(false);
                    let healed = wait_for_answers(progress, &mut process, 50);
                    notes.push(format!("refusals {}, goes on {healed}", refused.is_some()));
                }
                DiskFailure::Hang => {
                    disk.hold_syncs("/log/");
                    let held = disk.wait_for_held_sync(BOUND);
                    wait_up_to(lasts, || None::<()>);
                    disk.release();
                    let goes_on = wait_for_answers(progress, &mut process, 50);
                    notes.push(format!("held {held}, goes on {goes_on}"));
                    disk.power_off();
                }
                DiskFailure::IndexWriteFails => {
                    notes.push(format!("goes on {}", wait_for_answers(progress, &mut process, 50)))
                }
                DiskFailure::LogSyncFails
                | DiskFailure::FolderSyncFails
                | DiskFailure::MarkSyncFails
                | DiskFailure::LogWriteFails => {
                    // Ended by itself, as it should be, or going on: then so long.
                    let ended = wait_up_to(lasts * 4, || process.has_ended().then_some(()));
                    notes.push(format!("ended by itself {}", ended.is_some()));
                }
                DiskFailure::LastSectorLost => {
                    let _ = wait_up_to(BOUND, || disk.is_off().then_some(()));
                    disk.power_off();
                }
                DiskFailure::Kill
                | DiskFailure::CutAtAnswer
                | DiskFailure::CutAtSync
                | DiskFailure::Unreadable => {}
            }
            disk.disarm();
            process.kill();
        });
        notes.iter().for_each(|note| self.note(note));
    }

    /// A sample of what was given, and new commands; then the process ends in one of three ways.
    fn more(&mut self, mut process: Process) {
        if let Err(why) = self.clients.repeat(&process.address, SAMPLE_PERCENT) {
            self.wrong(&format!("no answer when it is started again: {why}"));
        }
        let wanted = self.rng.u64(10..200);
        let end = self.rng.u8(..3);
        let disk = self.disk.clone();
        let address = process.address.clone();
        let mut answers = true;
        self.clients.work(&address, &|_| {}, |progress| {
            answers = wait_for_answers(progress, &mut process, wanted);
            match end {
                0 => disk.power_off(),
                1 => drop(process.stop()),
                _ => {}
            }
            process.kill();
        });
        if !answers {
            self.wrong("the server gives no new outcomes when it is started again");
        }
        self.note(["cut", "stopped", "killed"][usize::from(end)]);
    }

    fn reboot(&mut self, nth: u64) {
        self.disk.power_off();
        self.disk.reboot(self.seed + nth);
        self.note("reboot");
    }

    fn start(&mut self, name: &str) -> Option<Process> {
        let begun = Instant::now();
        let data = self.mount.folder().join("data");
        let log = self.folder.path().join(name);
        match Process::start(&data, &log, self.failure.words()) {
            Ok(process) => {
                self.note(&format!("{name} in {} ms", begun.elapsed().as_millis()));
                Some(process)
            }
            Err(refusal) => {
                self.refused(name, &refusal);
                None
            }
        }
    }

    /// A start that was none: allowed after some troubles, if it says why and where.
    fn refused(&mut self, name: &str, refusal: &Refusal) {
        let code = refusal.status.and_then(|status| status.code());
        let says_so = matches!(code, Some(1 | 3 | 4)) && refusal.said.contains("log");
        if self.failure.may_refuse() && says_so {
            self.report.refused += 1;
            let said = refusal.said.lines().last().unwrap_or_default();
            self.note(&format!("{name} refused: {said}"));
        } else {
            self.wrong(&format!("the start ({name}) ends with {:?}: {}", refusal.status, refusal.said));
        }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn note(&mut self, what: &str) {
        let between = if self.report.course.is_empty() { "" } else { ", " };
        write!(self.report.course, "{between}{what}").unwrap();
    }

    fn wrong(&mut self, what: &str) {
        self.report.wrong.push(what.to_owned());
    }
}

/// Waits for so many outcomes more; false when the process ends first, or gives none.
fn wait_for_answers(progress: &Progress, process: &mut Process, more: u64) -> bool {
    let before = progress.given();
    let come = || progress.given() >= before + more;
    let waited = wait_up_to(BOUND, || (come() || process.has_ended()).then_some(()));
    waited.is_some() && come()
}
