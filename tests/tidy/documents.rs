//! Rules about documents: what they name exists, and what must be told is told.

use retailflow_engine::wire::Code;

use crate::repo::{Repo, none_broken};

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
    for document in ["ARCHITECTURE.md", "README.md"] {
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
