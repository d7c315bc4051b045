//! The contract for other languages, made from the types: JSON Schemas (draft 2020-12) and the table of codes.

use super::admin::{
    BackupCut, Health, LetterList, ParkedList, ParkedQueue, ReleaseReport, TenantChange, TenantList,
    TenantView,
};
use super::code::{Code, Status};
use super::command::*;
use super::command_type::CommandType;
use super::event::EventData;
use super::limits::DATASCHEMA_MAX_CHARS;
use super::order::{HistoryEntry, HistoryPage, OrderView};
use super::order_list::OrderList;
use super::outcome::Outcome;
use super::problem::Problem;
use super::report::RunReport;
use crate::ids::{CommandId, OrderId, Source, TenantId};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// All schemas with the names of their files.
#[must_use]
pub fn all_schemas() -> Vec<(String, Value)> {
    let mut all = vec![
        named::<Outcome>("outcome.v1"),
        named::<Problem>("problem.v1"),
        named::<OrderView>("order.v1"),
        named::<HistoryEntry>("history-entry.v1"),
        named::<HistoryPage>("history.v1"),
        named::<OrderList>("orders.v1"),
        named::<ParkedList>("parked.v1"),
        named::<ParkedQueue>("parked-queue.v1"),
        named::<ReleaseReport>("release.v1"),
        named::<TenantView>("tenant.v1"),
        named::<TenantList>("tenants.v1"),
        named::<TenantChange>("tenant-change.v1"),
        named::<LetterList>("dead-letters.v1"),
        named::<BackupCut>("backup-cut.v1"),
        named::<Health>("health.v1"),
        named::<RunReport>("report.v1"),
    ];
    for kind in CommandType::ALL {
        let data = match kind {
            CommandType::Place => root::<PlaceData>(),
            CommandType::Cancel => root::<CancelData>(),
            CommandType::Return => root::<ReturnData>(),
            CommandType::Report => root::<ReportData>(),
            CommandType::Resume => root::<ResumeData>(),
            CommandType::ResolveStep => root::<ResolveStepData>(),
            CommandType::Compensate => root::<CompensateData>(),
            CommandType::Archive => root::<ArchiveData>(),
            CommandType::Restore => root::<RestoreData>(),
            CommandType::Refund => root::<RefundData>(),
            CommandType::Hold => root::<HoldData>(),
            CommandType::ReleaseHold => root::<ReleaseHoldData>(),
            CommandType::Pay => root::<PayData>(),
            CommandType::Amend => root::<AmendData>(),
            CommandType::Exchange => root::<ExchangeData>(),
            CommandType::Record => root::<RecordData>(),
        };
        let name = format!("command.{}.v1", kind.verb());
        all.push((format!("{name}.json"), command(&name, *kind, data)));
    }
    for (word, data) in EventData::schemas(generator) {
        let name = format!("event.{word}.v1");
        all.push((format!("{name}.json"), event(&name, word, data)));
    }
    all
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

fn root<T: JsonSchema>() -> Schema {
    generator().into_root_schema_for::<T>()
}

fn id(name: &str) -> Value {
    Value::String(format!("urn:retailflow:schema:{name}"))
}

fn named<T: JsonSchema>(name: &str) -> (String, Value) {
    let mut schema = root::<T>();
    schema.insert("$id".to_owned(), id(name));
    (format!("{name}.json"), schema.to_value())
}

fn inline<T: JsonSchema>() -> Value {
    T::json_schema(&mut generator()).to_value()
}

/// A CloudEvent around `data`, whose definitions move up to the envelope, where its references look for them.
fn envelope(name: &str, title: &str, data: Schema, properties: Value, required: &[&str]) -> Value {
    let mut data = data.to_value();
    let mut definitions = Value::Null;
    if let Some(members) = data.as_object_mut() {
        members.remove("$schema");
        definitions = members.remove("$defs").unwrap_or_default();
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": id(name),
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
    });
    schema["properties"]["data"] = data;
    if !definitions.is_null() {
        schema["$defs"] = definitions;
    }
    schema
}

fn time_schema() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn command(name: &str, kind: CommandType, data: Schema) -> Value {
    // What may be left out may also be null.
    let text = |max_chars: usize| json!({ "type": ["string", "null"], "maxLength": max_chars });
    let properties = json!({
        "specversion": { "const": "1.0" },
        "id": inline::<CommandId>(),
        "source": inline::<Source>(),
        "type": { "const": kind.as_str() },
        "tenant": inline::<TenantId>(),
        "subject": inline::<OrderId>(),
        "time": { "type": ["string", "null"], "format": "date-time" },
        "datacontenttype": { "type": ["string", "null"], "pattern": "^application/(json|[^;]+\\+json)( *;.*)?$" },
        "dataschema": text(DATASCHEMA_MAX_CHARS),
        "traceparent": { "type": ["string", "null"] },
        "tracestate": { "type": ["string", "null"] },
    });
    let mut required = vec!["specversion", "id", "source", "type", "tenant", "subject"];
    if data.get("required").is_some() {
        required.push("data");
    }
    let title = format!("The command \"{}\"", kind.verb());
    let mut schema = envelope(name, &title, data, properties, &required);
    // Extension attributes pass, when CloudEvents allows their names.
    schema["patternProperties"] = json!({ "^[a-z0-9]{1,64}$": true });
    schema["additionalProperties"] = Value::Bool(false);
    schema
}

fn event(name: &str, word: &str, data: Schema) -> Value {
    let properties = json!({
        "specversion": { "const": "1.0" },
        "id": { "type": "string", "description": "Order, version and index; the same whenever it is published." },
        "source": { "type": "string" },
        "type": { "const": format!("retailflow.order.{word}.v1") },
        "tenant": inline::<TenantId>(),
        "subject": inline::<OrderId>(),
        "time": time_schema(),
        "sequence": { "type": "string", "pattern": "^[0-9]{20}$", "description": "The order's version." },
        "eventnumber": {
            "type": "integer", "minimum": 1,
            "description": "Which of the order's events, from 1, without a gap. Absent where an order is parked, or no longer.",
        },
        "causationid": {
            "type": "string",
            "description": "The id of the command that caused it; of the engine's own, the key of the step that ended.",
        },
        "causationsource": {
            "type": "string",
            "description": "Whose id that is: ids are unique within their source. Absent for the engine's own.",
        },
        "actor": {
            "enum": ["tenant", "operator", "participant", "engine"],
            "description": "Who gave the command.",
        },
        "traceparent": { "type": "string" },
        "datacontenttype": { "const": "application/json" },
        "dataschema": { "const": id(name) },
    });
    let required = [
        "specversion",
        "id",
        "source",
        "type",
        "tenant",
        "subject",
        "time",
        "sequence",
        "dataschema",
        "data",
    ];
    let mut schema = envelope(name, &format!("The event \"{word}\""), data, properties, &required);
    open_to_additions(&mut schema);
    schema
}

/// Who checks events by their schemas must not refuse what is added later: fields that they do not know, and words in a
/// list. What such lists hold now stands in `x-extensible-enum`.
fn open_to_additions(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                members.remove("additionalProperties");
            }
            if let Some(words) = words(members) {
                members.remove("oneOf");
                members.remove("enum");
                members.insert("type".to_owned(), "string".into());
                members.insert("x-extensible-enum".to_owned(), words);
            }
            members.values_mut().for_each(open_to_additions);
        }
        Value::Array(elements) => elements.iter_mut().for_each(open_to_additions),
        _ => {}
    }
}

/// The words of a list of nothing but words.
fn words(members: &serde_json::Map<String, Value>) -> Option<Value> {
    let words: Option<Vec<Value>> = match (members.get("oneOf"), members.get("enum")) {
        (Some(Value::Array(each)), None) => each.iter().map(|one| one.get("const").cloned()).collect(),
        (None, Some(Value::Array(each))) => Some(each.clone()),
        _ => None,
    };
    words.filter(|words| words.iter().all(Value::is_string)).map(Value::Array)
}

/// The table of codes, as `docs/errors.md`.
#[must_use]
pub fn errors_markdown() -> String {
    let mut text = String::from(
        "# Outcome codes\n\n<!-- Made from engine/wire/src/code_table.rs. RETAILFLOW_BLESS=1 cargo test -p \
         retailflow-engine writes it anew. -->\n\nEvery outcome has one of these codes, at every door. Codes are only \
         ever added. *Again* says whether sending the same\ncommand again under the same id can end otherwise.\n",
    );
    for (status, about) in [
        (Status::Applied, "Carried out, and recorded; final."),
        (
            Status::Rejected,
            "Decided against, and recorded; final. The same id gets the same answer, so send anew with a new id.",
        ),
        (Status::Parked, "Durably kept behind a parked order, and decided when that is released."),
        (Status::Refused, "Not recorded: the same id may come again."),
    ] {
        text += &format!(
            "\n## {status}\n\n{about}\n\n| Code | HTTP | Again | Meaning | What to do |\n|---|---|---|---|---|\n"
        );
        for code in Code::ALL.iter().filter(|code| code.status() == status) {
            let (http, retry) = (code.http_status(), code.retry().as_str());
            text +=
                &format!("| `{code}` | {http} | {retry} | {} | {} |\n", code.meaning(), code.what_to_do());
        }
    }
    text
}
