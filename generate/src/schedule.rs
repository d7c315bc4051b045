//! Which command comes when: places one after another, and behind them what follows.
//!
//! Invariant: what waits is bounded whatever the number of orders is. A place is planned only when nothing is overdue,
//! plans at most [`FOLLOWERS_MAX`] others, and none of them further than [`DISTANCE_MAX`] lines away. What waits is a
//! number and a kind: the command is made again when it is its turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::extra::{self, Extra};
use super::payment::{self, PaymentFate};
use super::rng::{Rng, Stream};
use super::shares::Shares;

/// Most commands that one order plans for later.
const FOLLOWERS_MAX: usize = 13;
/// Furthest that a command is planned ahead, in lines.
const DISTANCE_MAX: u64 = 15_000;
/// Most commands that wait for their turn.
const WAITING_MAX: usize = FOLLOWERS_MAX * DISTANCE_MAX as usize;
/// A second return, of a thousand returns.
const SECOND_PERMILLE: u64 = 80;

/// Which command of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Place,
    Cancel,
    /// A cancel that comes before its place.
    EarlyCancel,
    FirstReturn,
    SecondReturn,
    /// The report that the review of its payment ended badly.
    Report,
    /// Another payment, after a decline.
    Pay,
    /// What else becomes of it.
    Extra(Extra),
    /// The end of a hold.
    ReleaseHold,
}

/// The how-manieth time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// For the first time.
    New,
    /// The same once more.
    Again,
    /// The same once more, thousands of lines later.
    Late,
    /// Under the id of another one.
    Reused,
}

/// A command to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Planned {
    pub(super) order: u64,
    pub(super) what: What,
    pub(super) form: Form,
}

/// Gives commands in their order.
pub(super) struct Schedule {
    seed: u64,
    orders: u64,
    shares: Shares,
    next_order: u64,
    line: u64,
    /// By line, then as planned.
    waiting: BinaryHeap<Reverse<(u64, u64, Planned)>>,
    planned: u64,
}

impl Schedule {
    pub(super) fn new(seed: u64, orders: u64, shares: Shares) -> Self {
        let waiting = BinaryHeap::new();
        Self { seed, orders, shares, next_order: 0, line: 0, waiting, planned: 0 }
    }

    fn plan(&mut self, line: u64, order: u64, what: What, form: Form) {
        self.waiting.push(Reverse((line, self.planned, Planned { order, what, form })));
        self.planned += 1;
        debug_assert!(line <= self.line + DISTANCE_MAX && self.waiting.len() <= WAITING_MAX);
    }

    /// How many commands wait for their turn.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Plans a command, and perhaps the same again.
    fn plan_new(&mut self, rng: &mut Rng, line: u64, order: u64, what: What) {
        self.plan(line, order, what, Form::New);
        self.perhaps_again(rng, line, order, what);
    }

    fn perhaps_again(&mut self, rng: &mut Rng, line: u64, order: u64, what: What) {
        if rng.chance(self.shares.duplicate_permille) {
            self.plan(line + 1 + rng.small(2_000), order, what, Form::Again);
        }
    }

    /// Plans what else becomes of an order that is placed in that line, and another payment where it needs one.
    fn plan_more(&mut self, placed: u64, order: u64) {
        let rng = &mut extra::draws(self.seed, order);
        let declined = payment::fate(self.seed, order, self.shares) == PaymentFate::Declined;
        if declined && rng.chance(self.shares.pay_permille) {
            self.plan(placed + rng.between(100, 1_000), order, What::Pay, Form::New);
        }
        let Some(what) = extra::of(self.seed, order, self.shares) else { return };
        let line = placed
            + match what {
                Extra::Hold | Extra::Amend | Extra::CancelUnits => 1 + rng.small(20),
                Extra::Refund => rng.between(1, 8_000),
                Extra::Exchange => rng.between(3_000, 8_000),
                Extra::Record => rng.between(3_000, 8_000),
            };
        self.plan_new(rng, line, order, What::Extra(what));
        if what == Extra::Hold {
            let line = line + rng.between(50, 2_000);
            self.plan_new(rng, line, order, What::ReleaseHold);
        }
    }

    /// The next order begins: gives its first command and plans the others.
    fn begin(&mut self, order: u64) -> Planned {
        let rng = &mut Rng::new(self.seed, order, Stream::Fate);
        let shares = self.shares;
        let fate = rng.below(1000);
        let canceled = fate < shares.cancel_permille;
        let returned = !canceled && fate < shares.cancel_permille + shares.return_permille;
        let early = canceled && rng.chance(shares.early_permille);
        let mut placed = self.line;
        if early {
            placed += 1 + rng.small(200);
            self.plan(placed, order, What::Place, Form::New);
            self.perhaps_again(rng, placed, order, What::Cancel);
        }
        self.perhaps_again(rng, placed, order, What::Place);
        if rng.chance(shares.late_permille) {
            self.plan(placed + rng.between(3_000, 12_000), order, What::Place, Form::Late);
        }
        if rng.chance(shares.reuse_permille) {
            self.plan(placed + 1 + rng.small(2_000), order, What::Place, Form::Reused);
        }
        if canceled && !early {
            let line = placed + 1 + rng.small(2_000);
            self.plan_new(rng, line, order, What::Cancel);
        }
        if returned {
            let line = placed + rng.between(3_000, 8_000);
            self.plan_new(rng, line, order, What::FirstReturn);
            if rng.chance(SECOND_PERMILLE) {
                let line = line + rng.between(500, 2_500);
                self.plan_new(rng, line, order, What::SecondReturn);
            }
        }
        if payment::fate(self.seed, order, shares) == (PaymentFate::Reviewed { reported: true }) {
            let line = placed + Rng::new(self.seed, order, Stream::Payment).between(3_000, 8_000);
            self.plan(line, order, What::Report, Form::New);
        }
        self.plan_more(placed, order);
        Planned { order, what: if early { What::EarlyCancel } else { What::Place }, form: Form::New }
    }
}

impl Iterator for Schedule {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let more = self.next_order < self.orders;
        let due = self.waiting.peek().is_some_and(|Reverse((line, ..))| *line <= self.line || !more);
        let planned = if due {
            self.waiting.pop().map(|Reverse((_, _, planned))| planned)
        } else if more {
            let order = self.next_order;
            self.next_order += 1;
            Some(self.begin(order))
        } else {
            None
        };
        self.line += u64::from(planned.is_some());
        planned
    }
}
