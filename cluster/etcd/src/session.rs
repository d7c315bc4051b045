//! A lease and the task that keeps it alive.
//!
//! etcd's client keeps nothing alive by itself and opens no stream again; both are done here. That etcd cannot be reached ends
//! no session: only etcd's own word does.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answers::{EtcdError, Meaning};
use super::store::Store;
use retailflow_os::repeated::Repeated;

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// By our own clock it stands at least until then.
    Until(Instant),
    /// etcd says that it has ended.
    Ended,
}

/// A session. Dropped without [`Session::close`], it runs out with its lease.
pub(crate) struct Session {
    pub(crate) lease: i64,
    pub(crate) state: watch::Receiver<SessionState>,
    store: Store,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Session {
    /// Begins one whose lease lives for `ttl` after its last sign of life.
    pub(crate) async fn begin(store: &Store, ttl: Duration) -> Result<Self, EtcdError> {
        let asked = Instant::now();
        let lease = store.grant(ttl).await?;
        let (sender, state) = watch::channel(SessionState::Until(sure_until(asked, ttl)));
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(store.clone(), lease, ttl, sender, stop.clone()));
        Ok(Self { lease, state, store: store.clone(), stop, task: Some(task) })
    }

    /// Deletes a key that is not its lease's.
    pub(crate) async fn forget(&self, key: &str) {
        if let Err(error) = self.store.delete(key).await {
            tracing::debug!(%error, key, "not deleted");
        }
    }

    /// Ends it at once, so that others need not wait for its lease to run out.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // It only waits for etcd, and for a stop; a panic there has been told already.
            let _ = task.await;
        }
        if let Err(error) = self.store.revoke(self.lease).await {
            tracing::warn!(%error, "the session could not be ended; it runs out by itself");
        }
    }
}

/// A lease counts from when etcd got the request, which is not before it was sent; the rest is for clocks that differ in
/// speed, and for what is answered in the same moment.
fn sure_until(sent: Instant, ttl: Duration) -> Instant {
    sent + ttl - ttl / 5
}

async fn keep(
    store: Store,
    lease: i64,
    ttl: Duration,
    state: watch::Sender<SessionState>,
    stop: CancellationToken,
) {
    let beat = ttl / 4;
    let said = Repeated::new();
    let beating = async {
        loop {
            match beats(&store, lease, ttl, beat, &state).await {
                Err(error) if error.meaning == Meaning::SessionEnded => break,
                Err(error) => {
                    if let Some(left_out) = said.due(&error) {
                        tracing::warn!(event = "session_not_renewed", %error, left_out, "the session cannot be kept alive now");
                    }
                }
                Ok(()) => break,
            }
            sleep(beat).await;
        }
        state.send_replace(SessionState::Ended);
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = beating => {}
    }
}

/// Keeps the lease alive as long as etcd answers; `Ok` when etcd says on a stream that stands that it has ended. On a new stream it
/// says so as an error of its own, [`Meaning::SessionEnded`].
async fn beats(
    store: &Store,
    lease: i64,
    ttl: Duration,
    beat: Duration,
    state: &watch::Sender<SessionState>,
) -> Result<(), EtcdError> {
    let (mut keeper, mut answers) = store.keep_alive(lease).await?;
    loop {
        let sent = Instant::now();
        keeper.keep_alive().await?;
        let answer = timeout(ttl, answers.message()).await;
        let answer = answer.map_err(|_| EtcdError::unreachable("no sign of life was answered"))??;
        let Some(answer) = answer else { return Err(EtcdError::unreachable("the stream has ended")) };
        if answer.ttl() <= 0 {
            return Ok(());
        }
        state.send_replace(SessionState::Until(sure_until(sent, ttl)));
        sleep(beat).await;
    }
}
