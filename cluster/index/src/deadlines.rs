//! What is due: the deadlines of the active set, of the frozen ones and of the runs, merged by time.
//!
//! An entry counts only if it is still the deadline of its order's newest place. The order of the merge is (time, key),
//! so a listing of the first thousand reads the first few blocks of each run, however many orders there are.

use super::{
    block::{Rank, rank_time, time_rank},
    merge::MergedRows,
    shared::{Shared, View},
    types::{DueOrder, IndexError, OrderKey},
};

/// Tries without holding `apply` up, before the listing does.
const FREE_TRIES: u32 = 8;

type Due = (i64, OrderKey);

/// The standing deadlines of a view, in order.
struct ViewDues<'a> {
    view: &'a View,
    frozen: Vec<std::iter::Peekable<Box<dyn Iterator<Item = Due> + 'a>>>,
    runs: MergedRows,
    next_of_runs: Option<Due>,
    until_ms: i64,
}

impl<'a> ViewDues<'a> {
    fn new(view: &'a View, from: Due, until_ms: i64) -> Result<Self, IndexError> {
        let boxed = |frozen: &'a std::sync::Arc<super::memtable::Memtable>| {
            let dues: Box<dyn Iterator<Item = Due>> = Box::new(frozen.dues(from));
            dues.peekable()
        };
        let start: Rank = (time_rank(from.0), from.1);
        let mut dues = Self {
            view,
            frozen: view.frozen.iter().map(boxed).collect(),
            runs: MergedRows::new(&view.runs.dues, start)?,
            next_of_runs: None,
            until_ms,
        };
        dues.advance_runs()?;
        Ok(dues)
    }

    fn advance_runs(&mut self) -> Result<(), IndexError> {
        self.next_of_runs = None;
        while let Some(row) = self.runs.next()? {
            let due = (rank_time(row.newest.rank.0), row.newest.rank.1);
            if due.0 > self.until_ms {
                break;
            }
            if !row.newest.is_dead_due() {
                self.next_of_runs = Some(due);
                break;
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<DueOrder>, IndexError> {
        loop {
            let of_frozen = self.frozen.iter_mut().filter_map(|dues| dues.peek().copied()).min();
            let Some(due) = of_frozen.into_iter().chain(self.next_of_runs).min() else { return Ok(None) };
            if due.0 > self.until_ms {
                return Ok(None);
            }
            for dues in &mut self.frozen {
                dues.next_if_eq(&due);
            }
            if self.next_of_runs == Some(due) {
                self.advance_runs()?;
            }
            let place = self.view.place(&due.1)?;
            if let Some(place) = place.filter(|place| place.deadline_ms == Some(due.0)) {
                return Ok(Some((due.0, due.1, place.position)));
            }
        }
    }
}

/// The least (time, key) after `after`; `None` when there is none.
fn successor(after: Option<Due>) -> Option<Due> {
    let Some((time, key)) = after else { return Some((i64::MIN, [0; 16])) };
    match u128::from_be_bytes(key).checked_add(1) {
        Some(next) => Some((time, next.to_be_bytes())),
        None => Some((time.checked_add(1)?, [0; 16])),
    }
}

impl Shared {
    /// What is due, as of one moment within the call.
    pub(super) fn due(
        &self,
        until_ms: i64,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<DueOrder>, IndexError> {
        let Some(from) = successor(after).filter(|from| from.0 <= until_ms && limit > 0) else {
            return Ok(Vec::new());
        };
        let mut wanted = limit;
        for attempt in 0.. {
            let view = self.view()?;
            // Held from here on if the sets are frozen faster than this can read: then `apply` waits a little.
            let held = (attempt >= FREE_TRIES).then(|| self.state.read());
            let view = held.as_ref().map_or(view, |state| state.view());
            let mut dues = ViewDues::new(&view, from, until_ms)?;
            let mut candidates = Vec::new();
            let mut ended = false;
            while candidates.len() < wanted && !ended {
                match dues.next()? {
                    Some(due) => candidates.push(due),
                    None => ended = true,
                }
            }
            let state = held.unwrap_or_else(|| self.state.read());
            if state.rotations != view.rotations {
                continue;
            }
            // The active set has the last word on each order in it.
            candidates.retain(|(_, key, _)| state.active.place(key).is_none());
            if candidates.len() < limit && !ended {
                wanted = wanted.saturating_mul(2);
                continue;
            }
            let active = state.active.dues(from).take_while(|due| due.0 <= until_ms).take(limit);
            let active =
                active.filter_map(|(time, key)| Some((time, key, state.active.place(&key)?.position)));
            candidates.extend(active);
            drop(state);
            candidates.sort_unstable();
            candidates.truncate(limit);
            return Ok(candidates);
        }
        Ok(Vec::new())
    }
}
