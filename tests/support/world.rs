//! A folder with commands, a data directory, and what a run says about them.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli::{Call, Ended, file, retailflow};

/// A place command of tenant `t` for one order.
pub(crate) fn place(order: &str, id: &str, amount_minor: u64) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/test",
        "type": "retailflow.order.place.v1",
        "tenant": "t",
        "subject": order,
        "data": {
            "customer": "c-1",
            "currency": "USD",
            "lines": [{"line_id": "1", "sku": "cd", "quantity": 1, "amount_minor": amount_minor}],
        },
    })
}

/// Place commands for the orders `o<from>` to `o<to>`, without the last, each with its own id.
pub(crate) fn places(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{}\n", place(&format!("o{n}"), &format!("c-{n}"), 100))).collect()
}

/// A folder of its own.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file in it; gives its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        file(self.folder.path(), name, bytes)
    }

    /// A command on the data directory, telling nothing but warnings.
    pub(crate) fn on_data(&self, words: &[&str]) -> Call {
        self.on("data", words)
    }

    /// As `on_data`, for another data directory.
    pub(crate) fn on(&self, data: &str, words: &[&str]) -> Call {
        retailflow(words).arg("--data").arg(self.path(data)).arg("--set").arg("telemetry.log=warn")
    }

    /// A run of a commands file, or of standard input, with outcomes and report.
    pub(crate) fn run(&self, commands: &str) -> Call {
        let call = self.on_data(&["run", "--quiet", "--commands", commands]);
        call.arg("--outcomes").arg(self.path("outcomes")).arg("--report").arg(self.path("report"))
    }

    /// The complete lines of the outcomes file.
    pub(crate) fn outcomes(&self) -> Vec<Value> {
        let bytes = std::fs::read(self.path("outcomes")).unwrap_or_default();
        outcomes(&String::from_utf8(bytes).unwrap())
    }

    /// How many commands met this fate in the last run.
    #[track_caller]
    pub(crate) fn counted(&self, fate: &str) -> u64 {
        let report: Value = serde_json::from_slice(&std::fs::read(self.path("report")).unwrap()).unwrap();
        report["commands"][fate].as_u64().unwrap()
    }

    /// Fails unless the counts of the last run are these: received, applied, rejected, replayed, refused, parked,
    /// dead-lettered.
    #[track_caller]
    pub(crate) fn expect_counts(&self, expected: [u64; 7]) {
        let fates = ["received", "applied", "rejected", "replayed", "refused", "parked", "dead_lettered"];
        let counts = fates.map(|fate| self.counted(fate));
        assert_eq!(counts, expected, "{fates:?}");
        assert_eq!(counts[0], counts[1..].iter().sum::<u64>());
    }

    /// What `verify` says, in JSON; it must end with this code.
    #[track_caller]
    pub(crate) fn verified(&self, data: &str, code: i32) -> Value {
        let ended: Ended = self.on(data, &["verify", "-o", "json"]).run().expect(code);
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

/// The complete lines of a text of outcomes.
pub(crate) fn outcomes(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An outcome without what may differ when it is given again.
pub(crate) fn first_time(outcome: &Value) -> Value {
    let mut outcome = outcome.clone();
    let replayed = outcome.as_object_mut().unwrap().remove("replayed");
    assert!(replayed.is_some_and(|replayed| replayed.is_boolean()), "{outcome}");
    outcome
}
