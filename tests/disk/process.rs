//! `serve` as a process that may refuse to start, or end when its disk fails.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::cli::retailflow;
use crate::support::poll::{wait_for, wait_up_to};

/// No start and no end takes longer, even on a busy machine.
const BOUND: Duration = Duration::from_secs(60);
/// Small segments, so that a round sees several.
const SETTINGS: [&str; 3] = ["telemetry.log=warn", "log.group_max_bytes=524288", "log.segment_bytes=1048576"];

/// A server on a data directory; killed when dropped.
pub(super) struct Process {
    child: Child,
    /// Where tenants connect.
    pub(super) address: String,
}

/// How a start that was none ended.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: Option<ExitStatus>,
    pub(super) said: String,
}

impl Process {
    /// Starts one, with `words` beside the usual ones; what it says goes into the file `log`.
    pub(super) fn start(data: &Path, log: &Path, words: &[&str]) -> Result<Self, Refusal> {
        let call = retailflow(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let call = SETTINGS.iter().fold(call.arg("--data").arg(data), |call, set| call.arg("--set").arg(set));
        let call = words.iter().fold(call, |call, word| call.arg(word));
        let stderr = File::create(log).unwrap();
        let mut child = call.into_command().stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Read all the while: a full pipe would hold the server up.
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        let mut process = Self { child, address: String::new() };
        let line = lines.recv_timeout(BOUND).unwrap_or_default();
        match line.strip_prefix("listening on http://").and_then(|rest| rest.split_once(',')) {
            Some((address, _)) => {
                process.address = address.to_owned();
                Ok(process)
            }
            None => {
                let status = wait_up_to(BOUND, || process.child.try_wait().unwrap());
                Err(Refusal { status, said: std::fs::read_to_string(log).unwrap_or_default() })
            }
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it at once (SIGKILL).
    pub(super) fn kill(&mut self) {
        drop(self.child.kill());
        self.child.wait().unwrap();
    }

    /// Stops it in good order; its exit code.
    pub(super) fn stop(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        wait_for("the server stops", BOUND, || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
