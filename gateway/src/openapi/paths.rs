//! What the documents of both addresses have in common.

use serde_json::{Map, Value, json};

use crate::health::METRICS_MEDIA_TYPE;
use crate::limits::{LIMIT_DEFAULT, LIMIT_MAX};

use super::parts::{Answers, bare, query};

pub(super) fn process_paths() -> Map<String, Value> {
    let mut paths = Map::new();
    let probe = |id: &str, summary: &str| {
        json!({
            "operationId": id,
            "summary": summary,
            "responses": Answers::default().json(200, "It is.", "health.v1").json(503, "It is not, and why.", "health.v1").done(),
        })
    };
    add(&mut paths, "/healthz", "get", probe("isAlive", "Is the process alive?"));
    add(&mut paths, "/readyz", "get", probe("isReady", "Can the process do its work?"));
    add(
        &mut paths,
        "/metrics",
        "get",
        json!({
            "operationId": "getMetrics",
            "summary": "Metrics in the text format of Prometheus",
            "responses": Answers::default()
                .text(200, "The metrics.", METRICS_MEDIA_TYPE)
                .problem(503, "As many pages as the node can make at once are being made.")
                .done(),
        }),
    );
    add(
        &mut paths,
        "/openapi.json",
        "get",
        json!({
            "operationId": "getDocument",
            "summary": "This document",
            "responses": { "200": bare("The document.", "application/json", json!({ "type": "object" })) },
        }),
    );
    paths
}

pub(super) fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    paths.entry(path).or_insert_with(|| json!({}))[method] = operation;
}

pub(super) fn limit() -> Value {
    let range = json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT });
    query("limit", "Entries at most.", range)
}

pub(super) fn all<const N: usize>(parts: [Vec<Value>; N]) -> Vec<Value> {
    parts.concat()
}
