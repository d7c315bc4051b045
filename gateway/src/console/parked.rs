//! Parked orders, and the end of their parking: asked for on a page of its own, so that no single click does it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use maud::{Markup, html};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::{ParkedEntry, ParkedList, ReleaseReport};

use super::html::{cell, fact, link, number, path, table};
use super::page::Page;
use super::params::{is_form, non_empty_params};
use super::words::{order_path, parked_path};
use crate::answer::Refusal;
use crate::edge::Shared;
use crate::path::{self as names, Names};
use crate::query::Query;
use crate::{admin, body, headers, parked};

/// Orders on a page.
const PAGE: usize = 100;

/// `GET /console/parked`
pub(super) async fn list(State(shared): State<Arc<Shared>>, request: Request) -> Result<Page, Page> {
    let query = non_empty_params(&request);
    let query = Query::parse(Some(&query), &["after"])?;
    let time = Duration::from_millis(shared.limits.request_timeout_ms);
    let found = parked::page(&shared, query.token("after")?, PAGE, time).await?;
    Ok(shared.render(move |_| Page::new("Parked", list_body(&found))).await?)
}

/// The list below its heading.
pub(super) fn list_body(found: &ParkedList) -> Markup {
    let unread: Vec<_> = found.unread.iter().map(u16::to_string).collect();
    html! {
        @if !unread.is_empty() {
            p class="bad" role="alert" {
                "Partitions that could not be read now: " (unread.join(", "))
                ". Their parked orders are missing here; look again, from the beginning."
            }
        }
        @if !found.orders.is_empty() {
            (table_of(found))
        } @else if unread.is_empty() {
            p class="good" { "No order is parked." }
        } @else {
            p { "No other order is parked." }
        }
    }
}

fn table_of(found: &ParkedList) -> Markup {
    let columns = ["Tenant", "Order", "#Waiting", "Why", "Do"];
    let rows = html! {
        @for entry in &found.orders {
            @let (tenant, order) = (entry.tenant.as_str(), entry.order.as_str());
            tr {
                (cell(tenant))
                th scope="row" { (link(&order_path(tenant, order), order)) }
                (number(entry.queued))
                (cell(&entry.reason))
                td {
                    a href=(parked_path(tenant, order)) aria-label={ "End the parking of " (order) } {
                        "Release or discard"
                    }
                }
            }
        }
    };
    html! {
        (table("Orders that take no commands; they wait in order", &columns, &rows))
        @if let Some(next) = &found.next {
            p { (link(&path("/console/parked", &[("after", next)]), "Next page")) }
        }
    }
}

/// `GET /console/parked/{tenant}/{order}`
pub(super) async fn ask(State(shared): State<Arc<Shared>>, names: Names) -> Result<Page, Page> {
    let order = names::order(&names)?;
    let time = Duration::from_millis(shared.limits.request_timeout_ms);
    let entry = parked::one(&shared, &order, time).await?;
    let title = format!("Order {} of {} is parked", order.order, order.tenant);
    Ok(Page::new(title, ask_body(&entry)))
}

/// The question below its heading.
pub(super) fn ask_body(entry: &ParkedEntry) -> Markup {
    let (tenant, order) = (entry.tenant.as_str(), entry.order.as_str());
    let target = parked_path(tenant, order);
    let name = html! {
        label { "Your name" input name="operator" required maxlength="64" autocomplete="name"; }
    };
    html! {
        dl class="facts" {
            (fact("Why", &entry.reason))
            (fact("Commands that wait", entry.queued))
        }
        p { (link(&order_path(tenant, order), "The order and its timeline")) }
        form class="act" method="post" action={ (target) "/release" } {
            h2 { "Release" }
            p { "All that waits is decided now, in order, and the order takes commands again." }
            (name)
            button { "Release" }
        }
        form class="act" method="post" action={ (target) "/discard" } {
            h2 { "Discard" }
            p {
                "All that waits is rejected for good, as " code { "discarded" }
                ", and the order takes commands again."
            }
            (name)
            label class="row" {
                input type="checkbox" name="sure" value="yes" required;
                (entry.queued) " command(s) will be rejected, which cannot be undone"
            }
            button class="danger" { "Discard" }
        }
        p { (link("/console/parked", "Leave it parked")) }
    }
}

/// `POST /console/parked/{tenant}/{order}/release`
pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Page, Page> {
    end(&shared, &names, request, false).await
}

/// `POST /console/parked/{tenant}/{order}/discard`
pub(super) async fn discard(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Page, Page> {
    end(&shared, &names, request, true).await
}

async fn end(shared: &Shared, names: &Names, request: Request, discard: bool) -> Result<Page, Page> {
    let order = names::order(names)?;
    let (head, body) = request.into_parts();
    let limit = Duration::from_millis(shared.limits.body_timeout_ms);
    is_form(&head.headers)?;
    let owner = body::BodyOwner { tenants: shared.edge.tenants.as_ref(), tenant: &order.tenant };
    let held = body::read(&shared.admin_bodies, owner, &head.headers, body, limit).await?;
    let text =
        std::str::from_utf8(&held).map_err(|_| Refusal::new(Code::InvalidField, "the form is not UTF-8"))?;
    let form = Query::parse(Some(text), &["operator", "sure"])?;
    let operator = headers::operator_name(form.text("operator").map(str::trim))?;
    if discard && form.text("sure") != Some("yes") {
        let text = "tick the box: what is discarded is rejected for good";
        return Err(Refusal::new(Code::MissingField, text).at("sure").into());
    }
    let time = Duration::from_millis(shared.limits.request_timeout_ms);
    let report = admin::end_parking(shared, &order, operator, discard, time).await?;
    let title = if discard { "Discarded" } else { "Released" };
    Ok(Page::new(title, done_body(&order, &report)))
}

/// What became of it, below its heading.
pub(super) fn done_body(order: &OrderRef, report: &ReleaseReport) -> Markup {
    html! {
        p class="good" role="status" { "Order " (order.order.as_str()) " takes commands again." }
        dl class="facts" {
            (fact("Commands that waited", report.commands))
            (fact("Applied", report.applied))
            (fact("Rejected", report.rejected))
            (fact("Decided before", report.replayed))
            (fact("Dead letters", report.dead_lettered))
        }
        p {
            (link(&order_path(order.tenant.as_str(), order.order.as_str()), "The order"))
            " - "
            (link("/console/parked", "Parked orders"))
        }
    }
}
