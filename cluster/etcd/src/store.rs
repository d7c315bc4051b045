//! etcd, as far as it is needed here: each request with a deadline, and its errors by what comes next.

use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, PutOptions, Txn, TxnOp, WatchOptions,
    WatchStream,
};
use tokio::time::timeout;

use super::answers::EtcdError;

/// A request that is not answered in this time has failed; whether it was carried out is not known.
const REQUEST_MAX: Duration = Duration::from_secs(3);
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A connection over which nothing comes back for so long is dead: a frozen or cut-off server says nothing.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_MAX: Duration = Duration::from_secs(2);

/// A key as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

/// A connection to etcd. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    client: Client,
}

async fn within<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, EtcdError> {
    match timeout(REQUEST_MAX, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(EtcdError::unreachable(format!("no answer within {} ms", REQUEST_MAX.as_millis()))),
    }
}

impl Store {
    /// Connects lazily: an endpoint that is not there shows with the first request.
    pub(crate) async fn connect(endpoints: &[String]) -> Result<Self, EtcdError> {
        let options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_MAX)
            .with_keep_alive(PING_EVERY, PING_MAX)
            .with_keep_alive_while_idle(true)
            // A member that is cut off from its leader must not answer for it.
            .with_require_leader(true);
        Ok(Self { client: within(Client::connect(endpoints, Some(options))).await? })
    }

    /// All keys with this prefix, and the revision at which they stood so.
    pub(crate) async fn list(&self, prefix: &str) -> Result<(Vec<Entry>, i64), EtcdError> {
        let mut client = self.client.clone();
        let found = within(client.get(prefix, Some(GetOptions::new().with_prefix()))).await?;
        let revision = found.header().map_or(0, |header| header.revision());
        let entry = |kv: &etcd_client::KeyValue| Entry {
            key: kv.key().to_vec(),
            value: kv.value().to_vec(),
            created: kv.create_revision(),
            modified: kv.mod_revision(),
        };
        Ok((found.kvs().iter().map(entry).collect(), revision))
    }

    /// What the member that answers says of itself.
    pub(crate) async fn status(&self) -> Result<etcd_client::StatusResponse, EtcdError> {
        let mut client = self.client.clone();
        within(client.status()).await
    }

    /// What changes under a prefix from a revision on.
    pub(crate) async fn watch(&self, prefix: &str, from: i64) -> Result<WatchStream, EtcdError> {
        let mut client = self.client.clone();
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        within(client.watch(prefix, Some(options))).await
    }

    pub(crate) async fn grant(&self, ttl: Duration) -> Result<i64, EtcdError> {
        let mut client = self.client.clone();
        let ttl_s = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        Ok(within(client.lease_grant(ttl_s, None)).await?.id())
    }

    pub(crate) async fn revoke(&self, lease: i64) -> Result<(), EtcdError> {
        let mut client = self.client.clone();
        within(client.lease_revoke(lease)).await.map(drop)
    }

    /// A way to keep a lease alive: what is sent, and what is answered.
    pub(crate) async fn keep_alive(
        &self,
        lease: i64,
    ) -> Result<(etcd_client::LeaseKeeper, etcd_client::LeaseKeepAliveStream), EtcdError> {
        let mut client = self.client.clone();
        within(client.lease_keep_alive(lease)).await
    }

    /// Creates a key, unless it is there. Whether it was created.
    pub(crate) async fn create(
        &self,
        key: &str,
        value: Vec<u8>,
        lease: Option<i64>,
    ) -> Result<bool, EtcdError> {
        let absent = Compare::create_revision(key, CompareOp::Equal, 0);
        let options = lease.map(|lease| PutOptions::new().with_lease(lease));
        self.txn([absent], TxnOp::put(key, value, options)).await
    }

    /// Deletes the key of this creation. Whether it was there.
    pub(crate) async fn delete_created(&self, key: &str, created: i64) -> Result<bool, EtcdError> {
        let same = Compare::create_revision(key, CompareOp::Equal, created);
        self.txn([same], TxnOp::delete(key, None)).await
    }

    /// Writes `key` as it was known (0: it was not there), as long as `guard` is of this creation. Whether it was written.
    pub(crate) async fn replace_under(
        &self,
        (guard, created): (&str, i64),
        (key, modified): (&str, i64),
        value: Vec<u8>,
    ) -> Result<bool, EtcdError> {
        let compares = [
            Compare::create_revision(guard, CompareOp::Equal, created),
            Compare::mod_revision(key, CompareOp::Equal, modified),
        ];
        self.txn(compares, TxnOp::put(key, value, None)).await
    }

    /// Writes a key, whatever stands there.
    pub(crate) async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), EtcdError> {
        let mut client = self.client.clone();
        within(client.put(key, value, None)).await.map(drop)
    }

    /// Deletes a key. Whether it was there.
    pub(crate) async fn delete(&self, key: &str) -> Result<bool, EtcdError> {
        let mut client = self.client.clone();
        Ok(within(client.delete(key, None)).await?.deleted() > 0)
    }

    async fn txn(&self, compares: impl Into<Vec<Compare>>, then: TxnOp) -> Result<bool, EtcdError> {
        let mut client = self.client.clone();
        let txn = Txn::new().when(compares).and_then([then]);
        Ok(within(client.txn(txn)).await?.succeeded())
    }
}
