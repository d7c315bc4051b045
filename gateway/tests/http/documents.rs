//! The OpenAPI documents: current, whole, and of the paths that there are.

use std::collections::BTreeSet;
use std::path::Path;

use retailflow_gateway::openapi::{ADMIN, Document, PUBLIC, text};
use serde_json::Value;

use crate::world::World;

fn document(document: Document) -> Value {
    serde_json::from_str(&text(document)).unwrap()
}

#[test]
fn the_committed_documents_are_current() {
    for document in [PUBLIC, ADMIN] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document.file);
        let now = text(document);
        if std::env::var_os("RETAILFLOW_BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let then = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(now == then, "docs/{} is not current; RETAILFLOW_BLESS=1 writes it anew", document.file);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(members) => members.iter().for_each(|member| references(member, found)),
            _ => {}
        }
    }
    for document in [document(PUBLIC), document(ADMIN)] {
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{reference} leads nowhere");
        }
        assert!(!document.to_string().contains("$defs"));
    }
}

#[test]
fn operations_have_names_of_their_own_and_parameters_for_their_paths() {
    for document in [document(PUBLIC), document(ADMIN)] {
        let mut names = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(
                    names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                    "{method} {path}"
                );
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let named = |name: &str| parameters.iter().any(|p| p["in"] == "path" && p["name"] == name);
                for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                    assert!(named(part.trim_end_matches('}')), "{method} {path}: {part}");
                }
            }
        }
    }
}

#[tokio::test]
async fn each_door_serves_its_own_and_has_the_paths_in_it() {
    let world = World::new().await;
    let public = world.get("/openapi.json").await;
    assert_eq!(public.text(), text(PUBLIC));
    assert_eq!(world.admin("GET", "/openapi.json", &[], b"").await.text(), text(ADMIN));
    for (document, admin) in [(document(PUBLIC), false), (document(ADMIN), true)] {
        for (path, operations) in document["paths"].as_object().unwrap() {
            let path = path.replace("{tenant}", "shop").replace("{order}", "o-1");
            // A method that no path has tells which methods there are.
            let reply = match admin {
                true => world.admin("DELETE", &path, &[], b"").await,
                false => world.call("DELETE", &path, &[], b"").await,
            };
            reply.refused(405, "method_not_allowed");
            let allowed = reply.header("allow").unwrap().to_lowercase();
            let declared: Vec<&str> = operations.as_object().unwrap().keys().map(String::as_str).collect();
            let served: Vec<&str> = allowed.split(',').filter(|method| *method != "head").collect();
            assert_eq!(served, declared, "{path}");
        }
    }
}
