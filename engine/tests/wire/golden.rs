use crate::{engine_dir, pinned};
use retailflow_engine::wire::admin::{
    Health, LetterList, ParkedList, ParkedQueue, ReleaseReport, TenantChange, TenantList, TenantView,
};
use retailflow_engine::wire::event::{EventData, PublicEvent};
use retailflow_engine::wire::order::{HistoryEntry, HistoryPage, OrderView};
use retailflow_engine::wire::order_list::OrderList;
use retailflow_engine::wire::outcome::Outcome;
use retailflow_engine::wire::problem::Problem;
use retailflow_engine::wire::report::RunReport;
use retailflow_engine::wire::{CommandType, decode_command, schema};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

fn again<T: DeserializeOwned + Serialize>(text: &str) -> String {
    pretty(&serde_json::from_str::<T>(text).unwrap())
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn each_golden_file_is_read_and_written_as_it_is() {
    let folder = engine_dir().join("golden/wire");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".json") else { continue };
        names.insert(stem.to_owned());
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let now = match stem.split('.').next().unwrap() {
            "command" => pretty(&decode_command(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"))),
            "outcome" => {
                assert!(serde_json::from_str::<Outcome>(&text).unwrap().is_consistent(), "{name}");
                again::<Outcome>(&text)
            }
            "problem" => again::<Problem>(&text),
            "order" => again::<OrderView>(&text),
            "history-entry" => again::<HistoryEntry>(&text),
            "history" => again::<HistoryPage>(&text),
            "orders" => again::<OrderList>(&text),
            "parked" => again::<ParkedList>(&text),
            "parked-queue" => again::<ParkedQueue>(&text),
            "release" => again::<ReleaseReport>(&text),
            "tenant" => again::<TenantView>(&text),
            "tenants" => again::<TenantList>(&text),
            "tenant-change" => again::<TenantChange>(&text),
            "dead-letters" => again::<LetterList>(&text),
            "health" => again::<Health>(&text),
            "report" => {
                assert!(serde_json::from_str::<RunReport>(&text).unwrap().commands.adds_up());
                again::<RunReport>(&text)
            }
            "event" => again::<PublicEvent>(&text),
            _ => panic!("{name} is of no known type"),
        };
        pinned(folder.join(&name), &now);
    }
    for kind in CommandType::ALL.iter() {
        assert!(names.contains(&format!("command.{}", kind.verb())), "{kind}");
    }
    for kind in EventData::TYPES {
        let word = kind.trim_start_matches("retailflow.order.").trim_end_matches(".v1");
        assert!(names.contains(&format!("event.{word}")), "{kind}");
    }
}

#[test]
fn the_schemas_are_current() {
    let folder = engine_dir().join("../docs/schema");
    let mut names = BTreeSet::new();
    for (name, schema) in schema::all_schemas() {
        pinned(folder.join(&name), &pretty(&schema));
        assert!(names.insert(name));
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "docs/schema/{name} is of no type");
    }
}

#[test]
fn the_table_of_codes_is_current() {
    pinned(engine_dir().join("../docs/errors.md"), &schema::errors_markdown());
}

#[test]
fn the_page_of_metrics_is_current() {
    pinned(engine_dir().join("../docs/metrics.md"), &retailflow_engine::metric::markdown());
}

#[test]
fn a_problem_has_the_members_of_its_outcome() {
    let text = std::fs::read_to_string(engine_dir().join("golden/wire/outcome.refused.json")).unwrap();
    let outcome: Outcome = serde_json::from_str(&text).unwrap();
    let problem = serde_json::to_value(Problem::from(outcome.clone())).unwrap();
    for (name, value) in serde_json::to_value(&outcome).unwrap().as_object().unwrap() {
        let name = if name == "status" { "outcome_status" } else { name };
        assert_eq!(&problem[name], value, "{name}");
    }
    assert_eq!(problem["status"], outcome.code.http_status());
}
