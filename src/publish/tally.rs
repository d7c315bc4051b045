//! What became of the lines.

use retailflow_nats::PublishOutcome;
use serde::Serialize;

use retailflow_server::words::count;

/// Counts of a run of `publish`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// All of the input was read.
    pub(crate) finished: bool,
    /// All lines up to this one are done with: stored, or never to be.
    pub(crate) lines_done: u64,
    /// Lines that an earlier run was done with.
    pub(crate) lines_skipped: u64,
    /// Of these, it left out so many: they are stored nowhere.
    pub(crate) left_out_before: u64,
    /// Stored.
    pub(crate) acknowledged: u64,
    /// Of these, the server had seen so many a moment before.
    pub(crate) duplicates: u64,
    /// Lines that are no command, left out.
    pub(crate) undecodable: u64,
    /// Refused for good.
    pub(crate) refused: u64,
    /// Refused for as long as they were tried.
    pub(crate) not_taken: u64,
    /// Stored or not: nobody knows.
    pub(crate) unknown: u64,
    /// Not sent, because one before them was given up.
    pub(crate) not_sent: u64,
    #[serde(skip)]
    gap: bool,
    /// Lines up to the last one that is done with which are stored nowhere.
    #[serde(skip)]
    pub(super) left_out_done: u64,
}

impl Tally {
    pub(super) fn new(lines_done: u64) -> Self {
        Self { lines_done, ..Self::default() }
    }

    pub(super) fn undecodable(&mut self, line: u64) {
        self.undecodable += 1;
        self.left_out(line);
    }

    /// Counts a line; says what is wrong with it, if anything is.
    pub(super) fn sent(&mut self, line: u64, sent: &PublishOutcome) -> Option<String> {
        match sent {
            PublishOutcome::Stored { duplicate, .. } => {
                self.acknowledged += 1;
                self.duplicates += u64::from(*duplicate);
                self.done(line);
                None
            }
            PublishOutcome::Refused(why) => {
                self.refused += 1;
                self.left_out(line);
                Some(format!("refused: {why}"))
            }
            PublishOutcome::NotTaken(why) => {
                (self.not_taken, self.gap) = (self.not_taken + 1, true);
                Some(format!("not taken: {why}"))
            }
            PublishOutcome::Unknown(why) => {
                (self.unknown, self.gap) = (self.unknown + 1, true);
                Some(format!("not known whether it is stored: {why}"))
            }
            // Why, the one before it says.
            PublishOutcome::NotSent(_) => {
                (self.not_sent, self.gap) = (self.not_sent + 1, true);
                None
            }
        }
    }

    fn left_out(&mut self, line: u64) {
        self.left_out_done += u64::from(!self.gap);
        self.done(line);
    }

    fn done(&mut self, line: u64) {
        if !self.gap {
            self.lines_done = line;
        }
    }

    /// Lines of which it was told that they are not known to be stored.
    pub(super) fn not_stored(&self) -> u64 {
        self.refused + self.not_taken + self.unknown
    }

    /// Whether another run could do what this one did not.
    pub(crate) fn is_whole(&self) -> bool {
        self.finished && !self.gap
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} acknowledged", count(self.acknowledged, "command"))?;
        let parts = [
            (self.duplicates, "of them known already"),
            (self.undecodable, "no commands"),
            (self.refused, "refused for good"),
            (self.not_taken, "not taken"),
            (self.unknown, "unknown"),
            (self.not_sent, "not sent"),
            (self.lines_skipped, "skipped: an earlier run was done with them"),
            (self.left_out_before, "of these left out then"),
        ];
        for (number, what) in parts.iter().filter(|(number, _)| *number > 0) {
            write!(f, ", {} {what}", retailflow_server::words::number(number))?;
        }
        write!(f, "; done up to line {}", retailflow_server::words::number(self.lines_done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_done_up_to_the_first_that_is_not() {
        let stored = || PublishOutcome::Stored { sequence: 1, duplicate: false };
        let mut tally = Tally::new(0);
        assert_eq!(tally.sent(1, &stored()), None);
        tally.undecodable(2);
        assert!(tally.sent(3, &PublishOutcome::Refused("too large".into())).is_some());
        assert_eq!(tally.lines_done, 3, "what can never be stored holds up nothing");
        assert_eq!(tally.left_out_done, 2);
        assert!(tally.sent(4, &PublishOutcome::Unknown("silence".into())).is_some());
        assert_eq!(tally.sent(5, &stored()), None);
        tally.undecodable(6);
        assert_eq!((tally.lines_done, tally.is_whole()), (3, false));
        assert_eq!(tally.left_out_done, 2, "what comes behind a gap is read again");
        assert_eq!(
            tally.to_string(),
            "2 commands acknowledged, 2 no commands, 1 refused for good, 1 unknown; done up to line 3"
        );
    }
}
