//! Lists of a tenant's orders.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use maud::{Markup, html};
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{OrderPage, OrderQuery};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::order::{Attention, OrderStatus};
use tokio::time::Instant;

use super::html::{cell, link, number, path, table};
use super::page::Page;
use super::params::non_empty_params;
use super::words::{color, money, order_path, time, tone};
use crate::answer::Refusal;
use crate::edge::Shared;
use crate::orders::list_page;
use crate::query::Query;

/// Orders on a page.
const PAGE: usize = 50;
/// Tenants that are offered by name.
const TENANTS_MAX: usize = 100;

/// What was asked for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) tenant: String,
    pub(super) status: Option<OrderStatus>,
    pub(super) attention: Option<Attention>,
}

/// `GET /console/orders`
pub(super) async fn page(State(shared): State<Arc<Shared>>, request: Request) -> Result<Page, Page> {
    let query = non_empty_params(&request);
    let query = Query::parse(Some(&query), &["tenant", "status", "attention", "after"])?;
    let asked = Asked {
        tenant: query.text("tenant").unwrap_or_default().to_owned(),
        status: query.word("status", OrderStatus::ALL, OrderStatus::as_str)?,
        attention: query.word("attention", Attention::ALL, Attention::as_str)?,
    };
    if asked.tenant.is_empty() {
        return Ok(shared.render(move |shared| choose_tenant(shared, &asked)).await?);
    }
    let tenant = TenantId::parse(&asked.tenant)
        .map_err(|error| Refusal::new(Code::InvalidId, error.to_string()).at("tenant"))?;
    shared.require_tenant(&tenant)?;
    let after = query.token("after")?.map(str::to_owned);
    let wanted = OrderQuery { tenant, status: asked.status, attention: asked.attention, after, limit: PAGE };
    let until = Instant::now() + Duration::from_millis(shared.limits.request_timeout_ms);
    let found = list_page(&shared, &shared.admin_reads, wanted, until).await?;
    Ok(shared.render(move |_| Page::new("Orders", body(&asked, &found))).await?)
}

fn choose_tenant(shared: &Shared, asked: &Asked) -> Page {
    let tenants = shared.edge.tenants.list();
    let body = html! {
        (form(asked))
        ul class="plain" {
            @for setting in tenants.iter().take(TENANTS_MAX) {
                @let name = setting.tenant.as_str();
                li { (link(&path("/console/orders", &[("tenant", name)]), name)) }
            }
        }
    };
    Page::new("Orders", body)
}

fn form(asked: &Asked) -> Markup {
    let statuses = OrderStatus::ALL.iter().map(|status| (status.as_str(), asked.status == Some(*status)));
    let attentions = Attention::ALL.iter();
    let attentions = attentions.map(|attention| (attention.as_str(), asked.attention == Some(*attention)));
    html! {
        form method="get" action="/console/orders" {
            label {
                "Tenant"
                input name="tenant" required maxlength="63" autocomplete="off" value=(asked.tenant);
            }
            (choice("Status", "status", statuses))
            (choice("Attention", "attention", attentions))
            button { "Show" }
        }
    }
}

fn choice(label: &str, name: &str, words: impl Iterator<Item = (&'static str, bool)>) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                option value="" { "any" }
                @for (word, chosen) in words { option selected[chosen] { (word) } }
            }
        }
    }
}

/// The page below its heading.
pub(super) fn body(asked: &Asked, found: &OrderPage) -> Markup {
    let next = found.next.as_ref().map(|next| {
        let mut parameters = vec![("tenant", asked.tenant.as_str())];
        parameters.extend(asked.status.map(|status| ("status", status.as_str())));
        parameters.extend(asked.attention.map(|attention| ("attention", attention.as_str())));
        parameters.push(("after", next));
        path("/console/orders", &parameters)
    });
    html! {
        (form(asked))
        @if found.orders.is_empty() {
            p { "No such orders here." }
        } @else {
            (list(found))
        }
        @if let Some(next) = next {
            p { (link(&next, "Next page")) }
        }
    }
}

fn list(found: &OrderPage) -> Markup {
    let columns = ["Order", "Status", "Step", "Attention", "#Total", "Changed"];
    let rows = html! {
        @for order in &found.orders {
            @let head = &order.head;
            tr {
                th scope="row" { (link(&order_path(head.tenant.as_str(), head.order.as_str()), &head.order)) }
                td class=(color(head.status)) { (head.status.as_str()) }
                (cell(head.step.map_or("", |step| step.as_str())))
                td class=(tone(head.attention)) {
                    (head.attention.as_str())
                    @if let Some(reason) = &head.attention_reason { ": " (reason) }
                }
                (number(money(order.total_minor, order.currency)))
                td { (time(order.updated_at)) }
            }
        }
    };
    table("Orders, a page at a time", &columns, &rows)
}
