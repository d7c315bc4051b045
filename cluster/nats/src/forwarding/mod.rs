//! Forwarding: what reaches a node that does not run the order's partition goes to the one that does.
//!
//! Whoever runs partition p answers at `rf.node.v1.<p>`. Only nodes may publish there; the account of the engine has the permission.
//! Where nobody runs it the server says so at once, so nothing waits for a node that is not there.
//!
//! Invariants:
//! - A command is called for once, and once more where no answer comes: it is decided once, under its id. A release is called for once.
//! - What is answered here is the node's own word: it forwards nothing that was forwarded to it.
//! - Every message carries its version; a newer one is refused as such.

mod server;
mod values;

use std::time::Duration;

use async_nats::RequestErrorKind;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::EndParkingError;
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{CommandEvent, Outcome};

use self::values::{Answer, Call};
use super::connect::EdgeConnection;
use super::hedged::HedgedRequest;
use super::subjects;

pub use self::server::{ForwardOptions, ForwardServer};

/// Without an answer for so long, a node is called once more: the first call may have come just after it had given the partition up.
const HEDGE_AFTER: Duration = Duration::from_millis(400);
/// Calls that are made once more at one time.
const COPIES_MAX: usize = 64;
/// More than its deadline a call may take on its way.
const GRACE: Duration = Duration::from_millis(500);

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Nobody runs the partition: nothing was begun.
    #[error("no node runs partition {0} now")]
    Nobody(PartitionId),
    /// No answer came: it may be done.
    #[error("the node that runs partition {0} does not answer")]
    Silent(PartitionId),
    /// The call was not taken: the other node does not understand it, or it is too large. Nothing was begun.
    #[error("the node that runs partition {partition} does not take the call: {why}")]
    Refused {
        /// Which partition.
        partition: PartitionId,
        /// What is wrong.
        why: String,
    },
    /// The other node answered, and the answer cannot be understood: a newer build may know words that this one does not. It may be done.
    #[error("the answer of the node that runs partition {partition} cannot be understood: {why}")]
    Strange {
        /// Which partition.
        partition: PartitionId,
        /// What is wrong.
        why: String,
    },
}

impl ForwardError {
    /// Whether it is proven that nothing was begun. Everything else leaves it open.
    #[must_use]
    pub fn nothing_begun(&self) -> bool {
        match self {
            Self::Nobody(_) | Self::Refused { .. } => true,
            Self::Silent(_) | Self::Strange { .. } => false,
        }
    }
}

/// Calls the nodes that run partitions.
#[derive(Debug, Clone)]
pub struct ForwardClient {
    connection: EdgeConnection,
    hedged: HedgedRequest,
}

impl ForwardClient {
    /// Calls over a connection that only nodes use.
    #[must_use]
    pub fn new(connection: EdgeConnection) -> Self {
        Self { connection, hedged: HedgedRequest::new(HEDGE_AFTER, COPIES_MAX) }
    }

    /// Has a command decided by the node that runs its partition, which has until `deadline` for it; waits `wait` at most.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn ask(
        &self,
        partition: PartitionId,
        command: &CommandEvent,
        actor: &Actor,
        deadline: Duration,
        wait: Duration,
    ) -> Result<Outcome, ForwardError> {
        let call = |wait_left: Duration| {
            let left = deadline.saturating_sub(wait.saturating_sub(wait_left));
            self.decided(partition, Call::ask(command, actor, left), wait_left)
        };
        self.hedged.ask(wait, call, |error: &ForwardError| !error.nothing_begun()).await
    }

    async fn decided(
        &self,
        partition: PartitionId,
        call: Call,
        wait: Duration,
    ) -> Result<Outcome, ForwardError> {
        match self.call(partition, &call, wait).await? {
            Answer::Outcome(outcome) => Ok(*outcome),
            Answer::Refused(why) => Err(refused(partition, &format!("it says: {why}"))),
            other => Err(strange(partition, &format!("{other:?} for a command"))),
        }
    }

    /// Has a parked order released, or what waits behind it discarded, by the node that runs its partition.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn end_parking(
        &self,
        partition: PartitionId,
        order: &OrderRef,
        operator: &str,
        discard: bool,
        deadline: Duration,
    ) -> Result<Result<ReleaseReport, EndParkingError>, ForwardError> {
        match self.call(partition, &Call::end_parking(order, operator, discard), deadline).await? {
            Answer::Released(report) => Ok(Ok(report)),
            Answer::NotReleased { kind, message } => Ok(Err(kind.error(message))),
            Answer::Refused(why) => Err(refused(partition, &format!("it says: {why}"))),
            other => Err(strange(partition, &format!("{other:?} for a release"))),
        }
    }

    async fn call(
        &self,
        partition: PartitionId,
        call: &Call,
        wait: Duration,
    ) -> Result<Answer, ForwardError> {
        let request = async_nats::Request::new().payload(call.write().into()).timeout(Some(wait + GRACE));
        let sent = self.connection.client.send_request(subjects::node(partition), request);
        // The client's own limit begins when it has room for the request; this one begins now.
        let answered = tokio::time::timeout(wait + 2 * GRACE, sent).await;
        match answered {
            Ok(Ok(message)) => Answer::read(&message.payload).map_err(|why| strange(partition, &why)),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                Err(ForwardError::Nobody(partition))
            }
            Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                Err(refused(partition, &error.to_string()))
            }
            Ok(Err(_)) | Err(_) => Err(ForwardError::Silent(partition)),
        }
    }
}

fn refused(partition: PartitionId, why: &str) -> ForwardError {
    ForwardError::Refused { partition, why: why.to_owned() }
}

fn strange(partition: PartitionId, why: &str) -> ForwardError {
    ForwardError::Strange { partition, why: why.to_owned() }
}
