//! What the documents are put together from.

use std::collections::BTreeSet;

use retailflow_config::Config;
use retailflow_engine::ids::OPERATOR_SOURCE;
use retailflow_engine::wire::problem::PROBLEM_MEDIA_TYPE;
use retailflow_engine::wire::schema::all_schemas;
use retailflow_engine::wire::{Code, CommandType};
use serde_json::{Map, Value, json};

use crate::command::TENANT_SOURCE;

/// All schemas of the contract. Their definitions stand beside them: readers of these documents look nowhere else. Those of
/// events have names of their own: they let pass what those of commands refuse.
pub(super) fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    for (file, mut schema) in all_schemas() {
        let name = file.trim_end_matches(".json");
        let Some(members) = schema.as_object_mut() else { continue };
        members.remove("$schema");
        members.remove("$id");
        let prefix = if name.starts_with("event.") { "Event" } else { "" };
        if let Some(Value::Object(definitions)) = members.remove("$defs") {
            for (name, mut definition) in definitions {
                point(&mut definition, prefix);
                all.insert(format!("{prefix}{name}"), definition);
            }
        }
        point(&mut schema, prefix);
        if let Some(kind) = name.strip_prefix("command.") {
            let data_name = format!("command-data.{kind}");
            let data = std::mem::replace(&mut schema["properties"]["data"], reference(&data_name));
            all.insert(data_name, data);
        }
        all.insert(name.to_owned(), schema);
    }
    all
}

fn point(value: &mut Value, prefix: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let target = member.as_str().filter(|_| name == "$ref");
                match target.and_then(|target| target.strip_prefix("#/$defs/")) {
                    Some(target) => *member = json!(format!("#/components/schemas/{prefix}{target}")),
                    None => point(member, prefix),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| point(member, prefix)),
        _ => {}
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What a member of the envelope may be.
fn envelope(member: &str) -> Value {
    let place = all_schemas().into_iter().find(|(file, _)| file == "command.place.v1.json");
    place.map(|(_, schema)| schema["properties"][member].clone()).unwrap_or_default()
}

fn parameter(place: &str, name: &str, about: &str, required: bool, schema: Value) -> Value {
    json!({ "in": place, "name": name, "description": about, "required": required, "schema": schema })
}

pub(super) fn query(name: &str, about: &str, schema: Value) -> Value {
    parameter("query", name, about, false, schema)
}

/// A query parameter that must be given.
pub(super) fn needed(name: &str, about: &str, schema: Value) -> Value {
    parameter("query", name, about, true, schema)
}

pub(super) fn header(name: &str, about: &str, schema: Value) -> Value {
    parameter("header", name, about, false, schema)
}

/// A header that must be given.
pub(super) fn given(name: &str, about: &str, schema: Value) -> Value {
    parameter("header", name, about, true, schema)
}

pub(super) fn token() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 512 })
}

pub(super) fn timeout() -> Value {
    let http = Config::default().http;
    let schema = json!({
        "type": "integer",
        "minimum": 1,
        "maximum": http.request_timeout_max_ms,
        "default": http.request_timeout_ms,
    });
    header("Rf-Timeout-Ms", "How long the caller waits. Work past it is not begun.", schema)
}

/// What a tenant's name may be.
pub(super) fn tenant_id() -> Value {
    envelope("tenant")
}

/// A body of JSON that must be given.
pub(super) fn json_body(schema: &str) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": reference(schema) } } })
}

pub(super) fn tenant_path() -> Vec<Value> {
    vec![parameter("path", "tenant", "The tenant.", true, envelope("tenant"))]
}

pub(super) fn order_path() -> Vec<Value> {
    let order = parameter("path", "order", "The order.", true, envelope("subject"));
    tenant_path().into_iter().chain([order]).collect()
}

pub(super) fn command_headers(kinds: &[CommandType]) -> Vec<Value> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let operators = kinds.iter().any(|kind| kind.is_operator());
    let default_source = if operators { OPERATOR_SOURCE } else { TENANT_SOURCE };
    let mut source = envelope("source");
    source["default"] = json!(default_source);
    let text = json!({ "type": "string" });
    vec![
        header(
            "Ce-Type",
            "The command's type. For application/json.",
            json!({ "type": "string", "enum": names }),
        ),
        header("Idempotency-Key", "The command's id; agrees with that of a CloudEvent.", envelope("id")),
        header("Ce-Specversion", "Says that the headers are a CloudEvent.", json!({ "const": "1.0" })),
        header("Ce-Id", "The command's id, percent-encoded.", envelope("id")),
        header("Ce-Source", "Who made the command. A CloudEvent must say it.", source),
        header("Ce-Tenant", "Agrees with the path.", envelope("tenant")),
        header("Ce-Subject", "Agrees with the path.", envelope("subject")),
        header("Ce-Time", "When the command was made.", json!({ "type": "string", "format": "date-time" })),
        header("traceparent", "The trace that it is part of (W3C Trace Context).", text.clone()),
        header("tracestate", "What vendors add to it.", text),
        timeout(),
        query(
            "dry_run",
            "Say what would be decided, and record nothing.",
            json!({ "type": "boolean", "default": false }),
        ),
    ]
}

pub(super) fn command_body(kinds: &[CommandType]) -> Value {
    let all = |prefix: &str| -> Vec<Value> {
        kinds.iter().map(|kind| reference(&format!("{prefix}.{}.v1", kind.verb()))).collect()
    };
    // What operators send may go without data.
    json!({
        "required": !kinds.iter().any(|kind| kind.is_operator()),
        "content": {
            "application/cloudevents+json": { "schema": { "oneOf": all("command") } },
            "application/json": { "schema": { "anyOf": all("command-data") } },
        },
    })
}

/// Every status that a command can come out with.
pub(super) fn command_answers() -> Value {
    let mut answers = Answers::common().json(200, "Applied.", "outcome.v1").json(
        202,
        "Kept in order behind a parked order.",
        "outcome.v1",
    );
    let statuses: BTreeSet<u16> = Code::ALL.iter().map(|code| code.http_status()).collect();
    for status in statuses.into_iter().filter(|status| *status >= 400) {
        let named = Code::ALL.iter().filter(|code| code.http_status() == status);
        let codes: Vec<String> = named.map(|code| format!("`{code}`")).collect();
        answers = answers.problem(status, &format!("{}.", codes.join(", ")));
    }
    let mut answers = answers.done();
    for (status, answer) in answers.as_object_mut().into_iter().flatten() {
        if matches!(status.as_str(), "200" | "202" | "422") {
            answer["headers"]["Rf-Position"] =
                answer_header("Where the log stood then, for at_least.", "string");
            answer["headers"]["Idempotent-Replayed"] =
                json!({ "description": "The first outcome is given again.", "schema": { "const": "true" } });
        }
        answer["headers"]["traceparent"] = answer_header("As it came.", "string");
    }
    answers
}

fn answer_header(about: &str, kind: &str) -> Value {
    json!({ "description": about, "schema": { "type": kind } })
}

pub(super) fn bare(about: &str, media_type: &str, schema: Value) -> Value {
    json!({ "description": about, "content": { media_type: { "schema": schema } } })
}

/// The answers of an operation, by status.
#[derive(Default)]
pub(super) struct Answers(Map<String, Value>);

impl Answers {
    /// What any operation can come to that does more than tell how the process is.
    fn common() -> Self {
        Self::default()
            .problem(400, "The request is not as the contract says.")
            .problem(403, "Another Host was named than this address answers to: see `http.host_names`.")
            .problem(404, "There is no such tenant, order or path.")
            .problem(405, "Another method is expected: see Allow.")
            .problem(500, "A fault of ours.")
            .problem(414, "The path and query are too long.")
            .problem(431, "The headers are larger than the limit.")
            .problem(503, "Come again after Retry-After.")
    }

    pub(super) fn reading() -> Self {
        Self::common()
    }

    pub(super) fn json(self, status: u16, about: &str, schema: &str) -> Self {
        self.with(status, bare(about, "application/json", reference(schema)))
    }

    pub(super) fn text(self, status: u16, about: &str, media_type: &str) -> Self {
        self.with(status, bare(about, media_type, json!({ "type": "string" })))
    }

    pub(super) fn problem(self, status: u16, about: &str) -> Self {
        let mut answer = bare(about, PROBLEM_MEDIA_TYPE, reference("problem.v1"));
        if matches!(status, 429 | 503) {
            answer["headers"]["Retry-After"] = answer_header("In seconds.", "integer");
        }
        if status == 405 {
            answer["headers"]["Allow"] = answer_header("The methods that there are.", "string");
        }
        self.with(status, answer)
    }

    fn with(mut self, status: u16, answer: Value) -> Self {
        self.0.insert(status.to_string(), answer);
        self
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}
