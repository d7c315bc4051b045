//! An etcd for tests: a real one, in a folder of its own, gone with the test.
//!
//! The binary is looked for as that of NATS is (`nats.rs`): below `RETAILFLOW_TOOLS`, else below `.tools`.
//! `RETAILFLOW_SKIP=etcd` skips the tests that need it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::poll::wait_for;
use super::skipped::skipped;

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const HEALTH_WITHIN: Duration = Duration::from_secs(2);
/// Between choosing a free port and listening on it somebody else may take it.
const STARTS_MAX: usize = 5;

/// The binary; without one, says why the test `what` is skipped.
pub(crate) fn etcd_or_skip(what: &str) -> Option<PathBuf> {
    match etcd_binary() {
        Ok(binary) => Some(binary),
        Err(why) => {
            skipped(what, "etcd", &why);
            None
        }
    }
}

fn etcd_binary() -> Result<PathBuf, String> {
    let skip = std::env::var("RETAILFLOW_SKIP").unwrap_or_default();
    if skip.split(',').any(|name| name.trim() == "etcd") {
        return Err("RETAILFLOW_SKIP names etcd".into());
    }
    let named = std::env::var_os("RETAILFLOW_TOOLS").map(PathBuf::from);
    // The package's folder is the repository's, or one below it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = package.ancestors().take(2).map(|folder| folder.join(".tools"));
    let mut binaries = named.clone().into_iter().chain(folders).map(|tools| tools.join("etcd").join("etcd"));
    match binaries.find(|binary| binary.is_file()) {
        Some(found) => Ok(found),
        None if named.is_some() => panic!(
            "no etcd/etcd below RETAILFLOW_TOOLS: run `cargo xtask setup`, or set RETAILFLOW_SKIP=etcd"
        ),
        None => Err("no etcd below .tools: run `cargo xtask setup`".into()),
    }
}

/// One member of an etcd, ended with the test.
pub(crate) struct Etcd {
    binary: PathBuf,
    folder: tempfile::TempDir,
    name: String,
    ports: [u16; 2],
    /// All members, as etcd takes them.
    members: String,
    child: Option<Child>,
}

impl Etcd {
    /// Starts one of a single member.
    pub(crate) fn start(binary: &Path) -> Self {
        Self::cluster(binary, 1).remove(0)
    }

    /// Starts one of so many members.
    pub(crate) fn cluster(binary: &Path, count: usize) -> Vec<Self> {
        let mut said = String::new();
        for _ in 0..STARTS_MAX {
            let ports = super::ports::free(2 * count);
            let ports: Vec<_> = ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
            let member = |(at, ports): (usize, &[u16; 2])| format!("e{at}=http://127.0.0.1:{}", ports[1]);
            let members = ports.iter().enumerate().map(member).collect::<Vec<_>>().join(",");
            let one = |(at, ports): (usize, &[u16; 2])| Self {
                binary: binary.into(),
                folder: tempfile::tempdir().unwrap(),
                name: format!("e{at}"),
                ports: *ports,
                members: members.clone(),
                child: None,
            };
            let mut all: Vec<Self> = ports.iter().enumerate().map(one).collect();
            // None is healthy before most are there.
            all.iter_mut().for_each(Self::spawn);
            if all.iter_mut().all(Self::comes_up) {
                return all;
            }
            said = all.iter().map(Self::log).collect();
        }
        panic!("etcd does not start: {said}");
    }

    /// Starts it again after [`Self::kill`]: on the same ports, with the same data.
    pub(crate) fn run(&mut self) {
        self.spawn();
        assert!(self.comes_up(), "etcd does not start again: {}", self.log());
    }

    /// Starts it again without waiting: alone it may not be healthy.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let [client, peer] = self.ports.map(|port| format!("http://127.0.0.1:{port}"));
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new(&self.binary)
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--name", &self.name, "--initial-cluster", &self.members, "--logger", "zap"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Waits until it is healthy, or has ended. Whether it is.
    pub(crate) fn comes_up(&mut self) -> bool {
        let up = wait_for("etcd listens, or ends", STARTS_WITHIN, || {
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                return Some(false);
            }
            self.is_healthy().then_some(true)
        });
        if !up {
            self.child = None;
        }
        up
    }

    /// Whether it says so: versions log their being ready in different words.
    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.ports[0])) else { return false };
        let bounded = stream.set_read_timeout(Some(HEALTH_WITHIN));
        let asked = write!(stream, "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let mut said = String::new();
        let read = stream.read_to_string(&mut said);
        bounded.is_ok() && asked.is_ok() && read.is_ok() && said.contains(r#""health":"true""#)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Where it listens, without a scheme.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Takes all that it has away, while it is ended: the next one on its ports knows nothing, and counts from one.
    pub(crate) fn wipe(&self) {
        assert!(self.child.is_none(), "it is running");
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
    }

    /// Freezes it (SIGSTOP): its connections stand, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}
