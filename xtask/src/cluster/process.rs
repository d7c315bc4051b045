//! Processes of a cluster: started, waited for, and stopped in order, whatever becomes of us.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::shell::last_lines;

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// For one answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A process that was started.
pub(super) struct Process {
    pub(super) name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to `NAME.log` in `folder`.
    pub(super) fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        // Ctrl-C at the terminal is for us alone: we stop the others, in order.
        command.process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("`{program}` cannot be started"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Waits until `condition` gives something of what it has said.
    pub(super) async fn wait_for<T>(
        &mut self,
        at_most: Duration,
        mut condition: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(found) = condition(&said) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}): {}", self.name, last_lines(&said, 8));
            }
            if begun.elapsed() > at_most {
                bail!("{} is not ready within {at_most:?}: {}", self.name, last_lines(&said, 8));
            }
            sleep(LOOK).await;
        }
    }

    /// Whether it has ended by itself; then, what it said last.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        Some(format!("{} ended ({status}): {}", self.name, last_lines(&said, 3)))
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub(super) fn terminate(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end in this moment.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    /// Waits for its end; ends it when that takes too long. Says whether it ended by itself.
    pub(super) async fn join(&mut self, at_most: Duration) -> bool {
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > at_most {
                drop(self.child.kill());
                drop(self.child.wait());
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Ports that nobody has now, all different.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let held = held.context("no free ports")?;
    held.iter().map(|held| Ok(held.local_addr()?.port())).collect()
}

/// Whether what listens on this port answers `path` over HTTP with `words`.
pub(super) fn answers(port: u16, path: &str, words: &str) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    asked().is_ok_and(|said| said.contains(words))
}
