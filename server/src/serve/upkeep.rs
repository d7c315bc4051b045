//! What is counted by looking, every few seconds: the rest counts itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use retailflow_actors::NodeHandle;
use retailflow_disk::projection::Projection;
use retailflow_engine::ids::TenantId;
use retailflow_engine::invariant::{Ledger, TenantLedger};
use retailflow_engine::metric;
use retailflow_engine::ports::{EventLog, Views};
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_gateway::{Counts, Route};
use retailflow_nats::AskCounts;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::readiness::State;
use crate::metrics_exporter::{MetricsExporter, set, set_of};
use crate::telemetry::sparing;

/// Classes of statuses, and their names.
const CLASSES: [(usize, &str); 4] = [(2, "2xx"), (3, "3xx"), (4, "4xx"), (5, "5xx")];
/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(2);

/// Looks between two times that it is said what was left out of the log.
const TELL_EVERY: u64 = 5;

/// What is looked at.
pub(super) struct HealthInputs {
    pub(super) node: NodeHandle,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) failed: watch::Receiver<Option<Arc<str>>>,
    /// Lists of orders, where they are kept here.
    pub(super) views: Option<Arc<Projection>>,
    pub(super) edge: Arc<Counts>,
    /// The ask door, where there is one.
    pub(super) asked: Option<Arc<dyn Fn() -> AskCounts + Send + Sync>>,
    /// Whether the process can do its work.
    pub(super) state: Arc<State>,
}

/// Looks until `end`.
pub(super) async fn run(exporter: MetricsExporter, watched: HealthInputs, end: CancellationToken) {
    let (mut named, mut rounds) = (HashSet::new(), 0_u64);
    loop {
        watched.observe(&mut named).await;
        exporter.upkeep();
        if rounds.is_multiple_of(TELL_EVERY) {
            sparing::tell();
        }
        rounds += 1;
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Tenants beyond those with series of their own are summed up.
fn show_ledger(books: &Ledger, named: &mut HashSet<TenantId>) {
    let mut others = TenantLedger::default();
    for (tenant, own) in books {
        // Who has a series keeps it: a gauge that is set no more would stand there for ever.
        if named.contains(tenant) || named.len() < metric::TENANTS_MAX {
            named.insert(tenant.clone());
            show_tenant(tenant.as_str(), own);
            continue;
        }
        others.applied += own.applied;
        others.rejected += own.rejected;
        others.parked += own.parked;
    }
    if books.len() > named.len() {
        show_tenant(metric::OTHER_TENANTS, &others);
    }
}

fn show_tenant(tenant: &str, books: &TenantLedger) {
    for (state, count) in [("applied", books.applied), ("rejected", books.rejected), ("parked", books.parked)]
    {
        gauge!(metric::LEDGER.name, "tenant" => tenant.to_owned(), "state" => state).set(count as f64);
    }
}

fn show_lists(views: &Projection, named: &mut HashSet<TenantId>) {
    if let Ok(counts) = views.counts(None) {
        for (status, count) in OrderStatus::ALL.iter().zip(counts.by_status) {
            set_of(&metric::ORDERS, status.as_str(), count as f64);
        }
        for (attention, count) in Attention::ALL.iter().zip(counts.by_attention) {
            set_of(&metric::ATTENTION, attention.as_str(), count as f64);
        }
    }
    let progress = views.progress();
    set(&metric::VIEWS_BEHIND, progress.log_bytes.saturating_sub(progress.read_bytes) as f64);
    set(&metric::VIEWS_USABLE, f64::from(u8::from(progress.why_not.is_none())));
    if let Ok((cut, books)) = views.ledger() {
        show_ledger(&books, named);
        set(&metric::LEDGER_CUT, cut.0 as f64);
    }
}

impl HealthInputs {
    /// Orders under a mark, and what waits behind them.
    async fn parked(&self) -> (u64, u64) {
        let (mut orders, mut commands) = (0, 0);
        for (partition, _) in self.node.terms() {
            // What cannot be read now is looked at again soon.
            for parked in self.log.parked(partition).await.unwrap_or_default() {
                orders += 1;
                commands += parked.queued;
            }
        }
        (orders, commands)
    }

    async fn observe(&self, named: &mut HashSet<TenantId>) {
        self.node.publish_gauges();
        self.state.show();
        // A log that does not answer keeps nothing else from being shown.
        if let Ok((orders, commands)) = tokio::time::timeout(EVERY, self.parked()).await {
            set(&metric::PARKED, orders as f64);
            set(&metric::PARKED_COMMANDS, commands as f64);
        }
        if let Some(views) = &self.views {
            show_lists(views, named);
        }
        set(&metric::LOG_FAILED, f64::from(u8::from(self.failed.borrow().is_some())));
        set(&metric::HTTP_CONNECTIONS, self.edge.connections_open() as f64);
        set(&metric::HTTP_STREAMS, self.edge.streams_open() as f64);
        for (class, name) in CLASSES {
            for route in Route::ALL {
                // Those that were never met, too: there are few, and a series that begins with its first count hides that one.
                counter!(metric::HTTP_RESPONSES.name, "route" => route.as_str(), "class" => name)
                    .absolute(self.edge.responses(route, class));
            }
        }
        counter!(metric::HTTP_REFUSED.name).absolute(self.edge.connections_refused());
        counter!(metric::HTTP_PANICS.name).absolute(self.edge.panics());
        if let Some(asked) = &self.asked {
            let AskCounts { answered, errors, overloaded, dropped } = asked();
            for (result, count) in
                [("answered", answered), ("error", errors), ("overloaded", overloaded), ("dropped", dropped)]
            {
                counter!(metric::ASKED.name, "result" => result).absolute(count);
            }
        }
        if let Some(bytes) = crate::memory::resident_bytes() {
            set(&metric::MEMORY, bytes as f64);
        }
    }
}
