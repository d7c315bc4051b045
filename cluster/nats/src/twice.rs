//! Asking for one command twice.
//!
//! A message that another server still sends to a subscription which has just ended is lost without a word (seen: whole time-outs in rolling
//! restarts). What is asked for here may be asked for again, for a command's id is decided once; so after a while without an answer a
//! second copy is sent, and both are waited for. ("The Tail at Scale", Dean and Barroso, 2013, has the technique and its price.)
//!
//! Invariants:
//! - Only what cannot change ends the wait for the other copy: a copy that is refused says nothing of the one that is being decided.
//! - No more second copies are on their way than [`Twice::new`] allows: where all are slow, more questions make none faster.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use retailflow_engine::wire::{Code, Outcome};
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// Sends second copies.
#[derive(Debug, Clone)]
pub(super) struct Twice {
    /// Without an answer for so long.
    after: Duration,
    copies: Arc<Semaphore>,
}

impl Twice {
    /// After this time, and no more than `copies_max` at once.
    pub(super) fn new(after: Duration, copies_max: usize) -> Self {
        Self { after, copies: Arc::new(Semaphore::new(copies_max)) }
    }

    /// Asks with `ask`, which is given the time that is left, within `time`. `silent`: the error says that it may be done.
    pub(super) async fn ask<E, F>(
        &self,
        time: Duration,
        ask: impl Fn(Duration) -> F,
        silent: impl Fn(&E) -> bool,
    ) -> Result<Outcome, E>
    where
        F: Future<Output = Result<Outcome, E>>,
    {
        let first = pin!(ask(time));
        let first = match select(first, pin!(sleep(self.after))).await {
            Either::Left((answer, _)) => return answer,
            Either::Right(((), first)) => first,
        };
        // A copy that has no time left would only be refused.
        let left = time.saturating_sub(self.after);
        let Some(_copy) = self.copies.try_acquire().ok().filter(|_| left >= self.after) else {
            return first.await;
        };
        let (one, other) = match select(first, pin!(ask(left))).await {
            Either::Left((one, second)) if !is_final(&one) => (one, second.await),
            Either::Right((one, first)) if !is_final(&one) => (one, first.await),
            Either::Left((one, _)) | Either::Right((one, _)) => return one,
        };
        if is_final(&other) {
            return other;
        }
        // Neither has an outcome. What may be done nobody may call refused.
        let in_doubt = |answer: &Result<Outcome, E>| match answer {
            Ok(outcome) => outcome.code == Code::OutcomeUnknown,
            Err(error) => silent(error),
        };
        match in_doubt(&other) || (!in_doubt(&one) && other.is_ok()) {
            true => other,
            false => one,
        }
    }
}

fn is_final<E>(answer: &Result<Outcome, E>) -> bool {
    answer.as_ref().is_ok_and(|outcome| !outcome.code.retry_helps())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use retailflow_testkit::author::{order, place};

    use super::*;

    const AFTER: Duration = Duration::from_millis(100);
    const TIME: Duration = Duration::from_secs(2);

    fn answer(code: Code) -> Result<Outcome, &'static str> {
        let command = place(&order("shop", "o"), "p");
        Ok(Outcome::refused(&command.order, &command.key, code, "so"))
    }

    /// What is told where the copies answer so, each after its time; and how many were sent.
    async fn told(
        twice: &Twice,
        copies: [(u64, Result<Outcome, &'static str>); 2],
    ) -> (Result<Code, &'static str>, usize) {
        let sent = AtomicUsize::new(0);
        let ask = |_: Duration| {
            let (after_ms, answer) = copies[sent.fetch_add(1, Ordering::SeqCst)].clone();
            async move {
                sleep(Duration::from_millis(after_ms)).await;
                answer
            }
        };
        let answer = twice.ask(TIME, ask, |error| *error == "silent").await;
        (answer.map(|outcome| outcome.code), sent.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_done_is_never_called_refused() {
        let twice = Twice::new(AFTER, 1);
        let (applied, full, unknown) =
            (|| answer(Code::OrderExists), || answer(Code::Overloaded), || answer(Code::OutcomeUnknown));
        // Answered in time: nobody asks twice.
        assert_eq!(told(&twice, [(50, full()), (0, applied())]).await, (Ok(Code::Overloaded), 1));
        // The first is lost.
        assert_eq!(told(&twice, [(60_000, Err("silent")), (5, applied())]).await, (Ok(Code::OrderExists), 2));
        // One is refused while the other is being decided, in both orders.
        assert_eq!(told(&twice, [(900, applied()), (5, full())]).await, (Ok(Code::OrderExists), 2));
        assert_eq!(told(&twice, [(150, full()), (800, applied())]).await, (Ok(Code::OrderExists), 2));
        // Neither has an outcome.
        assert_eq!(told(&twice, [(900, unknown()), (5, full())]).await, (Ok(Code::OutcomeUnknown), 2));
        assert_eq!(told(&twice, [(150, Err("silent")), (800, full())]).await, (Err("silent"), 2));
        assert_eq!(told(&twice, [(900, full()), (5, Err("silent"))]).await, (Err("silent"), 2));
        assert_eq!(told(&twice, [(900, Err("nobody")), (5, full())]).await, (Ok(Code::Overloaded), 2));
        assert_eq!(told(&twice, [(900, full()), (5, Err("nobody"))]).await, (Ok(Code::Overloaded), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_copies_are_sent_than_may_be_and_none_too_late() {
        let twice = Twice::new(AFTER, 0);
        let late = || answer(Code::OrderExists);
        assert_eq!(told(&twice, [(900, late()), (0, late())]).await.1, 1);
        let twice = Twice::new(TIME * 2 / 3, 1);
        assert_eq!(told(&twice, [(1_900, late()), (0, late())]).await.1, 1);
    }
}
