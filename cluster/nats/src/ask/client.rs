//! The other side of the ask door: how a caller asks, as any NATS client could.

use std::time::Duration;

use async_nats::{HeaderMap, RequestErrorKind};
use retailflow_engine::wire::{CommandEvent, Outcome};

use crate::command::TIMEOUT;
use crate::connect::EdgeConnection;
use crate::hedged::HedgedRequest;
use crate::subjects;

/// What an answer takes on its way, more than the node may take for it.
const WAY: Duration = Duration::from_millis(500);
/// Without an answer for so long, a command is asked for once more: it may have gone to a node that had just closed its door. NATS does
/// not say so where another server still believed it open.
const HEDGE_AFTER: Duration = Duration::from_millis(600);
/// Commands that are asked for once more at one time.
const COPIES_MAX: usize = 64;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No node answers requests now: nothing was begun.
    #[error("no node answers at the ask door")]
    Nobody,
    /// The server takes no message of this size: nothing was begun.
    #[error("the command is too large: {0}")]
    TooLarge(String),
    /// No answer came: it may be done. The same id asked again gives the first outcome.
    #[error("no answer came: {0}")]
    Silent(String),
    /// The answer is no outcome that this build knows: it may be done.
    #[error("the answer is no outcome: {0}")]
    Strange(String),
}

/// Asks.
#[derive(Debug, Clone)]
pub struct AskClient {
    connection: EdgeConnection,
    hedged: HedgedRequest,
}

impl AskClient {
    /// Asks over this connection.
    #[must_use]
    pub fn new(connection: EdgeConnection) -> Self {
        Self { connection, hedged: HedgedRequest::new(HEDGE_AFTER, COPIES_MAX) }
    }

    /// Asks for a command's outcome, and waits for it, `deadline` at most. When no answer comes for a while, the same command is asked
    /// for once more in this time: it is done once all the same.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, command: &CommandEvent, deadline: Duration) -> Result<Outcome, AskError> {
        let send = |left| self.send(command, left);
        self.hedged
            .ask(deadline, send, |error| !matches!(error, AskError::Nobody | AskError::TooLarge(_)))
            .await
    }

    async fn send(&self, command: &CommandEvent, deadline: Duration) -> Result<Outcome, AskError> {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, deadline.as_millis().max(1).to_string());
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(command.to_json().into())
            .timeout(Some(deadline + WAY));
        let sent = self.connection.client.send_request(subjects::ask(&command.order), request);
        match tokio::time::timeout(deadline + 2 * WAY, sent).await {
            Ok(Ok(message)) => {
                serde_json::from_slice(&message.payload).map_err(|error| AskError::Strange(error.to_string()))
            }
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Err(AskError::Nobody),
            Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                Err(AskError::TooLarge(error.to_string()))
            }
            Ok(Err(error)) => Err(AskError::Silent(error.to_string())),
            Err(_) => Err(AskError::Silent(format!("within {deadline:?}"))),
        }
    }
}
