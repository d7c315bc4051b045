//! From refusals and recorded verdicts to outcomes.

use retailflow_engine::ids::{CommandKey, OrderRef};
use retailflow_engine::order::Verdict;
use retailflow_engine::wire::{Code, Durability, Outcome};

/// The outcome of a refused command, with a retry hint where one helps.
pub(crate) fn refusal(
    order: &OrderRef,
    key: &CommandKey,
    code: Code,
    message: impl Into<String>,
    retry_after_ms: u64,
) -> Outcome {
    let outcome = Outcome::refused(order, key, code, message);
    if code.retry_helps() { outcome.with_retry_after_ms(retry_after_ms) } else { outcome }
}

/// The outcome that a recorded verdict stands for.
pub(crate) fn recorded(
    order: &OrderRef,
    key: &CommandKey,
    verdict: &Verdict,
    durability: Durability,
    replayed: bool,
) -> Outcome {
    let outcome = Outcome::recorded(order, key, verdict.code(), verdict.version, durability)
        .with_message(verdict.message().to_owned());
    let outcome = Outcome { path: verdict.path().map(str::to_owned), ..outcome };
    if replayed { outcome.into_replayed() } else { outcome }
}
