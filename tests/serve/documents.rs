//! The examples of the documents do what the documents say, one after another on a fresh server.
//!
//! A block of commands may be followed by a block of JSON, which is the answer; or end with comments that say what is
//! in it: a status alone (others after "or"), a line of the answer, members of JSON (any of them after "or").

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::repository;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);
/// Texts for people, and what is another one each time.
const VOLATILE: [&str; 4] = ["message", "detail", "created_at", "updated_at"];

/// Commands, and what the document shows of their answer.
#[derive(Default)]
struct Example {
    line: usize,
    script: String,
    says: Vec<String>,
    json: String,
}

/// The blocks of `sh` below the heading, down to the next one of its rank; all of them without a heading.
fn examples(text: &str, heading: Option<&str>) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let (mut within, mut block) = (heading.is_none(), None);
    for (at, line) in text.lines().enumerate() {
        match (block, line.strip_prefix("```")) {
            (None, None) if heading.is_some() && line.starts_with("## ") => {
                within = line.strip_prefix("## ") == heading;
            }
            (None, Some(kind)) => {
                block = Some(kind);
                if within && kind == "sh" {
                    found.push(Example { line: at + 1, ..Example::default() });
                }
            }
            (Some(_), Some(_)) => block = None,
            (Some("sh"), None) if within => {
                let example = found.last_mut().unwrap();
                match line.strip_prefix('#') {
                    Some(says) => example.says.push(says.trim().to_owned()),
                    None => example.script += &format!("{line}\n"),
                }
            }
            (Some("json"), None) if within => found.last_mut().unwrap().json += line,
            _ => {}
        }
    }
    found
}

/// What the commands print.
fn run(example: &Example, server: &Server, folder: &Path) -> String {
    let script =
        example.script.replace("127.0.0.1:8080", &server.public).replace("127.0.0.1:8081", &server.admin);
    let program = Path::new(env!("CARGO_BIN_EXE_retailflow")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .env("RETAILFLOW_SERVER", server.url())
        .env_remove("RETAILFLOW_DATA")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap().replace('\r', "")
    });
    let what = format!("the example of line {} ends", example.line);
    let status = wait_for(&what, BOUND, || child.try_wait().unwrap());
    let printed = reader.join().unwrap();
    assert!(status.success(), "line {}: {status}: {printed}", example.line);
    printed
}

/// Members of JSON in a text, as they are written in compact JSON.
fn members(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("\":") {
        let name = text[..at].rfind('"').map_or(at, |start| start);
        let value = &text[at + 2..];
        let end = match value.strip_prefix('"') {
            Some(rest) => rest.find('"').map(|end| end + 2),
            None => value.find(|c: char| !c.is_ascii_digit()).or(Some(value.len())),
        };
        if let Some(end) = end.filter(|end| *end > 0) {
            found.push(text[name..at + 2 + end].to_owned());
        }
    }
    found
}

/// Whether the comment says something that can be compared; fails unless that is so.
fn holds(says: &str, printed: &str, line: usize) -> bool {
    let printed_line = |wanted: &str| {
        let wanted = wanted.to_lowercase();
        assert!(
            printed.lines().any(|line| line.to_lowercase().starts_with(&wanted)),
            "line {line}: {wanted:?} is not in: {printed}"
        );
        true
    };
    let status = |text: &str| text.get(..3).filter(|text| text.bytes().all(|b| b.is_ascii_digit())).is_some();
    if status(says) {
        let allowed: Vec<&str> =
            says.split(" or ").map(str::trim).filter(|text| status(text)).map(|text| &text[..3]).collect();
        assert!(allowed.contains(&printed.trim()), "line {line}: {printed:?} is none of {allowed:?}");
        return true;
    }
    let name = says.split(':').next().unwrap_or_default();
    if says.starts_with("HTTP/")
        || (name != says && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    {
        return printed_line(says.split('…').next().unwrap().trim_end_matches([' ', ',']));
    }
    let members = members(says);
    let held = |member: &String| printed.contains(member.as_str());
    let all = if says.contains(" or ") { members.iter().any(held) } else { members.iter().all(held) };
    assert!(members.is_empty() || all, "line {line}: {members:?} are not in: {printed}");
    !members.is_empty()
}

/// Without what is another one each time.
fn masked(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        VOLATILE.iter().for_each(|name| drop(object.remove(*name)));
    }
    value
}

/// Runs the examples; gives how many things were compared.
fn follow(document: &str, heading: Option<&str>) -> HashMap<&'static str, usize> {
    let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    assert!(curl.is_ok_and(|status| status.success()), "this test needs curl: install it, and run it again");
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let world = World::new();
    let server = Server::start(&world);
    let mut counts = HashMap::new();
    for example in examples(&text, heading) {
        // The reader starts the server by hand.
        if example.script.contains("retailflow serve") {
            continue;
        }
        let printed = run(&example, &server, &world.path(""));
        *counts.entry("examples").or_default() += 1;
        if !example.json.is_empty() {
            let shown: Value = serde_json::from_str(&example.json).unwrap();
            let given: Value = serde_json::from_str(&printed)
                .unwrap_or_else(|error| panic!("line {}: {error}: {printed}", example.line));
            assert_eq!(masked(&given), masked(&shown), "{document}, line {}", example.line);
            *counts.entry("compared").or_default() += 1;
        }
        for says in &example.says {
            *counts.entry("compared").or_default() += usize::from(holds(says, &printed, example.line));
        }
    }
    server.stop();
    counts
}

#[test]
fn the_examples_of_the_api_do_what_it_says() {
    let counts = follow("docs/api.md", None);
    assert!(counts["examples"] >= 18 && counts["compared"] >= 18, "{counts:?}");
}

#[test]
fn the_quick_start_does_what_it_says() {
    let counts = follow("README.md", Some("Quick start"));
    assert!(counts["examples"] >= 5 && counts["compared"] >= 5, "{counts:?}");
}
