//! Lines of one cause are spared: a place in the program that warns again and again does so a number of times at once, then
//! once in a while, and what is left out is counted and said.
//!
//! A place is one line of the program, whatever its fields say: a server that is away makes one warning for each partition and
//! purpose, and 75 a second were seen. What is told once for each state (`info`) is never spared.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::counter;
use parking_lot::Mutex;
use retailflow_engine::metric;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines of one place at once: warnings, and errors, of which each may be told only once.
const BURST: u32 = 20;
const BURST_OF_ERRORS: u32 = 200;
/// One more for each time that so long has passed.
const EVERY: Duration = Duration::from_secs(2);

struct Place {
    burst: u32,
    left: u32,
    filled: Instant,
    left_out: u64,
    /// Where in the program, for people.
    name: String,
}

/// As many places as the program has.
static PLACES: OnceLock<Mutex<HashMap<Identifier, Place>>> = OnceLock::new();

fn places() -> &'static Mutex<HashMap<Identifier, Place>> {
    PLACES.get_or_init(Mutex::default)
}

impl Place {
    /// Whether one more may be written now.
    fn take(&mut self, now: Instant) -> bool {
        let filled = now.saturating_duration_since(self.filled).as_millis() / EVERY.as_millis();
        let more = u32::try_from(filled).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(self.burst);
            self.filled = if self.left == self.burst { now } else { self.filled + EVERY * more };
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        self.left_out += u64::from(!may);
        may
    }
}

/// Spares what is written.
pub(super) struct Sparing;

impl<S: Subscriber> Filter<S> for Sparing {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return true;
        }
        let now = Instant::now();
        let may = {
            let mut places = places().lock();
            let place = places.entry(metadata.callsite()).or_insert_with(|| {
                let file = metadata.file().unwrap_or(metadata.target());
                let name = format!("{file}:{}", metadata.line().unwrap_or_default());
                let burst = if *metadata.level() == Level::ERROR { BURST_OF_ERRORS } else { BURST };
                Place { burst, left: burst, filled: now, left_out: 0, name }
            });
            place.take(now)
        };
        if !may {
            counter!(metric::LINES_LEFT_OUT.name).increment(1);
        }
        may
    }
}

/// Says how many lines were left out since it was called last. Call it every few seconds.
pub fn tell() {
    let left_out: Vec<(String, u64)> = places()
        .lock()
        .values_mut()
        .filter(|place| place.left_out > 0)
        .map(|place| (place.name.clone(), std::mem::take(&mut place.left_out)))
        .collect();
    for (place, lines) in left_out {
        // An `info`: it is never left out itself.
        tracing::info!(event = "lines_left_out", place, lines, "more lines of this place were left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_much_at_once_and_then_once_in_a_while() {
        let begun = Instant::now();
        let mut place = Place { burst: BURST, left: BURST, filled: begun, left_out: 0, name: String::new() };
        let mut written = 0;
        // 75 a second, for a minute.
        for number in 0..75 * 60 {
            written += u32::from(place.take(begun + Duration::from_secs_f64(f64::from(number) / 75.0)));
        }
        assert_eq!(written, BURST + 29);
        assert_eq!(place.left_out, 75 * 60 - u64::from(written));
        assert!(place.take(begun + Duration::from_secs(300)), "after a rest it is said at once");
    }
}
