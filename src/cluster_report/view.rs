//! What a cluster looks like now: nodes and partitions, from etcd and the log.

use retailflow_engine::keys::hex;
use retailflow_engine::wire::time::format_time;
use retailflow_etcd::{ClusterStatus, NodeStatus, PartitionStatus};
use retailflow_nats::{Progress, progress};
use serde_json::{Value, json};

use super::table::table;
use super::{Cluster, claims_of};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::words::count;

/// A cluster at some moment.
pub(crate) struct View {
    cluster: String,
    log_id: Option<String>,
    shards: Option<u16>,
    pub(crate) status: ClusterStatus,
    /// By partition; none where the log was not named.
    progress: Vec<Progress>,
}

impl Cluster {
    /// Looks at all of it.
    pub(crate) async fn view(&self) -> Result<View, Failure> {
        let status = self.status().await?;
        let progress = match &self.log {
            Some((connections, log)) => {
                let looked = progress(connections, log).await;
                looked.or_exit(ExitStatus::Unreachable, || "cannot look at the log's partitions")?
            }
            None => Vec::new(),
        };
        Ok(View {
            cluster: self.name.clone(),
            log_id: self.log.as_ref().map(|(_, log)| hex(&log.log_id)),
            shards: self.log.as_ref().map(|(_, log)| log.shards),
            status,
            progress,
        })
    }
}

impl View {
    fn progress(&self, one: &PartitionStatus) -> Option<&Progress> {
        self.progress.get(usize::from(one.partition.0))
    }

    /// How far behind a node's partitions are, at most: positions are those of the whole stream, so they do not add up.
    fn lag(&self, node: &NodeStatus) -> Option<u64> {
        let its = |one: &&PartitionStatus| one.claimed.as_deref() == Some(node.node.as_str());
        let claimed = self.status.partitions.iter().filter(its);
        let lags = claimed.filter_map(|one| self.progress(one)).map(Progress::lag);
        (!self.progress.is_empty()).then(|| lags.max().unwrap_or(0))
    }

    fn leader(&self) -> Option<&str> {
        self.status.nodes.iter().find(|node| node.leads).map(|node| node.node.as_str())
    }

    /// Partitions that nobody has claimed.
    fn unclaimed(&self) -> usize {
        self.status.partitions.iter().filter(|one| one.claimed.is_none()).count()
    }

    /// For programs; with or without each partition.
    pub(crate) fn json(&self, partitions: bool) -> Value {
        let mut shown = json!({
            "cluster": self.cluster,
            "log_id": self.log_id,
            "partition_count": self.status.partitions.len(),
            "shards": self.shards,
            "leader": self.leader(),
            "unclaimed": self.unclaimed(),
            "nodes": self.nodes_json(),
            "drains": self.status.drains.iter().map(|drain| json!({
                "node": drain.node.as_str(), "by": drain.by, "at": format_time(drain.at),
            })).collect::<Value>(),
            "unreadable": self.status.unreadable.iter().map(|(key, why)| json!({ "key": key, "why": why })).collect::<Value>(),
        });
        if partitions {
            shown["partitions"] = self.partitions_json();
        }
        shown
    }

    /// The nodes, for programs.
    pub(crate) fn nodes_json(&self) -> Value {
        let node = |node: &NodeStatus| {
            json!({
                "node": node.node.as_str(),
                "incarnation": node.incarnation,
                "build": node.build,
                "weight": node.weight,
                "labels": node.labels,
                "admin": node.admin,
                "leads": node.leads,
                "draining": node.draining,
                "placed": self.placed(node),
                "claimed": claims_of(&self.status, &node.node),
                "lag_positions": self.lag(node),
            })
        };
        self.status.nodes.iter().map(node).collect()
    }

    /// The partitions, for programs.
    pub(crate) fn partitions_json(&self) -> Value {
        let partition = |one: &PartitionStatus| {
            let progress = self.progress(one);
            let fence = progress.and_then(|progress| progress.fence.as_ref());
            json!({
                "partition": one.partition.0,
                "placed": one.placed,
                "claimed": one.claimed,
                "pinned": one.pinned.as_ref().map(|node| node.as_str()),
                "epoch": fence.map(|fence| fence.epoch),
                "group": fence.map(|fence| fence.group),
                "written_by": fence.map(|fence| fence.node.as_str()),
                "written_at": fence.map(|fence| format_time(fence.written)),
                "intake_floor": progress.map(|progress| progress.floor),
                "last_command": progress.map(|progress| progress.last),
                "lag_positions": progress.map(Progress::lag),
            })
        };
        self.status.partitions.iter().map(partition).collect()
    }

    fn placed(&self, node: &NodeStatus) -> usize {
        let its = |one: &&PartitionStatus| one.placed.as_deref() == Some(node.node.as_str());
        self.status.partitions.iter().filter(its).count()
    }

    /// For people.
    pub(crate) fn text(&self, partitions: bool) -> String {
        let all = self.status.partitions.len();
        let shards = self.shards.map(|shards| format!(" in {shards} streams")).unwrap_or_default();
        let leader = self.leader().unwrap_or("nobody");
        let mut text = format!("cluster {}: {all} partitions{shards}; {leader} leads\n\n", self.cluster);
        text.push_str(&self.nodes_text());
        if self.unclaimed() > 0 {
            text.push_str(&format!("\n{} run by nobody now\n", count(self.unclaimed() as u64, "partition")));
        }
        for drain in &self.status.drains {
            let (node, by, at) = (&drain.node, &drain.by, format_time(drain.at));
            text.push_str(&format!(
                "\n{node} is being emptied since {at}, by {by}: `retailflow node undrain {node}` ends it\n"
            ));
        }
        for (key, why) in &self.status.unreadable {
            text.push_str(&format!("\n{key} in etcd cannot be read: {why}\n"));
        }
        if partitions {
            text.push('\n');
            text.push_str(&self.partitions_text());
        }
        text
    }

    /// The nodes, for people.
    pub(crate) fn nodes_text(&self) -> String {
        let row = |node: &NodeStatus| {
            let state = match (node.draining, node.leads) {
                (true, true) => "draining, leads",
                (true, false) => "draining",
                (false, true) => "leads",
                (false, false) => "-",
            };
            vec![
                node.node.to_string(),
                state.to_owned(),
                self.placed(node).to_string(),
                claims_of(&self.status, &node.node).to_string(),
                self.lag(node).map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
                node.weight.to_string(),
                node.build.clone(),
                node.admin.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        };
        let rows: Vec<_> = self.status.nodes.iter().map(row).collect();
        table(&["NODE", "STATE", "PLACED", "CLAIMED", "LAG", "WEIGHT", "BUILD", "ADMIN"], &rows)
    }

    /// The partitions, for people.
    pub(crate) fn partitions_text(&self) -> String {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let row = |one: &PartitionStatus| {
            let progress = self.progress(one);
            let fence = progress.and_then(|progress| progress.fence.as_ref());
            let placed = or_none(one.placed.clone());
            vec![
                one.partition.0.to_string(),
                if one.pinned.is_some() { format!("{placed} (pinned)") } else { placed },
                or_none(one.claimed.clone()),
                or_none(fence.map(|fence| fence.epoch.to_string())),
                or_none(fence.map(|fence| fence.group.to_string())),
                or_none(fence.map(|fence| fence.node.clone())),
                or_none(fence.map(|fence| format_time(fence.written))),
                or_none(progress.map(|progress| progress.floor.to_string())),
                or_none(progress.map(|progress| progress.lag().to_string())),
            ]
        };
        let rows: Vec<_> = self.status.partitions.iter().map(row).collect();
        let head =
            ["PARTITION", "PLACED", "CLAIMED", "EPOCH", "GROUP", "WRITTEN BY", "WRITTEN AT", "FLOOR", "LAG"];
        table(&head, &rows)
    }
}
