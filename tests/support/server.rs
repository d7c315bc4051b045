//! A server of its own: the built program at free ports, on a data directory of the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use super::cli::{Call, exit_code};
use super::http::Client;
use super::world::World;

/// A running server. Whatever becomes of the test, it ends with it.
pub(crate) struct Server {
    child: Child,
    /// Kept, so that what it writes later has a reader.
    _stdout: BufReader<ChildStdout>,
    said: Option<JoinHandle<String>>,
    /// Where tenants' systems connect, as `127.0.0.1:8080`.
    pub(crate) public: String,
    /// Where operators connect.
    pub(crate) admin: String,
    /// What it said of its console.
    pub(crate) console: String,
}

impl Server {
    /// Starts one on the world's data, telling nothing but warnings.
    pub(crate) fn start(world: &World) -> Self {
        Self::of(world.on_data(&["serve"]))
    }

    /// Starts one by this call of `serve`.
    pub(crate) fn of(call: Call) -> Self {
        let call = call.arg("--listen").arg("127.0.0.1:0").arg("--admin-listen").arg("127.0.0.1:0");
        let (mut child, _) = call.spawn();
        let mut stderr = child.stderr.take().unwrap();
        // Read all the while: a full pipe would hold the server up.
        let said = thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addresses = line.trim_end().strip_prefix("listening on http://");
        let Some((public, admin)) = addresses.and_then(|both| both.split_once(", for operators on http://"))
        else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it did not start: {line:?}, {}", said.join().unwrap());
        };
        let (public, admin) = (public.to_owned(), admin.to_owned());
        let mut console = String::new();
        stdout.read_line(&mut console).unwrap();
        let console = console.trim_end().to_owned();
        Self { child, _stdout: stdout, said: Some(said), public, admin, console }
    }

    /// A client of the public address.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.public)
    }

    /// The public address as the program's clients take it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.public)
    }

    /// The operators' address as the program's clients take it.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code and what it said on standard error. It was asked to stop.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let code = exit_code(&mut self.child);
        let said = self.said.take().map(|said| said.join().unwrap()).unwrap_or_default();
        (code, said)
    }

    /// Stops it in good order; gives what it said.
    #[track_caller]
    pub(crate) fn stop(self) -> String {
        self.terminate();
        let (code, said) = self.ended();
        assert_eq!(code, Some(0), "{said}");
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already was waited for, and gives no error that matters.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
