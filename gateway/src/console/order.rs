//! One order: where it stands, and how it came to that.
//!
//! Who ordered, what it is paid with, where it goes and the shop's free data are left out: nobody needs them at night.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use retailflow_engine::wire::code::Status;
use retailflow_engine::wire::order::{Attention, GiverKind, HistoryEntry, OrderView};

use super::html::Html;
use super::page::Page;
use super::words::{color, money, parked_path, time, tone};
use crate::edge::Shared;
use crate::orders::{read_history, read_view};
use crate::path::{self, Names};

/// Decisions on the page at most: the newest ones. All are at the tenants' door.
const DECISIONS_MAX: usize = 200;
/// Lines of the order on the page at most.
const LINES_MAX: usize = 100;

/// `GET /console/orders/{tenant}/{order}`
pub(super) async fn page(State(shared): State<Arc<Shared>>, names: Names) -> Result<Page, Page> {
    let order = path::order(&names)?;
    let time = Duration::from_millis(shared.limits.request_timeout_ms);
    let (view, decisions) = read_view(&shared, &shared.admin_reads, &order, time).await?;
    let (after, limit) = (decisions.saturating_sub(DECISIONS_MAX as u64), DECISIONS_MAX as u64);
    let history = read_history(&shared, &shared.admin_reads, &order, after, limit, time).await?;
    let title = format!("Order {} of {}", order.order, order.tenant);
    Ok(shared.render(move |_| Page::new(title, body(&view, &history))).await?)
}

/// The page below its heading.
pub(super) fn body(view: &OrderView, history: &[HistoryEntry]) -> Html {
    let mut html = Html::default();
    state(&mut html, view);
    goods(&mut html, view);
    timeline(&mut html, history);
    html
}

fn state(html: &mut Html, view: &OrderView) {
    if view.head.attention != Attention::None {
        html.raw("<p role=status class=")
            .raw(tone(view.head.attention))
            .raw(">")
            .raw(view.head.attention.as_str());
        if let Some(reason) = &view.head.attention_reason {
            html.raw(": ").text(reason);
        }
        html.raw("</p>");
    }
    if view.head.attention == Attention::Parked {
        let target = parked_path(view.head.tenant.as_str(), view.head.order.as_str());
        html.raw("<p>").link(target, "Release or discard what waits behind it").raw("</p>");
    }
    html.raw("<dl class=facts><div><dt>Status</dt><dd class=\"").raw(color(view.head.status)).raw("\">");
    html.raw(view.head.status.as_str()).raw("</dd></div>");
    html.fact("Step", view.head.step.map_or("none due", |step| step.as_str()));
    if let Some(pending) = &view.pending {
        html.fact("Pending as", &pending.reference);
    }
    if let Some(reason) = &view.cancel_reason {
        html.fact("Canceled because", reason);
    }
    if let Some(act) = &view.operator {
        html.fact("Operator", format_args!("{} ({})", act.name, verb(&act.kind)));
        if let Some(reason) = &act.reason {
            html.fact("Operator's reason", reason);
        }
    }
    html.fact("Version", view.head.version);
    let pending = view.pending.as_ref();
    let moments = [
        ("Pending since", pending.map(|pending| pending.since)),
        ("Pending until", pending.and_then(|pending| pending.until)),
        ("Deadline", view.next_deadline),
        ("Ordered", view.placed_at),
        ("Recorded", Some(view.created_at)),
        ("Changed", Some(view.updated_at)),
        ("Archived", view.archived_at),
    ];
    for (name, moment) in moments {
        if let Some(moment) = moment {
            html.raw("<div><dt>").raw(name).raw("</dt><dd>");
            time(html, moment);
            html.raw("</dd></div>");
        }
    }
    let money = |amount| money(amount, view.currency);
    html.fact("Total", money(view.total_minor));
    html.fact("Authorized", money(view.payment.authorized_minor));
    html.fact("Captured", money(view.payment.captured_minor));
    html.fact("Refunded", money(view.payment.refunded_minor));
    let units = &view.fulfillment;
    html.fact("Units ordered", units.ordered_units);
    html.fact("Units reserved", units.reserved_units);
    html.fact("Units booked", units.booked_units);
    html.fact("Units short", units.short_units);
    html.fact("Units returned", view.returns.returned_units);
    html.fact("Refund due", money(view.returns.amount_minor));
    html.raw("</dl>");
}

fn goods(html: &mut Html, view: &OrderView) {
    html.raw("<h2>Goods</h2>").table("What is ordered", &["Line", "Article", "#Quantity", "#Amount"]);
    for line in view.lines.iter().take(LINES_MAX) {
        html.raw("<tr>").cell(&line.line_id).cell(&line.sku).number(line.quantity);
        html.number(money(line.amount_minor, view.currency)).raw("</tr>");
    }
    html.table_end();
    if view.lines.len() > LINES_MAX {
        html.raw("<p class=soft>").text(view.lines.len() - LINES_MAX).raw(" more lines</p>");
    }
}

fn timeline(html: &mut Html, history: &[HistoryEntry]) {
    html.raw("<h2>Timeline</h2>");
    let shown = &history[history.len().saturating_sub(DECISIONS_MAX)..];
    let skipped = shown.first().map_or(0, |first| first.decision.saturating_sub(1));
    if skipped > 0 {
        html.raw("<p class=soft>").text(skipped).raw(" older decisions are not shown</p>");
    }
    let columns = ["#No.", "When", "Command", "Outcome", "What happened"];
    html.table("Commands, what was decided, and what was asked of participants; oldest first", &columns);
    for entry in shown {
        html.raw("<tr>").number(entry.decision).raw("<td>");
        time(html, entry.at);
        html.raw("</td><td>").text(verb(&entry.kind));
        if let Some(id) = &entry.command_id {
            html.raw("<br><code>").text(id).raw("</code>");
        }
        match &entry.source {
            Some(source) => html.raw("<br><span class=soft>from ").text(source).raw("</span>"),
            None => html.raw("<br><span class=soft>by the engine</span>"),
        };
        let operator = entry.actor.as_ref().filter(|actor| actor.kind == GiverKind::Operator);
        if let Some(name) = operator.and_then(|operator| operator.name.as_ref()) {
            html.raw("<br><span class=soft>by operator ").text(name).raw("</span>");
        }
        let applied = entry.status == Status::Applied;
        html.raw(if applied { "</td><td>" } else { "</td><td class=warn>" }).text(entry.code);
        if !applied {
            html.raw("<br>").text(&entry.message);
        }
        html.raw("</td><td><ul class=plain>");
        for event in &entry.events {
            html.raw("<li>").text(event).raw("</li>");
        }
        html.raw("</ul></td></tr>");
    }
    html.table_end();
}

/// `retailflow.order.place.v1` is `place`: what is around it is the same for all.
fn verb(kind: &str) -> &str {
    let inner = kind.strip_prefix("retailflow.").and_then(|rest| rest.split_once('.'));
    inner.and_then(|(_, rest)| rest.rsplit_once('.')).map_or(kind, |(verb, _)| verb)
}
