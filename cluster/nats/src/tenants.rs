//! The tenants of all nodes, in a stream that keeps the newest setting of each.
//!
//! Invariants:
//! - A setting is stored only over the one that this node knows (at first: none). So a node that has not heard yet of an operator's
//!   suspension cannot undo it by creating the tenant: it is told that the tenant was changed, and knows it from then on.
//! - What is in memory is what stood in the stream at some moment, and never goes back to an older setting. It holds all tenants, as it
//!   must answer at once; how many a node creates by itself is limited elsewhere.
//! - A setting that cannot be read counts as unknown, and cannot be put over: that tenant's commands are refused, the others' are not.
//!
//! What another node has put is seen within about a second: one task looks at the stream's end, and reads on from where it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use parking_lot::{Mutex, RwLock};
use retailflow_engine::codec::CodecError;
use retailflow_engine::codec::control::Note;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{PortFuture, StoreError, TenantSetting, Tenants};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answers::ApiFailure;
use super::api::{Api, StoredMessage};
use super::{Connections, subjects};
use retailflow_os::repeated::Repeated;

/// Messages that are read at once.
const PIECE_BYTES: usize = 1 << 20;

/// How tenants are kept fresh.
#[derive(Debug, Clone)]
pub struct TenantsOptions {
    /// Between two looks at what others have put, in milliseconds.
    pub look_every_ms: u64,
}

impl Default for TenantsOptions {
    fn default() -> Self {
        Self { look_every_ms: 1_000 }
    }
}

/// The tenants of all nodes.
pub struct NatsTenants {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    publish: Api,
    read: Api,
    known: RwLock<Known>,
}

/// What stood in the stream when it was last looked at, and what was put or found since.
#[derive(Default)]
struct Known {
    /// When the stream was made: another one has other sequences.
    created: String,
    /// Up to here all of the stream is in `tenants`.
    seen: u64,
    tenants: BTreeMap<TenantId, KnownTenant>,
}

/// What stands under a tenant's subject.
struct KnownTenant {
    sequence: u64,
    /// None that can be read.
    setting: Option<TenantSetting>,
}

impl Known {
    /// Takes in what was found, unless something newer is known.
    fn take(&mut self, tenant: TenantId, sequence: u64, setting: Option<TenantSetting>) {
        let known = self.tenants.get(&tenant).map_or(0, |standing| standing.sequence);
        if sequence > known {
            self.tenants.insert(tenant, KnownTenant { sequence, setting });
        }
    }
}

impl NatsTenants {
    /// Reads all tenants of a stream that is there ([`super::DoorStreams::provision`]), and begins to look for what others put.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn open(connections: &Connections, options: &TenantsOptions) -> Result<Self, ApiFailure> {
        let api = |client: &async_nats::Client| Api::new(client.clone(), connections.request_timeout);
        let shared = Arc::new(Shared {
            publish: api(&connections.publish),
            read: api(&connections.read),
            known: RwLock::default(),
        });
        shared.read_new().await?;
        let stop = CancellationToken::new();
        let every = Duration::from_millis(options.look_every_ms.max(1));
        let looking = keep_looking(shared.clone(), every, stop.clone());
        Ok(Self { shared, stop, task: Mutex::new(Some(tokio::spawn(looking))) })
    }

    /// Looks no more for what others put, and waits `at_most` for a look under way. Says whether it ended in time.
    pub async fn close(&self, at_most: Duration) -> bool {
        self.stop.cancel();
        let Some(mut task) = self.task.lock().take() else { return true };
        let in_time = tokio::time::timeout(at_most, &mut task).await.is_ok();
        if !in_time {
            task.abort();
            drop(task.await);
        }
        in_time
    }
}

impl Drop for NatsTenants {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().take() {
            task.abort();
        }
    }
}

async fn keep_looking(shared: Arc<Shared>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let said = Repeated::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = shared.read_new() => looked,
        };
        match looked {
            Ok(()) => said.over(),
            Err(failure) => {
                if let Some(left_out) = said.due(&failure) {
                    tracing::warn!(event = "tenants_unread", trouble = %failure, left_out, "what others have set for tenants cannot be read now");
                }
            }
        }
    }
}

impl Shared {
    /// Reads on from where it was: all, if the stream is another one.
    async fn read_new(&self) -> Result<(), ApiFailure> {
        let info = self.read.info(subjects::META).await?;
        let (same, seen) = {
            let known = self.known.read();
            (known.created == info.created, known.seen)
        };
        if same && info.last_sequence < seen {
            // A leader that was deposed does not know the newest settings: they stay.
            let why = format!("{} ends at {}, and {seen} was seen", subjects::META, info.last_sequence);
            return Err(ApiFailure::Silent(why));
        }
        let mut next = if same { seen + 1 } else { 1 };
        let mut fresh = (!same).then(|| Known { created: info.created, ..Known::default() });
        while next <= info.last_sequence {
            let filter = subjects::TENANTS_ALL;
            let range = self.read.range(subjects::META, filter, next, info.last_sequence, PIECE_BYTES);
            let (piece, ended) = range.await?;
            let mut known = self.known.write();
            let into = fresh.as_mut().unwrap_or(&mut *known);
            for stored in &piece {
                next = stored.sequence + 1;
                if let Some(tenant) = subjects::parse_tenant(&stored.subject) {
                    let setting = read(&tenant, stored)
                        .inspect_err(|failure| tracing::error!(event = "tenant_unreadable", trouble = %failure, "a tenant's setting cannot be read"));
                    into.take(tenant, stored.sequence, setting.ok());
                }
            }
            if ended {
                break;
            }
        }
        let mut known = self.known.write();
        if let Some(fresh) = fresh {
            if !known.created.is_empty() {
                tracing::warn!(
                    stream = subjects::META,
                    "it is another one than before: all tenants were read anew"
                );
            }
            *known = fresh;
        }
        known.seen = known.seen.max(info.last_sequence);
        Ok(())
    }

    /// What stands under a tenant's subject, from the leader; it is known from then on.
    async fn standing(&self, tenant: &TenantId) -> Result<Option<TenantSetting>, StoreError> {
        let last = self.read.last(subjects::META, &subjects::tenant(tenant)).await;
        let Some(stored) = last.map_err(|failure| unavailable(&failure))? else {
            // Taken away by hand. Whoever puts it again does so over nothing.
            self.known.write().tenants.remove(tenant);
            return Ok(None);
        };
        let setting = read(tenant, &stored);
        self.known.write().take(tenant.clone(), stored.sequence, setting.as_ref().ok().cloned());
        setting.map(Some).map_err(|failure| match failure {
            ApiFailure::Damaged(why) => StoreError::Damaged(why),
            failure => unavailable(&failure),
        })
    }

    async fn put(&self, setting: TenantSetting) -> Result<(), StoreError> {
        let tenant = setting.tenant.clone();
        let expected = match self.known.read().tenants.get(&tenant) {
            // It is not known what would be put over.
            Some(KnownTenant { setting: None, .. }) => None,
            Some(standing) => Some(standing.sequence),
            None => Some(0),
        };
        let Some(expected) = expected else {
            let stands = self.standing(&tenant).await?;
            return accepted(&setting, stands.as_ref(), "its setting could not be read");
        };
        let bytes = Note::Tenant(setting.clone()).encode();
        let bytes = bytes.map_err(|error| StoreError::Damaged(error.to_string()))?;
        let subject = subjects::tenant(&tenant);
        match self.publish.publish_after(&subject, expected, HeaderMap::new(), bytes.into()).await {
            Ok(sequence) => {
                self.known.write().take(tenant, sequence, Some(setting));
                Ok(())
            }
            Err(ApiFailure::Refused(error)) if error.was_slower() => {
                let stands = self.standing(&tenant).await?;
                accepted(&setting, stands.as_ref(), "it was changed meanwhile; look, and put it again")
            }
            // It may stand there, or come to stand there yet: only over what was known.
            Err(ApiFailure::Silent(why)) => {
                let stands = self.standing(&tenant).await?;
                accepted(&setting, stands.as_ref(), &why)
            }
            Err(failure) => Err(unavailable(&failure)),
        }
    }
}

/// What stands there is what was to be put, whoever put it; or else why not.
fn accepted(wanted: &TenantSetting, stands: Option<&TenantSetting>, why: &str) -> Result<(), StoreError> {
    if stands == Some(wanted) {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!("tenant {}: {why}", wanted.tenant)))
}

fn read(tenant: &TenantId, stored: &StoredMessage) -> Result<TenantSetting, ApiFailure> {
    match Note::decode(&stored.payload) {
        Ok(Note::Tenant(setting)) if setting.tenant == *tenant => Ok(setting),
        Ok(_) => {
            let other = CodecError::Corrupt("no setting of this tenant".into());
            Err(stored.unreadable(subjects::META, &other))
        }
        Err(error) => Err(stored.unreadable(subjects::META, &error)),
    }
}

fn unavailable(failure: &ApiFailure) -> StoreError {
    StoreError::Unavailable(failure.to_string())
}

impl Tenants for NatsTenants {
    fn get(&self, tenant: &TenantId) -> Option<TenantSetting> {
        self.shared.known.read().tenants.get(tenant)?.setting.clone()
    }

    fn put(&self, setting: TenantSetting) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(self.shared.put(setting))
    }

    fn list(&self) -> Vec<TenantSetting> {
        let known = self.shared.known.read();
        known.tenants.values().filter_map(|standing| standing.setting.clone()).collect()
    }
}
