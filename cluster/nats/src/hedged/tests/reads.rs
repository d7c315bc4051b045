//! Further copies of reads.

use std::cell::Cell;
use std::future::pending;

use super::super::*;

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
    assert_eq!(hedged_read(TIME, ask).await, Ok(7));
    assert_eq!((asked.get(), begun.elapsed()), (2, TIME / 5));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_counts_and_silence_ends_in_time() {
    let begun = Instant::now();
    let slow = |_| async {
        let _ = tokio::time::timeout(Duration::from_secs(3), pending::<()>()).await;
        Ok(1)
    };
    assert_eq!(hedged_read(TIME, slow).await, Ok(1));
    assert_eq!(begun.elapsed(), Duration::from_secs(3), "the first one's");
    let (begun, asked) = (Instant::now(), Cell::new(0));
    let silent = |left| {
        asked.set(asked.get() + 1);
        async move {
            let _ = tokio::time::timeout(left, pending::<()>()).await;
            Err::<u8, _>(ApiFailure::Silent("nobody".into()))
        }
    };
    assert_eq!(hedged_read(TIME, silent).await, Err(ApiFailure::Silent("nobody".into())));
    assert_eq!((asked.get(), begun.elapsed()), (3, TIME));
}
