//! Lists of orders: a projection, kept from the log and always a little behind it.

use super::PortFuture;
use crate::ids::TenantId;
use crate::wire::order::{Attention, OrderStatus};
use crate::wire::order_list::OrderSummary;

/// Which orders are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderQuery {
    /// Whose orders.
    pub tenant: TenantId,
    /// Only those that stand so.
    pub status: Option<OrderStatus>,
    /// Only those that need this attention.
    pub attention: Option<Attention>,
    /// Only what comes after this place: the `next` of an earlier page of the same question.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<OrderSummary>,
    /// Where the next page begins; absent at the end.
    pub next: Option<String>,
    /// How far the projection had read, as [`Views::position`].
    pub position: String,
}

/// How many orders stand where, of one tenant or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderCounts {
    /// By status, as [`OrderStatus::ALL`] lists them.
    pub by_status: [u64; 4],
    /// By attention, as [`Attention::ALL`] lists them.
    pub by_attention: [u64; 4],
}

/// Why a view gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The caller's position or place is not one of ours, or of another log: begin without it.
    #[error("{0}")]
    BadToken(String),
    /// The lists are caught up with the log, or built again: what they have is not all there is.
    #[error("the lists are being built: {read_bytes} of {of_bytes} bytes of the log are read")]
    Building {
        /// So much of the log they have read.
        read_bytes: u64,
        /// So much they have to read before they are shown.
        of_bytes: u64,
    },
    /// The disk that the lists are kept on; it is tried again until it is well.
    #[error("the disk of the lists {}", if *.full { "is full" } else { "fails" })]
    Disk {
        /// There is no room, and not another failure.
        full: bool,
    },
    /// No lists are kept here, nor ever will be: do not ask again.
    #[error("nodes of a cluster keep no lists of orders; single orders and events can be read")]
    NotKept,
    /// Passing trouble: try again.
    #[error("the list of orders cannot be read now: {0}")]
    Unavailable(String),
}

/// Lists of orders.
///
/// - What a page shows MUST be of one position: all records up to it, and none after it.
/// - Paging with `next` MUST show every order that stood so all along, and none twice.
/// - Positions are opaque; [`Views::reached`] MUST come to its end once all that was acknowledged before
///   [`Views::written`] was called is in the lists.
/// - Counts MUST agree with the lists.
/// - A list that is being built MUST NOT be shown in part: it says how far it is.
pub trait Views: Send + Sync {
    /// A page of orders, in a stable order.
    ///
    /// # Errors
    /// [`ViewError`].
    fn list(&self, query: OrderQuery) -> PortFuture<'_, Result<OrderPage, ViewError>>;

    /// How many orders stand where.
    ///
    /// # Errors
    /// [`ViewError`].
    fn counts(&self, tenant: Option<&TenantId>) -> Result<OrderCounts, ViewError>;

    /// How far the lists have read.
    fn position(&self) -> String;

    /// Up to where the log is written: a reader of lists that have reached it sees all that was answered before.
    fn written(&self) -> String;

    /// Waits until the lists have reached a position. The caller sets the time limit.
    ///
    /// # Errors
    /// [`ViewError`].
    fn reached<'a>(&'a self, position: &'a str) -> PortFuture<'a, Result<(), ViewError>>;
}
