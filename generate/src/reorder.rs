//! Lines that overtake each other, within a window; never one of the same order.

use std::collections::VecDeque;

use super::rng::{Rng, Stream};
use super::schedule::Planned;

/// Mixes lines up: each moves at most `window` lines, to the front or to the back.
pub(super) struct Reorder<I> {
    from: I,
    window: usize,
    rng: Rng,
    /// With the number of the line that each would be.
    held: VecDeque<(u64, Planned)>,
    taken: u64,
    given: u64,
}

impl<I: Iterator<Item = Planned>> Reorder<I> {
    pub(super) fn new(from: I, window: usize, seed: u64) -> Self {
        let rng = Rng::new(seed, 0, Stream::Reorder);
        Self { from, window, rng, held: VecDeque::with_capacity(window + 1), taken: 0, given: 0 }
    }

    /// What the lines come from.
    #[cfg(test)]
    pub(super) fn source(&self) -> &I {
        &self.from
    }

    /// Which of the lines held comes next.
    fn draw(&mut self) -> usize {
        let first = self.held.front().map_or(0, |(line, _)| *line);
        if self.given >= first + self.window as u64 {
            return 0;
        }
        let drawn = self.rng.below(self.held.len() as u64) as usize;
        let Some((_, chosen)) = self.held.get(drawn) else { return 0 };
        self.held.iter().position(|(_, planned)| planned.order == chosen.order).unwrap_or(drawn)
    }
}

impl<I: Iterator<Item = Planned>> Iterator for Reorder<I> {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        while self.held.len() <= self.window {
            let Some(planned) = self.from.next() else { break };
            self.held.push_back((self.taken, planned));
            self.taken += 1;
        }
        let at = self.draw();
        let (_, planned) = self.held.remove(at)?;
        self.given += 1;
        Some(planned)
    }
}
