//! Tests that cannot run here: they say so, and `cargo xtask test` counts them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Write as _;

/// Says that `test` is skipped for want of `name`: on standard error, past what a passing test hides, and in the file that
/// `RETAILFLOW_SKIPPED` names.
pub(crate) fn skipped(test: &str, name: &str, why: &str) {
    drop(writeln!(std::io::stderr(), "{test}: skipped: {why}"));
    if let Some(file) = std::env::var_os("RETAILFLOW_SKIPPED") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        file.and_then(|mut file| file.write_all(format!("{name}: {test}\n").as_bytes())).unwrap();
    }
}
