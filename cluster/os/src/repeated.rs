//! Lines of one cause, said once in a while and not each time: a server that is away for an hour is one cause.

use std::fmt::Display;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two lines of the same cause.
const SAID_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Said {
    what: String,
    at: Instant,
    left_out: u64,
}

/// What one place in the code said last. Another text is another cause and said at once, so that a text that holds a number which
/// changes is no cause: give a fixed one then.
#[derive(Debug, Default)]
pub struct Repeated {
    /// The two newest causes.
    said: Mutex<[Option<Said>; 2]>,
}

impl Repeated {
    /// Nothing was said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this is to be said now: how many lines like it were left out since the last one.
    pub fn due(&self, what: &impl Display) -> Option<u64> {
        self.due_at(&what.to_string(), Instant::now())
    }

    /// It is over: when it comes again it is said at once.
    pub fn over(&self) {
        *self.said.lock() = [None, None];
    }

    fn due_at(&self, what: &str, now: Instant) -> Option<u64> {
        let mut said = self.said.lock();
        if let Some(before) = said.iter_mut().flatten().find(|said| said.what == what) {
            if now.saturating_duration_since(before.at) < SAID_EVERY {
                before.left_out += 1;
                return None;
            }
            before.at = now;
            return Some(std::mem::take(&mut before.left_out));
        }
        said.swap(0, 1);
        said[0] = Some(Said { what: what.to_owned(), at: now, left_out: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_is_said_once_in_a_while_and_another_one_at_once() {
        let (repeated, begun) = (Repeated::new(), Instant::now());
        let at = |what, s| repeated.due_at(what, begun + Duration::from_secs(s));
        assert_eq!(at("away", 0), Some(0));
        assert_eq!((at("away", 1), at("away", 9)), (None, None));
        assert_eq!(at("refused", 9), Some(0), "another cause");
        assert_eq!((at("away", 9), at("refused", 9)), (None, None), "two that take turns");
        assert_eq!(at("away", 10), Some(3));
        assert_eq!(at("away", 21), Some(0));
        repeated.over();
        assert_eq!(at("away", 21), Some(0));
    }
}
