//! Rules about Rust files: length, purity of the engine, no loose ends.

use std::io::Write;

use crate::repo::{Repo, code_lines, none_broken, shipped_lines};

const LINES_MAX: usize = 500;
const LINES_AIM: usize = 300;
const MAIN_LINES_MAX: usize = 130;

/// The helpers that wait on a condition with a bound; everything else calls them.
const MAY_SLEEP: &[&str] = &["tests/support/poll.rs", "cluster/index/src/tests/poll.rs"];

/// What the engine must not know: clocks, runtimes, files and sockets.
const NOT_IN_ENGINE: &[&str] = &["SystemTime", "Instant::now", "tokio", "std::fs", "std::net", "std::thread"];

fn is_test_file(file: &str) -> bool {
    file.starts_with("tests/") || file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// These rules name what they forbid.
fn is_ours(file: &str) -> bool {
    file.starts_with("tests/tidy")
}

#[test]
fn files_are_short() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for file in repo.with_ending(".rs") {
        let lines = repo.text(file).lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{file}: {lines} lines"));
        } else if lines > LINES_AIM {
            // Straight to standard error: what a passing test prints is not shown.
            let _ = writeln!(std::io::stderr(), "tidy: {file}: {lines} lines, aim at {LINES_AIM}");
        }
    }
    none_broken(&format!("no file has more than {LINES_MAX} lines"), &broken);
}

/// Lines of code that one package may have, without tests, blank lines and comments: as much as one can hold in mind.
const PACKAGE_LINES_MAX: usize = 12_000;

#[test]
fn packages_are_small() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for manifest in repo.with_ending("Cargo.toml") {
        let source = format!("{}src/", manifest.strip_suffix("Cargo.toml").unwrap());
        let files = repo.with_ending(".rs").filter(|file| file.starts_with(&source) && !is_test_file(file));
        // Samples are compiled for tests alone.
        let files = files.filter(|file| !file.contains("/samples/"));
        let lines: usize = files.map(|file| code_without_tests(&repo.text(file))).sum();
        if lines > PACKAGE_LINES_MAX {
            broken.push(format!("{source}: {lines} lines, at most {PACKAGE_LINES_MAX}"));
        }
    }
    none_broken("packages are too large: what has a name of its own becomes a package", &broken);
}

fn code_without_tests(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    code.lines().filter(is_code).count()
}

#[test]
fn main_only_puts_together() {
    let lines = Repo::open().text("src/main.rs").lines().count();
    assert!(
        lines <= MAIN_LINES_MAX,
        "src/main.rs has {lines} lines, at most {MAIN_LINES_MAX}: move code to where it belongs"
    );
}

#[test]
fn the_engine_has_no_clock_no_runtime_and_no_io() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for file in repo
        .with_ending(".rs")
        .filter(|f| (f.starts_with("engine/src/") || f.starts_with("engine/wire/src/")) && !is_test_file(f))
    {
        for (number, line) in shipped_lines(&repo.text(file)) {
            for word in NOT_IN_ENGINE.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{file}:{number}: {word}: comes in through a port or the context"));
            }
        }
    }
    none_broken("the engine is pure", &broken);
}

#[test]
fn no_loose_ends() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for file in repo.with_ending(".rs").filter(|f| !is_ours(f)) {
        for (number, line) in code_lines(&repo.text(file)) {
            for loose in ["#[ignore", "todo!(", "unimplemented!("] {
                if line.contains(loose) {
                    broken.push(format!("{file}:{number}: {loose}"));
                }
            }
        }
    }
    none_broken("what is not done is in an issue, not in the code", &broken);
}

#[test]
fn tests_wait_on_a_condition_and_do_not_sleep() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    let watched = |f: &&str| is_test_file(f) && !is_ours(f) && !MAY_SLEEP.contains(f);
    for file in repo.with_ending(".rs").filter(watched) {
        for (number, line) in code_lines(&repo.text(file)) {
            if line.contains("sleep(") {
                broken.push(format!("{file}:{number}: wait with a helper of {}", MAY_SLEEP.join(", ")));
            }
        }
    }
    none_broken("tests do not sleep", &broken);
}

#[test]
fn no_path_of_a_developers_machine() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    let is_data = |f: &str| f.starts_with("examples/") && f.ends_with(".csv");
    for file in repo.files.iter().filter(|f| !is_data(f) && !is_ours(f)) {
        for (number, line) in repo.text(file).lines().enumerate() {
            for folder in ["/work/", "/root/", "/home/", "/Users/"] {
                let part_of_a_path = |before: &str| {
                    before.ends_with(|c: char| {
                        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | ')')
                    })
                };
                if line.match_indices(folder).any(|(at, _)| !part_of_a_path(&line[..at])) {
                    broken.push(format!("{file}:{}: {folder}…", number + 1));
                }
            }
        }
    }
    none_broken("no absolute path of one machine", &broken);
}
