//! One order: where it stands, and how it came to that.
//!
//! Who ordered, what it is paid with, where it goes and the shop's free data are left out: nobody needs them at night.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use maud::{Markup, display, html};
use retailflow_engine::wire::code::Status;
use retailflow_engine::wire::order::{Attention, GiverKind, HistoryEntry, OrderView};

use super::html::{cell, fact, link, number, table};
use super::page::Page;
use super::words::{act_path, color, money, parked_path, time, tone};
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
pub(super) fn body(view: &OrderView, history: &[HistoryEntry]) -> Markup {
    let target = act_path(view.head.tenant.as_str(), view.head.order.as_str());
    html! {
        (state(view))
        p { (link(&target, "Do something to it: hold, cancel, refund, exchange and so on")) }
        (goods(view))
        (timeline(history))
    }
}

fn state(view: &OrderView) -> Markup {
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
    let money = |amount| money(amount, view.currency);
    let units = &view.fulfillment;
    html! {
        @if view.head.attention != Attention::None {
            p role="status" class=(tone(view.head.attention)) {
                (view.head.attention.as_str())
                @if let Some(reason) = &view.head.attention_reason { ": " (reason) }
            }
        }
        @if view.head.attention == Attention::Parked {
            @let target = parked_path(view.head.tenant.as_str(), view.head.order.as_str());
            p { (link(&target, "Release or discard what waits behind it")) }
        }
        dl class="facts" {
            div {
                dt { "Status" }
                dd class=(color(view.head.status)) { (view.head.status.as_str()) }
            }
            (fact("Step", view.head.step.map_or("none due", |step| step.as_str())))
            @if let Some(pending) = pending { (fact("Pending as", &pending.reference)) }
            @for hold in &view.holds {
                (fact("On hold", format_args!("{}: {}", hold.name, hold.reason)))
            }
            @if let Some(reason) = &view.cancel_reason { (fact("Canceled because", reason)) }
            @if let Some(act) = &view.operator {
                (fact("Operator", format_args!("{} ({})", act.name, verb(&act.kind))))
                @if let Some(reason) = &act.reason { (fact("Operator's reason", reason)) }
            }
            (fact("Version", view.head.version))
            @for (name, moment) in moments {
                @if let Some(moment) = moment {
                    div { dt { (name) } dd { (time(moment)) } }
                }
            }
            (fact("Total", money(view.total_minor)))
            (fact("Authorized", money(view.payment.authorized_minor)))
            (fact("Captured", money(view.payment.captured_minor)))
            (fact("Refunded", money(view.payment.refunded_minor)))
            (fact("Units ordered", units.ordered_units))
            (fact("Units reserved", units.reserved_units))
            (fact("Units booked", units.booked_units))
            (fact("Units short", units.short_units))
            (fact("Units returned", view.returns.returned_units))
            (fact("Refund due", money(view.returns.amount_minor)))
        }
    }
}

fn goods(view: &OrderView) -> Markup {
    let rows = html! {
        @for line in view.lines.iter().take(LINES_MAX) {
            tr {
                (cell(&line.line_id))
                (cell(&line.sku))
                (number(line.quantity))
                (number(money(line.amount_minor, view.currency)))
            }
        }
    };
    html! {
        h2 { "Goods" }
        (table("What is ordered", &["Line", "Article", "#Quantity", "#Amount"], &rows))
        @if view.lines.len() > LINES_MAX {
            p class="soft" { (view.lines.len() - LINES_MAX) " more lines" }
        }
    }
}

fn timeline(history: &[HistoryEntry]) -> Markup {
    let shown = &history[history.len().saturating_sub(DECISIONS_MAX)..];
    let skipped = shown.first().map_or(0, |first| first.decision.saturating_sub(1));
    let columns = ["#No.", "When", "Command", "Outcome", "What happened"];
    let caption = "Commands, what was decided, and what was asked of participants; oldest first";
    let rows = html! { @for entry in shown { (decision(entry)) } };
    html! {
        h2 { "Timeline" }
        @if skipped > 0 {
            p class="soft" { (skipped) " older decisions are not shown" }
        }
        (table(caption, &columns, &rows))
    }
}

fn decision(entry: &HistoryEntry) -> Markup {
    let operator = entry.actor.as_ref().filter(|actor| actor.kind == GiverKind::Operator);
    let applied = entry.status == Status::Applied;
    html! {
        tr {
            (number(entry.decision))
            td { (time(entry.at)) }
            td {
                (verb(&entry.kind))
                @if let Some(id) = &entry.command_id {
                    br;
                    code { (display(id)) }
                }
                br;
                @match &entry.source {
                    Some(source) => { span class="soft" { "from " (display(source)) } }
                    None => { span class="soft" { "by the engine" } }
                }
                @if let Some(name) = operator.and_then(|operator| operator.name.as_ref()) {
                    br;
                    span class="soft" { "by operator " (display(name)) }
                }
            }
            td class=[(!applied).then_some("warn")] {
                (display(entry.code))
                @if !applied {
                    br;
                    (display(&entry.message))
                }
            }
            td {
                ul class="plain" {
                    @for event in &entry.events { li { (event) } }
                }
            }
        }
    }
}

/// `retailflow.order.place.v1` is `place`: what is around it is the same for all.
fn verb(kind: &str) -> &str {
    let inner = kind.strip_prefix("retailflow.").and_then(|rest| rest.split_once('.'));
    inner.and_then(|(_, rest)| rest.rsplit_once('.')).map_or(kind, |(verb, _)| verb)
}
