//! Processes of a cluster: started, waited for, and stopped in order, whatever becomes of us.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::shell::last_lines;

/// Between two looks at what is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// For one answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A process that was started.
pub(super) struct Process {
    pub(super) name: String,
    command: Command,
    child: Child,
    log: PathBuf,
    /// Bytes of the log that an earlier life wrote.
    earlier: u64,
    /// Its end was told.
    told: bool,
}

impl Process {
    /// Starts `command`; what it says goes to `NAME.log` in `folder`.
    pub(super) fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        // Ctrl-C at the terminal is for us alone: we stop the others, in order.
        command.stdin(Stdio::null()).process_group(0);
        let child = spawn(&mut command, &log)?;
        Ok(Self { name: name.to_owned(), command, child, log, earlier: 0, told: false })
    }

    /// Starts it once more, as it was started, after it has ended; its log goes on.
    pub(super) fn restart(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("{} is running: `stop {}` or `kill {}` first", self.name, self.name, self.name);
        }
        self.earlier = fs::metadata(&self.log).map(|log| log.len()).unwrap_or_default();
        self.child = spawn(&mut self.command, &self.log)?;
        self.told = false;
        Ok(())
    }

    /// What it has said since it was started last.
    fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.earlier).unwrap_or(usize::MAX).min(log.len());
        String::from_utf8_lossy(&log[from..]).into_owned()
    }

    /// Waits until `condition` gives something of what it has said.
    pub(super) async fn wait_for<T>(
        &mut self,
        at_most: Duration,
        mut condition: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            let said = self.said();
            if let Some(found) = condition(&said) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}): {}", self.name, last_lines(&said, 8));
            }
            if begun.elapsed() > at_most {
                bail!("{} is not ready within {at_most:?}: {}", self.name, last_lines(&said, 8));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// That it has ended, and what it said last; told once for each end.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        Some(format!("{} ended ({status}): {}", self.name, last_lines(&self.said(), 3)))
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&mut self) {
        drop(self.child.kill());
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub(super) fn terminate(&mut self) {
        if self.is_running() {
            // It may end in this moment.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    /// Waits for its end; ends it when that takes too long. Says whether it ended by itself.
    pub(super) async fn join(&mut self, at_most: Duration) -> bool {
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > at_most {
                drop(self.child.kill());
                drop(self.child.wait());
                return false;
            }
            sleep(POLL_INTERVAL).await;
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

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let file = File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("cannot write {}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("`{program}` cannot be started"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once_and_a_process_comes_back_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready $$; exec cat /dev/zero > /dev/null"]);
        let mut process = Process::start("n-1", command, folder.path()).unwrap();
        let ready = |said: &str| said.lines().find_map(|line| Some(line.strip_prefix("ready ")?.to_owned()));
        let first = runtime.block_on(process.wait_for(Duration::from_secs(20), ready)).unwrap();
        assert_eq!(process.ended(), None);
        assert!(process.restart().unwrap_err().to_string().contains("is running"));
        process.kill();
        assert!(runtime.block_on(process.join(Duration::from_secs(20))));
        let told = process.ended().unwrap();
        assert!(told.contains("n-1 ended") && told.contains("signal: 9"), "{told}");
        assert_eq!(process.ended(), None, "told once");
        process.restart().unwrap();
        let second = runtime.block_on(process.wait_for(Duration::from_secs(20), ready)).unwrap();
        assert_ne!(first, second, "of its second life");
        process.kill();
        assert!(runtime.block_on(process.join(Duration::from_secs(20))));
        assert!(process.ended().is_some(), "each end is told");
        assert!(
            fs::read_to_string(folder.path().join("n-1.log")).unwrap().contains(&first),
            "the log goes on"
        );
    }
}
