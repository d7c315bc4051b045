//! The process is killed at random moments: no outcome ever given changes.

mod commands;
mod mixed;
mod review;
mod signals;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::commands::{Expected, generate};
use crate::support::poll::wait_for;
use crate::support::world::{World, first_time};

const KILLS: usize = 30;
const KILLS_IN_ONE_WORLD: usize = 6;
const COMMANDS: usize = 8000;
const BOUND: Duration = Duration::from_secs(60);

/// One data directory, its commands, and each outcome that was ever seen.
struct Killed {
    world: World,
    file: String,
    expected: Vec<Expected>,
    seen: BTreeMap<usize, Value>,
}

impl Killed {
    fn new(seed: u64) -> Self {
        let (world, expected) = (World::new(), generate(seed, COMMANDS));
        let text: String = expected.iter().map(|expected| format!("{}\n", expected.command)).collect();
        let file = world.file("commands", text);
        Self { world, file, expected, seen: BTreeMap::new() }
    }

    /// Takes in what a run has written: each line must be what was seen at its position before.
    fn read_outcomes(&mut self) -> usize {
        let given = self.world.outcomes();
        assert!(given.len() <= self.expected.len(), "more outcomes than commands");
        for (at, outcome) in given.iter().enumerate() {
            let Expected { command, code, .. } = &self.expected[at];
            let told = first_time(outcome);
            let named = [&told["command_id"], &told["source"], &told["tenant"], &told["order"]];
            let meant = [&command["id"], &command["source"], &command["tenant"], &command["subject"]];
            assert_eq!(named, meant, "line {}", at + 1);
            assert_eq!(told["code"], *code, "line {}: {outcome}", at + 1);
            let recorded = *code != "id_reused";
            for (field, there) in [("version", recorded), ("durability", recorded), ("message", true)] {
                assert_eq!(told.get(field).is_some(), there, "line {}: {field}: {outcome}", at + 1);
            }
            let first = self.seen.entry(at).or_insert_with(|| told.clone());
            assert_eq!(*first, told, "line {} was told otherwise before", at + 1);
        }
        given.len()
    }

    /// Runs and kills at a random moment; false when the run was over before.
    fn run_and_kill(&mut self, rng: &mut fastrand::Rng) -> bool {
        let outcomes = self.world.path("outcomes");
        let _ = std::fs::remove_file(&outcomes);
        let (mut child, _) = self.world.run(&self.file).spawn();
        // Some by time, so that the beginning and the opening are met; some by what was told.
        let (after, bytes) = if rng.bool() {
            (Duration::from_micros(rng.u64(1_000..300_000)), u64::MAX)
        } else {
            (BOUND, rng.u64(1..COMMANDS as u64 * 270))
        };
        let begun = Instant::now();
        wait_for("the moment of the kill", BOUND * 2, || {
            let told = std::fs::metadata(&outcomes).map_or(0, |file| file.len());
            let over = child.try_wait().unwrap().is_some();
            (over || begun.elapsed() >= after || told >= bytes).then_some(())
        });
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        self.read_outcomes();
        if ended.signal() == Some(9) {
            return true;
        }
        assert_eq!(ended.code(), Some(self.code()));
        false
    }

    /// What a run of all commands ends with.
    fn code(&self) -> i32 {
        i32::from(self.expected.iter().any(|expected| expected.code == "id_reused"))
    }

    /// Runs to the end and once more, and counts.
    fn finish(mut self) {
        for last in [false, true] {
            self.world.run(&self.file).run().expect(self.code());
            assert_eq!(self.read_outcomes(), COMMANDS, "one outcome for each command");
            if last {
                for (outcome, expected) in self.world.outcomes().iter().zip(&self.expected) {
                    assert_eq!(outcome["replayed"], expected.code != "id_reused", "{outcome}");
                }
            }
        }
        let count = |code: &str, first: bool| {
            let counted = self.expected.iter().filter(|e| e.code == code && !(first && e.repeats));
            counted.count() as u64
        };
        let refused = count("id_reused", false);
        let replayed = COMMANDS as u64 - refused;
        self.world.expect_counts([COMMANDS as u64, 0, 0, replayed, refused, 0, 0]);
        let verified = self.world.verified("data", 0);
        let (applied, rejected) = (count("applied", true), count("order_exists", true));
        let ledger =
            serde_json::json!([{"tenant": "t", "applied": applied, "rejected": rejected, "parked": 0}]);
        assert_eq!(verified["tenants"], ledger);
        assert_eq!(verified["orders"], applied);
        assert_eq!((&verified["sound"], &verified["clean_stop"]), (&true.into(), &true.into()));
    }
}

#[test]
fn no_outcome_ever_given_changes_however_often_the_process_is_killed() {
    let mut rng = fastrand::Rng::with_seed(30);
    let (mut kills, mut told_before, mut indexes_put_back) = (0, 0, 0);
    for seed in 0.. {
        if kills >= KILLS && indexes_put_back > 0 {
            break;
        }
        assert!(seed < 40, "only {kills} kills hit a running process");
        let mut killed = Killed::new(seed);
        for nth in 0..KILLS_IN_ONE_WORLD {
            if !killed.run_and_kill(&mut rng) {
                break;
            }
            kills += 1;
            told_before += usize::from((1..COMMANDS).contains(&killed.world.outcomes().len()));
            let (index, old) = (killed.world.path("data/index"), killed.world.path("old-index"));
            match nth {
                0 | 1 if index.is_dir() && !old.exists() => copy(&index, &old),
                2 if index.is_dir() => std::fs::remove_dir_all(&index).unwrap(),
                4 if old.is_dir() => {
                    let _ = std::fs::remove_dir_all(&index);
                    std::fs::rename(&old, &index).unwrap();
                    indexes_put_back += 1;
                }
                _ => {}
            }
        }
        killed.finish();
    }
    assert!(kills >= KILLS);
    assert!(told_before >= KILLS / 4, "only {told_before} of {kills} kills came amid the outcomes");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &name);
        } else {
            std::fs::copy(entry.path(), name).unwrap();
        }
    }
}
