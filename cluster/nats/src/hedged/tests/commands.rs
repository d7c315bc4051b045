//! Second copies of commands.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use retailflow_testkit::author::{order, place};

use tokio::time::timeout;

use super::super::*;

const AFTER: Duration = Duration::from_millis(100);
const TIME: Duration = Duration::from_secs(2);

fn answer(code: Code) -> Result<Outcome, &'static str> {
    let command = place(&order("shop", "o"), "p");
    Ok(Outcome::refused(&command.order, &command.key, code, "so"))
}

/// What is told where the copies answer so, each after its time; and how many were sent.
async fn outcome_of(
    twice: &HedgedRequest,
    copies: [(u64, Result<Outcome, &'static str>); 2],
) -> (Result<Code, &'static str>, usize) {
    let sent = AtomicUsize::new(0);
    let ask = |_: Duration| {
        let (after_ms, answer) = copies[sent.fetch_add(1, Ordering::SeqCst)].clone();
        async move {
            let _ = timeout(Duration::from_millis(after_ms), pending::<()>()).await;
            answer
        }
    };
    let answer = twice.ask(TIME, ask, |error| *error == "silent").await;
    (answer.map(|outcome| outcome.code), sent.into_inner())
}

#[tokio::test(start_paused = true)]
async fn what_may_be_done_is_never_called_refused() {
    let twice = HedgedRequest::new(AFTER, 1);
    let (applied, full, unknown) =
        (|| answer(Code::OrderExists), || answer(Code::Overloaded), || answer(Code::OutcomeUnknown));
    // Answered in time: nobody asks twice.
    assert_eq!(outcome_of(&twice, [(50, full()), (0, applied())]).await, (Ok(Code::Overloaded), 1));
    // The first is lost.
    assert_eq!(
        outcome_of(&twice, [(60_000, Err("silent")), (5, applied())]).await,
        (Ok(Code::OrderExists), 2)
    );
    // One is refused while the other is being decided, in both orders.
    assert_eq!(outcome_of(&twice, [(900, applied()), (5, full())]).await, (Ok(Code::OrderExists), 2));
    assert_eq!(outcome_of(&twice, [(150, full()), (800, applied())]).await, (Ok(Code::OrderExists), 2));
    // Neither has an outcome.
    assert_eq!(outcome_of(&twice, [(900, unknown()), (5, full())]).await, (Ok(Code::OutcomeUnknown), 2));
    assert_eq!(outcome_of(&twice, [(150, Err("silent")), (800, full())]).await, (Err("silent"), 2));
    assert_eq!(outcome_of(&twice, [(900, full()), (5, Err("silent"))]).await, (Err("silent"), 2));
    assert_eq!(outcome_of(&twice, [(900, Err("nobody")), (5, full())]).await, (Ok(Code::Overloaded), 2));
    assert_eq!(outcome_of(&twice, [(900, full()), (5, Err("nobody"))]).await, (Ok(Code::Overloaded), 2));
}

#[tokio::test(start_paused = true)]
async fn no_more_copies_are_sent_than_may_be_and_none_too_late() {
    let twice = HedgedRequest::new(AFTER, 0);
    let late = || answer(Code::OrderExists);
    assert_eq!(outcome_of(&twice, [(900, late()), (0, late())]).await.1, 1);
    let twice = HedgedRequest::new(TIME * 2 / 3, 1);
    assert_eq!(outcome_of(&twice, [(1_900, late()), (0, late())]).await.1, 1);
}
