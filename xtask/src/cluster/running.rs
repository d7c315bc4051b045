//! The processes of a cluster, and how each is started.

#[path = "../../../tests/support/ports.rs"]
pub(super) mod ports;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{Process, answers};

/// For one process to be ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// For one process to stop.
const STOP_MAX: Duration = Duration::from_secs(40);
const PARTITIONS: u16 = 16;
const SHARDS: u16 = 4;

/// What runs, in the order in which it was started.
pub(super) struct Running {
    pub(super) folder: PathBuf,
    pub(super) binary: PathBuf,
    pub(super) processes: Vec<Process>,
}

impl Running {
    pub(super) fn retailflow(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RETAILFLOW"))
        {
            command.env_remove(name);
        }
        command.arg("--config").arg(self.folder.join("cluster.toml")).args(words);
        // Which cluster it is, the file says; that it is one, the flag.
        command.env("RETAILFLOW_NATS", self.servers());
        command
    }

    /// The servers as the configuration names them.
    pub(super) fn servers(&self) -> String {
        fs::read_to_string(self.folder.join("servers")).unwrap_or_default()
    }

    pub(super) async fn start<T>(
        &mut self,
        name: &str,
        command: Command,
        ready: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        eprintln!("starting {name} …");
        self.processes.push(Process::start(name, command, &self.folder)?);
        let Some(process) = self.processes.last_mut() else { bail!("nothing was started") };
        process.wait_for(READY_MAX, ready).await
    }

    /// Members of one etcd; gives the ports for clients.
    pub(super) async fn etcd(&mut self, binary: &Path, count: usize) -> Result<Vec<u16>> {
        let (clients, peers) = (ports::free(count * 2), count);
        let (clients, peers) = (clients[..peers].to_vec(), clients[peers..].to_vec());
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let members: Vec<String> =
            peers.iter().enumerate().map(|(number, port)| format!("e-{number}={}", url(port))).collect();
        for (number, (client, peer)) in clients.iter().zip(&peers).enumerate() {
            let name = format!("e-{number}");
            let mut command = Command::new(binary);
            command.args(["--name", &name, "--logger", "zap", "--initial-cluster", &members.join(",")]);
            command.arg("--data-dir").arg(self.folder.join(&name));
            command.args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)]);
            command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
            // It is ready only when a majority is.
            self.start(&name, command, |_| Some(())).await?;
        }
        for (process, client) in self.processes.iter_mut().zip(&clients) {
            process
                .wait_for(READY_MAX, |_| answers(*client, "/health", r#""health":"true""#).then_some(()))
                .await?;
        }
        Ok(clients)
    }

    /// Servers of one NATS that sync what they store; gives the ports for clients and for monitoring.
    pub(super) async fn nats(&mut self, binary: &Path, count: usize) -> Result<(Vec<u16>, Vec<u16>)> {
        let ports = ports::free(count * 3);
        let (clients, monitors, routes) = (&ports[..count], &ports[count..2 * count], &ports[2 * count..]);
        let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let before = self.processes.len();
        for number in 0..count {
            let name = format!("nats-{number}");
            let store = self.folder.join(&name);
            let mut text = format!(
                "server_name: {name}\nserver_tags: [{name}]\nhost: 127.0.0.1\nport: {}\nhttp: \"127.0.0.1:{}\"\nmax_payload: 8MB\n\
                 ping_interval: \"2s\"\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n",
                clients[number], monitors[number]
            );
            if count > 1 {
                let route = routes[number];
                text.push_str(&format!(
                    "cluster {{ name: retailflow, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                    all.join(", ")
                ));
            }
            let config = self.folder.join(format!("{name}.conf"));
            fs::write(&config, text)?;
            let mut command = Command::new(binary);
            command.arg("--config").arg(config);
            self.start(&name, command, |said| said.contains("Server is ready").then_some(())).await?;
        }
        for (process, monitor) in self.processes[before..].iter_mut().zip(monitors) {
            process
                .wait_for(READY_MAX, |_| answers(*monitor, "/healthz", r#""status":"ok""#).then_some(()))
                .await?;
        }
        Ok((clients.to_vec(), monitors.to_vec()))
    }

    /// Writes the configuration that nodes and operators share.
    pub(super) fn configure(&self, places: &Places) -> Result<()> {
        let urls = |scheme: &str, ports: &[u16]| {
            let all: Vec<String> = ports.iter().map(|port| format!("{scheme}://127.0.0.1:{port}")).collect();
            all.join(",")
        };
        let replicas = if places.nats.len() >= 3 { 3 } else { 1 };
        let durability = if replicas == 3 { "replicated_fsync" } else { "fsync" };
        let nats = urls("nats", &places.nats);
        fs::write(self.folder.join("servers"), &nats)?;
        let text = format!(
            "[nats]\nservers = \"{nats}\"\nmonitors = \"{}\"\nreplicas = {replicas}\n\n[etcd]\nendpoints = \"{}\"\n\n\
             [cluster]\npartitions = {PARTITIONS}\nshards = {SHARDS}\ndurability = \"{durability}\"\n",
            urls("http", &places.monitors),
            urls("http", &places.etcd),
        );
        fs::write(self.folder.join("cluster.toml"), text).context("cannot write the configuration")
    }

    /// Nodes first, all at once; then each of the others.
    pub(super) async fn stop(&mut self) {
        eprintln!("stopping …");
        self.processes
            .iter_mut()
            .filter(|process| process.name.starts_with("n-"))
            .for_each(Process::terminate);
        while let Some(mut process) = self.processes.pop() {
            process.terminate();
            if !process.join(STOP_MAX).await {
                eprintln!("{} did not stop within {STOP_MAX:?}, and was killed", process.name);
            }
        }
    }
}

/// Where everything is.
pub(super) struct Places {
    pub(super) nats: Vec<u16>,
    pub(super) monitors: Vec<u16>,
    pub(super) etcd: Vec<u16>,
    pub(super) nodes: Vec<String>,
}
