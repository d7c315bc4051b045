//! A whole cluster of real processes: NATS, etcd, participants, nodes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::cli::{Call, exit_code, retailflow};
use crate::support::etcd::Etcd;
use crate::support::nats::Server;
use crate::support::poll::wait_for;
use crate::support::serving::http;

pub(super) const PARTITIONS: u16 = 16;
pub(super) const SHARDS: u16 = 2;
/// No start takes longer, even on a busy machine.
const BOUND: Duration = Duration::from_secs(90);

/// A process of ours, ended with the test.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    /// Kept, so that what it writes later has a reader.
    _stdout: BufReader<ChildStdout>,
    /// The first line that it wrote.
    said: String,
}

impl Process {
    fn start(call: Call, log: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = call.into_command().stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        stdout.read_line(&mut said).unwrap();
        let process = Self { child, log, _stdout: stdout, said };
        assert!(!process.said.is_empty(), "it did not start: {}", process.log());
        process
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has logged, in all its lives.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already was waited for, and gives no error that matters.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How large, and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) nats: usize,
    pub(super) etcd: usize,
    pub(super) ttl_ms: u64,
    pub(super) participants: &'static str,
    /// What the stream of commands holds at most.
    pub(super) commands_max_bytes: u64,
}

impl Size {
    /// One of each, and short times: for every run of the tests.
    pub(super) const SMALL: Self =
        Self { nats: 1, etcd: 1, ttl_ms: 3_000, participants: "flaky", commands_max_bytes: 1 << 30 };
    /// As in production.
    pub(super) const LARGE: Self = Self { nats: 3, etcd: 3, ttl_ms: 5_000, ..Self::SMALL };
}

pub(super) struct Many {
    pub(super) size: Size,
    pub(super) nats: Vec<Server>,
    pub(super) etcd: Vec<Etcd>,
    participants: Option<Process>,
    nodes: BTreeMap<String, Process>,
    folder: tempfile::TempDir,
}

impl Many {
    /// Everything but nodes.
    pub(super) fn start((nats, etcd): (&std::path::Path, &std::path::Path), size: Size) -> Self {
        let nats = match size.nats {
            1 => vec![Server::with_streams(nats)],
            count => Server::cluster(nats, count),
        };
        let etcd = Etcd::cluster(etcd, size.etcd);
        let folder = tempfile::tempdir().unwrap();
        let mut many = Self { size, nats, etcd, participants: None, nodes: BTreeMap::new(), folder };
        many.start_participants();
        many
    }

    /// Starts the participants, on the books that they have.
    pub(super) fn start_participants(&mut self) {
        let call = self.call(&["participants", "--kind", self.size.participants, "--seed", "7"]);
        let call = call.arg("--data").arg(self.books());
        self.participants = Some(Process::start(call, self.file("participants.log")));
    }

    /// SIGKILL.
    pub(super) fn kill_participants(&mut self) {
        // Dropped, it is killed and waited for.
        self.participants = None;
    }

    /// Whether these nodes run all partitions.
    pub(super) fn all_held(&self, names: &[&str]) -> bool {
        self.held(names).iter().sum::<f64>() as u16 == PARTITIONS
    }

    /// Where the participants keep their books.
    pub(super) fn books(&self) -> PathBuf {
        self.file("stand-ins")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn nats_urls(&self) -> Vec<String> {
        self.nats.iter().map(Server::url).collect()
    }

    fn call(&self, words: &[&str]) -> Call {
        let replicas = format!("nats.replicas={}", self.size.nats);
        let sets = [
            "telemetry.log=info,async_nats=warn".to_owned(),
            format!("cluster.partitions={PARTITIONS}"),
            format!("cluster.shards={SHARDS}"),
            "cluster.durability=memory".into(),
            "cluster.dwell_ms=500".into(),
            "probe.interval_ms=1000".into(),
            "cluster.floor_ms=1000".into(),
            "cluster.look_ms=500".into(),
            "cluster.trim_ms=1500".into(),
            format!("etcd.ttl_ms={}", self.size.ttl_ms),
            format!("nats.commands_max_bytes={}", self.size.commands_max_bytes),
            replicas,
        ];
        let call = retailflow(words).arg("--nats").arg(self.nats_urls().join(","));
        sets.iter().fold(call, |call, set| call.arg("--set").arg(set))
    }

    /// A verb of the command line on this cluster.
    pub(super) fn verb(&self, words: &[&str]) -> Call {
        let etcd: Vec<String> = self.etcd.iter().map(Etcd::url).collect();
        self.call(words).arg("--etcd").arg(etcd.join(","))
    }

    /// Starts a node; it has no partitions yet.
    pub(super) fn node(&mut self, name: &str) {
        let call = self.verb(&["serve", "--node", name, "--listen", "127.0.0.1:0"]);
        let call = call.arg("--admin-listen").arg("127.0.0.1:0");
        let process = Process::start(call, self.file(&format!("{name}.log")));
        self.nodes.insert(name.to_owned(), process);
    }

    fn of(&self, name: &str) -> &Process {
        self.nodes.get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// What a node has logged, in all its lives.
    pub(super) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(&format!("{name}.log"))).unwrap_or_default()
    }

    /// Where tenants' systems connect.
    pub(super) fn public(&self, name: &str) -> String {
        let line = self.of(name).said.strip_prefix("listening on http://").unwrap();
        line.split_once(',').unwrap().0.to_owned()
    }

    /// Where its operators connect.
    pub(super) fn admin(&self, name: &str) -> String {
        let line = &self.of(name).said;
        line.trim_end().rsplit_once("http://").unwrap().1.to_owned()
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, name: &str) {
        let mut node = self.nodes.remove(name).unwrap();
        node.child.kill().unwrap();
        node.child.wait().unwrap();
    }

    /// SIGSTOP.
    pub(super) fn freeze(&self, name: &str) {
        self.of(name).signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(super) fn wake(&self, name: &str) {
        self.of(name).signal(Signal::CONT);
    }

    /// SIGTERM, and waits for its end, which must be a good one.
    pub(super) fn stop(&mut self, name: &str) {
        let mut node = self.nodes.remove(name).unwrap();
        node.signal(Signal::TERM);
        let code = exit_code(&mut node.child);
        assert_eq!(code, Some(0), "{}", node.log());
    }

    /// Stops all nodes, then the participants.
    pub(super) fn end(&mut self) {
        let names: Vec<String> = self.nodes.keys().cloned().collect();
        names.iter().for_each(|name| self.stop(name));
        if let Some(mut participants) = self.participants.take() {
            participants.signal(Signal::TERM);
            let code = exit_code(&mut participants.child);
            assert_eq!(code, Some(0), "{}", participants.log());
        }
    }

    /// Of a node's metrics the sum over all series of this name.
    pub(super) fn metric(&self, name: &str, metric: &str) -> f64 {
        let (status, answer) = http(&self.admin(name), "GET", "/metrics", &[], "");
        assert_eq!(status, 200, "{answer}");
        let of = |line: &str| {
            let rest = line.strip_prefix(metric)?;
            (rest.starts_with(' ') || rest.starts_with('{'))
                .then(|| rest.rsplit_once(' '))??
                .1
                .trim()
                .parse::<f64>()
                .ok()
        };
        answer.lines().filter_map(of).sum::<f64>()
    }

    fn held(&self, names: &[&str]) -> Vec<f64> {
        names.iter().map(|name| self.metric(name, "retailflow_partitions_held")).collect()
    }

    /// Waits until each of these nodes runs its share, or one more.
    pub(super) fn is_fair(&self, names: &[&str]) {
        let share = f64::from(PARTITIONS) / names.len() as f64;
        wait_for("each has its share", BOUND, || {
            self.held(names).iter().all(|held| *held >= share.floor() && *held <= share.ceil()).then_some(())
        });
    }

    /// Waits until these nodes run all partitions, each some of them.
    pub(super) fn shared_out(&self, names: &[&str]) {
        wait_for("the partitions are shared out", BOUND, || {
            let held = self.held(names);
            let all = held.iter().sum::<f64>() as u16 == PARTITIONS;
            (all && held.iter().all(|held| *held > 0.0)).then_some(())
        });
    }
}
