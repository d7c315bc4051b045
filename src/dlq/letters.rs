//! Dead letters, with what was done with them.

use std::fmt::Write as _;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::hex;
use retailflow_engine::ports::{DeadLetter, DeadLetters, StoredDeadLetter};
use retailflow_engine::wire::base64;
use retailflow_engine::wire::time::format_time;
use retailflow_nats::{Connections, LetterAction, LetterMark, NatsDeadLetters};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use serde_json::{Value, json};

use retailflow_server::words::one_line;

/// Letters that are read at once.
const PIECE: usize = 256;

/// Letters of which it is asked at once what was done with them: a request each.
const MARKS_AT_ONCE: usize = 64;

/// A letter, and what was done with it.
pub(crate) struct Seen {
    pub(crate) stored: StoredDeadLetter,
    pub(crate) marks: Vec<LetterMark>,
}

/// Letters, and where to go on if there are more.
pub(crate) struct Found {
    pub(crate) letters: Vec<Seen>,
    /// The position of the last one, if there is another one behind it.
    pub(crate) more_after: Option<u64>,
}

/// Which letters are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) tenant: Option<&'a str>,
    /// Also those with which something was done.
    pub(crate) all: bool,
    pub(crate) after: u64,
    pub(crate) limit: usize,
}

/// There is no such letter.
pub(crate) fn absent(position: u64) -> Failure {
    Failure::finding(format!(
        "there is no dead letter at {position}; `retailflow dlq list --all` tells which are"
    ))
}

/// The letters of a cluster.
pub(crate) async fn at(connections: &Connections, wanted: &Wanted<'_>) -> Result<Found, Failure> {
    let letters = NatsDeadLetters::new(connections);
    read_letters(&letters, Some(&letters), wanted).await
}

/// A log on disk keeps no marks.
pub(crate) async fn read_letters(
    letters: &dyn DeadLetters,
    marked: Option<&NatsDeadLetters>,
    wanted: &Wanted<'_>,
) -> Result<Found, Failure> {
    let failed = || "cannot read the dead letters";
    let (mut found, mut after): (Vec<Seen>, _) = (Vec::new(), wanted.after);
    loop {
        // One more tells whether there are more.
        let piece = PIECE.min(wanted.limit.saturating_add(1));
        let mut piece = letters.list(after, piece).await.or_exit(ExitStatus::Unreachable, failed)?;
        let Some(last) = piece.last() else { return Ok(Found { letters: found, more_after: None }) };
        after = last.position;
        piece.retain(|stored| wanted.is_of(stored));
        let marks: Vec<Vec<LetterMark>> = match marked {
            Some(marked) => {
                let asked = piece.iter().map(|stored| marked.marks(&stored.letter));
                let told = stream::iter(asked).buffered(MARKS_AT_ONCE).try_collect().await;
                told.or_exit(ExitStatus::Unreachable, failed)?
            }
            None => piece.iter().map(|_| Vec::new()).collect(),
        };
        for (stored, marks) in piece.into_iter().zip(marks) {
            if !wanted.all && !marks.is_empty() {
                continue;
            }
            if found.len() >= wanted.limit {
                let more_after = found.last().map(|last| last.stored.position);
                return Ok(Found { letters: found, more_after });
            }
            found.push(Seen { stored, marks });
        }
    }
}

impl Wanted<'_> {
    pub(crate) fn is_of(&self, stored: &StoredDeadLetter) -> bool {
        self.tenant.is_none_or(|tenant| stored.letter.tenant.as_deref().unwrap_or("-") == tenant)
    }
}

/// Whether all of a letter's body was kept.
pub(crate) fn is_whole(letter: &DeadLetter) -> bool {
    letter.body.len() as u64 == letter.length_bytes
}

fn did(mark: &LetterMark) -> &'static str {
    match mark.did {
        LetterAction::Redriven => "redriven",
        LetterAction::Discarded => "discarded",
    }
}

impl Seen {
    pub(crate) fn row(&self) -> Vec<String> {
        let letter = &self.stored.letter;
        vec![
            self.stored.position.to_string(),
            format_time(letter.at),
            letter.tenant.as_deref().map_or_else(|| "-".to_owned(), one_line),
            one_line(&letter.code),
            letter.length_bytes.to_string(),
            self.marks.last().map_or("-", did).to_owned(),
            one_line(&letter.origin),
            one_line(&letter.reason),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let letter = &self.stored.letter;
        let text = std::str::from_utf8(&letter.body).ok();
        json!({
            "position": self.stored.position,
            "key": hex(&letter.key),
            "tenant": letter.tenant,
            "origin": letter.origin,
            "code": letter.code,
            "reason": letter.reason,
            "at": format_time(letter.at),
            "length_bytes": letter.length_bytes,
            "whole": is_whole(letter),
            "body": text,
            "body_base64": text.is_none().then(|| base64::encode(&letter.body)),
            "history": self.marks.iter().map(|mark| json!({
                "did": did(mark),
                "by": mark.by,
                "at": format_time(TimestampMs(mark.at_ms)),
                "position": mark.position,
            })).collect::<Value>(),
        })
    }

    pub(crate) fn text(&self) -> String {
        let letter = &self.stored.letter;
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing into memory does not fail.
            let _ = writeln!(text, "{name:<10} {}", one_line(value));
        };
        line("position", &self.stored.position.to_string());
        line("at", &format_time(letter.at));
        line("tenant", letter.tenant.as_deref().unwrap_or("-"));
        line("from", &letter.origin);
        line("code", &letter.code);
        line("why", &letter.reason);
        let kept = if is_whole(letter) { "" } else { ", of which the beginning was kept" };
        line("bytes", &format!("{}{kept}", letter.length_bytes));
        for mark in &self.marks {
            let to = mark.position.map(|position| format!(", at {position}")).unwrap_or_default();
            line(did(mark), &format!("{} by {}{to}", format_time(TimestampMs(mark.at_ms)), mark.by));
        }
        line("body", &String::from_utf8_lossy(&letter.body));
        text
    }
}
