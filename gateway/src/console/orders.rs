//! Lists of a tenant's orders.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{OrderPage, OrderQuery};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::order::{Attention, OrderStatus};
use tokio::time::Instant;

use super::html::{Html, path};
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
    let mut html = Html::default();
    form(&mut html, asked);
    html.raw("<ul class=plain>");
    for setting in shared.edge.tenants.list().iter().take(TENANTS_MAX) {
        let name = setting.tenant.as_str();
        html.raw("<li>").link(path("/console/orders", &[("tenant", name)]), name).raw("</li>");
    }
    html.raw("</ul>");
    Page::new("Orders", html)
}

fn form(html: &mut Html, asked: &Asked) {
    html.raw("<form method=get action=\"/console/orders\">")
        .raw("<label>Tenant<input name=tenant required maxlength=63 autocomplete=off value=\"")
        .text(&asked.tenant)
        .raw("\"></label>");
    let words = |status: &OrderStatus| (status.as_str(), asked.status == Some(*status));
    choice(html, "<label>Status<select name=status>", OrderStatus::ALL.iter().map(words));
    let words = |attention: &Attention| (attention.as_str(), asked.attention == Some(*attention));
    choice(html, "<label>Attention<select name=attention>", Attention::ALL.iter().map(words));
    html.raw("<button>Show</button></form>");
}

fn choice(html: &mut Html, begin: &'static str, words: impl Iterator<Item = (&'static str, bool)>) {
    html.raw(begin).raw("<option value=\"\">any</option>");
    for (word, chosen) in words {
        html.raw(if chosen { "<option selected>" } else { "<option>" }).raw(word).raw("</option>");
    }
    html.raw("</select></label>");
}

/// The page below its heading.
pub(super) fn body(asked: &Asked, found: &OrderPage) -> Html {
    let mut html = Html::default();
    form(&mut html, asked);
    match found.orders.is_empty() {
        true => html.raw("<p>No such orders here.</p>"),
        false => table(&mut html, found),
    };
    if let Some(next) = &found.next {
        let mut parameters = vec![("tenant", asked.tenant.as_str())];
        parameters.extend(asked.status.map(|status| ("status", status.as_str())));
        parameters.extend(asked.attention.map(|attention| ("attention", attention.as_str())));
        parameters.push(("after", next));
        html.raw("<p>").link(path("/console/orders", &parameters), "Next page").raw("</p>");
    }
    html
}

fn table<'a>(html: &'a mut Html, found: &OrderPage) -> &'a mut Html {
    html.table("Orders, a page at a time", &["Order", "Status", "Step", "Attention", "#Total", "Changed"]);
    for order in &found.orders {
        html.raw("<tr><th scope=row>");
        html.link(order_path(order.head.tenant.as_str(), order.head.order.as_str()), &order.head.order)
            .raw("</th>");
        html.raw("<td class=\"")
            .raw(color(order.head.status))
            .raw("\">")
            .raw(order.head.status.as_str())
            .raw("</td>");
        html.cell(order.head.step.map_or("", |step| step.as_str()));
        html.raw("<td class=\"")
            .raw(tone(order.head.attention))
            .raw("\">")
            .raw(order.head.attention.as_str());
        if let Some(reason) = &order.head.attention_reason {
            html.raw(": ").text(reason);
        }
        html.raw("</td>").number(money(order.total_minor, order.currency)).raw("<td>");
        time(html, order.updated_at);
        html.raw("</td></tr>");
    }
    html.table_end()
}
