//! What was found, and what mends it.

use std::path::Path;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and people should know.
    Warning,
    /// It does not work, or what was promised does not hold.
    Problem,
}

/// What was found of one thing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) what: String,
    pub(crate) level: Level,
    /// How it is.
    pub(crate) found: String,
    /// What to do.
    #[serde(rename = "mend", skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    /// Where typing it mends it: the words behind `retailflow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// In the order in which it was looked at.
    pub(crate) findings: Vec<Finding>,
    /// Servers that answered, and data directories that are there.
    pub(crate) servers_reached: usize,
}

/// What of a single node is looked at.
#[derive(Debug, Default)]
pub(crate) struct OneNode<'a> {
    /// Its data directory.
    pub(crate) data: Option<&'a Path>,
    /// Its operators' address.
    pub(crate) admin: Option<&'a str>,
}

impl Report {
    pub(crate) fn ok(&mut self, what: impl Into<String>, found: impl Into<String>) {
        self.add(what, Level::Ok, found, None);
    }

    pub(crate) fn warn(
        &mut self,
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(what, Level::Warning, found, Some(remedy.into()));
    }

    pub(crate) fn problem(
        &mut self,
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(what, Level::Problem, found, Some(remedy.into()));
    }

    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        level: Level,
        found: impl Into<String>,
        remedy: Option<String>,
    ) {
        self.findings.push(Finding { what: what.into(), level, found: found.into(), remedy, command: None });
    }

    /// The last finding is mended by typing this behind `retailflow`.
    pub(crate) fn by(&mut self, command: impl Into<String>) {
        if let Some(last) = self.findings.last_mut() {
            last.command = Some(command.into());
        }
    }

    /// The worst that was found.
    pub(crate) fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }
}
