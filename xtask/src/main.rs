//! Developer commands: `cargo xtask setup|demo|test|kill|disk|load|isolation|cluster|dist`. Nothing but Rust is needed to build; what tests need
//! besides is fetched into `.tools/`.

mod cluster;
mod demo;
mod dist;
mod explain;
mod isolation;
mod load;
mod setup;
mod shell;
mod tools;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

/// Random lives of the long form.
const LIVES: &str = "1000000";
/// Rounds on a failing disk, when nobody says how many; and at most.
const DISK_ROUNDS: u64 = 200;
const DISK_ROUNDS_MAX: u64 = 100_000;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo             build RetailFlow and show on real orders what it promises (under a minute after the build)
  test             fetch what the tests need, then run them all; says how many were skipped for want of something
  test --needs nats,etcd
                   the same, and fails if a test was skipped for want of one of these
  test --long      the long forms of the tests of whole clusters (three NATS servers, three of etcd, ten kills; about
                   ten minutes), and a million random lives of orders (RETAILFLOW_LIVES; some minutes); RETAILFLOW_LONG=1 asks for them in any other way of running tests
  kill [ORDERS]    kill the release build about every second while it runs 100,000 mixed orders, or as many as are
                   named, and compare each outcome and both sides' books (a few minutes, after a release build)
  disk [--rounds N] [--seed N]
                   run the server on a disk that fails, N rounds (200) from this seed (0) on, each with its own: EIO on
                   write-back and then well again, cuts, a full or hanging disk; compare every outcome ever given (needs
                   /dev/fuse, and root or fusermount3; about five seconds a round)
  load [SECONDS]   measure the release build over HTTP with wrk: intake, whole lives, overload (60 s each by default)
  isolation [SECONDS] [--only embedded|nats]
                   measure what all others feel while one part is sick: some partitions' log (also on three NATS
                   servers, one of them stopped), payments, a loud tenant (60 s well, sick, well each; 12 minutes)
  cluster [--nodes N] [--nats N] [--etcd N] [--restart] [--keep]
                   run a whole cluster on this machine until Ctrl-C: 3 of each by default (docs/cluster.md); what ends is told,
                   and started again with --restart or by the line `restart n-2`
  dist             build the program as it is shipped: optimized as a whole, its debug information in a file beside it
  setup [--tests]  check what a build needs; with --tests, also fetch what the tests need
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["setup"] => setup::build().map(|()| ExitCode::SUCCESS),
        ["setup", "--tests"] => setup::build().and_then(|()| setup::tests()).map(|_| ExitCode::SUCCESS),
        ["demo", rest @ ..] => setup::build().and_then(|()| demo::run(rest)).map(|()| ExitCode::SUCCESS),
        ["test"] => test(&[]),
        ["test", "--needs", names] => test(&names.split(',').collect::<Vec<_>>()),
        ["test", "--long"] => test_long(),
        ["load"] => load::run("60").map(|()| ExitCode::SUCCESS),
        ["load", seconds] => load::run(seconds).map(|()| ExitCode::SUCCESS),
        ["isolation", rest @ ..] => isolation::run(rest).map(|()| ExitCode::SUCCESS),
        ["cluster", rest @ ..] => cluster::Size::parse(rest).and_then(|size| cluster::run(&size)),
        ["disk", rest @ ..] => disk(rest),
        ["dist"] => setup::build().and_then(|()| dist::run()).map(|()| ExitCode::SUCCESS),
        ["kill"] => kill("100000"),
        ["kill", orders] => kill(orders),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The test of mixed orders under kills, at full size.
fn kill(orders: &str) -> Result<ExitCode> {
    setup::build()?;
    let mut command = shell::cargo();
    command.args(["test", "--release", "--package", "retailflow", "--test", "main", "kill::mixed"]);
    command.args(["--", "--nocapture"]);
    command.env("RETAILFLOW_KILL_ORDERS", orders).env("RETAILFLOW_KILL_EVERY_MS", "1000");
    Ok(code_of(command.status()?))
}

/// The rounds on a failing disk, as many and from the seed on as `words` say.
fn disk(words: &[&str]) -> Result<ExitCode> {
    let (mut rounds, mut seed) = (DISK_ROUNDS, 0);
    for pair in words.chunks(2) {
        match *pair {
            ["--rounds", number] => rounds = number.parse().context("--rounds is a number")?,
            ["--seed", number] => seed = number.parse().context("--seed is a number")?,
            _ => {
                eprint!("{USAGE}");
                return Ok(ExitCode::from(2));
            }
        }
    }
    ensure!((1..=DISK_ROUNDS_MAX).contains(&rounds), "--rounds is from 1 to {DISK_ROUNDS_MAX}");
    setup::build()?;
    let mut command = shell::cargo();
    command.args(["test", "--package", "retailflow", "--test", "main", "disk::", "--", "--nocapture"]);
    command.args(["--test-threads", "1"]);
    command.env("RETAILFLOW_DISK_ROUNDS", rounds.to_string()).env("RETAILFLOW_DISK_SEED", seed.to_string());
    // The harness of tests has a code of its own for what it found.
    Ok(if command.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A process ended by a signal has no code.
fn code_of(status: std::process::ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// All tests. Nothing is printed after their output, and their exit code is passed on.
fn test(needs: &[&str]) -> Result<ExitCode> {
    setup::build()?;
    let missing = setup::tests()?;
    let file = shell::root().join("target").join("skipped.txt");
    std::fs::create_dir_all(shell::root().join("target")).context("cannot make target/")?;
    std::fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = shell::cargo();
    command.args(["test", "--workspace"]).env("RETAILFLOW_SKIPPED", &file);
    with_tools(&mut command, &missing);
    let code = code_of(command.status()?);
    let skipped =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let skipped: Vec<&str> = skipped.lines().collect();
    if !skipped.is_empty() {
        eprintln!("{} skipped:\n  {}", skipped.len(), skipped.join("\n  "));
    }
    let is_needed = |line: &&str| needs.iter().any(|name| line.split(':').next() == Some(*name));
    let wrongly = skipped.into_iter().filter(is_needed).count();
    ensure!(wrongly == 0, "{wrongly} tests were skipped that were not to be: --needs {}", needs.join(","));
    Ok(code)
}

/// Whole clusters, as large and for as long as it takes to believe them; one after another.
fn test_long() -> Result<ExitCode> {
    setup::build()?;
    let skipped = setup::tests()?;
    let mut command = shell::cargo();
    command.args(["test", "--package", "retailflow", "--test", "main", "many::"]);
    command.args(["--", "--nocapture", "--test-threads", "1"]).env("RETAILFLOW_LONG", "1");
    with_tools(&mut command, &skipped);
    let clusters = command.status()?;
    let lives = lives()?;
    Ok(code_of(if clusters.success() { lives } else { clusters }))
}

/// A million random lives of orders, with all commands, each compared with both sides' books: as fast as a release, and with the checks
/// of a test.
fn lives() -> Result<std::process::ExitStatus> {
    let mut command = shell::cargo();
    command.args([
        "test",
        "--release",
        "--package",
        "retailflow-engine",
        "--features",
        "samples,mutants",
        "--lib",
    ]);
    for setting in ["lto=false", "codegen-units=16", "debug-assertions=true", "overflow-checks=true"] {
        command.args(["--config", &format!("profile.release.{setting}")]);
    }
    command.args(["many_lives", "--", "--nocapture"]).env("RETAILFLOW_LIVES", LIVES);
    Ok(command.status()?)
}

fn with_tools(command: &mut std::process::Command, skipped: &[String]) {
    command.env("RETAILFLOW_TOOLS", shell::root().join(".tools"));
    if !skipped.is_empty() {
        command.env("RETAILFLOW_SKIP", skipped.join(","));
    }
}
