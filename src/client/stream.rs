//! Public events from a server, as they come.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::time::Duration;

use super::{Client, taken};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Largest line that is taken in; an event has at most 1 MiB and what it is wrapped in.
const LINE_MAX_BYTES: u64 = 4 << 20;

/// Where a stream begins.
pub(crate) enum Begin<'a> {
    /// With the first event that there is.
    First,
    /// With the next one to happen.
    Now,
    /// After a position.
    After(&'a str),
}

/// An event as it was sent.
pub(crate) struct Event {
    /// The position after it.
    pub(crate) position: String,
    /// The CloudEvent.
    pub(crate) json: String,
}

/// A stream that is open.
pub(crate) struct Events {
    lines: BufReader<Box<dyn Read + Send>>,
    position: String,
    json: String,
}

impl Client {
    /// Opens the stream of a tenant's events. Without events, it ends after `quiet`.
    pub(crate) fn events(&self, tenant: &str, begin: &Begin<'_>, quiet: Duration) -> Result<Events, Failure> {
        let query = if matches!(begin, Begin::Now) { "?from=now" } else { "" };
        let path = format!("/v1/tenants/{tenant}/events{query}");
        let request = self.agent.get(self.url(&path)).config().timeout_per_read(Some(quiet)).build();
        // Tokens are of letters, digits, '-' and '_': they need no other words in a header.
        let request = match begin {
            Begin::After(token) => request.header("Last-Event-ID", *token),
            Begin::First | Begin::Now => request,
        };
        let response = request.call().or_exit(ExitStatus::Unreachable, || {
            format!("{} does not answer; is `retailflow serve` running there?", self.server())
        })?;
        if response.status().as_u16() != 200 {
            let answer = taken(Ok(response)).or_exit(ExitStatus::Unreachable, || "cannot read the answer")?;
            return Err(if answer.status == 410 { Failure::finding(answer.why()) } else { answer.refusal() });
        }
        let reader: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        Ok(Events { lines: BufReader::new(reader), position: String::new(), json: String::new() })
    }
}

/// Why there is no further event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing has come for as long as was to be waited.
    Quiet,
    /// The server has ended the stream, or is gone: it can be opened again after the last position.
    Closed,
}

impl Events {
    /// The next event.
    pub(crate) fn next(&mut self) -> Result<Event, End> {
        loop {
            let mut line = String::new();
            match (&mut self.lines).take(LINE_MAX_BYTES).read_line(&mut line) {
                Ok(_) if line.ends_with('\n') => {}
                Err(error) if is_timeout(&error) => return Err(End::Quiet),
                Ok(_) | Err(_) => return Err(End::Closed),
            }
            let line = line.trim_end();
            if let Some(position) = line.strip_prefix("id: ") {
                self.position = position.to_owned();
            } else if let Some(json) = line.strip_prefix("data: ") {
                self.json = json.to_owned();
            } else if line.is_empty() && !self.json.is_empty() {
                let json = std::mem::take(&mut self.json);
                return Ok(Event { position: self.position.clone(), json });
            }
        }
    }
}

/// Whether nothing came for as long as was to be waited; the client wraps that in an error of its own.
fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
        || matches!(inner, Some(ureq::Error::Timeout(_)))
        || matches!(inner, Some(ureq::Error::Io(inner)) if matches!(inner.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock))
}
