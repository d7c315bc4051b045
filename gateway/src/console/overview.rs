//! The page of live numbers: whether all is well, and where to look if not.

use std::sync::Arc;

use axum::extract::{Request, State};
use retailflow_engine::metric;
use retailflow_engine::ports::OrderCounts;
use retailflow_engine::wire::order::{Attention, OrderStatus};

use super::html::{Html, path};
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
pub(super) fn body(now: &Now, refreshes: bool) -> Html {
    let mut html = Html::default();
    if now.reasons.is_empty() {
        html.raw("<p class=good>Ready</p>");
    } else {
        html.raw("<div role=alert><p class=bad>Not ready</p><ul>");
        for reason in &now.reasons {
            html.raw("<li>").text(reason).raw("</li>");
        }
        html.raw("</ul></div>");
    }
    match refreshes {
        true => {
            html.raw("<p class=soft>Refreshes every 5 s. ").link("/console?refresh=off", "Stop refreshing")
        }
        false => html.raw("<p class=soft>").link("/console", "Refresh every 5 s"),
    };
    html.raw("</p>");
    node(&mut html, now);
    orders(&mut html, now);
    busy(&mut html, &now.numbers);
    html
}

fn node(html: &mut Html, now: &Now) {
    let numbers = &now.numbers;
    let one = |name: &str| numbers.sum(name).map_or_else(|| "-".to_owned(), shown);
    let of = |name: &str, max: &str| format!("{} of {}", one(name), one(max));
    html.raw("<h2>The node</h2><dl class=facts>");
    let flight = of(metric::IN_FLIGHT.name, metric::IN_FLIGHT_MAX.name);
    html.fact("Commands in flight", flight);
    html.fact("Orders in memory", of(metric::LIVE_ORDERS.name, metric::LIVE_ORDERS_MAX.name));
    html.fact("Steps waiting", of(metric::EFFECTS_BACKLOG.name, metric::EFFECTS_BACKLOG_MAX.name));
    html.fact("Orders parked", one(metric::PARKED.name));
    html.fact("Queued commands", one(metric::PARKED_COMMANDS.name));
    // What durability was before has a series of its own, of value 0.
    let now_so =
        |label| numbers.by(metric::DURABILITY.name, label).into_iter().find(|(_, value)| *value != 0.0);
    if let (Some((class, _)), Some((replicas, _))) = (now_so("class"), now_so("replicas")) {
        html.fact("Durability", format!("{class}, {replicas} replica(s)"));
    }
    html.fact("Connections", now.connections);
    html.fact("Event streams", now.streams);
    let mib = numbers.sum(metric::MEMORY.name).map(|bytes| shown((bytes / 1_048_576.0).round()));
    html.fact("Memory", mib.map_or_else(|| "-".to_owned(), |mib| format!("{mib} MiB")));
    html.fact("Actors that crashed", one(metric::RESTARTS.name));
    html.fact("Probes that failed", one(metric::PROBE_FAILURES.name));
    if let Some((version, _)) = numbers.by(metric::BUILD.name, "version").first() {
        html.fact("Version", version);
    }
    html.raw("</dl>");
}

fn orders(html: &mut Html, now: &Now) {
    html.raw("<h2>Orders</h2>");
    let Some(all) = &now.all else {
        html.raw("<p class=warn>Orders cannot be counted now.</p>");
        return;
    };
    html.table(
        "By status and attention; a number leads to its list",
        &["Tenant", "#Open", "#Completed", "#Canceling", "#Canceled", "#Held", "#Stalled", "#Parked"],
    );
    for (tenant, counts) in &now.tenants {
        html.raw("<tr><th scope=row>")
            .link(path("/console/orders", &[("tenant", tenant)]), tenant)
            .raw("</th>");
        for (status, count) in OrderStatus::ALL.iter().zip(counts.by_status) {
            html.raw("<td class=n>");
            html.link(status_path(tenant, "status", status.as_str()), shown(count as f64)).raw("</td>");
        }
        for (attention, count) in Attention::ALL.iter().zip(counts.by_attention).skip(1) {
            html.raw("<td class=\"n ").raw(if count > 0 { tone(*attention) } else { "" }).raw("\">");
            html.link(status_path(tenant, "attention", attention.as_str()), shown(count as f64)).raw("</td>");
        }
        html.raw("</tr>");
    }
    html.raw("<tr><th scope=row>All</th>");
    for count in all.by_status.iter().chain(&all.by_attention[1..]) {
        html.number(shown(*count as f64));
    }
    html.raw("</tr>").table_end();
    if now.more > 0 {
        html.raw("<p>").text(now.more).raw(" more tenants, none of which needs more attention than these: ");
        html.link("/console/orders", "name one").raw("</p>");
    }
}

fn busy(html: &mut Html, numbers: &Numbers) {
    html.raw("<h2>The work</h2>");
    for (caption, column, metric, label) in [
        ("Outcomes given since the start", "Status", &metric::COMMANDS, "status"),
        ("Refused since the start", "Code", &metric::REFUSED, "code"),
        ("Orders with a step in progress, by step", "Step", &metric::SAGAS, "step"),
        (
            "Participants: 1 while the circuit breaker is open",
            "Participant",
            &metric::BREAKER_OPEN,
            "participant",
        ),
    ] {
        // A code that was never given is no news.
        let mut rows: Vec<_> =
            numbers.by(metric.name, label).into_iter().filter(|row| row.1 != 0.0).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        if rows.is_empty() {
            continue;
        }
        html.table(caption, &[column, "#Number"]);
        for (name, value) in rows {
            html.raw("<tr>").cell(name).number(shown(value)).raw("</tr>");
        }
        html.table_end();
    }
}
