//! Requests that are sent again while nobody answers ("The Tail at Scale", Dean and Barroso, 2013, has the technique and its price).
//!
//! Reads ([`hedged_read`]): a request for a stream whose leader is just being elected is dropped by the servers without a word, and whoever
//! waits for its answer waits its whole time although the stream has long been led again. So a read is sent up to twice more, and the first
//! answer counts. Only what changes nothing may be asked for so.
//!
//! Commands ([`HedgedRequest`]): a message that another server still sends to a subscription which has just ended is lost without a word
//! (seen: whole time-outs in rolling restarts). A command's id is decided once, so after a while without an answer a second copy is sent,
//! and both are waited for.
//!
//! Invariants:
//! - Only what cannot change ends the wait for the other copy: a copy that is refused says nothing of the one that is being decided.
//! - No more further copies are on their way than a limit allows: where all is slow, more questions make nothing faster.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use retailflow_engine::wire::{Code, Outcome};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::answers::ApiFailure;

/// Parts of the time after which a read is asked for once more.
const HEDGE_AFTER_PARTS: [u32; 2] = [5, 2];
/// Second and third copies on their way at once in this process: where all is slow, more questions make nothing faster.
static COPIES: Semaphore = Semaphore::const_new(64);

/// Asks with `ask`, which is given the time that is left, within `time`.
///
/// # Errors
/// What the first answer says; [`ApiFailure::Silent`] without one.
pub(super) async fn hedged_read<T, F>(time: Duration, ask: impl Fn(Duration) -> F) -> Result<T, ApiFailure>
where
    F: Future<Output = Result<T, ApiFailure>>,
{
    let begun = Instant::now();
    let mut asked = FuturesUnordered::from_iter([ask(time)]);
    let mut copies = Vec::new();
    for part in HEDGE_AFTER_PARTS {
        if let Ok(Some(answer)) = timeout_at(begun + time / part, asked.next()).await {
            return answer;
        }
        if let Ok(copy) = COPIES.try_acquire() {
            copies.push(copy);
            asked.push(ask(time.saturating_sub(begun.elapsed())));
        }
    }
    asked.next().await.unwrap_or_else(|| Err(ApiFailure::Silent(format!("no answer within {time:?}"))))
}

/// Sends second copies.
#[derive(Debug, Clone)]
pub(super) struct HedgedRequest {
    /// Without an answer for so long.
    after: Duration,
    copies: Arc<Semaphore>,
}

impl HedgedRequest {
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
mod tests;
