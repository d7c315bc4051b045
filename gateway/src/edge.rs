//! What the edge stands on: ports, and what the process says of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use retailflow_config::Http;
use retailflow_engine::ids::{PartitionId, TenantId};
use retailflow_engine::ports::{
    BackupSource, CommandDoor, DeadLetters, EventLog, EventRelay, Snapshots, Tenants, Views,
};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::Unwell;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::body::BodyBudget;
use crate::host::HostNames;
use crate::limits::PARKED_READS_MAX;
use crate::numbers::Numbers;
use crate::order_cache::OrderCache;
use crate::reads::Reads;
use crate::route::Route;
use crate::shares::{Shares, share_of};
use crate::token::{TokenSecret, Tokens};

/// Whether the process can do its work.
///
/// - Both methods MUST return at once: they are asked on each probe, and never wait for a disk.
/// - Reasons MUST NOT name orders or customers: whoever reaches the port can read them.
pub trait Readiness: Send + Sync {
    /// Why requests had better go elsewhere for now; empty when they need not.
    fn not_ready(&self) -> Vec<String>;

    /// What is not as it should be beside the process's work, and keeps it from none.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is not as it should be, by part: what stands in [`Self::not_ready`] and [`Self::notes`], for programs.
    fn unwell(&self) -> Vec<Unwell> {
        Vec::new()
    }

    /// Why the process had better be started anew; empty as long as waiting can help.
    fn not_alive(&self) -> Vec<String>;
}

/// The ports behind the edge. Nothing here knows what they run on.
#[derive(Clone)]
pub struct Edge {
    /// Where commands go in.
    pub door: Arc<dyn CommandDoor>,
    /// Lists of orders.
    pub views: Arc<dyn Views>,
    /// Public events.
    pub relay: Arc<dyn EventRelay>,
    /// Single orders are read from the log itself: what is answered is what is durable.
    pub log: Arc<dyn EventLog>,
    /// What backups of the log are made of.
    pub backup: Arc<dyn BackupSource>,
    /// So that a long order need not be folded from its beginning.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// Which tenants there are.
    pub tenants: Arc<dyn Tenants>,
    /// What belongs to no order; `None` where it is not kept by this node.
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    /// Whether the process can do its work.
    pub readiness: Arc<dyn Readiness>,
    /// All metrics as Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The counters and gauges that the console shows.
    pub numbers: Arc<dyn Fn() -> Numbers + Send + Sync>,
    /// What the edge counts; keep a clone, and show it among the metrics.
    pub counts: Arc<Counts>,
    /// What tokens are made with: the same in all processes that serve one log, and after a restart.
    pub token_secret: TokenSecret,
}

/// What the edge counts, both listeners together.
#[derive(Debug, Default)]
pub struct Counts {
    connections_open: AtomicU64,
    connections_refused: AtomicU64,
    streams_open: AtomicU64,
    responses: [[AtomicU64; 6]; Route::ALL.len()],
    panics: AtomicU64,
}

impl Counts {
    /// Connections open now.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.connections_open.load(Ordering::Relaxed)
    }

    /// Connections beyond the greatest number, refused so far.
    #[must_use]
    pub fn connections_refused(&self) -> u64 {
        self.connections_refused.load(Ordering::Relaxed)
    }

    /// Streams of events open now.
    #[must_use]
    pub fn streams_open(&self) -> u64 {
        self.streams_open.load(Ordering::Relaxed)
    }

    /// Answers so far to what `route` says whose status begins with `class`, such as 5 for `5xx`.
    #[must_use]
    pub fn responses(&self, route: Route, class: usize) -> u64 {
        self.responses[route as usize].get(class).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Handlers that panicked so far: each is a fault of ours.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(crate) fn response(&self, route: Route, status: u16) {
        if let Some(count) = self.responses[route as usize].get(usize::from(status / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts one more as long as it lives.
pub(crate) struct Open(Arc<Counts>, fn(&Counts) -> &AtomicU64);

impl Open {
    pub(crate) fn connection(counts: &Arc<Counts>) -> Self {
        Self::count(counts, |counts| &counts.connections_open)
    }

    pub(crate) fn stream(counts: &Arc<Counts>) -> Self {
        Self::count(counts, |counts| &counts.streams_open)
    }

    fn count(counts: &Arc<Counts>, which: fn(&Counts) -> &AtomicU64) -> Self {
        which(counts).fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counts), which)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

/// Operators' reads at the same time.
const ADMIN_READS_MAX: usize = 8;
/// Copies of the log that are given away at the same time.
const COPIES_MAX: usize = 16;
/// Pages and metrics made at the same time at most: each keeps a thread busy for as long as all tenants take.
const RENDERS_MAX: usize = 4;

/// What all handlers share.
pub(crate) struct Shared {
    pub(crate) edge: Edge,
    pub(crate) limits: Http,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) host_names: HostNames,
    /// Readiness is off.
    pub(crate) leaving: CancellationToken,
    /// Streams end.
    pub(crate) stop: CancellationToken,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) tenant_streams: Shares<TenantId>,
    /// Copies of the log that operators take: no tenant's streams keep them from it.
    pub(crate) copies: Arc<Semaphore>,
    pub(crate) reads: Reads,
    /// The operators' own: whatever tenants read.
    pub(crate) admin_reads: Reads,
    /// Long orders as they were looked at last.
    pub(crate) cache: Arc<OrderCache>,
    /// Reads of each partition's park marks.
    pub(crate) parked_reads: Shares<PartitionId>,
    /// Operators' changes of tenants, one at a time.
    pub(crate) tenant_changes: tokio::sync::Mutex<()>,
    /// Pages and metrics that are being made.
    rendering: Arc<Semaphore>,
    pub(crate) bodies: BodyBudget,
    /// The operators' own.
    pub(crate) admin_bodies: BodyBudget,
}

impl Shared {
    pub(crate) fn new(edge: Edge, limits: Http) -> Arc<Self> {
        Arc::new(Self {
            leaving: CancellationToken::new(),
            stop: CancellationToken::new(),
            streams: Arc::new(Semaphore::new(limits.streams_max)),
            tenant_streams: Shares::new(share_of(limits.streams_max, limits.tenant_share_percent, 1)),
            copies: Arc::new(Semaphore::new(COPIES_MAX)),
            reads: Reads::new(limits.reads_max, limits.tenant_share_percent),
            admin_reads: Reads::new(ADMIN_READS_MAX, 100),
            cache: Arc::default(),
            parked_reads: Shares::new(PARKED_READS_MAX),
            tenant_changes: tokio::sync::Mutex::default(),
            rendering: Arc::new(Semaphore::new(RENDERS_MAX)),
            host_names: HostNames::new(&limits.host_names),
            bodies: BodyBudget::new(&limits),
            admin_bodies: BodyBudget::of_operators(&limits),
            tokens: Arc::new(Tokens::new(&edge.token_secret)),
            edge,
            limits,
        })
    }

    /// The tenant exists. Only readers ask this: a command may be the first that its tenant sends.
    ///
    /// # Errors
    /// `unknown_tenant`.
    pub(crate) fn require_tenant(&self, tenant: &TenantId) -> Result<(), Refusal> {
        match self.edge.tenants.get(tenant) {
            Some(_) => Ok(()),
            None => Err(Refusal::new(Code::UnknownTenant, Code::UnknownTenant.meaning())),
        }
    }

    /// Makes what takes long beside the threads that serve requests, one of a few at a time.
    ///
    /// # Errors
    /// `overloaded` when the others take too long; `internal` when `make` panics.
    pub(crate) async fn render<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let time = Duration::from_millis(self.limits.request_timeout_ms);
        let permit = match timeout(time, Arc::clone(&self.rendering).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => {
                let text = "as many pages as the node can make at once are being made; ask again, later";
                return Err(Refusal::new(Code::Overloaded, text));
            }
        };
        let shared = Arc::clone(self);
        let making = move || {
            // A caller who leaves earlier does not make room for one more.
            let _permit = permit;
            make(&shared)
        };
        tokio::task::spawn_blocking(making).await.map_err(|_| Refusal::internal())
    }
}
