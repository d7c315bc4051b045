//! How the process is, for probes and metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use retailflow_engine::wire::admin::{Health, HealthSchema, Unwell};

use crate::answer::{Refusal, json};
use crate::edge::Shared;

/// The media type of `/metrics`.
pub(crate) const METRICS_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why a node that is stopping is not ready.
pub(crate) const LEAVING: &str = "the node is stopping";

/// `GET /healthz`
pub(crate) async fn live(State(shared): State<Arc<Shared>>) -> Response {
    health(shared.edge.readiness.not_alive(), Vec::new(), Vec::new())
}

/// `GET /readyz`
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let mut reasons = shared.edge.readiness.not_ready();
    if shared.leaving.is_cancelled() {
        reasons.push(LEAVING.to_owned());
    }
    health(reasons, shared.edge.readiness.notes(), shared.edge.readiness.unwell())
}

fn health(reasons: Vec<String>, notes: Vec<String>, unwell: Vec<Unwell>) -> Response {
    let ok = reasons.is_empty();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Health { schema: HealthSchema, ok, reasons, notes, unwell })
}

/// `GET /metrics`
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let text = shared.render(|shared| (shared.edge.metrics)()).await?;
    Ok(([(CONTENT_TYPE, METRICS_MEDIA_TYPE)], text).into_response())
}
