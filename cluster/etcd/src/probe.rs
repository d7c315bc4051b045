//! Whether an etcd is fit for use.

use std::time::Duration;

use tokio::time::Instant;

use super::answers::EtcdError;
use super::store::Store;

/// A member that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointProbe {
    /// Its version.
    pub version: String,
    /// What its database takes, in bytes.
    pub database_bytes: u64,
    /// It knows who leads.
    pub has_leader: bool,
    /// Connecting and asking took so long.
    pub took: Duration,
}

/// Asks one member, and no other.
///
/// # Errors
/// [`EtcdError`].
pub async fn probe_endpoint(endpoint: &str) -> Result<EndpointProbe, EtcdError> {
    let begun = Instant::now();
    let store = Store::connect(&[endpoint.to_owned()]).await?;
    let status = store.status().await?;
    Ok(EndpointProbe {
        version: status.version().to_owned(),
        database_bytes: u64::try_from(status.db_size()).unwrap_or(0),
        has_leader: status.leader() != 0,
        took: begun.elapsed(),
    })
}
