//! Where commands come from, read by position.

use super::{PortFuture, StoreError};

/// Names one inbox, so that a position of one is never taken for a position of another.
pub type InboxId = [u8; 16];

/// What arrived: bytes that nobody has looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The whole command, within the size limit.
    Bytes(Vec<u8>),
    /// Over the limit: its beginning and how long it was. Memory stays flat however long it is.
    TooLong {
        /// The first bytes of it, for whoever looks for the cause.
        prefix: Vec<u8>,
        /// Its whole length in bytes.
        length_bytes: u64,
    },
}

/// One command with its place in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Counted from 1.
    pub position: u64,
    /// What stood there.
    pub body: Body,
}

/// Reading failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read commands after position {after}: {cause}")]
pub struct InboxError {
    /// The last position that was delivered.
    pub after: u64,
    /// What went wrong.
    pub cause: StoreError,
}

/// An ordered source of commands.
///
/// - Positions MUST rise strictly.
/// - The same position of the same inbox MUST always hold the same bytes.
/// - A reader MUST hold no more than one batch in memory, and no body beyond the limit it was given.
/// - Dropping a future of `next` or `again` MUST lose nothing.
/// - Nothing is ever acknowledged: a floor in the fence says how far a partition has got.
pub trait CommandInbox: Send {
    /// Which inbox this is.
    fn id(&self) -> InboxId;

    /// The next deliveries, at most `max`; empty at the end.
    ///
    /// # Errors
    /// [`InboxError`]: reading again goes on after the last position delivered.
    fn next(&mut self, max: usize) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>>;

    /// Whether [`Self::again`] can be used. What comes through a pipe is read once.
    fn reads_again(&self) -> bool {
        false
    }

    /// The first deliveries behind `after`, up to `up_to`, of those that were given before: at most `max`; empty when there
    /// are no more of them. It waits for nothing that is yet to come, and [`Self::next`] goes on where it was.
    ///
    /// # Errors
    /// [`InboxError`]; always, where [`Self::reads_again`] is `false`.
    fn again(
        &mut self,
        after: u64,
        _up_to: u64,
        _max: usize,
    ) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>> {
        let cause = StoreError::Unavailable("this inbox is read once".into());
        Box::pin(async move { Err(InboxError { after, cause }) })
    }
}
