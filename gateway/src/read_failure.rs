//! What readers are told when the log cannot be read: in time, now, or at all.

use retailflow_engine::ports::ReadError;
use retailflow_engine::wire::Code;

use crate::answer::Refusal;

/// The request's time was over first.
pub(crate) fn timed_out() -> Refusal {
    Refusal::new(Code::Unavailable, "it could not be read in time; ask again, later")
}

/// The log could not read.
pub(crate) fn from_log(error: ReadError) -> Refusal {
    match error {
        ReadError::Unavailable(_) => {
            Refusal::new(Code::Unavailable, "the log cannot be read now; ask again, later")
        }
        ReadError::Damaged(_) => damaged(),
    }
}

/// What was read is no order.
pub(crate) fn damaged() -> Refusal {
    // Where the damage is, operators read in `verify`; which order it is stays out of the log lines.
    tracing::error!(
        event = "order_unreadable",
        "stored records of an order cannot be read; run `retailflow verify`"
    );
    Refusal::new(Code::Internal, "what is stored of the order cannot be read; tell the operators")
}
