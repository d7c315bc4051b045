//! The programs of `examples/clients`, run as their readers would run them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::cli::repository;
use super::serving::{or_skipped, tool};

/// No sample takes longer, even on a busy machine: each of them tries again for a while by itself.
const BOUND: Duration = Duration::from_secs(180);
/// What an order says on its way when participants answer at once.
pub(crate) const WHOLE_LIFE: [&str; 6] = [
    "1-0 retailflow.order.placed.v1",
    "2-0 retailflow.order.reserved.v1",
    "3-0 retailflow.order.authorized.v1",
    "4-0 retailflow.order.booked.v1",
    "5-0 retailflow.order.captured.v1",
    "5-1 retailflow.order.completed.v1",
];

/// What runs samples of one language.
pub(crate) struct Samples {
    program: &'static str,
    python_path: Option<PathBuf>,
}

impl Samples {
    /// Those that `program` runs; without it says that the test is skipped.
    pub(crate) fn or_skip(test: &str, program: &'static str) -> Option<Self> {
        let there = || {
            let said = Command::new(program).arg("--version").output().ok()?;
            said.status.success().then_some(Self { program, python_path: None })
        };
        or_skipped(test, program, "install it to have the samples tried", there)
    }

    /// With a folder of Python packages beside what is installed.
    pub(crate) fn with_packages(self, folder: PathBuf) -> Self {
        Self { python_path: Some(folder), ..self }
    }

    /// Runs one to its good end; gives the lines that it wrote.
    pub(crate) fn run(&self, name: &str, words: &[&str]) -> Vec<String> {
        let mut command = Command::new(self.program);
        command.arg(repository().join("examples/clients").join(name)).args(words);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(folder) = &self.python_path {
            command.env("PYTHONPATH", folder);
        }
        let (status, out, err) = tool(command, BOUND);
        assert!(status.success(), "{name} {words:?}: {status}\n{out}\n{err}");
        out.lines().map(str::to_owned).collect()
    }

    /// Has it send the place command of an order; says whether the outcome is the first one given again.
    pub(crate) fn places(&self, name: &str, server: &str, order: &str) -> bool {
        let said = self.run(name, &[server, "shop", order]);
        let outcome: Value = serde_json::from_str(&said[0]).unwrap();
        assert_eq!((&outcome["code"], &outcome["order"]), (&"applied".into(), &order.into()), "{outcome}");
        outcome["replayed"].as_bool().unwrap()
    }

    /// Has it read the whole life of an order, which is what comes next behind the cursor, in two pieces.
    pub(crate) fn reads(&self, name: &str, server: &str, order: &str, cursor: &Path) {
        let read =
            |count: &str| self.run(name, &[server, "shop", cursor.to_str().unwrap(), "--count", count]);
        let said = [read("4"), read("2")].concat();
        let life: Vec<String> = WHOLE_LIFE.iter().map(|event| format!("{order}-{event}")).collect();
        assert_eq!(said, life, "{name}: a reader that comes again goes on where it was");
    }
}
