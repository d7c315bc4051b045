//! etcd: each of its members, and what nodes say in it.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ports::LogIdentity;
use retailflow_engine::wire::time::format_time;
use retailflow_etcd::{ClusterAdmin, ClusterStatus, probe_endpoint};
use retailflow_nats::redacted_address;

use super::report::Report;
use retailflow_server::serve::cluster::list;

/// A member that takes longer makes nodes lose their sessions under load.
const SLOW: Duration = Duration::from_millis(500);
/// The oldest that should run in production: those before it revoke leases wrongly.
const RECOMMENDED: [u32; 2] = [3, 6];

/// Asks each member. Whether one of them can be asked for more.
pub(super) async fn members(config: &Config, report: &mut Report) -> bool {
    let endpoints = list(&config.etcd.endpoints);
    if endpoints.is_empty() {
        let remedy = "give --etcd URL[,URL] (or RETAILFLOW_ETCD, or etcd.endpoints); or --data DIR or --admin URL for a node that needs none";
        report.problem("etcd", "no endpoint is given", remedy);
        return false;
    }
    let mut reached = 0;
    for endpoint in &endpoints {
        let what = format!("etcd {}", redacted_address(endpoint));
        match probe_endpoint(endpoint).await {
            Err(error) => {
                let remedy = "start it, or take it out of --etcd (etcd.endpoints); a majority of its members must be there";
                report.problem(what, error.to_string(), remedy);
            }
            Ok(member) => {
                reached += 1;
                let took = member.took.as_millis();
                let found =
                    format!("version {}, {took} ms, {} KiB", member.version, member.database_bytes / 1024);
                if !member.has_leader {
                    let remedy = "start the other members: a majority must see each other";
                    report.problem(what, format!("{found}, and it knows no leader"), remedy);
                } else if member.took > SLOW {
                    let remedy = "give it a disk of its own, or a nearer one: nodes lose their sessions when it is slow";
                    report.warn(what, found, remedy);
                } else if version(&member.version) < RECOMMENDED {
                    report.warn(
                        what,
                        found,
                        "run 3.6 or later in production: older ones have revoked leases wrongly",
                    );
                } else {
                    report.ok(what, found);
                }
            }
        }
    }
    report.servers_reached += reached;
    reached > 0
}

fn version(text: &str) -> [u32; 2] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}

/// Looks at what nodes say; gives their names.
pub(super) async fn nodes(config: &Config, log: Option<&LogIdentity>, report: &mut Report) -> Vec<String> {
    let partitions = log.map_or(config.cluster.partitions, |log| log.partitions);
    let endpoints = list(&config.etcd.endpoints);
    let remedy = "see what is said of etcd above";
    let status = match ClusterAdmin::connect(&endpoints, &config.log.cluster, partitions).await {
        Err(error) => {
            report.problem("nodes", error.to_string(), remedy);
            return Vec::new();
        }
        Ok(admin) => match admin.status().await {
            Err(error) => {
                report.problem("nodes", error.to_string(), remedy);
                return Vec::new();
            }
            Ok(status) => status,
        },
    };
    present(&config.log.cluster, &status, report);
    owned(&status, log, report);
    for (node, at) in &status.lost {
        let remedy = format!(
            "start it again (`retailflow serve --node {node} …`); if it is not coming back, `retailflow node forget {node}`"
        );
        let found = format!("is not there; it came {} and has not left in good order", format_time(*at));
        report.problem(format!("node {node}"), found, remedy);
        report.by(format!("node forget {node}"));
    }
    let (there, expected) = (status.nodes.len(), usize::from(config.cluster.expected_nodes));
    if there < expected {
        let remedy = "start the others, or put cluster.expected_nodes right";
        report.problem(
            "nodes",
            format!("{there} are there, and cluster.expected_nodes is {expected}"),
            remedy,
        );
    }
    for node in &status.nodes {
        if let Some(admin) = &node.admin {
            super::node::ask(Some(node.node.as_str()), admin, report).await;
        }
    }
    for drain in &status.drains {
        let (node, by, at) = (&drain.node, &drain.by, format_time(drain.at));
        let remedy = format!("`retailflow node undrain {node}` lets it have partitions again");
        report.warn(format!("node {node}"), format!("is being emptied since {at}, by {by}"), remedy);
        report.by(format!("node undrain {node}"));
    }
    for (key, why) in &status.unreadable {
        report.problem(
            format!("etcd {key}"),
            why.clone(),
            "upgrade the nodes that are behind, or delete what is no node's",
        );
    }
    status.nodes.iter().map(|node| node.node.to_string()).collect()
}

fn present(cluster: &str, status: &ClusterStatus, report: &mut Report) {
    let count = status.nodes.len();
    if count == 0 {
        let remedy =
            "start some: `retailflow serve --nats URL --etcd URL --node NAME`; or name the right --cluster";
        return report.problem("nodes", format!("none is there in the cluster {cluster:?}"), remedy);
    }
    if !status.nodes.iter().any(|node| node.leads) {
        report.problem(
            "leader",
            "nobody leads, so nobody plans",
            "wait for etcd.ttl_ms, then look at the nodes' logs",
        );
    }
    let own = env!("CARGO_PKG_VERSION");
    let mut builds: Vec<&str> = status.nodes.iter().map(|node| node.build.as_str()).collect();
    builds.sort_unstable();
    builds.dedup();
    match builds.as_slice() {
        [one] if *one == own => report.ok("nodes", format!("{count}, all of build {own}")),
        [one] => report.warn(
            "nodes",
            format!("{count}, of build {one}; this is {own}"),
            "look with the build that they run",
        ),
        several => {
            let found = format!("{count}, of the builds {}", several.join(", "));
            report.warn("nodes", found, "finish the upgrade: nodes of one build only, at rest");
        }
    }
}

/// What each partition's claim says against the plan, and against who is there.
fn owned(status: &ClusterStatus, log: Option<&LogIdentity>, report: &mut Report) {
    let count = status.partitions.len();
    if let Some(log) = log.filter(|log| usize::from(log.partitions) != count) {
        let found = format!("the plan in etcd is for {count}, and the log has {}", log.partitions);
        let remedy =
            "this etcd belongs to another log: name the right one, or give the cluster a name of its own";
        report.problem("partitions", found, remedy);
    }
    let unclaimed: Vec<u16> =
        status.partitions.iter().filter(|one| one.claimed.is_none()).map(|one| one.partition.0).collect();
    let moving =
        status.partitions.iter().filter(|one| one.claimed.is_some() && one.claimed != one.placed).count();
    if !unclaimed.is_empty() {
        let some: Vec<String> = unclaimed.iter().take(8).map(u16::to_string).collect();
        let found = format!("{} of {count} are run by nobody now ({} …)", unclaimed.len(), some.join(", "));
        let remedy =
            "ask again in some seconds; if it stays so, the nodes' logs say why they cannot take them over";
        report.problem("partitions", found, remedy);
    } else if moving > 0 {
        let remedy = "ask again: moving takes some seconds; if it stays so, the nodes' logs say why";
        report.warn("partitions", format!("{moving} of {count} are not where they are to be"), remedy);
    } else {
        report.ok("partitions", format!("{count}, all run where they are to be"));
    }
    // A claim of a process that is not the one listed under its name: the name is used twice.
    for node in &status.nodes {
        let other = status.partitions.iter().any(|one| {
            one.claimed.as_deref() == Some(node.node.as_str())
                && one.claimed_by.as_deref() != Some(node.incarnation.as_str())
        });
        if other {
            let remedy = "if two processes have this name, give one another --node; if it was just started again, wait";
            report.warn(format!("node {}", node.node), "another process of this name has claims", remedy);
        }
    }
}
