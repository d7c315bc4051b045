//! The root's life: it ends when it is asked to, and is joined; or unasked, and that is said.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admission::AdmissionControl;

/// Dropped with the root's state, however the root ends: the root has no supervisor, so its guard reports the end.
pub(super) struct RootGuard {
    admission: Arc<AdmissionControl>,
    ended: watch::Sender<bool>,
}

impl Drop for RootGuard {
    fn drop(&mut self) {
        // A stop or a kill closes the node first.
        if !self.admission.is_closed() {
            tracing::error!(
                event = "node_ended",
                "STOPPED: the root of the node has ended unasked, and all that it ran with it; nothing is let in any more"
            );
            self.admission.close();
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
    /// The guard for the root, and the handle's view of it.
    pub(super) fn new(admission: Arc<AdmissionControl>) -> (RootGuard, Self) {
        let (ended, has_ended) = watch::channel(false);
        (RootGuard { admission, ended }, Self { task: Mutex::default(), ended: has_ended })
    }

    /// Waits until the root has ended unasked. Never, if it is stopped or killed.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        if ended.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has.
    pub(super) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Joins the root, which was asked to end.
    pub(super) async fn join(&self, at_most: Duration) {
        let Some(mut task) = self.task.lock().take() else { return };
        match tokio::time::timeout(at_most, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(event = "root_failed", %error, "the root of the node ended badly")
            }
            Err(_) => {
                tracing::warn!(
                    event = "root_cut_off",
                    ?at_most,
                    "the root of the node does not end; it is cut off"
                );
                task.abort();
            }
        }
    }

    pub(super) fn set_task(&self, task: JoinHandle<()>) {
        *self.task.lock() = Some(task);
    }
}

#[cfg(test)]
mod tests {
    use retailflow_engine::wire::Code;
    use retailflow_testkit::author::{order, place};
    use tokio::time::timeout;

    use super::*;
    use crate::batch_node::BatchNode;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_root_that_ends_unasked_is_told_and_nothing_is_let_in_any_more() {
        let node = BatchNode::start(None).await.node;
        assert_eq!(node.ask(place(&order("shop", "o-1"), "p")).await.code, Code::Applied);
        assert!(!node.has_ended() && timeout(SOON, node.wait_ended()).await.is_err());
        node.root.kill();
        timeout(SOON, node.wait_ended()).await.unwrap();
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
            let node = BatchNode::start(None).await.node;
            match kills {
                true => node.clone().kill().await,
                false => assert!(node.clone().stop(SOON).await.drained),
            }
            assert!(node.life.task.lock().is_none(), "the root's task was joined");
            assert!(!node.has_ended() && timeout(SOON, node.wait_ended()).await.is_err());
        }
    }
}
