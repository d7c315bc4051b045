//! What stands at which path. Every path and method here is in `openapi.rs` too; a test compares them. The console's pages
//! are for people, and stand in `console/mod.rs`.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::edge::Shared;
use crate::{
    admin, backup, body, command, console, events, health, letters, openapi, orders, parked, tenants,
};

/// The tenants' door.
pub(crate) fn public(shared: &Arc<Shared>) -> Router {
    let router = Router::new()
        .route("/v1/tenants/{tenant}/orders/{order}/commands", post(command::tenants))
        .route("/v1/tenants/{tenant}/orders/{order}", get(orders::show))
        .route("/v1/tenants/{tenant}/orders/{order}/history", get(orders::history))
        .route("/v1/tenants/{tenant}/orders", get(orders::list))
        .route("/v1/tenants/{tenant}/events", get(events::stream));
    finished(router.route("/metrics", get(health::public_metrics)), shared, openapi::PUBLIC)
}

/// The operators' door, with the console for people beside it.
pub(crate) fn operators(shared: &Arc<Shared>) -> Router {
    let order = "/v1/admin/tenants/{tenant}/orders/{order}";
    let router = Router::new()
        .route(&format!("{order}/commands"), post(command::operators))
        .route(&format!("{order}/release"), post(admin::release))
        .route(&format!("{order}/discard"), post(admin::discard))
        .route(&format!("{order}/parked"), get(parked::queue))
        .route("/v1/admin/tenants", get(tenants::list))
        .route("/v1/admin/tenants/{tenant}", get(tenants::show).patch(tenants::change))
        .route("/v1/admin/dead-letters", get(letters::list))
        .route("/v1/admin/parked", get(parked::list))
        .route("/v1/admin/backup", get(backup::cut))
        .route("/v1/admin/backup/bytes", get(backup::bytes));
    let router = router.route("/metrics", get(health::metrics));
    finished(router, shared, openapi::ADMIN).merge(console::router(shared))
}

fn finished(router: Router<Arc<Shared>>, shared: &Arc<Shared>, document: openapi::Document) -> Router {
    let document = Bytes::from(openapi::text(document));
    router
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], document.clone())))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(nothing_here)
        .method_not_allowed_fallback(another_method)
        .with_state(Arc::clone(shared))
}

async fn nothing_here(request: Request) -> Refusal {
    let (parts, body) = request.into_parts();
    body::refuse(&parts.headers, body, Refusal::new(Code::NotFound, Code::NotFound.meaning())).await
}

/// The methods that there are go into the header `Allow`, by the router.
async fn another_method(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let (parts, body) = request.into_parts();
    let refusal = Refusal::new(Code::MethodNotAllowed, Code::MethodNotAllowed.what_to_do());
    body::refuse(&parts.headers, body, refusal).await.into_response()
}
