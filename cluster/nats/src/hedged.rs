//! Reads that are asked for again while nobody answers.
//!
//! A request for a stream whose leader is just being elected is dropped by the servers without a word, and whoever waits for its answer
//! waits its whole time although the stream has long been led again. So a read is asked for up to twice more, and the first answer counts.
//! Only what changes nothing may be asked for so. ("The Tail at Scale", Dean and Barroso, 2013, has the technique and its price.)

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answers::ApiFailure;

/// Parts of the time after which a read is asked for once more.
const AGAIN_AFTER: [u32; 2] = [5, 2];
/// Second and third copies on their way at once in this process: where all is slow, more questions make nothing faster.
static COPIES: Semaphore = Semaphore::const_new(64);

/// Asks with `ask`, which is given the time that is left, within `time`.
///
/// # Errors
/// What the first answer says; [`ApiFailure::Silent`] without one.
pub(super) async fn hedged<T, F>(time: Duration, ask: impl Fn(Duration) -> F) -> Result<T, ApiFailure>
where
    F: Future<Output = Result<T, ApiFailure>>,
{
    let begun = Instant::now();
    let mut asked = FuturesUnordered::from_iter([ask(time)]);
    let mut copies = Vec::new();
    for part in AGAIN_AFTER {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_question_that_was_dropped_costs_a_fifth_of_its_time() {
        let (begun, asked) = (Instant::now(), Cell::new(0));
        let ask = |_| {
            asked.set(asked.get() + 1);
            let is_first = asked.get() == 1;
            async move {
                match is_first {
                    true => pending().await,
                    false => Ok(7),
                }
            }
        };
        assert_eq!(hedged(TIME, ask).await, Ok(7));
        assert_eq!((asked.get(), begun.elapsed()), (2, TIME / 5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_counts_and_silence_ends_in_time() {
        let begun = Instant::now();
        let slow = |_| async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(1)
        };
        assert_eq!(hedged(TIME, slow).await, Ok(1));
        assert_eq!(begun.elapsed(), Duration::from_secs(3), "the first one's");
        let (begun, asked) = (Instant::now(), Cell::new(0));
        let silent = |left| {
            asked.set(asked.get() + 1);
            async move {
                tokio::time::sleep(left).await;
                Err::<u8, _>(ApiFailure::Silent("nobody".into()))
            }
        };
        assert_eq!(hedged(TIME, silent).await, Err(ApiFailure::Silent("nobody".into())));
        assert_eq!((asked.get(), begun.elapsed()), (3, TIME));
    }
}
