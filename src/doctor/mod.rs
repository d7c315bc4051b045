//! What is wrong with a node or a cluster, and what to do about it: what `retailflow doctor` looks at. Nothing is changed.

mod data;
mod etcd;
mod monitors;
mod nats;
mod node;
mod report;
mod room;
mod streams;
pub(crate) mod verb;

use retailflow_config::Config;
use retailflow_engine::ports::LogIdentity;

pub(crate) use self::report::{Level, OneNode, Report};

/// Looks at a single node that needs no servers.
pub(crate) async fn examine_one(config: &Config, of: &OneNode<'_>) -> Report {
    let mut report = Report::default();
    let is_served = of.data.map(|data| data::examine(config, data, &mut report));
    if is_served != Some(false) {
        let admin = of.admin.map_or_else(|| format!("http://{}", config.http.admin_listen), str::to_owned);
        node::ask(None, &admin, &mut report).await;
    }
    report
}

/// Looks at all of a cluster.
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
