//! `retailflow cluster`, `node`, `partition` and `doctor`, on two nodes.

use std::time::Duration;

use serde_json::Value;

use super::{PARTITIONS, SHARDS};
use crate::support::cli::{Call, retailflow};
use crate::support::etcd::{Etcd, etcd_or_skip};
use crate::support::nats::{self, server_or_skip};
use crate::support::poll::wait_for;
use crate::support::server::Server;

const BOUND: Duration = Duration::from_secs(60);

/// Both servers of a cluster.
struct TestCluster {
    nats: nats::Server,
    etcd: Etcd,
}

impl TestCluster {
    /// A call with the configuration that all have.
    fn call(&self, words: &[&str]) -> Call {
        let settings = [
            format!("cluster.partitions={PARTITIONS}"),
            format!("cluster.shards={SHARDS}"),
            "nats.replicas=1".into(),
            "cluster.durability=memory".into(),
            "cluster.floor_ms=1000".into(),
            "etcd.ttl_ms=3000".into(),
        ];
        let call = retailflow(words).arg("--nats").arg(self.nats.url()).arg("--etcd").arg(self.etcd.url());
        settings.iter().fold(call, |call, setting| call.arg("--set").arg(setting))
    }

    fn node(&self, name: &str) -> Server {
        Server::of(self.call(&["serve", "--node", name, "--participants", "instant"]))
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.call(words).arg("-o").arg("json").run().expect(0).stdout).unwrap()
    }

    /// Waits until both nodes run some partitions, and nobody lacks any.
    fn shared_out(&self) {
        wait_for("the partitions are shared out", BOUND, || {
            let nodes = self.json(&["node", "list"]);
            let claimed: Vec<u64> =
                nodes.as_array().unwrap().iter().map(|node| node["claimed"].as_u64().unwrap()).collect();
            (claimed.iter().sum::<u64>() == u64::from(PARTITIONS)
                && claimed.len() == 2
                && !claimed.contains(&0))
            .then_some(())
        });
    }
}

fn findings(said: &Value, level: &str) -> Vec<String> {
    let all = said["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == level);
    all.map(|finding| finding.to_string()).collect()
}

#[test]
fn operators_see_move_and_empty_and_the_doctor_finds() {
    let name = "operators_see_move_and_empty_and_the_doctor_finds";
    let (Some(nats), Some(etcd)) = (server_or_skip(name), etcd_or_skip(name)) else { return };
    let cluster = TestCluster { nats: nats::Server::with_streams(&nats), etcd: Etcd::start(&etcd) };
    let doctor = |call: Call, code| {
        serde_json::from_str::<Value>(&call.arg("-o").arg("json").run().expect(code).stdout).unwrap()
    };

    // Nothing is there yet: that is found, and nothing is made.
    cluster.call(&["cluster", "status"]).run().expect(1).says(&["the first node makes it"]);
    let said = doctor(cluster.call(&["doctor"]), 1);
    assert!(said.to_string().contains("there is none yet"), "{said:#}");
    cluster.call(&["cluster", "status"]).run().expect(1);

    let (one, two) = (cluster.node("n-1"), cluster.node("n-2"));
    cluster.shared_out();
    let status = cluster.json(&["cluster", "status", "--partitions"]);
    assert_eq!(
        (&status["partition_count"], &status["unclaimed"]),
        (&PARTITIONS.into(), &0.into()),
        "{status:#}"
    );
    assert_eq!(status["nodes"].as_array().unwrap().iter().filter(|node| node["leads"] == true).count(), 1);
    for partition in status["partitions"].as_array().unwrap() {
        assert!(partition["epoch"].as_u64() >= Some(1), "{partition:#}");
        assert_eq!(partition["written_by"], partition["claimed"], "{partition:#}");
    }
    let told = cluster.call(&["cluster", "status", "--partitions"]).run().expect(0).stdout;
    assert!(told.contains("n-1 ") && told.contains("n-2 ") && told.contains("WRITTEN BY"), "{told}");

    // What is published is dealt with, and then nothing lags behind.
    let folder = tempfile::tempdir().unwrap();
    let commands = folder.path().join("commands.jsonl");
    retailflow(&["generate", "--orders", "40", "--seed", "3"]).arg("--out").arg(&commands).run().expect(0);
    cluster.call(&["publish", "--commands", commands.to_str().unwrap()]).run().expect(0);
    wait_for("all commands are dealt with", BOUND, || {
        let partitions = cluster.json(&["partition", "list"]);
        let partitions = partitions.as_array().unwrap();
        let done = partitions.iter().all(|one| one["lag_positions"] == 0);
        (done && partitions.iter().any(|one| one["intake_floor"].as_u64() > Some(0))).then_some(())
    });

    let said = doctor(cluster.call(&["doctor"]), 0);
    assert_eq!(findings(&said, "problem"), [""; 0], "{said:#}");
    // Only what is so in every test: one old etcd of one member.
    assert!(findings(&said, "warning").iter().all(|finding| finding.contains("etcd http")), "{said:#}");
    let stricter = ["--set", "cluster.durability=replicated", "--set", "nats.replicas=3"];
    let stricter = stricter.iter().fold(cluster.call(&["doctor"]), |call, word| call.arg(word));
    let said = doctor(stricter, 1);
    let problems = findings(&said, "problem").concat() + &findings(&said, "warning").concat();
    assert!(problems.contains("durability") && problems.contains("num_replicas is 1, wanted 3"), "{said:#}");
    let said =
        doctor(retailflow(&["doctor", "--nats", "nats://127.0.0.1:1", "--etcd", "http://127.0.0.1:1"]), 3);
    assert_eq!(findings(&said, "problem").len(), 2, "{said:#}");

    // A partition is put where it was not, and let go.
    let owner = cluster.json(&["partition", "list"])[0]["claimed"].as_str().unwrap().to_owned();
    let other = if owner == "n-1" { "n-2" } else { "n-1" };
    let moved = cluster.json(&["partition", "move", "0", other, "--wait", "60"]);
    assert!(moved["took_ms"].is_u64(), "{moved:#}");
    let first = &cluster.json(&["partition", "list"])[0];
    assert_eq!((&first["claimed"], &first["pinned"]), (&other.into(), &other.into()), "{first:#}");
    cluster.call(&["partition", "move", "0", "n-9"]).run().expect(4).says(&["no node n-9"]);
    cluster.call(&["partition", "move", "4", "n-1"]).run().expect(2).says(&["counted from 0"]);
    cluster.call(&["partition", "release", "0"]).run().expect(0);
    cluster.call(&["partition", "release", "0"]).run().expect(1);

    // A node is emptied, the last one is not by mistake.
    let before = cluster.json(&["node", "drain", "n-1", "--dry-run"]);
    assert_eq!(before["dry_run"], true);
    let drained = cluster.json(&["node", "drain", "n-1", "--wait", "60", "--operator", "ann"]);
    assert!(drained["took_ms"].is_u64(), "{drained:#}");
    let status = cluster.json(&["cluster", "status"]);
    assert_eq!(
        (&status["nodes"][0]["claimed"], &status["drains"][0]["by"]),
        (&0.into(), &"ann".into()),
        "{status:#}"
    );
    cluster.call(&["node", "drain", "n-2"]).run().expect(4).says(&["nobody else is there"]);
    cluster
        .call(&["node", "drain", "n-7"])
        .run()
        .expect(4)
        .says(&["no node n-7 is there (there are n-1, n-2)"]);
    cluster.call(&["partition", "move", "0", "n-1"]).run().expect(4).says(&["is being emptied"]);
    cluster.call(&["node", "undrain", "n-1"]).run().expect(0);
    cluster.call(&["node", "undrain", "n-1"]).run().expect(1);
    cluster.shared_out();

    one.stop();
    two.stop();
    let said = doctor(cluster.call(&["doctor"]), 1);
    assert!(findings(&said, "problem").concat().contains("none is there in the cluster"), "{said:#}");
}

/// Where labels are asked for, only nodes that have them run partitions; the others take commands in all the same.
#[test]
fn only_nodes_with_the_labels_run_partitions() {
    let name = "only_nodes_with_the_labels_run_partitions";
    let (Some(nats), Some(etcd)) = (server_or_skip(name), etcd_or_skip(name)) else { return };
    let cluster = TestCluster { nats: nats::Server::with_streams(&nats), etcd: Etcd::start(&etcd) };
    let node = |name: &str, label: &str| {
        let call = cluster.call(&["serve", "--node", name, "--participants", "instant"]);
        let call = call.arg("--set").arg("cluster.required_labels=zone=a, disk=fast");
        Server::of(call.arg("--label").arg("zone=a").arg("--label").arg(label))
    };
    cluster.call(&["serve", "--label", "zone"]).run().expect(2).says(&["NAME=VALUE", "zone=a"]);
    let twice = ["serve", "--label", "zone=a", "--label", "zone=b"];
    cluster.call(&twice).run().expect(2).says(&["zone is a and b"]);
    let wrong = cluster.call(&["serve"]).arg("--set").arg("cluster.required_labels=zone");
    wrong.run().expect(2).says(&["cluster.required_labels", "NAME=VALUE"]);

    let (slow, fast) = (node("n-1", "disk=slow"), node("n-2", "disk=fast"));
    wait_for("the node with the labels runs all", BOUND, || {
        let nodes = cluster.json(&["node", "list"]);
        let claimed = |at: usize| nodes[at]["claimed"].as_u64();
        (claimed(0) == Some(0) && claimed(1) == Some(u64::from(PARTITIONS))).then_some(())
    });
    let nodes = cluster.json(&["node", "list"]);
    assert_eq!(nodes[0]["labels"]["disk"], "slow", "{nodes:#}");
    let place =
        ["order", "place", "shop", "o-1", "--customer", "c", "--currency", "USD", "--line", "cd:2:2354"];
    retailflow(&place).arg("--server").arg(slow.url()).run().expect(0);
    drop((slow, fast));
}
