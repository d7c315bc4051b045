//! A NATS server for tests: a real one, on a port of its own choice, in a folder of its own, gone with the test.
//!
//! The server's binary is looked for below `RETAILFLOW_TOOLS`, else below `.tools` of the repository. Without it a test
//! says so and passes, unless `RETAILFLOW_TOOLS` is set: whoever names a folder wants the test.
//! `RETAILFLOW_SKIP=nats` skips it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::poll::wait_for;
use super::skipped::skipped;

const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// The server's binary; without one, says why the test `what` is skipped.
pub(crate) fn server_or_skip(what: &str) -> Option<PathBuf> {
    match server_binary() {
        Ok(binary) => Some(binary),
        Err(why) => {
            skipped(what, "nats", &why);
            None
        }
    }
}

/// The server's binary, or why the test is skipped.
fn server_binary() -> Result<PathBuf, String> {
    let skip = std::env::var("RETAILFLOW_SKIP").unwrap_or_default();
    if skip.split(',').any(|name| name.trim() == "nats") {
        return Err("RETAILFLOW_SKIP names nats".into());
    }
    let named = std::env::var_os("RETAILFLOW_TOOLS").map(PathBuf::from);
    // The package's folder is the repository's, or one below it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools =
        || package.ancestors().take(2).map(|folder| folder.join(".tools")).find(|tools| tools.is_dir());
    let folder = named.clone().or_else(tools).unwrap_or_else(|| package.join(".tools"));
    match find(&folder, 6) {
        Some(found) => Ok(found),
        None if named.is_some() => panic!(
            "no nats-server below {}, which RETAILFLOW_TOOLS names: run `cargo xtask setup`, or set RETAILFLOW_SKIP=nats",
            folder.display()
        ),
        None => Err(format!("no nats-server below {}: run `cargo xtask setup`", folder.display())),
    }
}

fn find(folder: &Path, depth: u32) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(path),
            Ok(_) if entry.file_name() == "nats-server" && path.is_file() => return Some(path),
            _ => {}
        }
    }
    folders.sort();
    folders.iter().filter(|_| depth > 0).find_map(|folder| find(folder, depth - 1))
}

/// A server, ended with the test.
pub(crate) struct Server {
    binary: PathBuf,
    folder: tempfile::TempDir,
    settings: String,
    child: Option<Child>,
    port: u16,
    monitor: Option<String>,
}

impl Server {
    /// Starts one with JetStream that syncs every write.
    pub(crate) fn with_streams(binary: &Path) -> Self {
        Self::start(
            binary,
            "max_payload: 8MB\nping_interval: \"2s\"\njetstream { store_dir: \"FOLDER/js\", sync_interval: always }\n",
        )
    }

    /// Starts one with these settings, in which `FOLDER` stands for its own folder.
    pub(crate) fn start(binary: &Path, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.replace("FOLDER", &folder.path().display().to_string());
        let mut server =
            Self { binary: binary.into(), folder, settings, child: None, port: 0, monitor: None };
        server.run();
        server
    }

    /// Starts `count` of them that keep their streams together, and syncs every write.
    pub(crate) fn cluster(binary: &Path, count: usize) -> Vec<Self> {
        Self::cluster_with(binary, count, "")
    }

    /// The same, with more settings.
    pub(crate) fn cluster_with(binary: &Path, count: usize, more: &str) -> Vec<Self> {
        let ports = super::ports::free(count);
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let routes = routes.join(", ");
        let start = |(number, port)| {
            let settings = format!(
                "server_name: n{number}\nmax_payload: 8MB\nping_interval: \"2s\"\n\
                 jetstream {{ store_dir: \"FOLDER/js\", sync_interval: always }}\n{more}\n\
                 cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n"
            );
            Self::start(binary, &settings)
        };
        ports.into_iter().enumerate().map(start).collect()
    }

    /// Writes its settings otherwise: for its next start.
    pub(crate) fn change(&mut self, from: &str, to: &str) {
        assert!(self.settings.contains(from), "{from} is not in {}", self.settings);
        self.settings = self.settings.replace(from, to);
    }

    /// Starts it again after [`Self::kill`]: on the same port, with the same streams.
    pub(crate) fn run(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        let folder = self.folder.path();
        if self.port == 0 {
            self.port = super::ports::free(1)[0];
        }
        let port = self.port;
        let mut text = self.settings.clone();
        let here = folder.display();
        write!(text, "host: 127.0.0.1\nport: {port}\nports_file_dir: \"{here}\"\nlog_file: \"{here}/log\"\n")
            .unwrap();
        let config = folder.join("nats.conf");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let ports = folder.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        let port = wait_for("the server listens", STARTS_WITHIN, || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "nats-server ended: {ended:?}\n{}", self.log());
            let said = std::fs::read_to_string(&ports).ok()?;
            let said: serde_json::Value = serde_json::from_str(&said).ok()?;
            if let Some(monitor) = said["monitoring"][0].as_str() {
                self.monitor = Some(monitor.to_owned());
            }
            said["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
        });
        self.port = port;
        wait_for("the server is ready", STARTS_WITHIN, || {
            self.log().contains("Server is ready").then_some(())
        });
    }

    /// Whether it was started, and not killed since.
    pub(crate) fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Its monitoring address, if it was told to have one.
    pub(crate) fn monitor(&self) -> String {
        self.monitor.clone().unwrap()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The same without a scheme.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
            drop(std::fs::remove_file(self.folder.path().join("log")));
        }
    }

    /// Freezes it (SIGSTOP): its connections stand, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on after [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Sends it a signal, as SIGSTOP, which it says nothing to.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
    }

    /// Its own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
