//! Developer commands: `cargo xtask setup|demo|test`. Nothing but Rust is needed to build; what tests need
//! besides is fetched into `.tools/`.

mod demo;
mod explain;
mod setup;
mod shell;
mod tools;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo             build RetailFlow and show on real orders what it promises (under a minute after the build)
  test             fetch what the tests need, then run them all
  setup [--tests]  check what a build needs; with --tests, also fetch what the tests need
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["setup"] => setup::build().map(|()| ExitCode::SUCCESS),
        ["setup", "--tests"] => setup::build().and_then(|()| setup::tests()).map(|_| ExitCode::SUCCESS),
        ["demo"] => setup::build().and_then(|()| demo::run()).map(|()| ExitCode::SUCCESS),
        ["test"] => test(),
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

/// All tests. Nothing is printed after their output, and their exit code is passed on.
fn test() -> Result<ExitCode> {
    setup::build()?;
    let skipped = setup::tests()?;
    let mut command = shell::cargo();
    command.args(["test", "--workspace"]).env("RETAILFLOW_TOOLS", shell::root().join(".tools"));
    if !skipped.is_empty() {
        command.env("RETAILFLOW_SKIP", skipped.join(","));
    }
    let status = command.status()?;
    // A test run ended by a signal has no code.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
