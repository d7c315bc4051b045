//! Commands of a file into the stream of a cluster: what `retailflow publish` is made of.
//!
//! Receipts are waited for in the order of the lines, so that one number tells what need not be sent again: every line up to it is
//! stored, or can never be a command. How many receipts wait is bounded, and with it what is in memory.

pub(crate) mod input_end;
pub(crate) mod resume;
mod tally;
pub(crate) mod verb;

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use retailflow_disk::inbox::FileInbox;
use retailflow_engine::keys::{GENESIS, Hash, hex};
use retailflow_engine::ports::{Body, CommandInbox as _, Delivery};
use retailflow_engine::wire::decode_command;
use retailflow_nats::{CommandPublisher, OutgoingCommand, Receipt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval};

use self::input_end::InputEnd;
use self::resume::{LinesHash, Mark, Resume};
pub(crate) use self::tally::Tally;
use crate::client::say;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Lines read at once.
const BATCH: usize = 256;
/// Lines whose fate is not counted yet, beyond those that the publisher holds.
const WAITING_MAX: usize = 4_096;
/// Between two looks at how it goes, and two writes of the mark.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Lines that are told one by one; beyond it they are counted.
const TOLD_MAX: u64 = 20;

/// What became of a line, or will.
enum LineResult {
    Given(Receipt),
    /// It is no command; the text says why.
    Bad(String),
}

/// A line, and the hash of all up to it.
struct Line {
    number: u64,
    hash: Hash,
    fate: LineResult,
}

/// Publishes all lines of `inbox` behind the mark, until the end or a stop.
///
/// # Errors
/// When the lines cannot be read, or the mark not be written; what was published then stays published.
pub(crate) async fn run(
    publisher: &CommandPublisher,
    inbox: &mut FileInbox,
    name: &str,
    (resume, end): (Option<&Resume>, &InputEnd),
    stopped: watch::Receiver<bool>,
    quiet: bool,
) -> Result<Tally, Failure> {
    let (lines, waiting) = mpsc::channel(WAITING_MAX);
    let bar = progress(quiet);
    let reading = read(publisher, inbox, name, (resume, end), stopped, lines);
    let counting = count(publisher, waiting, name, resume, &bar);
    let (read, counted) = tokio::join!(reading, counting);
    bar.finish_and_clear();
    let mut tally = counted?;
    let read = read?;
    tally.lines_skipped = read.skipped;
    tally.finished = read.finished;
    Ok(tally)
}

struct Read {
    skipped: u64,
    finished: bool,
}

async fn read(
    publisher: &CommandPublisher,
    inbox: &mut FileInbox,
    name: &str,
    (resume, end): (Option<&Resume>, &InputEnd),
    mut stopped: watch::Receiver<bool>,
    lines: mpsc::Sender<Line>,
) -> Result<Read, Failure> {
    let (mut skipped, mut hash) = (0, LinesHash::new());
    // With a mark: a line that is no command, and may be the beginning of one whose rest is still being written.
    let mut unsure: Option<Line> = None;
    // A mark whose lines were not compared yet.
    let mut unproven = resume.filter(|resume| resume.lines() > 0);
    loop {
        let batch = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(Read { skipped, finished: false }),
            batch = inbox.next(BATCH) => batch,
        };
        let batch = batch.or_exit(ExitStatus::Unreachable, || format!("cannot read {name} to its end"))?;
        if batch.is_empty() {
            if let Some(resume) = unproven {
                resume.belongs_to(&hash.hash(), name)?;
            }
            if unsure.is_some() && end.is_within_a_line() {
                say(format!(
                    "the last line of {name} has no end and is no command: it may still be written, and is left to the next run"
                ));
                return Ok(Read { skipped, finished: false });
            }
            let sent = match unsure {
                Some(line) => lines.send(line).await.is_ok(),
                None => true,
            };
            return Ok(Read { skipped, finished: sent });
        }
        for Delivery { position, body } in batch {
            if resume.is_some_and(|resume| position <= resume.lines()) {
                hash.add(position, &body);
                skipped += 1;
                continue;
            }
            // Before anything is sent.
            if let Some(resume) = unproven.take() {
                resume.belongs_to(&hash.hash(), name)?;
            }
            if resume.is_some() {
                hash.add(position, &body);
            }
            let fate = match body {
                Body::TooLong { length_bytes, .. } => {
                    LineResult::Bad(format!("{length_bytes} bytes are too long for a command"))
                }
                Body::Bytes(bytes) => match decode_command(&bytes) {
                    Err(error) => LineResult::Bad(error.to_string()),
                    Ok(command) => {
                        let outgoing =
                            OutgoingCommand { order: command.order, key: command.key, body: bytes.into() };
                        let given = tokio::select! {
                            biased;
                            _ = stopped.wait_for(|stopped| *stopped) => None,
                            receipt = publisher.publish(outgoing) => Some(receipt),
                        };
                        match given {
                            Some(receipt) => LineResult::Given(receipt),
                            None => return Ok(Read { skipped, finished: false }),
                        }
                    }
                },
            };
            let line = Line { number: position, hash: hash.hash(), fate };
            let waits = resume.is_some() && matches!(line.fate, LineResult::Bad(_));
            let ready = match waits {
                true => [unsure.replace(line), None],
                false => [unsure.take(), Some(line)],
            };
            for line in ready.into_iter().flatten() {
                // Whoever counts has failed, and says why.
                if lines.send(line).await.is_err() {
                    return Ok(Read { skipped, finished: false });
                }
            }
        }
    }
}

async fn count(
    publisher: &CommandPublisher,
    mut waiting: mpsc::Receiver<Line>,
    name: &str,
    resume: Option<&Resume>,
    bar: &ProgressBar,
) -> Result<Tally, Failure> {
    let mut tally = Tally::new(resume.map_or(0, Resume::lines));
    // Of the lines that are done with.
    let mut done = GENESIS;
    let mut ticks = interval(POLL_INTERVAL);
    let mut since = None;
    loop {
        let next = tokio::select! {
            biased;
            _ = ticks.tick() => {
                report_progress(publisher, &tally, resume, &done, &mut since, bar)?;
                continue;
            }
            next = waiting.recv() => next,
        };
        let Some(Line { number: line, hash, fate }) = next else { break };
        match fate {
            LineResult::Bad(why) => {
                tally.undecodable(line);
                if tally.undecodable <= TOLD_MAX {
                    say(format!("{name}, line {line}: {why}; it is left out"));
                }
            }
            LineResult::Given(receipt) => {
                let mut sent = std::pin::pin!(receipt.sent());
                let sent = loop {
                    tokio::select! {
                        biased;
                        sent = &mut sent => break sent,
                        _ = ticks.tick() => report_progress(publisher, &tally, resume, &done, &mut since, bar)?,
                    }
                };
                if let Some(why) = tally.sent(line, &sent)
                    && tally.not_stored() <= TOLD_MAX
                {
                    say(format!("{name}, line {line}: {why}"));
                }
            }
        }
        if tally.lines_done == line {
            done = hash;
        }
        bar.inc(1);
    }
    save(resume, &done, &tally)?;
    Ok(tally)
}

/// Says when nothing goes on, and writes the mark.
fn report_progress(
    publisher: &CommandPublisher,
    tally: &Tally,
    resume: Option<&Resume>,
    done: &Hash,
    since: &mut Option<(Instant, bool)>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    match (publisher.held_up(), &since) {
        (Some(_), None) => *since = Some((Instant::now(), false)),
        // A moment's trouble is nobody's concern.
        (Some(why), Some((begun, false))) if begun.elapsed() >= POLL_INTERVAL => {
            bar.suspend(|| say(format!("waiting: {why}")));
            *since = Some((*begun, true));
        }
        (None, Some((begun, told))) => {
            if *told {
                bar.suspend(|| say(format!("going on, after {} s", begun.elapsed().as_secs())));
            }
            *since = None;
        }
        _ => {}
    }
    save(resume, done, tally)
}

fn save(resume: Option<&Resume>, done: &Hash, tally: &Tally) -> Result<(), Failure> {
    let Some(resume) = resume else { return Ok(()) };
    // What was found stays, with the hash that it was found with, until more is done with.
    resume.save(&Mark { v: resume::VERSION, lines: tally.lines_done, hash: hex(done) })
}

fn progress(quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} commands, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar
}
