//! Bytes of a backup from a server, however often the way there breaks.

use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, say, taken};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// So long nothing may come before the connection is given up and another one is tried.
const QUIET_MAX: Duration = Duration::from_secs(30);
/// Between two tries that brought nothing.
const WAIT: Duration = Duration::from_millis(500);
const CHUNK_BYTES: usize = 1 << 18;

/// How one try ended.
enum Tried {
    Whole,
    /// The way broke, or the server puts it off.
    Broken(String),
}

impl Client {
    /// Takes the first `bytes` bytes of a part in, as [`Self::range`] does.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn part(&self, name: &str, bytes: u64, sink: &mut dyn Write) -> Result<(), Failure> {
        self.range(name, 0, bytes, sink)
    }

    /// Takes the bytes of a part from `from` on and before `until` in. Goes on where an answer breaks off, as long as something
    /// comes within the client's time.
    ///
    /// # Errors
    /// A [`Failure`]: the server refuses, does not answer, or `sink` does not take them.
    pub(crate) fn range(
        &self,
        name: &str,
        from: u64,
        until: u64,
        sink: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut next = from;
        let mut came = Instant::now();
        while next < until {
            let before = next;
            let why = match self.part_once(name, &mut next, until, sink)? {
                Tried::Whole => return Ok(()),
                Tried::Broken(why) => why,
            };
            if next > before {
                came = Instant::now();
            } else if came.elapsed() + WAIT >= self.time {
                let server = self.server();
                return Err(Failure::unreachable(format!("{server}: {name} cannot be read: {why}")));
            }
            say(format!("{}: {name} broke off at byte {next}: {why}; going on", self.server()));
            thread::sleep(WAIT);
        }
        Ok(())
    }

    fn part_once(
        &self,
        name: &str,
        next: &mut u64,
        until: u64,
        sink: &mut dyn Write,
    ) -> Result<Tried, Failure> {
        let path = format!("/v1/admin/backup/bytes?part={name}&from={next}&until={until}");
        let request = self.agent.get(self.url(&path)).config().timeout_per_read(Some(QUIET_MAX)).build();
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Tried::Broken(error.to_string())),
        };
        if response.status().as_u16() != 200 {
            let answer = taken(Ok(response)).or_exit(ExitStatus::Unreachable, || "cannot read the answer")?;
            return if answer.is_retryable() {
                Ok(Tried::Broken(answer.why()))
            } else {
                Err(answer.refusal())
            };
        }
        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; CHUNK_BYTES];
        while *next < until {
            let room = usize::try_from(until - *next).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let read = match body.read(&mut chunk[..room]) {
                Ok(0) => return Ok(Tried::Broken("the answer ended too soon".to_owned())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Tried::Broken(error.to_string())),
            };
            sink.write_all(&chunk[..read])
                .or_exit(ExitStatus::Unreachable, || "cannot write what was read")?;
            *next += read as u64;
        }
        Ok(Tried::Whole)
    }
}
