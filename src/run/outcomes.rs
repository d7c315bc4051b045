//! Writing outcomes: a thread of its own, so that a slow reader or disk holds up nothing but itself and, through a
//! bounded queue, the intake.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use retailflow_engine::wire::Outcome;

use retailflow_server::durable_file::DurableFile;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Outcomes waiting to be written; beyond it the intake waits.
const QUEUE_MAX: usize = 8192;

/// Where outcomes go.
pub(crate) struct Outcomes {
    queue: Option<SyncSender<Outcome>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Outcomes {
    /// To `file`; without one to standard output, unless that is a terminal.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let sink = match file {
            Some(path) => {
                let file = DurableFile::create_growing(path);
                Sink::File(
                    file.or_exit(ExitStatus::Unreachable, || format!("cannot write {}", path.display()))?,
                )
            }
            None if io::stdout().is_terminal() => Sink::Stream(Box::new(io::sink())),
            None => Sink::Stream(Box::new(io::stdout())),
        };
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("outcomes".into()).spawn(move || write(sink, &waiting));
        let thread = thread.or_exit(ExitStatus::Unreachable, || "cannot start a thread")?;
        Ok(Self { queue: Some(queue), thread })
    }

    /// Writes an outcome, in turn. False when they can no longer be written; `close` says why.
    pub(crate) fn give(&self, outcome: Outcome) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.send(outcome).is_ok())
    }

    /// Waits until all are written.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        drop(self.queue.take());
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::output(error)),
            Ok(Err(error)) => Err(error).or_exit(ExitStatus::Unreachable, || "cannot write the outcomes"),
            Err(_) => Err(Failure::unreachable("the writer of the outcomes failed")),
        }
    }
}

enum Sink {
    File(DurableFile),
    Stream(Box<dyn Write + Send>),
}

fn write(sink: Sink, waiting: &Receiver<Outcome>) -> io::Result<()> {
    match sink {
        Sink::File(mut file) => {
            write_all(&mut file, waiting)?;
            file.finish()
        }
        Sink::Stream(stream) => write_all(&mut BufWriter::with_capacity(64 * 1024, stream), waiting),
    }
}

fn write_all(mut sink: &mut impl Write, waiting: &Receiver<Outcome>) -> io::Result<()> {
    loop {
        let next = match waiting.try_recv() {
            Ok(next) => next,
            Err(TryRecvError::Disconnected) => return sink.flush(),
            Err(TryRecvError::Empty) => {
                // What is done can be seen before anyone waits.
                sink.flush()?;
                match waiting.recv() {
                    Ok(next) => next,
                    Err(_) => return Ok(()),
                }
            }
        };
        serde_json::to_writer(&mut sink, &next)?;
        sink.write_all(b"\n")?;
    }
}
