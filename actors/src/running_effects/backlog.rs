//! First attempts that are still to end, and whether they hold new orders back.
//!
//! - They are counted by participant. One that is far behind with its answers, or answers nobody, holds no new order back: what
//!   waits for it is in the log, and no smaller number of new orders would make it answer.
//! - While there are too many, one new order is let in for each [`ENDED_PER_NEW`] that come to their end: after a pause of a
//!   participant the node works off what has gathered, and is not closed for as long as that takes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ports::Role;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Orders that end for one new one that is let in, while there are too many.
const ENDED_PER_NEW: u64 = 2;
/// So many new orders can be let in at once for orders that have ended.
const CREDIT_MAX: u64 = 64;
/// A participant that would need longer than this for what waits for it holds no new order back.
const BEHIND_AFTER: Duration = Duration::from_secs(4);
/// Its pace is looked at so often, while it matters.
const PACE_INTERVAL: Duration = Duration::from_millis(250);

struct RoleBacklog {
    waiting: AtomicUsize,
    answered: AtomicU64,
    pace: Mutex<Pace>,
}

/// How fast a participant answers.
struct Pace {
    looked: Instant,
    answered: u64,
    a_second: f64,
}

/// The backlog of a node.
pub(crate) struct Backlog {
    max: usize,
    roles: [RoleBacklog; Role::ALL.len()],
    /// Orders that ended while there were too many.
    ended: AtomicU64,
    room_freed: Notify,
}

impl Backlog {
    pub(crate) fn new(max: usize) -> Self {
        let roles = Role::ALL.map(|_| RoleBacklog {
            waiting: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            pace: Mutex::new(Pace { looked: Instant::now(), answered: 0, a_second: 0.0 }),
        });
        Self { max, roles, ended: AtomicU64::new(0), room_freed: Notify::new() }
    }

    /// One more is to be attempted.
    pub(crate) fn begin(&self, role: Role) {
        self.roles[role as usize].waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// It ended, or waits for a retry.
    pub(crate) fn end(&self, role: Role) {
        self.roles[role as usize].waiting.fetch_sub(1, Ordering::Relaxed);
        if self.len() < self.max {
            self.room_freed.notify_waiters();
        }
    }

    /// A participant answered, whatever it was.
    pub(crate) fn record_answer(&self, role: Role) {
        self.roles[role as usize].answered.fetch_add(1, Ordering::Relaxed);
    }

    /// An order came to its end.
    pub(crate) fn order_ended(&self) {
        if self.len() >= self.max {
            let more = |ended: u64| (ended < CREDIT_MAX * ENDED_PER_NEW).then_some(ended + 1);
            let before = self.ended.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            if before.is_ok_and(|before| before + 1 >= ENDED_PER_NEW) {
                self.room_freed.notify_waiters();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.roles.iter().map(|role| role.waiting.load(Ordering::Relaxed)).sum()
    }

    /// Are there as many as there may be, of those that are no participant's fault?
    pub(crate) fn is_full(&self) -> bool {
        if self.len() < self.max {
            return false;
        }
        let now = Instant::now();
        let waiting = self.roles.iter().filter(|role| !role.is_behind(now));
        waiting.map(|role| role.waiting.load(Ordering::Relaxed)).sum::<usize>() >= self.max
    }

    /// Lets a new order in, if there is room for one.
    pub(crate) fn try_enter(&self) -> bool {
        let less = |ended: u64| ended.checked_sub(ENDED_PER_NEW);
        !self.is_full() || self.ended.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Waits until a new order may come in.
    pub(crate) async fn enter(&self) {
        self.until(|| self.try_enter()).await;
    }

    /// Waits until there is room.
    pub(crate) async fn wait_for_room(&self) {
        self.until(|| !self.is_full()).await;
    }

    async fn until(&self, is_there: impl Fn() -> bool) {
        loop {
            let room_freed = self.room_freed.notified();
            if is_there() {
                return;
            }
            // That a participant is behind is seen by looking: nobody tells of answers that do not come.
            drop(timeout(PACE_INTERVAL, room_freed).await);
        }
    }
}

impl RoleBacklog {
    fn is_behind(&self, now: Instant) -> bool {
        let mut pace = self.pace.lock();
        let took = now.saturating_duration_since(pace.looked);
        if took >= PACE_INTERVAL {
            let answered = self.answered.load(Ordering::Relaxed);
            pace.a_second = (answered - pace.answered) as f64 / took.as_secs_f64();
            pace.answered = answered;
            pace.looked = now;
        }
        pace.a_second * BEHIND_AFTER.as_secs_f64() < self.waiting.load(Ordering::Relaxed) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Role = Role::Payments;
    const QUICK: Role = Role::Inventory;

    async fn pass(backlog: &Backlog) {
        // Twice: the first look ends the time before.
        for _ in 0..2 {
            backlog.is_full();
            tokio::time::advance(PACE_INTERVAL).await;
            (0..1_000).for_each(|_| backlog.record_answer(QUICK));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_nobody_holds_nobody_back() {
        let backlog = Backlog::new(100);
        (0..200).for_each(|_| backlog.begin(QUIET));
        pass(&backlog).await;
        assert!(!backlog.is_full() && backlog.try_enter(), "nobody waits for what does not come");
        (0..100).for_each(|_| backlog.begin(QUICK));
        pass(&backlog).await;
        assert!(backlog.is_full() && !backlog.try_enter(), "what the node itself is behind with counts");
        backlog.end(QUICK);
        assert!(!backlog.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_far_behind_holds_nobody_back_until_it_has_caught_up() {
        let backlog = Backlog::new(100);
        (0..2_000).for_each(|_| backlog.begin(QUICK));
        for (answers, full) in [(10, false), (1_000, true)] {
            backlog.is_full();
            tokio::time::advance(PACE_INTERVAL).await;
            (0..answers).for_each(|_| backlog.record_answer(QUICK));
            assert_eq!(backlog.is_full(), full, "{answers} answers in {PACE_INTERVAL:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_node_takes_one_for_two_that_end() {
        let backlog = Backlog::new(100);
        (0..100).for_each(|_| backlog.begin(QUICK));
        pass(&backlog).await;
        backlog.order_ended();
        assert!(!backlog.try_enter());
        backlog.order_ended();
        assert!(backlog.try_enter() && !backlog.try_enter());
        (0..10_000).for_each(|_| backlog.order_ended());
        let entered = (0..10_000).filter(|_| backlog.try_enter()).count();
        assert_eq!(entered as u64, CREDIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_room_and_of_a_participant_that_fell_silent() {
        let backlog = std::sync::Arc::new(Backlog::new(10));
        (0..10).for_each(|_| backlog.begin(QUIET));
        (0..1_000).for_each(|_| backlog.record_answer(QUIET));
        tokio::time::advance(PACE_INTERVAL).await;
        assert!(backlog.is_full());
        // It answers no more from here on.
        timeout(Duration::from_secs(2), backlog.enter()).await.expect("it fell silent");
        let waiting = tokio::spawn({
            let backlog = backlog.clone();
            async move { backlog.wait_for_room().await }
        });
        (0..1_000).for_each(|_| backlog.record_answer(QUIET));
        backlog.end(QUIET);
        timeout(Duration::from_secs(2), waiting).await.expect("it ended").expect("no panic");
    }
}
