//! The root's life: it ends when it is asked to, and is joined; or unasked, and that is said.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::NodeHandle;
use crate::admission::Gate;

/// Goes with the root's state, however the root ends: nobody supervises it, so it says itself that it is gone.
pub(super) struct RootGuard {
    gate: Arc<Gate>,
    ended: watch::Sender<bool>,
}

impl Drop for RootGuard {
    fn drop(&mut self) {
        // Whoever ends a node closes it first.
        if !self.gate.is_closed() {
            tracing::error!(
                event = "node_ended",
                "STOPPED: the root of the node has ended unasked, and all that it ran with it; nothing is let in any more"
            );
            self.gate.close();
            self.ended.send_replace(true);
        }
    }
}

/// What a node's handles know of its root.
pub(super) struct RootLife {
    task: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Receiver<bool>,
}

impl RootLife {
    /// The guard for the root, and what tells of it.
    pub(super) fn new(gate: Arc<Gate>) -> (RootGuard, Self) {
        let (ended, told) = watch::channel(false);
        (RootGuard { gate, ended }, Self { task: Mutex::default(), ended: told })
    }

    pub(super) fn runs_as(&self, task: JoinHandle<()>) {
        *self.task.lock() = Some(task);
    }
}

impl NodeHandle {
    /// Waits until the node's root has ended without being asked to: from then on everything is refused here, and only another
    /// process can go on. Never, if it is stopped or killed.
    pub async fn ended(&self) {
        let mut ended = self.life.ended.clone();
        if ended.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        *self.life.ended.borrow()
    }

    /// Joins the root, which was asked to end.
    pub(super) async fn join(&self, at_most: Duration) {
        let Some(mut task) = self.life.task.lock().take() else { return };
        match tokio::time::timeout(at_most, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the root of the node ended badly"),
            Err(_) => {
                tracing::warn!(?at_most, "the root of the node does not end; it is cut off");
                task.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use retailflow_engine::wire::Code;
    use retailflow_testkit::author::{order, place};
    use tokio::time::timeout;

    use super::*;
    use crate::quiet::Quiet;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_root_that_ends_unasked_is_told_and_nothing_is_let_in_any_more() {
        let node = Quiet::start(None).await.node;
        assert_eq!(node.ask(place(&order("shop", "o-1"), "p")).await.code, Code::Applied);
        assert!(!node.has_ended() && timeout(SOON, node.ended()).await.is_err());
        node.root.kill();
        timeout(SOON, node.ended()).await.unwrap();
        assert!(node.has_ended());
        let refused = timeout(SOON, node.ask(place(&order("shop", "o-2"), "p"))).await.unwrap();
        assert_eq!(refused.code, Code::Draining);
        // Whoever ends the process after that is not kept.
        let stopped = timeout(4 * SOON, node.clone().stop(SOON)).await;
        assert!(stopped.is_ok());
        assert!(node.life.task.lock().is_none(), "the root's task was joined");
    }

    #[tokio::test(start_paused = true)]
    async fn a_root_that_is_asked_to_end_is_joined_and_says_nothing() {
        for kills in [false, true] {
            let node = Quiet::start(None).await.node;
            match kills {
                true => node.clone().kill().await,
                false => assert!(node.clone().stop(SOON).await.drained),
            }
            assert!(node.life.task.lock().is_none(), "the root's task was joined");
            assert!(!node.has_ended() && timeout(SOON, node.ended()).await.is_err());
        }
    }
}
