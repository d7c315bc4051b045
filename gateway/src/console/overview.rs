//! The page of live numbers: whether all is well, and where to look if not.

use std::sync::Arc;

use axum::extract::{Request, State};
use maud::{Markup, html};
use retailflow_engine::metric;
use retailflow_engine::ports::OrderCounts;
use retailflow_engine::wire::order::{Attention, OrderStatus};

use super::html::{cell, fact, link, number, path, table};
use super::page::Page;
use super::params::non_empty_params;
use super::words::{shown, status_path, tone};
use crate::edge::Shared;
use crate::numbers::Numbers;
use crate::query::Query;

/// Tenants on the page at most; each has a list of its own.
const TENANTS_MAX: usize = 50;

/// What stands on the page.
pub(super) struct Now {
    /// Why the node is not ready.
    pub(super) reasons: Vec<String>,
    /// The metrics. Some of them are looked at every few seconds only.
    pub(super) numbers: Numbers,
    pub(super) connections: u64,
    pub(super) streams: u64,
    /// Orders of all tenants; none while they cannot be counted.
    pub(super) all: Option<OrderCounts>,
    /// Those whose orders need someone first.
    pub(super) tenants: Vec<(String, OrderCounts)>,
    /// Tenants that are not on the page.
    pub(super) more: usize,
}

/// `GET /console`
pub(super) async fn page(State(shared): State<Arc<Shared>>, request: Request) -> Result<Page, Page> {
    let query = non_empty_params(&request);
    let query = Query::parse(Some(&query), &["refresh"])?;
    let refreshes = query.text("refresh") != Some("off");
    Ok(shared.render(move |shared| made(shared, refreshes)).await?)
}

fn made(shared: &Shared, refreshes: bool) -> Page {
    let edge = &shared.edge;
    let mut reasons = edge.readiness.not_ready();
    if shared.leaving.is_cancelled() {
        reasons.push(crate::health::LEAVING.to_owned());
    }
    let counted = |setting: retailflow_engine::ports::TenantSetting| {
        let counts = edge.views.counts(Some(&setting.tenant)).unwrap_or_default();
        (setting.tenant.to_string(), counts)
    };
    let mut tenants: Vec<_> = edge.tenants.list().into_iter().map(counted).collect();
    tenants.sort_by_key(|(_, counts)| std::cmp::Reverse(needing(counts)));
    let more = tenants.len().saturating_sub(TENANTS_MAX);
    tenants.truncate(TENANTS_MAX);
    let numbers = (edge.numbers)();
    let (connections, streams) = (edge.counts.connections_open(), edge.counts.streams_open());
    let all = edge.views.counts(None).ok();
    let now = Now { reasons, numbers, connections, streams, all, tenants, more };
    Page::new("Now", body(&now, refreshes)).refreshing(refreshes)
}

/// Orders that someone should look at.
fn needing(counts: &OrderCounts) -> u64 {
    counts.by_attention[1..].iter().sum()
}

/// The page below its heading.
pub(super) fn body(now: &Now, refreshes: bool) -> Markup {
    html! {
        @if now.reasons.is_empty() {
            p class="good" { "Ready" }
        } @else {
            div role="alert" {
                p class="bad" { "Not ready" }
                ul { @for reason in &now.reasons { li { (reason) } } }
            }
        }
        p class="soft" {
            @if refreshes {
                "Refreshes every 5 s. " (link("/console?refresh=off", "Stop refreshing"))
            } @else {
                (link("/console", "Refresh every 5 s"))
            }
        }
        (node(now))
        (orders(now))
        (busy(&now.numbers))
    }
}

fn node(now: &Now) -> Markup {
    let numbers = &now.numbers;
    let one = |name: &str| numbers.sum(name).map_or_else(|| "-".to_owned(), shown);
    let of = |name: &str, max: &str| format!("{} of {}", one(name), one(max));
    // What durability was before has a series of its own, of value 0.
    let now_so =
        |label| numbers.by(metric::DURABILITY.name, label).into_iter().find(|(_, value)| *value != 0.0);
    let durability = now_so("class").zip(now_so("replicas"));
    let mib = numbers.sum(metric::MEMORY.name).map(|bytes| shown((bytes / 1_048_576.0).round()));
    html! {
        h2 { "The node" }
        dl class="facts" {
            (fact("Commands in flight", of(metric::IN_FLIGHT.name, metric::IN_FLIGHT_MAX.name)))
            (fact("Orders in memory", of(metric::LIVE_ORDERS.name, metric::LIVE_ORDERS_MAX.name)))
            (fact("Steps waiting", of(metric::EFFECTS_BACKLOG.name, metric::EFFECTS_BACKLOG_MAX.name)))
            (fact("Orders parked", one(metric::PARKED.name)))
            (fact("Queued commands", one(metric::PARKED_COMMANDS.name)))
            @if let Some(((class, _), (replicas, _))) = durability {
                (fact("Durability", format!("{class}, {replicas} replica(s)")))
            }
            (fact("Connections", now.connections))
            (fact("Event streams", now.streams))
            (fact("Memory", mib.map_or_else(|| "-".to_owned(), |mib| format!("{mib} MiB"))))
            (fact("Actors that crashed", one(metric::RESTARTS.name)))
            (fact("Probes that failed", one(metric::PROBE_FAILURES.name)))
            @if let Some((version, _)) = numbers.by(metric::BUILD.name, "version").first() {
                (fact("Version", version))
            }
        }
    }
}

fn orders(now: &Now) -> Markup {
    const COLUMNS: [&str; 8] =
        ["Tenant", "#Open", "#Completed", "#Canceling", "#Canceled", "#Held", "#Stalled", "#Parked"];
    let rows = |all: &OrderCounts| {
        html! {
            @for (tenant, counts) in &now.tenants { (tenant_row(tenant, counts)) }
            tr {
                th scope="row" { "All" }
                @for count in all.by_status.iter().chain(&all.by_attention[1..]) {
                    (number(shown(*count as f64)))
                }
            }
        }
    };
    html! {
        h2 { "Orders" }
        @if let Some(all) = &now.all {
            (table("By status and attention; a number leads to its list", &COLUMNS, &rows(all)))
            @if now.more > 0 {
                p {
                    (now.more)
                    " more tenants, none of which needs more attention than these: "
                    (link("/console/orders", "name one"))
                }
            }
        } @else {
            p class="warn" { "Orders cannot be counted now." }
        }
    }
}

fn tenant_row(tenant: &str, counts: &OrderCounts) -> Markup {
    let list = |by, word, count: u64| link(&status_path(tenant, by, word), shown(count as f64));
    let color = |attention, count| if count > 0 { tone(attention) } else { "" };
    html! {
        tr {
            th scope="row" { (link(&path("/console/orders", &[("tenant", tenant)]), tenant)) }
            @for (status, count) in OrderStatus::ALL.iter().zip(counts.by_status) {
                td class="n" { (list("status", status.as_str(), count)) }
            }
            @for (attention, count) in Attention::ALL.iter().zip(counts.by_attention).skip(1) {
                td class={ "n " (color(*attention, count)) } { (list("attention", attention.as_str(), count)) }
            }
        }
    }
}

fn busy(numbers: &Numbers) -> Markup {
    let tables = [
        ("Outcomes given since the start", "Status", &metric::COMMANDS, "status"),
        ("Refused since the start", "Code", &metric::REFUSED, "code"),
        ("Orders with a step in progress, by step", "Step", &metric::SAGAS, "step"),
        (
            "Participants: 1 while the circuit breaker is open",
            "Participant",
            &metric::BREAKER_OPEN,
            "participant",
        ),
    ];
    html! {
        h2 { "The work" }
        @for (caption, column, metric, label) in tables { (series(caption, column, numbers.by(metric.name, label))) }
    }
}

/// A table of what was counted, the largest first; nothing where nothing was.
fn series(caption: &str, column: &str, mut rows: Vec<(&str, f64)>) -> Markup {
    // A code that was never given is no news.
    rows.retain(|row| row.1 != 0.0);
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    if rows.is_empty() {
        return Markup::default();
    }
    let rows = html! { @for (name, value) in rows { tr { (cell(name)) (number(shown(value))) } } };
    table(caption, &[column, "#Number"], &rows)
}
