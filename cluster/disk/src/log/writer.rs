//! The thread that owns the end of a log: it drains its queue, makes one batch of it, and answers all at once.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::appender::{Appender, PushError};
use super::{FrameKind, Position};

/// What a writer thread does with requests.
pub trait Work<R>: Send + 'static {
    /// Handles and empties `requests`, which were drained from the queue at once.
    fn handle(&mut self, appender: &mut Appender, requests: &mut Vec<R>);

    /// The queue is closed and empty.
    fn close(&mut self, appender: &mut Appender);
}

/// A request was not taken: the queue is full, or the writer has ended.
#[derive(Debug)]
pub enum QueueError<R> {
    /// Too much load.
    Full(R),
    /// Closed.
    Closed(R),
}

/// A writer thread with its bounded queue. Dropping it closes the queue and waits for the thread to end.
pub struct Writer<R: Send + 'static> {
    queue: Option<SyncSender<R>>,
    thread: Option<JoinHandle<()>>,
}

impl<R: Send + 'static> Writer<R> {
    /// Starts the thread. At most `queue_max` requests wait; all that wait are handled together.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(mut appender: Appender, queue_max: usize, mut work: impl Work<R>) -> std::io::Result<Self> {
        let copies = appender.mark_copies()?;
        let (queue, requests) = sync_channel(queue_max);
        let thread = std::thread::Builder::new().name("log-writer".into()).spawn(move || {
            let mut drained = Vec::with_capacity(queue_max);
            while drain(&requests, &mut drained, queue_max) {
                work.handle(&mut appender, &mut drained);
                drained.clear();
            }
            work.close(&mut appender);
            drop(copies);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a request; never waits.
    ///
    /// # Errors
    /// [`QueueError`] with the request.
    pub fn send(&self, request: R) -> Result<(), QueueError<R>> {
        let Some(queue) = &self.queue else { return Err(QueueError::Closed(request)) };
        queue.try_send(request).map_err(|error| match error {
            TrySendError::Full(request) => QueueError::Full(request),
            TrySendError::Disconnected(request) => QueueError::Closed(request),
        })
    }

    /// Takes no more, handles what waits, and ends the thread. Blocks.
    pub fn close(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(event = "task_panicked", "the log's writer thread panicked");
        }
    }
}

impl<R: Send + 'static> Drop for Writer<R> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for a request and takes all that wait; false when the queue is closed and empty.
fn drain<R>(requests: &Receiver<R>, into: &mut Vec<R>, max: usize) -> bool {
    let Ok(first) = requests.recv() else { return false };
    into.push(first);
    while into.len() < max {
        let Ok(next) = requests.try_recv() else { break };
        into.push(next);
    }
    true
}

/// A frame to be appended.
#[derive(Debug, Clone)]
pub struct FramePayload {
    /// What it is.
    pub kind: FrameKind,
    /// Its content.
    pub bytes: Vec<u8>,
}

type Answer = oneshot::Sender<Result<Vec<Position>, PushError>>;

struct Append {
    frames: Vec<FramePayload>,
    answer: Answer,
}

/// A log's writer that appends what it is given, without conditions.
pub struct LogWriter(Writer<Append>);

struct Plain;

impl LogWriter {
    /// Starts the writer of a log.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(appender: Appender, queue_max: usize) -> std::io::Result<Self> {
        Ok(Self(Writer::start(appender, queue_max, Plain)?))
    }

    /// Appends frames, durably; the answer holds where each stands. The frames of one call may become durable in
    /// more than one batch when they fill a segment.
    ///
    /// # Errors
    /// The answer: [`PushError`]; [`PushError::Unavailable`] here when the queue is full.
    pub fn append(
        &self,
        frames: Vec<FramePayload>,
    ) -> Result<oneshot::Receiver<Result<Vec<Position>, PushError>>, PushError> {
        let (answer, receiver) = oneshot::channel();
        match self.0.send(Append { frames, answer }) {
            Ok(()) => Ok(receiver),
            Err(QueueError::Full(_)) => Err(PushError::Unavailable("the queue is full".into())),
            Err(QueueError::Closed(_)) => Err(PushError::Broken("the log is closed".into())),
        }
    }

    /// Takes no more, makes durable what waits, marks the clean stop. Blocks.
    pub fn close(&mut self) {
        self.0.close();
    }
}

impl Work<Append> for Plain {
    fn handle(&mut self, appender: &mut Appender, requests: &mut Vec<Append>) {
        let mut waiting: Vec<(Answer, Vec<Position>)> = Vec::with_capacity(requests.len());
        for Append { frames, answer } in requests.drain(..) {
            let mut positions = Vec::with_capacity(frames.len());
            let mut failed = None;
            for frame in frames {
                let mut pushed = appender.push(frame.kind, &frame.bytes);
                if pushed == Err(PushError::Full) {
                    answer_all(appender, &mut waiting);
                    pushed = appender.push(frame.kind, &frame.bytes);
                }
                match pushed {
                    Ok(position) => positions.push(position),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            match failed {
                None => waiting.push((answer, positions)),
                Some(error) => drop(answer.send(Err(error))),
            }
        }
        answer_all(appender, &mut waiting);
    }

    fn close(&mut self, appender: &mut Appender) {
        if appender.broken().is_none()
            && let Err(error) = appender.clean_stop()
        {
            tracing::warn!(
                event = "log_not_closed_cleanly",
                error,
                "the log was closed without its mark of a clean stop"
            );
        }
    }
}

fn answer_all(appender: &mut Appender, waiting: &mut Vec<(Answer, Vec<Position>)>) {
    let outcome = appender.commit().map_err(|error| PushError::Broken(error.0));
    for (answer, positions) in waiting.drain(..) {
        // Nobody waits any more: it is durable all the same.
        drop(answer.send(outcome.clone().map(|_| positions)));
    }
}
