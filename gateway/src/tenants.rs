//! Tenants, for operators: who there is, and what is set for them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::HeaderMap;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::StoreError;
use retailflow_engine::wire::admin::{TenantChange, TenantList, TenantListSchema, TenantView};
use retailflow_engine::wire::{Code, decode_tenant_change};
use tokio::time::timeout;

use crate::answer::{Refusal, found};
use crate::body::{self, BodyOwner};
use crate::content::{self, Form};
use crate::edge::Shared;
use crate::headers;
use crate::limits::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::path::{self, Names};
use crate::query::Query;

/// `GET /v1/admin/tenants`
pub(crate) async fn list(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["after", "limit"])?;
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize;
    let after = query.text("after").map(TenantId::parse).transpose();
    let after = after.map_err(|error| Refusal::new(Code::InvalidId, error.to_string()).at("after"))?;
    let page = move |shared: &Shared| {
        let all = shared.edge.tenants.list().into_iter();
        let mut tenants: Vec<TenantView> = all
            .filter(|setting| after.as_ref().is_none_or(|after| setting.tenant > *after))
            // One more tells whether there is another page.
            .take(limit + 1)
            .map(TenantView::from)
            .collect();
        let more = tenants.len() > limit;
        tenants.truncate(limit);
        let next = tenants.last().filter(|_| more).map(|last| last.tenant.clone());
        TenantList { schema: TenantListSchema, tenants, next }
    };
    Ok(found(&shared.render(page).await?))
}

/// `GET /v1/admin/tenants/{tenant}`
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let tenant = path::tenant(&names)?;
    Query::parse(request.uri().query(), &[])?;
    match shared.edge.tenants.get(&tenant) {
        Some(setting) => Ok(found(&TenantView::from(setting))),
        None => Err(Refusal::new(Code::UnknownTenant, Code::UnknownTenant.meaning())),
    }
}

/// What a request says before its body is read.
struct CheckedRequest {
    tenant: TenantId,
    operator: String,
    time: Duration,
}

fn check_request(
    shared: &Shared,
    names: &Names,
    query: Option<&str>,
    headers: &HeaderMap,
    no_body: bool,
) -> Result<CheckedRequest, Refusal> {
    let tenant = path::tenant(names)?;
    Query::parse(query, &[])?;
    let operator = headers::operator(headers)?.to_owned();
    let time = headers::timeout(headers, &shared.limits)?;
    match content::form(headers, no_body)? {
        Form::Data => Ok(CheckedRequest { tenant, operator, time }),
        Form::Structured => {
            let text = "application/json is expected";
            Err(Refusal::new(Code::UnsupportedMediaType, text).at("content-type"))
        }
    }
}

/// `PATCH /v1/admin/tenants/{tenant}`: in force as soon as it is answered.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, request_body) = request.into_parts();
    let no_body = request_body.is_end_stream();
    let CheckedRequest { tenant, operator, time } =
        match check_request(&shared, &names, parts.uri.query(), &parts.headers, no_body) {
            Ok(checked) => checked,
            Err(refusal) => return Err(body::refuse(&parts.headers, request_body, refusal).await),
        };
    let owner = BodyOwner { tenants: shared.edge.tenants.as_ref(), tenant: &tenant };
    let read = body::read(&shared.admin_bodies, owner, &parts.headers, request_body, time).await?;
    let change = decode_tenant_change(&read).map_err(|error| Refusal::from(&error))?;
    drop(read);
    let late = || {
        let text = "the time was up before it was known to be recorded; look at the tenant, and ask again";
        Refusal::new(Code::OutcomeUnknown, text)
    };
    let setting = timeout(time, put(&shared, &tenant, change)).await.map_err(|_| late())??;
    let TenantView { status, in_flight_max, .. } = &setting;
    tracing::info!(event = "tenant_set", %tenant, operator, ?status, ?in_flight_max, "a tenant was set");
    Ok(found(&setting))
}

/// One at a time: of two who change different things, neither takes the other's away.
async fn put(shared: &Shared, tenant: &TenantId, change: TenantChange) -> Result<TenantView, Refusal> {
    let tenants = &shared.edge.tenants;
    let _turn = shared.tenant_changes.lock().await;
    let setting = tenants.get_or_new(tenant).with(change);
    match tenants.put(setting.clone()).await {
        Ok(()) => Ok(TenantView::from(setting)),
        Err(StoreError::Unavailable(_) | StoreError::Damaged(_)) => {
            let text = "it may be recorded, or not: the log did not answer as it should; look at the tenant, and ask again";
            Err(Refusal::new(Code::OutcomeUnknown, text))
        }
    }
}
