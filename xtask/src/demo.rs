//! The demo: real orders and mixed ones, crashes in the middle, and the proof that nothing given was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{explain, shell};

const TENANT: &str = "cdnow";
/// Made-up orders of another tenant beside the real ones: of up to 20 lines, in four currencies, some of them canceled
/// or sent back in part.
const MIXED_TENANT: &str = "shop";
const MIXED_ORDERS: &str = "2000";
/// Orders looked at for one to show.
const CANCELED_TRIED_MAX: usize = 20;
/// How often the process is killed.
const KILLS: usize = 2;
/// Order actors made to crash in each run, by the engine itself.
const CRASHES: &str = "5";
/// The process is killed when it has given this many outcomes.
const KILL_AFTER: usize = 500;
/// Commands come at 10,000 a second: slow enough that the kill meets the engine in the middle of its work.
const FEED_LINES: usize = 50;
const FEED_PAUSE: Duration = Duration::from_millis(5);
const KILL_WAIT_MAX: Duration = Duration::from_secs(60);

/// The files of one demo.
struct Paths {
    binary: PathBuf,
    folder: PathBuf,
}

impl Paths {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn retailflow(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words);
        command
    }
}

/// With the development build in `target/demo`; or with a program and in a folder of the caller's.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let paths = match words {
        [] => build()?,
        ["--binary", binary, "--folder", folder] => {
            Paths { binary: PathBuf::from(binary), folder: PathBuf::from(folder) }
        }
        _ => bail!("usage: cargo xtask demo [--binary FILE --folder DIRECTORY]"),
    };
    explain::opening(&paths.folder);

    explain::step(
        1,
        "Commands",
        "A CSV file of real orders becomes commands; a mixed load is made up beside.",
    );
    let commands = commands(&paths)?;

    explain::step(2, "Crash", "The engine works on them, and is killed (SIGKILL) in the middle of its work.");
    let mut before = BTreeMap::new();
    for kill in 1..=KILLS {
        // In the order in which they were given: what was told first must stay.
        for (identity, outcome) in crash(&paths, &commands, kill, before.len())? {
            before.entry(identity).or_insert(outcome);
        }
    }

    explain::step(
        3,
        "Start again",
        "The same commands again, on the same data: what is done is not done twice.",
    );
    let report = again(&paths)?;

    explain::step(4, "Compare", "Every outcome given before the crash must be the same now.");
    let after = outcomes(&paths.file("outcomes-after.jsonl"))?;
    compare(&before, &after, distinct(&commands)?.len())?;
    explain::compared(before.len(), after.len(), &report);

    explain::step(
        5,
        "Verify",
        "Every checksum, chain and total in the log is checked, with the engine stopped.",
    );
    show(paths.retailflow(&["verify", "--data"]).arg(paths.file("data")))?;

    let canceled = canceled(&paths, &after)?;
    explain::step(6, "Look", "The life of one order that was canceled, as the log tells it.");
    show(paths.retailflow(&["order", "history", MIXED_TENANT, &canceled, "--data"]).arg(paths.file("data")))?;

    explain::step(7, "The shopkeeper's page", "What all this came to.");
    explain::shop(&report, KILLS);
    explain::closing(&paths.folder, MIXED_TENANT, &canceled);
    Ok(())
}

fn build() -> Result<Paths> {
    // The same build as `cargo build` makes, so that nobody waits for a second one; what is shown here needs no speed.
    println!(
        "Building RetailFlow (not optimized: `cargo build --release` is); the first time takes a few minutes."
    );
    let status = shell::cargo().args(["build", "--package", "retailflow"]).status()?;
    ensure!(status.success(), "the build failed");
    let target = shell::target()?;
    let folder = target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let binary = target.join("debug").join(format!("retailflow{}", std::env::consts::EXE_SUFFIX));
    Ok(Paths { binary, folder })
}

fn commands(paths: &Paths) -> Result<Vec<String>> {
    let columns = ["--order-column", "row", "--customer-column", "customer_id", "--time-column", "date"];
    let amounts =
        ["--quantity-column", "quantity", "--amount-column", "amount_cents", "--amount-unit", "minor"];
    let csv = shell::root().join("examples").join("orders.csv");
    let mut command = paths.retailflow(&["import", "--tenant", TENANT, "--csv"]);
    let real = String::from_utf8(shell::output(command.arg(csv).args(columns).args(amounts))?.stdout)?;
    let words = ["generate", "--seed", "7", "--orders", MIXED_ORDERS, "--tenant", MIXED_TENANT];
    let mixed = String::from_utf8(shell::output(&mut paths.retailflow(&words))?.stdout)?;
    explain::commands(real.lines().count(), mixed.lines().count(), real.lines().next().unwrap_or_default());
    // Line by line from either, as two systems would send them.
    let (mut real, mut mixed) = (real.lines(), mixed.lines());
    let mut lines = Vec::new();
    loop {
        let pair = (real.next(), mixed.next());
        if pair == (None, None) {
            break;
        }
        lines.extend(pair.0.into_iter().chain(pair.1).map(str::to_string));
    }
    fs::write(paths.file("commands.jsonl"), lines.join("\n") + "\n")?;
    Ok(lines)
}

/// Feeds the commands through a pipe that stays open, so that the process is surely alive when it is killed.
fn crash(paths: &Paths, commands: &[String], kill: usize, known: usize) -> Result<BTreeMap<String, Value>> {
    // A file for each kill: one that holds something already is only replaced when a run comes to its end.
    let given = paths.file(&format!("outcomes-before-kill-{kill}.jsonl"));
    let said = paths.file("run-killed.log");
    let mut child = paths
        .retailflow(&[
            "run",
            "--participants",
            "flaky",
            "--commands",
            "-",
            "--chaos-kill-orders",
            CRASHES,
            "--data",
        ])
        .arg(paths.file("data"))
        .arg("--outcomes")
        .arg(&given)
        .arg("--report")
        .arg(paths.file("report-killed.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(&said)?)
        .spawn()
        .context("retailflow cannot be started")?;
    let mut stdin = child.stdin.take().context("the child has no standard input")?;
    let commands_in_chunks: Vec<String> =
        commands.chunks(FEED_LINES).map(|lines| lines.join("\n") + "\n").collect();
    let feeder = thread::spawn(move || -> ChildStdin {
        for chunk in commands_in_chunks {
            // Fails when the process is killed, as it is meant to be.
            if stdin.write_all(chunk.as_bytes()).is_err() {
                break;
            }
            thread::sleep(FEED_PAUSE);
        }
        stdin
    });
    let waited = wait_for_outcomes(&mut child, &given, known + KILL_AFTER);
    child.kill()?;
    child.wait()?;
    drop(feeder.join());
    waited.with_context(|| said_last(&said))?;
    let before = outcomes(&given)?;
    explain::killed(before.len(), distinct(commands)?.len());
    Ok(before)
}

fn wait_for_outcomes(child: &mut Child, given: &Path, wanted: usize) -> Result<()> {
    let start = Instant::now();
    loop {
        if complete_lines(given).count() >= wanted {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("the engine ended by itself ({status}) before it was killed");
        }
        let seconds = KILL_WAIT_MAX.as_secs();
        ensure!(start.elapsed() < KILL_WAIT_MAX, "fewer than {wanted} outcomes after {seconds} s");
        thread::sleep(Duration::from_millis(1));
    }
}

fn again(paths: &Paths) -> Result<Value> {
    let report = paths.file("report.json");
    let mut command =
        paths.retailflow(&["run", "--participants", "flaky", "--chaos-kill-orders", CRASHES, "--commands"]);
    command.arg(paths.file("commands.jsonl")).arg("--data").arg(paths.file("data"));
    command.arg("--outcomes").arg(paths.file("outcomes-after.jsonl")).arg("--report").arg(&report);
    show(&mut command)?;
    let text = fs::read_to_string(&report).context("the run left no report")?;
    Ok(serde_json::from_str(&text)?)
}

/// The lines that are written to their end: a kill may leave a part of one, which was never given.
fn complete_lines(file: &Path) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    text[..end].lines().map(str::to_string).collect::<Vec<_>>().into_iter()
}

/// The commands by what they are; some come twice.
fn distinct(commands: &[String]) -> Result<BTreeSet<String>> {
    let identity = |line: &String| -> Result<String> {
        let command: Value = serde_json::from_str(line)?;
        Ok(["tenant", "subject", "source", "id"].map(|field| command[field].to_string()).join(" "))
    };
    commands.iter().map(identity).collect()
}

/// An order of the mixed load that was canceled when something had been done for it.
fn canceled(paths: &Paths, outcomes: &BTreeMap<String, Value>) -> Result<String> {
    let of = |outcome: &Value| outcome["tenant"] == MIXED_TENANT && outcome["status"] == "applied";
    // A cancel is the second command of its order at the earliest, and late enough to find something done.
    let late = |outcome: &Value| outcome["version"].as_u64().is_some_and(|version| version >= 2);
    let is_cancel =
        |outcome: &Value| outcome["command_id"].as_str().is_some_and(|id| id.ends_with("-cancel"));
    let found = outcomes.values().filter(|outcome| of(outcome) && is_cancel(outcome) && late(outcome));
    let mut found: Vec<&Value> = found.collect();
    found.sort_by_key(|outcome| std::cmp::Reverse(outcome["version"].as_u64()));
    // Some were too late: the parcel had gone, and the order went on.
    for order in found.iter().filter_map(|outcome| outcome["order"].as_str()).take(CANCELED_TRIED_MAX) {
        let mut command = paths.retailflow(&["order", "show", MIXED_TENANT, order, "-o", "json", "--data"]);
        let shown: Value = serde_json::from_slice(&shell::output(command.arg(paths.file("data")))?.stdout)?;
        if shown["status"] == "canceled" {
            return Ok(order.to_string());
        }
    }
    bail!("no cancel came in time")
}

/// Outcomes by the command they belong to, without the flag that says that one was given before.
fn outcomes(file: &Path) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for line in complete_lines(file) {
        let mut outcome: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        let mut identity = Vec::new();
        for field in ["tenant", "order", "source", "command_id"] {
            let value = outcome[field].as_str();
            identity.push(value.with_context(|| format!("an outcome has no {field}: {line}"))?.to_string());
        }
        let fields = outcome.as_object_mut().context("an outcome is not an object")?;
        fields.remove("replayed").with_context(|| format!("an outcome has no replayed: {line}"))?;
        found.insert(identity.join(" "), outcome);
    }
    Ok(found)
}

fn compare(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>, commands: usize) -> Result<()> {
    for (identity, first) in before {
        let now = after.get(identity).with_context(|| format!("no outcome any more for {identity}"))?;
        ensure!(first == now, "the outcome of {identity} changed:\n  {first}\n  {now}");
    }
    let count = after.len();
    ensure!(count == commands, "{commands} commands have {count} outcomes");
    Ok(())
}

/// Runs a command of `retailflow` and lets it speak for itself.
fn show(command: &mut Command) -> Result<()> {
    std::io::stdout().flush()?;
    let status = command.status().context("retailflow cannot be started")?;
    ensure!(status.success(), "retailflow failed ({status})");
    Ok(())
}

fn said_last(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    format!("the last it said was: {}", shell::last_lines(&text, 5))
}
