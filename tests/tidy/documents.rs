//! Rules about documents: what they name exists, and what must be told is told.

use std::collections::BTreeSet;

use retailflow_engine::wire::Code;

use crate::repo::{Repo, none_broken, shipped_lines};

/// Documents that lead their readers to files.
const MAPS: &[&str] =
    &["ARCHITECTURE.md", "README.md", "docs/invariants.md", "docs/ways.md", "examples/clients/README.md"];
/// Where the lines of the log come from that operators search for.
const SHIPPED: &[&str] = &["actors/", "cluster/", "engine/", "gateway/", "server/", "src/"];

/// The questions that each decision answers.
const ADR_HEADINGS: &[&str] = &[
    "Status",
    "Context",
    "Choice",
    "What fails",
    "Under load",
    "In partial failure",
    "Cost",
    "When to revisit",
];

/// The texts in backticks, code blocks left out.
fn in_backticks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(|code| (at + 1, code.to_string())));
        }
    }
    found
}

/// Whether a text in backticks is a path of this repository, rather than a command or a name in the code.
fn is_path(repo: &Repo, code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if code.is_empty() || !code.chars().all(plain) {
        return false;
    }
    let top = code.split('/').next().unwrap_or("");
    match code.contains('/') {
        true => repo.files.iter().any(|f| f.split('/').next() == Some(top)),
        false => [".rs", ".md", ".toml"].iter().any(|ending| code.ends_with(ending)),
    }
}

#[test]
fn paths_named_in_the_maps_exist() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for document in MAPS {
        for (line, code) in in_backticks(&repo.text(document)) {
            if is_path(&repo, &code) && !repo.exists(&code) {
                broken.push(format!("{document}:{line}: {code} does not exist"));
            }
        }
    }
    none_broken("a map names only what is there", &broken);
}

#[test]
fn decisions_answer_all_questions() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    let decisions: Vec<&str> = repo.with_ending(".md").filter(|f| f.starts_with("docs/adr/")).collect();
    assert!(!decisions.is_empty(), "docs/adr/ holds no decision");
    for file in decisions {
        let number = file.trim_start_matches("docs/adr/").split('-').next().unwrap_or("");
        if number.len() != 4 || !number.bytes().all(|c| c.is_ascii_digit()) {
            broken.push(format!("{file}: its name begins with four digits and a '-'"));
        }
        let text = repo.text(file);
        let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        for wanted in ADR_HEADINGS.iter().filter(|wanted| !headings.contains(wanted)) {
            broken.push(format!("{file}: the heading \"## {wanted}\" is missing"));
        }
    }
    none_broken("each decision answers the same questions", &broken);
}

#[test]
fn every_outcome_code_is_explained() {
    let errors = Repo::open().text("docs/errors.md");
    let missing: Vec<String> = Code::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !errors.contains(&format!("`{code}`")))
        .map(|code| format!("`{code}`"))
        .collect();
    none_broken("docs/errors.md explains each code", &missing);
}

/// The names of the events that a line of code gives to the log.
fn events_in(line: &str) -> impl Iterator<Item = &str> {
    line.split("event = \"").skip(1).filter_map(|rest| rest.split('"').next())
}

/// The names in the first column of the runbook's table of lines.
fn events_explained(runbook: &str) -> BTreeSet<&str> {
    let table = runbook.split("\n## By line\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = table.unwrap_or("").lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`'))
        .filter(|name| *name != "event=")
        .collect()
}

#[test]
fn the_runbook_explains_each_event_of_the_log_and_no_other() {
    let repo = Repo::open();
    let runbook = repo.text("docs/runbook.md");
    let explained = events_explained(&runbook);
    let mut written = BTreeSet::new();
    let mut broken = Vec::new();
    let is_shipped = |file: &str| {
        let is_test = file.contains("/tests/") || file.ends_with("/tests.rs");
        !is_test && SHIPPED.iter().any(|folder| file.starts_with(folder))
    };
    for file in repo.with_ending(".rs").filter(|file| is_shipped(file)) {
        for (number, line) in shipped_lines(&repo.text(file)) {
            for event in events_in(line) {
                if !explained.contains(event) {
                    broken.push(format!(
                        "{file}:{number}: `{event}` has no row in docs/runbook.md, \"By line\""
                    ));
                }
                written.insert(event.to_owned());
            }
        }
    }
    assert!(!written.is_empty(), "no line of the log has an event");
    let gone = explained.iter().filter(|event| !written.contains(**event));
    broken.extend(gone.map(|event| format!("docs/runbook.md: nothing writes `{event}`")));
    none_broken("an operator finds each event of the log in the runbook", &broken);
}
