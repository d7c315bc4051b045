//! Real servers on a disk that fails: no outcome ever given is lost or changed, or the start refuses and says so.
//!
//! `cargo xtask disk` runs many rounds. A round is its seed: `RETAILFLOW_DISK_SEED` and `RETAILFLOW_DISK_ROUNDS=1` run one
//! again.

mod callers;
mod offline;
mod plan;
mod process;
mod read_only;
mod round;

use std::io::Write as _;

use retailflow_chaos_disk::{Effect, Fault, Operation};

use self::plan::DiskFailure;
use self::round::{mounted, run};
use crate::support::serving::or_skipped;

/// Rounds in an ordinary test run.
const ROUNDS: u64 = 7;
/// Of the losses of a round, so many are told.
const TOLD_MAX: usize = 5;
const HOW: &str = "the server is not run on a failing disk; it needs /dev/fuse, and root or fusermount3";

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn no_outcome_is_lost_whatever_the_disk_does() {
    let Some(probe) = or_skipped("disk", "fuse", HOW, || mounted(0).ok()) else { return };
    drop(probe);
    let first = number("RETAILFLOW_DISK_SEED", 0);
    let rounds = number("RETAILFLOW_DISK_ROUNDS", ROUNDS);
    let (mut told, mut compared, mut refused, mut failed) = (0, 0, 0, Vec::new());
    for seed in first..first + rounds {
        // Each in turn: with the seed all else changes.
        let failure = DiskFailure::ALL[(seed % DiskFailure::ALL.len() as u64) as usize];
        let report = run(failure, seed, &[]);
        (told, compared) = (told + report.told, compared + report.compared);
        refused += report.refused;
        let result = if report.wrong.is_empty() { "ok" } else { "FAILED" };
        println!(
            "seed {seed}: {result}: {failure:?}: {} outcomes, {} compared: {}",
            report.told, report.compared, report.course
        );
        if !report.wrong.is_empty() {
            let wrong: Vec<&str> = report.wrong.iter().take(TOLD_MAX).map(String::as_str).collect();
            println!("  {} wrong: {}", report.wrong.len(), wrong.join("\n  "));
            failed.push(seed);
        }
        drop(std::io::stdout().flush());
    }
    println!("{rounds} rounds: {told} outcomes, {compared} given again, {refused} starts refused");
    assert!(failed.is_empty(), "rounds with these seeds failed: {failed:?}");
    assert!(compared > 0);
}

/// The harness sees losses: on a disk that says it has what it has not, no server can keep its outcomes.
#[test]
fn a_disk_that_only_lies_is_found_out() {
    let Some(probe) = or_skipped("disk", "fuse", HOW, || mounted(0).ok()) else { return };
    drop(probe);
    let lies = [Operation::Sync, Operation::SyncFolder].map(|at| Fault {
        at,
        path: String::new(),
        passes: 0,
        strikes: u64::MAX,
        effect: Effect::Lie,
    });
    // Of the seeds one that keeps nothing at the cut.
    let report = run(DiskFailure::Cut, 1, &lies);
    assert!(report.told > 0, "{}", report.course);
    let lost = report.wrong.iter().filter(|wrong| wrong.contains("decided anew")).count();
    assert!(lost > 0, "the harness saw no loss: {}: {:?}", report.course, report.wrong);
}
