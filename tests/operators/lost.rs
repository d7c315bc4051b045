//! What was lost or is away, and comes back without a restart: on three NATS servers.

use std::time::Duration;

use serde_json::Value;

use super::{PARTITIONS, SHARDS, now};
use crate::support::cli::{Call, retailflow};
use crate::support::etcd::{Etcd, etcd_or_skip};
use crate::support::nats::{self, server_or_skip};
use crate::support::poll::wait_for;
use crate::support::server::Server;

const BOUND: Duration = Duration::from_secs(90);

struct TestCluster {
    nats: Vec<nats::Server>,
    etcd: Etcd,
    monitors: String,
}

impl TestCluster {
    fn new(name: &str) -> Option<Self> {
        let (nats, etcd) = (server_or_skip(name)?, etcd_or_skip(name)?);
        let nats = nats::Server::cluster_with(&nats, 3, "http: \"127.0.0.1:-1\"");
        let monitors: Vec<String> = nats.iter().map(nats::Server::monitor).collect();
        Some(Self { nats, etcd: Etcd::start(&etcd), monitors: monitors.join(",") })
    }

    fn servers(&self) -> String {
        self.nats.iter().map(nats::Server::url).collect::<Vec<_>>().join(",")
    }

    fn call(&self, words: &[&str]) -> Call {
        self.call_with(words, SHARDS)
    }

    fn call_with(&self, words: &[&str], shards: u16) -> Call {
        let settings = [
            format!("cluster.partitions={PARTITIONS}"),
            format!("cluster.shards={shards}"),
            format!("nats.monitors={}", self.monitors),
            "nats.replicas=3".into(),
            "cluster.durability=replicated_fsync".into(),
            "cluster.floor_ms=1000".into(),
            "etcd.ttl_ms=3000".into(),
        ];
        let call = retailflow(words).arg("--nats").arg(self.servers()).arg("--etcd").arg(self.etcd.url());
        settings.iter().fold(call, |call, setting| call.arg("--set").arg(setting))
    }

    fn node(&self, name: &str) -> Server {
        Server::of(self.call(&["serve", "--node", name, "--participants", "instant"]))
    }

    /// Publishes so many orders' commands; how many were acknowledged.
    fn publish(&self, folder: &std::path::Path, orders: u32, seed: u32) -> u64 {
        let path = folder.join(format!("commands-{seed}.jsonl"));
        let (orders, seed) = (orders.to_string(), seed.to_string());
        let words = ["generate", "--orders", &orders, "--seed", &seed, "--duplicate-permille", "0"];
        retailflow(&words).arg("--out").arg(&path).run().expect(0);
        let words = ["publish", "--commands", path.to_str().unwrap(), "-o", "json"];
        let said: Value = serde_json::from_str(&self.call(&words).run().expect(0).stdout).unwrap();
        said["acknowledged"].as_u64().unwrap()
    }

    /// Waits until all that was published is dealt with.
    fn dealt_with(&self, what: &str) {
        wait_for(what, BOUND, || {
            let ended = self.call(&["cluster", "status", "--partitions", "-o", "json"]).run();
            let said: Value = serde_json::from_str(&ended.stdout).ok()?;
            let all = said["partitions"].as_array()?;
            all.iter().all(|one| one["lag_positions"] == 0).then_some(())
        });
    }

    /// One message that stops the stream of commands for good.
    fn stop_commands(&self) {
        now(async {
            let client = async_nats_like::connect(&self.nats[0].address());
            client.send("rf.v1.cmd.shop.bad", "Nats-Expected-Last-Msg-Id: nobody's");
        });
    }
}

/// As a client in few words: async-nats is confined to `cluster`.
mod async_nats_like {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    pub(super) struct Client(TcpStream);

    pub(super) fn connect(address: &str) -> Client {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client(socket)
    }

    impl Client {
        pub(super) fn send(mut self, subject: &str, header: &str) {
            let headers = format!("NATS/1.0\r\n{header}\r\n\r\n");
            let message = format!(
                "CONNECT {{\"headers\":true,\"verbose\":false}}\r\nHPUB {subject} {} {}\r\n{headers}x\r\nPING\r\n",
                headers.len(),
                headers.len() + 1
            );
            self.0.write_all(message.as_bytes()).unwrap();
            let mut said = Vec::new();
            while !said.windows(4).any(|four| four == b"PONG") {
                let mut buffer = [0; 1024];
                let read = self.0.read(&mut buffer).unwrap();
                assert!(read > 0, "{}", String::from_utf8_lossy(&said));
                said.extend_from_slice(&buffer[..read]);
            }
        }
    }
}

#[test]
fn a_stopped_stream_of_commands_is_recovered_while_the_node_runs() {
    let Some(cluster) = TestCluster::new("a_stopped_stream_of_commands_is_recovered") else { return };
    let folder = tempfile::tempdir().unwrap();
    let node = cluster.node("n-1");
    assert!(cluster.publish(folder.path(), 20, 1) > 0);
    cluster.dealt_with("all is decided before it is stopped");
    let recover = ["cluster", "recover-commands"];
    let said = cluster.call(&recover).arg("--dry-run").run().expect(0);
    assert!(said.stdout.contains("there is nothing to recover"), "{}", said.stdout);
    cluster.stop_commands();
    let said = cluster.call(&recover).arg("--dry-run").run().expect(0);
    assert!(said.stdout.contains("RF_CMD is stopped"), "{}", said.stdout);
    cluster.call(&recover).run().expect(4).says(&["repeat with --yes"]);
    let said = cluster.call(&recover).arg("--yes").run().expect(0);
    assert!(said.stdout.contains("made again"), "{}", said.stdout);
    // Without a restart: what is published now is decided.
    assert!(cluster.publish(folder.path(), 20, 2) > 0);
    cluster.dealt_with("what was published afterwards is decided");
    assert!(node.stop().contains("stream_trouble"), "it was named");
}

#[test]
fn with_one_server_of_three_away_a_node_starts_and_says_what_it_believes() {
    let Some(mut cluster) = TestCluster::new("with_one_server_of_three_away_a_node_starts") else { return };
    cluster.node("n-1").stop();
    cluster.nats[2].kill();
    let node = cluster.node("n-2");
    let said = node.stop();
    assert!(said.contains("server_not_asked") && said.contains("counts for 24 h"), "{said}");
    // And one that was made for another log makes nothing, and says which setting it is.
    for shards in [SHARDS + 1, 1] {
        let call = cluster.call_with(&["serve", "--node", "n-3", "--participants", "instant"], shards);
        let named = format!("set cluster.shards = {SHARDS}");
        call.arg("--listen")
            .arg("127.0.0.1:0")
            .arg("--admin-listen")
            .arg("127.0.0.1:0")
            .run()
            .expect(4)
            .says(&[&named]);
    }
}
