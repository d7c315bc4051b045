//! Requests over NATS, taken and answered until somebody says stop: the one loop of all doors that are asked.
//!
//! Not the service feature of async-nats: that answers to whatever subject a request names, and has no limit on what is under way. Here a
//! reply may go to few places ([`subjects::may_answer`]), what is too much is answered at once, and a stop answers all that the server has
//! sent already. What others see of a service (`$SRV`) is in [`ask`](super::ask).
//!
//! [`subjects::may_answer`]: super::subjects::may_answer

use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Where requests come from.
pub(super) trait Requests: Send {
    /// A request.
    type Request: Send;

    /// The next one; `None` when no more will come.
    fn next_request(&mut self) -> impl Future<Output = Option<Self::Request>> + Send;

    /// Asks the server for no more. Says whether those that it has sent already are to be answered: they still come, then `None`.
    fn drain_requests(&mut self) -> impl Future<Output = bool> + Send;
}

impl Requests for Subscriber {
    type Request = Message;

    async fn next_request(&mut self) -> Option<Message> {
        self.next().await
    }

    async fn drain_requests(&mut self) -> bool {
        self.drain().await.is_ok()
    }
}

/// Answers requests.
pub(super) trait Responder: Send + Sync {
    /// A request.
    type Request: Send;

    /// Answers at once, or begins a task in `begun` that will: as many as the responder has room for. No other request is taken meanwhile.
    fn on_request(&self, request: Self::Request, begun: &mut JoinSet<()>) -> impl Future<Output = ()> + Send;
}

/// Answers requests until `stop`; then those that the server has sent already, and waits for what was begun, `at_most` for both. Says
/// whether all were answered; what was not ends with it.
pub(super) async fn serve<R: Requests>(
    mut requests: R,
    responder: &impl Responder<Request = R::Request>,
    stop: &CancellationToken,
    at_most: Duration,
) -> bool {
    let mut begun = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            request = requests.next_request() => match request {
                Some(request) => responder.on_request(request, &mut begun).await,
                None => break,
            },
            Some(_) = begun.join_next(), if !begun.is_empty() => {}
        }
    }
    let rest = async {
        if requests.drain_requests().await {
            while let Some(request) = requests.next_request().await {
                responder.on_request(request, &mut begun).await;
            }
        }
        while begun.join_next().await.is_some() {}
    };
    tokio::time::timeout(at_most, rest).await.is_ok()
}
