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

/// `GET /metrics` at the operators' door: all there is.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let text = shared.render(|shared| (shared.edge.metrics)()).await?;
    Ok(([(CONTENT_TYPE, METRICS_MEDIA_TYPE)], text).into_response())
}

/// `GET /metrics` at the tenants' door: without the series of single tenants. Who else is served here, and how much they send, is
/// no tenant's business.
pub(crate) async fn public_metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let text = shared.render(|shared| without_tenants(&(shared.edge.metrics)())).await?;
    Ok(([(CONTENT_TYPE, METRICS_MEDIA_TYPE)], text).into_response())
}

fn without_tenants(text: &str) -> String {
    let of_tenant = |line: &str| {
        let labels = line.split_once('{').filter(|_| !line.starts_with('#')).map_or("", |(_, labels)| labels);
        labels.starts_with("tenant=\"") || labels.contains(",tenant=\"")
    };
    text.split_inclusive('\n').filter(|line| !of_tenant(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::without_tenants;

    #[test]
    fn series_of_tenants_are_left_out_and_all_others_stay() {
        let text = "# HELP a {tenant=\"x\"}\n# TYPE a counter\na{tenant=\"shop\",type=\"place\"} 1\na{type=\"x\",tenant=\"shop\"} 2\n\
                    b{partition=\"1\"} 3\nc{subtenant=\"1\"} 3\nd 4\n";
        let kept =
            "# HELP a {tenant=\"x\"}\n# TYPE a counter\nb{partition=\"1\"} 3\nc{subtenant=\"1\"} 3\nd 4\n";
        assert_eq!(without_tenants(text), kept);
        assert_eq!(without_tenants(""), "");
    }
}
