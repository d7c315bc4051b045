//! Things of a cluster broken one at a time: `doctor` names each with what mends it, and when that is typed or done all is well; and
//! where a node cannot do its work, its `/readyz` says so while it lasts.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PARTITIONS, SHARDS};
use crate::support::cli::{Call, retailflow};
use crate::support::etcd::{Etcd, etcd_or_skip};
use crate::support::nats::{Server as Nats, server_or_skip};
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::serving::http;

/// For anything to be seen, on a busy machine.
const BOUND: Duration = Duration::from_secs(90);
/// What is broken is well again by itself within this time of its end, on a machine that does little else.
const WELL_WITHIN: Duration = Duration::from_secs(60);
const NATS_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A cluster, and what is wrong with it now.
struct Lab {
    nats: Nats,
    monitor: String,
    etcd: Etcd,
    nodes: BTreeMap<&'static str, Server>,
    participants: Option<Participants>,
    folder: tempfile::TempDir,
}

/// The participants' process.
struct Participants(std::process::Child);

impl Drop for Participants {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Lab {
    fn start(nats: &Path, etcd: &Path) -> Self {
        let port = crate::support::ports::free(1)[0];
        let settings = format!(
            "http: \"127.0.0.1:{port}\"\nmax_payload: 8MB\nping_interval: \"2s\"\n\
             jetstream {{ store_dir: \"FOLDER/js\", sync_interval: always }}\n"
        );
        let mut lab = Self {
            nats: Nats::start(nats, &settings),
            monitor: format!("http://127.0.0.1:{port}"),
            etcd: Etcd::start(etcd),
            nodes: BTreeMap::new(),
            participants: None,
            folder: tempfile::tempdir().unwrap(),
        };
        lab.start_participants();
        lab.start_node("n-1");
        lab.start_node("n-2");
        lab
    }

    fn call(&self, words: &[&str]) -> Call {
        let settings = [
            format!("cluster.partitions={PARTITIONS}"),
            format!("cluster.shards={SHARDS}"),
            "nats.replicas=1".into(),
            format!("nats.monitors={}", self.monitor),
            "cluster.durability=fsync".into(),
            "etcd.ttl_ms=3000".into(),
            "probe.interval_ms=1000".into(),
        ];
        let call = retailflow(words).arg("--nats").arg(self.nats.url());
        let call = match words[0] {
            "participants" => call,
            _ => call.arg("--etcd").arg(self.etcd.url()),
        };
        settings.iter().fold(call, |call, setting| call.arg("--set").arg(setting))
    }

    fn node(&self, name: &str) -> Server {
        Server::of(self.call(&["serve", "--node", name, "--participants", "shared"]))
    }

    fn start_node(&mut self, name: &'static str) {
        let node = self.node(name);
        self.nodes.insert(name, node);
    }

    fn start_participants(&mut self) {
        let call = self.call(&["participants"]).arg("--data").arg(self.folder.path().join("books"));
        let (child, _) = call.spawn();
        self.participants = Some(Participants(child));
    }

    /// What `doctor` finds that is not as it should be, with these words more.
    fn ill(&self, more: &[&str]) -> Vec<Value> {
        let call = more.iter().fold(self.call(&["doctor", "-o", "json"]), |call, word| call.arg(word));
        let ended = call.run();
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{ended:?}");
        let said: Value = serde_json::from_str(&ended.stdout).unwrap();
        let all = said["findings"].as_array().unwrap().iter();
        // One old etcd of one member is so in every test.
        let usual = |finding: &Value| finding["found"].as_str().unwrap().starts_with("version ");
        all.filter(|finding| finding["level"] != "ok" && !usual(finding)).cloned().collect()
    }

    fn all_is_well(&self) {
        let mut last = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < BOUND {
            last = self.ill(&[]);
            if last.is_empty() && self.nodes.values().all(|node| ready(node).0 == 200) {
                return;
            }
        }
        let ready: Vec<_> = self.nodes.values().map(ready).collect();
        panic!("not well: {last:#?} {ready:?}");
    }

    /// The finding that holds this text, once there is one.
    fn named(&self, text: &str) -> Value {
        let mut last = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < BOUND {
            last = self.ill(&[]);
            if let Some(found) = last.iter().find(|finding| finding.to_string().contains(text)) {
                assert!(found["mend"].is_string(), "{found:#}");
                return found.clone();
            }
        }
        panic!("{text:?} is not named: {last:#?}");
    }

    /// Types the command that a finding names.
    fn type_it(&self, finding: &Value) {
        let command = finding["command"].as_str().unwrap_or_else(|| panic!("no command: {finding:#}"));
        let mend = finding["mend"].as_str().unwrap();
        assert!(mend.contains(&format!("`retailflow {command}`")), "people see the same: {finding:#}");
        self.call(&command.split(' ').collect::<Vec<_>>()).run().expect(0);
    }

    /// What JetStream's API answers.
    fn jetstream(&self, what: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.nats.address()).unwrap();
        stream.set_read_timeout(Some(NATS_ANSWERS_WITHIN)).unwrap();
        let body = body.to_string();
        let length = body.len();
        write!(
            stream,
            "CONNECT {{\"verbose\":false}}\r\nSUB here 1\r\nPUB $JS.API.{what} here {length}\r\n{body}\r\n"
        )
        .unwrap();
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            if line.starts_with("MSG here ") {
                let mut payload = vec![0; line.trim_end().rsplit(' ').next().unwrap().parse().unwrap()];
                lines.read_exact(&mut payload).unwrap();
                let answer: Value = serde_json::from_slice(&payload).unwrap();
                assert!(answer["error"].is_null(), "{what}: {answer:#}");
                return answer;
            }
        }
    }

    fn set_of_stream(&self, stream: &str, field: &str, value: Value) {
        let mut config = self.jetstream(&format!("STREAM.INFO.{stream}"), &json!({}))["config"].clone();
        config[field] = value;
        self.jetstream(&format!("STREAM.UPDATE.{stream}"), &config);
    }

    /// Waits until a node says that it can or cannot do its work; gives what it says.
    fn says(&self, node: &str, status: u16, text: &str, within: Duration) -> String {
        let mut last = String::new();
        let begun = Instant::now();
        let mut pace = 0;
        while begun.elapsed() < within {
            let (found, body) = ready(&self.nodes[node]);
            if found == status && body.contains(text) {
                return body;
            }
            last = body;
            pace += 1;
        }
        panic!("{node} does not say {status} and {text:?} within {within:?} ({pace} looks): {last}");
    }

    fn place(&self, order: &str) -> u16 {
        let body = json!({
            "customer": "c", "currency": "USD",
            "lines": [{"line_id": "1", "sku": "s", "quantity": 1, "amount_minor": 100}],
        });
        let path = format!("/v1/tenants/shop/orders/{order}/commands");
        let id = format!("place-{order}");
        let headers = [
            ("Content-Type", "application/json"),
            ("Ce-Type", "retailflow.order.place.v1"),
            ("Idempotency-Key", id.as_str()),
        ];
        http(&self.nodes["n-1"].public, "POST", &path, &headers, &body.to_string()).0
    }
}

fn ready(node: &Server) -> (u16, String) {
    http(&node.admin, "GET", "/readyz", &[], "")
}

fn lab(test: &str) -> Option<Lab> {
    let (nats, etcd): (PathBuf, PathBuf) = (server_or_skip(test)?, etcd_or_skip(test)?);
    Some(Lab::start(&nats, &etcd))
}

#[test]
fn settings_of_streams_that_are_not_as_they_should_be_are_named_and_put_back() {
    let name = "settings_of_streams_that_are_not_as_they_should_be_are_named_and_put_back";
    let Some(lab) = lab(name) else { return };
    lab.all_is_well();
    let hour_ns = json!(3_600_000_000_000_u64);
    for (stream, field, value, loses) in [
        ("RF_LOG_0", "max_age", hour_ns.clone(), true),
        ("RF_LOG_1", "discard", json!("old"), true),
        ("RF_LOG_0", "max_bytes", json!(1_u64 << 26), true),
        ("RF_LOG_1", "max_msgs", json!(1_000_000_000), true),
        ("RF_EVT", "max_msgs_per_subject", json!(1_000), true),
        ("RF_CMD", "duplicate_window", json!(1_000_000_000_u64), false),
        ("RF_META", "allow_direct", json!(false), false),
    ] {
        lab.set_of_stream(stream, field, value);
        let finding = lab.named(&format!("{field} is "));
        assert_eq!(finding["what"], format!("stream {stream}"), "{finding:#}");
        assert_eq!(finding["level"], if loses { "problem" } else { "warning" }, "{finding:#}");
        lab.call(&["cluster", "repair-streams", "--dry-run"]).run().expect(0);
        lab.named(&format!("{field} is "));
        lab.type_it(&finding);
        lab.all_is_well();
    }
    assert_eq!(lab.place("still-taken"), 200);
    // What was given wrongly is named with what is right: typed so, it is well.
    for (wrong, right) in [
        (&["--set", "cluster.partitions=8"][..], "cluster.partitions=4"),
        (&["--set", "log.cluster=other"], "log.cluster=retailflow"),
        (&["--set", "cluster.durability=replicated"], "three servers"),
        (&["--set", "nats.servers=nats://127.0.0.1:1", "--nats", "nats://127.0.0.1:1"], "start it"),
        (&["--etcd", "http://127.0.0.1:1"], "start it"),
        (&["--set", "cluster.expected_nodes=3"], "cluster.expected_nodes"),
    ] {
        let ended = wrong.iter().fold(retailflow(&["doctor", "-o", "json"]), |call, word| call.arg(word));
        let ended = wrongly(ended, &lab, wrong).run();
        let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        let mends: Vec<&str> = said["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|finding| finding["mend"].as_str())
            .collect();
        assert!(mends.iter().any(|mend| mend.contains(right)), "{wrong:?}: {said:#}");
    }
    lab.all_is_well();
}

/// The usual words, but for those that are given wrongly.
fn wrongly(call: Call, lab: &Lab, wrong: &[&str]) -> Call {
    let mut call = call;
    if !wrong.contains(&"--nats") {
        call = call.arg("--nats").arg(lab.nats.url());
    }
    if !wrong.contains(&"--etcd") {
        call = call.arg("--etcd").arg(lab.etcd.url());
    }
    for setting in [
        format!("cluster.partitions={PARTITIONS}"),
        format!("cluster.shards={SHARDS}"),
        "nats.replicas=1".into(),
        format!("nats.monitors={}", lab.monitor),
        "cluster.durability=fsync".into(),
    ] {
        let key = setting.split('=').next().unwrap();
        if !wrong.iter().any(|word| word.starts_with(key)) {
            call = call.arg("--set").arg(&setting);
        }
    }
    call
}

#[test]
fn servers_and_nodes_that_are_away_are_named_and_all_comes_back_by_itself() {
    let name = "servers_and_nodes_that_are_away_are_named_and_all_comes_back_by_itself";
    let Some(mut lab) = lab(name) else { return };
    lab.all_is_well();

    // A NATS server that hangs, and one that is gone.
    lab.nats.freeze();
    lab.says("n-1", 503, "\"log\"", BOUND);
    let ill = lab.ill(&[]);
    assert!(!format!("{ill:?}").contains("permission"), "a pause is no permission: {ill:#?}");
    assert!(ill.iter().any(|finding| finding["what"] == format!("nats {}", lab.nats.url())), "{ill:#?}");
    lab.nats.thaw();
    lab.says("n-1", 200, "\"ok\":true", WELL_WITHIN);
    lab.nats.kill();
    lab.says("n-1", 503, "\"connection\"", BOUND);
    lab.named("start it, or take it out of --nats");
    lab.nats.run();
    lab.says("n-1", 200, "\"ok\":true", WELL_WITHIN);
    lab.all_is_well();

    // The same of etcd.
    lab.etcd.freeze();
    lab.says("n-1", 503, "\"session\"", BOUND);
    lab.named("start it, or take it out of --etcd");
    lab.etcd.thaw();
    lab.says("n-1", 200, "\"ok\":true", WELL_WITHIN);
    lab.etcd.kill();
    lab.says("n-2", 503, "\"session\"", BOUND);
    lab.named("start it, or take it out of --etcd");
    lab.etcd.run();
    lab.says("n-2", 200, "\"ok\":true", WELL_WITHIN);
    lab.all_is_well();

    // A node that is lost is missed by name, until it is back or given up.
    lab.nodes.remove("n-2").unwrap().kill();
    lab.named("node n-2");
    let lost = lab.named("has not left in good order");
    lab.start_node("n-2");
    lab.all_is_well();
    lab.nodes.remove("n-2").unwrap().kill();
    lab.named("has not left in good order");
    lab.type_it(&lost);
    lab.all_is_well();
    lab.start_node("n-2");
    lab.all_is_well();

    // One that left in good order is missed only where it is said how many there are to be.
    lab.nodes.remove("n-2").unwrap().stop();
    lab.all_is_well();
    let ill = lab.ill(&["--set", "cluster.expected_nodes=2"]);
    assert!(format!("{ill:?}").contains("start the others"), "{ill:#?}");
    lab.start_node("n-2");
    lab.all_is_well();
    assert!(lab.ill(&["--set", "cluster.expected_nodes=2"]).is_empty());

    // One that is being emptied.
    lab.call(&["node", "drain", "n-1", "--operator", "ann"]).run().expect(0);
    let drained = lab.named("is being emptied");
    lab.type_it(&drained);
    lab.all_is_well();

    // Two of one name.
    let second = lab.node("n-1");
    wait_for("the second one says so", BOUND, || {
        let (status, said) = ready(&second);
        (status == 503 && said.contains("does not stand among the nodes")).then_some(())
    });
    lab.named("two processes have this name");
    assert_eq!(ready(&lab.nodes["n-1"]).0, 200, "the first one goes on");
    second.kill();
    lab.all_is_well();

    // Participants that are away: orders are taken, and wait.
    lab.participants = None;
    for number in 0..40 {
        assert_eq!(lab.place(&format!("waits-{number}")), 200);
    }
    let away = lab.named("do not answer, or fail again and again");
    assert_eq!(away["level"], "warning", "{away:#}");
    assert_eq!(ready(&lab.nodes["n-1"]).0, 200, "what is taken goes on when they are back");
    lab.start_participants();
    lab.all_is_well();

    // Nobody at all.
    for name in ["n-1", "n-2"] {
        lab.nodes.remove(name).unwrap().stop();
    }
    lab.named("none is there in the cluster");
    lab.named("are run by nobody now");
    lab.start_node("n-1");
    lab.all_is_well();
}
