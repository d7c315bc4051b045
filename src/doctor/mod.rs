//! What is wrong with a cluster, and how to mend it: what `retailflow doctor` looks at. Nothing is changed.

mod etcd;
mod monitors;
mod nats;
mod streams;

use retailflow_config::Config;
use retailflow_engine::ports::LogIdentity;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// In the order in which it was looked at.
    pub(crate) findings: Vec<Finding>,
    /// Servers that answered.
    pub(crate) servers_reached: usize,
}

impl Report {
    fn ok(&mut self, what: impl Into<String>, found: impl Into<String>) {
        self.add(what, Level::Ok, found, None);
    }

    fn warn(&mut self, what: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) {
        self.add(what, Level::Warning, found, Some(mend.into()));
    }

    fn problem(&mut self, what: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) {
        self.add(what, Level::Problem, found, Some(mend.into()));
    }

    fn add(&mut self, what: impl Into<String>, level: Level, found: impl Into<String>, mend: Option<String>) {
        self.findings.push(Finding { what: what.into(), level, found: found.into(), mend });
    }

    /// The worst that was found.
    pub(crate) fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }
}

/// Looks at all of it.
pub(crate) async fn examine(config: &Config) -> Report {
    let mut report = Report::default();
    let names = etcd::members(config, &mut report).await;
    let log: Option<LogIdentity> = match nats::servers(config, &mut report).await {
        Some(connections) => {
            let log = streams::examine(config, &connections, &mut report).await;
            connections.close(nats::CLOSE_MAX).await;
            log
        }
        None => None,
    };
    if names {
        let nodes = etcd::nodes(config, log.as_ref(), &mut report).await;
        monitors::namesakes(config, nodes, &mut report).await;
    }
    report
}
