//! Two processes of one name: the servers' monitoring addresses tell who is connected.

use std::collections::BTreeMap;

use retailflow_config::Config;

use super::report::Report;
use retailflow_server::monitor;
use retailflow_server::serve::cluster::list;

/// Looks whether one of these nodes is connected twice.
pub(super) async fn namesakes(config: &Config, nodes: Vec<String>, report: &mut Report) {
    let monitors = list(&config.nats.monitors);
    if monitors.is_empty() || nodes.is_empty() {
        return;
    }
    // They block.
    let asked = tokio::task::spawn_blocking(move || connected(&monitors)).await;
    let counts = match asked {
        Ok(Ok(counts)) => counts,
        Ok(Err(why)) => {
            report.warn("names", why, "put nats.monitors right, or let this machine reach them");
            return;
        }
        Err(error) => {
            report.warn("names", error.to_string(), "try again");
            return;
        }
    };
    let twice: Vec<&String> =
        nodes.iter().filter(|node| counts.get(&connection(node)).copied() > Some(1)).collect();
    for node in &twice {
        let remedy = "give one of them another --node NAME: the second one runs nothing as long as the first one is there";
        report.problem(format!("node {node}"), "two processes have this name", remedy);
    }
    if twice.is_empty() {
        report.ok("names", "no node is connected twice");
    }
}

/// How a node calls the one connection over which it publishes.
fn connection(node: &str) -> String {
    format!("retailflow {node} publish")
}

fn connected(monitors: &[String]) -> Result<BTreeMap<String, u32>, String> {
    let mut counts = BTreeMap::new();
    for monitor in monitors {
        let said = monitor::ask(monitor, "/connz?limit=4096").map_err(|why| format!("{monitor}: {why}"))?;
        for connection in said["connections"].as_array().into_iter().flatten() {
            if let Some(name) = connection["name"].as_str() {
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(counts)
}
