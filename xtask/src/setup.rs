//! What a build and the tests need. Running it again does nothing that is done already.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{shell, tools};

/// Checks that the compiler is new enough.
pub(crate) fn build() -> Result<()> {
    let metadata = shell::text(shell::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let wanted =
        metadata["packages"][0]["rust_version"].as_str().context("Cargo.toml has no rust-version")?;

    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = shell::text(Command::new(rustc).arg("--version").current_dir(shell::root()))?;
    let found = said.split_whitespace().nth(1).unwrap_or("");
    if version(found) < version(wanted) {
        bail!("RetailFlow needs Rust {wanted} or later, this is {found}: run `rustup update`");
    }
    Ok(())
}

/// Fetches what the tests need besides Rust. Gives the names of what could not be had: tests that need it say
/// that they are skipped, and why.
pub(crate) fn tests() -> Result<Vec<String>> {
    let mut skipped: Vec<String> = std::env::var("RETAILFLOW_SKIP")
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_string)
        .collect();
    let nats = "nats".to_string();
    if skipped.contains(&nats) {
        eprintln!("setup: RETAILFLOW_SKIP names nats: the tests that need a NATS server are skipped");
    } else if let Err(error) = tools::nats_server(&shell::root().join(".tools")) {
        eprintln!("setup: there is no NATS server to test against: {error:#}");
        eprintln!("setup: going on with RETAILFLOW_SKIP=nats: the tests that need it are skipped");
        skipped.push(nats);
    }
    let etcd = "etcd".to_string();
    if skipped.contains(&etcd) {
        eprintln!("setup: RETAILFLOW_SKIP names etcd: the tests that need an etcd are skipped");
    } else if let Err(error) = tools::etcd(&shell::root().join(".tools")) {
        eprintln!("setup: there is no etcd to test against: {error:#}");
        eprintln!("setup: going on with RETAILFLOW_SKIP=etcd: the tests that need it are skipped");
        skipped.push(etcd);
    }
    let schemathesis = "schemathesis".to_string();
    if skipped.contains(&schemathesis) {
        eprintln!("setup: RETAILFLOW_SKIP names schemathesis: the HTTP API is not tried with it");
    } else if let Err(error) = tools::schemathesis(&shell::root().join(".tools")) {
        eprintln!("setup: there is no schemathesis to try the HTTP API with: {error:#}");
        eprintln!("setup: going on with RETAILFLOW_SKIP=schemathesis: that test is skipped");
        skipped.push(schemathesis);
    }
    let nats_py = "nats-py".to_string();
    if skipped.contains(&nats_py) {
        eprintln!("setup: RETAILFLOW_SKIP names nats-py: no client but our own publishes commands");
    } else if let Err(error) = tools::nats_py(&shell::root().join(".tools")) {
        eprintln!("setup: there is no nats-py to publish commands with: {error:#}");
        eprintln!("setup: going on with RETAILFLOW_SKIP=nats-py: that test is skipped");
        skipped.push(nats_py);
    }
    let chromium = "chromium".to_string();
    if skipped.contains(&chromium) {
        eprintln!("setup: RETAILFLOW_SKIP names chromium: the console is not opened in a browser");
    } else if tools::chromium().is_none() {
        // It needs a hundred libraries of the system: that is its package manager's work, not ours.
        eprintln!("setup: there is no Chromium here (Debian: apt-get install chromium)");
        eprintln!("setup: going on with RETAILFLOW_SKIP=chromium: the console is not opened in a browser");
        skipped.push(chromium);
    }
    Ok(skipped)
}

/// Major, minor and patch of a version; `1.95.0-nightly` is 1.95.0.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(text.split(['.', '-', '+'])) {
        *number = part.parse().unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("1.100.0") > version("1.95"));
        assert!(version("1.95.0-nightly") >= version("1.95"));
        assert!(version("1.94.1") < version("1.95"));
    }
}
