//! Commands from a file or a pipe, one a line.
//!
//! A thread of its own reads, so that no async code waits for a pipe: what has arrived is delivered at once, however
//! slowly the rest comes. It reads ahead by at most two chunks, each bounded in bytes, so that memory stays
//! flat whatever is sent. The thread ends with the input, or with the inbox as soon as it reads something more; a process
//! that waits for threads must not wait for this one.
//!
//! # Identity
//! The id is made from a name that the caller gives, and from nothing else. Floors are kept under it: a command at or below
//! the floor of "its" inbox counts as dealt with. So the same name must mean the same bytes:
//! - A file's name is its canonical path. The file may grow, by whole lines; it must not be rewritten.
//! - What cannot be read twice (standard input, a pipe) has no past. Give it a name that no other run uses; commands that
//!   come again are known by their ids, as ever.

mod lines;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::thread;

use retailflow_engine::keys::sha256;
use retailflow_engine::ports::{CommandInbox, Delivery, InboxError, InboxId, PortFuture, StoreError};
use tokio::sync::mpsc;

use lines::Lines;

/// Chunks that were read and are not delivered, beside the one being delivered and the one being read.
const CHUNKS_AHEAD: usize = 1;

type Chunk = Result<Vec<Delivery>, io::Error>;

/// Lines of a file or a pipe.
///
/// - The position of a command is the number of its line. Blank lines hold no command; they are counted and skipped.
/// - A line ends with LF or CRLF; the last one may have no end. A byte order mark is not part of the first one.
/// - A batch is delivered as soon as there is one command. Dropping the future of `next` loses nothing.
pub struct FileInbox {
    id: InboxId,
    chunks: mpsc::Receiver<Chunk>,
    /// Read and not yet delivered.
    current: VecDeque<Delivery>,
    delivered: u64,
    /// Why there is no thread that reads. Told each time: it must not look like an end.
    not_started: Option<String>,
}

impl FileInbox {
    /// An inbox called `name` (see the module on what a name promises) over `input`. Lines of more than `line_max_bytes`
    /// come as `TooLong`.
    pub fn new(name: &str, input: impl Read + Send + 'static, line_max_bytes: usize) -> Self {
        let mut id = InboxId::default();
        id.copy_from_slice(&sha256(name.as_bytes())[..16]);
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let lines = Lines::new(input, line_max_bytes);
        let thread = thread::Builder::new().name("command-inbox".to_owned());
        let started = thread.spawn(move || read(lines, &sender));
        let not_started = started.err().map(|error| format!("no thread can be started: {error}"));
        Self { id, chunks, current: VecDeque::new(), delivered: 0, not_started }
    }

    fn failed(&self, cause: String) -> InboxError {
        InboxError { after: self.delivered, cause: StoreError::Unavailable(cause) }
    }
}

/// Reads until the end, or until nobody wants more. After an error the reader may go on where it was: whoever asks again
/// gets what comes then, or the error again.
fn read<R: Read>(mut lines: Lines<R>, sender: &mpsc::Sender<Chunk>) {
    while let Some(chunk) = lines.next_chunk().transpose() {
        if sender.blocking_send(chunk).is_err() {
            return;
        }
    }
}

impl CommandInbox for FileInbox {
    fn id(&self) -> InboxId {
        self.id
    }

    fn next(&mut self, max: usize) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>> {
        Box::pin(async move {
            if let Some(cause) = &self.not_started {
                return Err(self.failed(cause.clone()));
            }
            while self.current.is_empty() {
                match self.chunks.recv().await {
                    None => return Ok(Vec::new()),
                    Some(Ok(chunk)) => self.current = chunk.into(),
                    Some(Err(error)) => return Err(self.failed(error.to_string())),
                }
            }
            // Never more than what is left of one chunk: that is what bounds a batch in bytes.
            let batch: Vec<Delivery> = self.current.drain(..max.min(self.current.len())).collect();
            self.delivered = batch.last().map_or(self.delivered, |last| last.position);
            Ok(batch)
        })
    }
}

#[cfg(test)]
mod tests;
