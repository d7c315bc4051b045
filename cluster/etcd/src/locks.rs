//! Locks for jobs that had better run once at a time. They reduce contention; what a job does must be right without them, because a
//! holder that was stopped for a while does not know that its lock has ended.

use std::time::Duration;

use retailflow_engine::ids::TimestampMs;

use super::answers::EtcdError;
use super::keys::{Key, Keys};
use super::store::Store;
use super::values::{LockV1, write};

/// The locks of a cluster.
#[derive(Debug, Clone)]
pub struct Locks {
    endpoints: Vec<String>,
    keys: Keys,
    holder: String,
}

/// A lock that is held: until it is released, or its time is over.
pub struct Lock {
    store: Store,
    lease: i64,
}

impl Locks {
    /// Locks that `holder` takes, in the cluster of this name.
    #[must_use]
    pub fn new(endpoints: Vec<String>, cluster: &str, holder: &str) -> Self {
        Self { endpoints, keys: Keys::new(cluster), holder: holder.to_owned() }
    }

    /// Takes a lock for `at_most` (whole seconds, at least one); `None` when somebody else has it.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn take(
        &self,
        name: &str,
        at_most: Duration,
        now: TimestampMs,
    ) -> Result<Option<Lock>, EtcdError> {
        let store = Store::connect(&self.endpoints).await?;
        let lease = store.grant(at_most).await?;
        let lock = Lock { store, lease };
        let value = write(&LockV1 { holder: self.holder.clone(), at_ms: now.0 });
        let taken = lock.store.create(&self.keys.of(&Key::Lock(name.to_owned())), value, Some(lease)).await;
        match taken {
            Ok(true) => Ok(Some(lock)),
            Ok(false) => {
                lock.release().await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Lock {
    /// Lets others have it. When etcd does not answer, its time ends it.
    pub async fn release(self) {
        if let Err(error) = self.store.revoke(self.lease).await {
            tracing::debug!(%error, "a lock was not released; its time ends it");
        }
    }
}
