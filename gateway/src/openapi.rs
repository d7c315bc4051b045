//! The OpenAPI documents, made from the types of the contract: one a door, `docs/openapi.json` and
//! `docs/openapi-admin.json`.

mod admin;
mod parts;
mod paths;

use serde_json::{Value, json};

use self::paths::{add, all, limit, process_paths};
use parts::{Answers, command_answers, command_body, command_headers, order_path, query, tenant_path};
use retailflow_engine::wire::CommandType;
use retailflow_engine::wire::order::{Attention, OrderStatus};

use crate::events::EVENT_STREAM;

/// One of the documents.
#[derive(Clone, Copy)]
pub struct Document {
    /// Its file in `docs`.
    pub file: &'static str,
    title: &'static str,
    about: &'static str,
    paths: fn() -> Value,
}

/// The tenants' door.
pub const PUBLIC: Document = Document {
    file: "openapi.json",
    title: "RetailFlow",
    about: "Commands for orders, orders, and events. docs/api.md says it by example. Limits are those of the default \
            configuration.",
    paths: public_paths,
};

/// The operators' door.
pub const ADMIN: Document = Document {
    file: "openapi-admin.json",
    title: "RetailFlow for operators",
    about: "Operators' commands, parked orders, tenants, dead letters and backups, at an address of its own.",
    paths: admin::paths,
};

/// A document as it is served and committed.
#[must_use]
pub fn text(document: Document) -> String {
    let value = json!({
        "openapi": "3.1.0",
        "info": {
            "title": document.title,
            "description": document.about,
            "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": (document.paths)(),
        "components": { "schemas": parts::schemas() },
    });
    // A value of this kind is always written.
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

fn public_paths() -> Value {
    let kinds: Vec<CommandType> =
        CommandType::ALL.iter().copied().filter(|kind| !kind.is_operator()).collect();
    let mut paths = process_paths();
    let order = "/v1/tenants/{tenant}/orders/{order}";
    add(
        &mut paths,
        &format!("{order}/commands"),
        "post",
        json!({
            "operationId": "sendCommand",
            "summary": "Send a command, and get its outcome once that is durable",
            "description": "A CloudEvent 1.0 in structured JSON, or in headers with its data as the body, or the data alone \
                            with Ce-Type and Idempotency-Key. The path says which order it is for.",
            "parameters": all([order_path(), command_headers(&kinds)]),
            "requestBody": command_body(&kinds),
            "responses": command_answers(),
        }),
    );
    add(
        &mut paths,
        order,
        "get",
        json!({
            "operationId": "getOrder",
            "summary": "An order as it stands",
            "parameters": all([order_path(), vec![parts::timeout()]]),
            "responses": Answers::reading().json(200, "The order.", "order.v1").done(),
        }),
    );
    add(
        &mut paths,
        &format!("{order}/history"),
        "get",
        json!({
            "operationId": "getHistory",
            "summary": "Every decision that was taken on an order, oldest first",
            "parameters": all([order_path(), vec![
                query("after", "Only decisions after this one.", json!({ "type": "integer", "minimum": 0, "default": 0, "maximum": (1u64 << 53) - 1 })),
                limit(),
                parts::timeout(),
            ]]),
            "responses": Answers::reading().json(200, "A page of the history.", "history.v1").done(),
        }),
    );
    let words = |words: Vec<&str>| json!({ "type": "string", "enum": words });
    add(
        &mut paths,
        "/v1/tenants/{tenant}/orders",
        "get",
        json!({
            "operationId": "listOrders",
            "summary": "Orders of a tenant",
            "description": "Lists are kept from the log and may be a little behind it; at_least waits for what was written.",
            "parameters": all([tenant_path(), vec![
                query("status", "Only orders that stand so.", words(OrderStatus::ALL.iter().map(|s| s.as_str()).collect())),
                query("attention", "Only orders that need this attention.", words(Attention::ALL.iter().map(|a| a.as_str()).collect())),
                query("after", "The \"next\" of an earlier page.", parts::token()),
                limit(),
                query("at_least", "An Rf-Position, or the \"position\" of a list: the answer is of a list that has read so far.", parts::token()),
                parts::timeout(),
            ]]),
            "responses": Answers::reading()
                .json(200, "A page of orders.", "orders.v1")
                .problem(501, "Nodes of a cluster keep no lists.")
                .done(),
        }),
    );
    add(
        &mut paths,
        "/v1/tenants/{tenant}/events",
        "get",
        json!({
            "operationId": "streamEvents",
            "summary": "Public events as server-sent events",
            "description": "Each event has the position after it as its id, its type as its name, and a CloudEvent as its data. \
                            Without a position it begins with the first event that the log holds.",
            "parameters": all([tenant_path(), vec![
                query("from", "Where to begin.", json!({ "type": "string", "enum": ["beginning", "now"] })),
                query("after", "Begin after the event with this id.", parts::token()),
                parts::header("Last-Event-ID", "Begin after the event with this id; wins over the parameters.", parts::token()),
                parts::timeout(),
            ]]),
            "responses": Answers::reading()
                .problem(410, "What comes after this position is not in the log any more: begin anew.")
                .text(200, "The events, as they come.", EVENT_STREAM)
                .done(),
        }),
    );
    Value::Object(paths)
}
