//! Public events, from any position on and then as they come.

use std::sync::Arc;

use super::PortFuture;
use crate::ids::TenantId;

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the first event that the log holds.
    Beginning,
    /// With what happens from now on.
    Now,
    /// After the event that was given with this token.
    After(String),
}

/// An event on its way to readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedEvent {
    /// Where a reader stands that has taken it in; opaque.
    pub token: Arc<str>,
    /// Whose event.
    pub tenant: TenantId,
    /// Its type, such as `retailflow.order.placed.v1`.
    pub kind: &'static str,
    /// The CloudEvent, as structured JSON in one line.
    pub json: Arc<str>,
}

/// Why there are no events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The token is not one of ours.
    #[error("{0}")]
    BadToken(String),
    /// The place that the token names is not in the log any more, or is in another log.
    #[error("{0}")]
    Gone(String),
    /// Passing trouble: begin again after the last event that was given.
    #[error("events cannot be read now: {0}")]
    Unavailable(String),
}

/// Gives one tenant's public events.
///
/// - Each event MUST be given at least once, those of one order in the order of their versions, under the same id each
///   time; a reader that goes on after the token of the last one gets exactly the rest.
/// - A reader that is slow MUST NOT hold up the log, other readers, or memory.
pub trait EventRelay: Send + Sync {
    /// Begins to read.
    ///
    /// # Errors
    /// [`RelayError`].
    fn open<'a>(
        &'a self,
        tenant: &'a TenantId,
        from: ReadFrom,
    ) -> PortFuture<'a, Result<Box<dyn EventReader>, RelayError>>;
}

/// One reader's way through the events.
pub trait EventReader: Send {
    /// The next events, at least one and at most a few hundred; waits for them. May be dropped while it waits.
    ///
    /// # Errors
    /// [`RelayError`].
    fn next(&mut self) -> PortFuture<'_, Result<Vec<RelayedEvent>, RelayError>>;

    /// A token for where the reader stands, also where there was no event: whoever goes on after it gets all that this
    /// reader has not given.
    fn position(&self) -> String;
}
