//! The examples of the documents, run one after another as they stand there.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::cli::repository;
use crate::support::server::Server;
use crate::support::world::World;

/// An example: what is typed, and what is said to come of it.
struct Example {
    line: usize,
    script: String,
    json: Option<String>,
}

/// The shell examples of a document that speak to a server, each with the JSON block that follows it.
fn examples(document: &str) -> Vec<Example> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let mut found: Vec<Example> = Vec::new();
    let (mut block, mut kind): (Vec<&str>, Option<&str>) = (Vec::new(), None);
    let mut follows = false;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), kind) {
            (Some(of), None) => (kind, block) = (Some(of), Vec::new()),
            (Some(_), Some(of)) => {
                let script = block.join("\n");
                if of == "sh" && script.contains("curl") {
                    found.push(Example { line: at + 1 - block.len(), script, json: None });
                    follows = true;
                } else if of == "json" && follows {
                    found.last_mut().unwrap().json = Some(script);
                }
                kind = None;
            }
            (None, Some(_)) => block.push(line),
            (None, None) => follows &= line.is_empty(),
        }
    }
    found
}

/// What is commented below a script: what comes of it.
fn expected(script: &str) -> Vec<&str> {
    script.lines().rev().take_while(|line| line.starts_with('#')).collect()
}

fn run(script: &str, server: &Server) -> String {
    let script = script.replace("127.0.0.1:8080", &server.public).replace("127.0.0.1:8081", &server.admin);
    let ran = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output();
    let ran = ran.expect("the examples need `sh` and `curl`");
    String::from_utf8(ran.stdout).unwrap()
}

/// Fails unless `given` has all that `shown` has; times and positions may differ.
fn assert_shows(given: &Value, shown: &Value, place: &str) {
    match (given, shown) {
        (Value::Object(given), Value::Object(shown)) => {
            for (name, value) in shown {
                let found = given.get(name).unwrap_or_else(|| panic!("{place}: no {name}"));
                assert_shows(found, value, &format!("{place}.{name}"));
            }
        }
        _ if place.ends_with("_at") || place.ends_with(".position") => {}
        _ => assert_eq!(given, shown, "{place}"),
    }
}

fn run_all(document: &str) {
    let curl = Command::new("curl").arg("--version").output();
    assert!(
        curl.is_ok_and(|ran| ran.status.success()),
        "the examples of the documents need curl: install it"
    );
    let world = World::new();
    let server = Server::start(&world, &[]);
    let all = examples(document);
    assert!(all.len() >= 4, "{document} has only {} examples", all.len());
    for example in all {
        let place = format!("{document}:{}", example.line);
        let said = run(&example.script, &server);
        if let Some(json) = &example.json {
            let shown: Value = serde_json::from_str(json).unwrap();
            let given =
                serde_json::from_str(&said).unwrap_or_else(|error| panic!("{place}: {error}: {said}"));
            assert_shows(&given, &shown, &place);
        }
        for comment in expected(&example.script) {
            assert_told(comment.trim_start_matches("# "), &said, &place);
        }
    }
}

/// A comment that is a status, begins with a quote, or is a header or an event: that must be in the output. All others are
/// for people.
fn assert_told(comment: &str, said: &str, place: &str) {
    let first = comment.split([';', ':', ',']).next().unwrap().trim();
    if first.len() == 3 && first.chars().all(|c| c.is_ascii_digit()) {
        assert!(said.trim() == first || comment.contains("; or "), "{place}: {said}");
    } else if comment.starts_with('"') {
        let quoted = comment.split(", and").next().unwrap().trim_end_matches(" is in it");
        assert!(said.contains(quoted), "{place}: {quoted} is not in {said}");
    } else if ["idempotent", "event:"].iter().any(|start| comment.starts_with(start)) {
        assert!(said.contains(comment), "{place}: {comment} is not in {said}");
    }
}

#[test]
fn the_examples_of_the_api_are_as_they_say() {
    run_all("docs/api.md");
}

#[test]
fn the_quick_start_of_the_readme_is_as_it_says() {
    run_all("README.md");
}
