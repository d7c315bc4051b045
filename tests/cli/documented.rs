//! The verbs and flags that the documents name are there: who types what a runbook says at night must not be told that there is no such verb.

use std::collections::HashMap;

use crate::support::cli::{repository, retailflow};

/// What ends a call in a line of a shell.
const ENDS: &[&str] = &["|", ">", "<", "&&", "||", ";", "&"];
/// As many calls are named at least; fewer are found when this test reads the documents wrongly.
const CALLS_MIN: usize = 100;

/// A call as a document has it.
struct Named {
    place: String,
    /// Alternatives of the first word, and of the second one.
    verbs: Vec<Vec<String>>,
    flags: Vec<String>,
}

/// The texts of a document that may hold calls: lines of its blocks, and what stands in backticks.
fn pieces(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut in_block, mut begun) = (false, String::new());
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(|code| (at + 1, code.replace("\\|", "|"))));
        } else if let Some(half) = line.strip_suffix('\\') {
            begun += half;
        } else {
            let line = std::mem::take(&mut begun) + line;
            found.push((at + 1, line.split(" #").next().unwrap_or("").to_owned()));
        }
    }
    found
}

/// The calls in a piece of text.
fn calls(document: &str, at: usize, piece: &str) -> Vec<Named> {
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '|')
    };
    let mut found = Vec::new();
    for (start, _) in piece.match_indices("retailflow ") {
        let before = piece[..start].chars().next_back();
        if before.is_some_and(|c| c != ' ' && c != '(') {
            continue;
        }
        let rest = piece[start..].split_whitespace().skip(1);
        let words: Vec<&str> = rest.take_while(|word| !ENDS.contains(word)).collect();
        let verbs = words.iter().copied().take_while(|word| is_word(word)).take(2);
        let verbs = verbs.map(|word| word.split('|').map(str::to_owned).collect()).collect::<Vec<_>>();
        let flag = |word: &&str| {
            let name = word.trim_start_matches("[").strip_prefix("--")?;
            let end = name.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(name.len());
            Some(format!("--{}", &name[..end]))
        };
        let flags = words.iter().filter_map(flag).collect();
        if !verbs.is_empty() {
            found.push(Named { place: format!("{document}:{at}: {piece}"), verbs, flags });
        }
    }
    found
}

/// What the program says of its verbs, each asked once.
#[derive(Default)]
struct Helps(HashMap<Vec<String>, Option<String>>);

impl Helps {
    fn of(&mut self, verbs: &[String]) -> Option<String> {
        let ask = || {
            let words: Vec<&str> = verbs.iter().map(String::as_str).chain(["--help"]).collect();
            let ended = retailflow(&words).run();
            (ended.code == Some(0)).then_some(ended.stdout)
        };
        self.0.entry(verbs.to_vec()).or_insert_with(ask).clone()
    }
}

/// What is wrong with a call.
fn wrong(helps: &mut Helps, named: &Named) -> Vec<String> {
    let mut wrong = Vec::new();
    for first in named.verbs[0].iter().filter(|first| *first != "help") {
        let Some(help) = helps.of(std::slice::from_ref(first)) else {
            wrong.push(format!("{}: there is no verb {first}", named.place));
            continue;
        };
        let has_verbs = help.contains("\nCommands:\n");
        let seconds = named.verbs.get(1).filter(|_| has_verbs);
        let whole: Vec<Vec<String>> = match seconds {
            Some(seconds) => seconds.iter().map(|second| vec![first.clone(), second.clone()]).collect(),
            None => vec![vec![first.clone()]],
        };
        for verbs in whole {
            match helps.of(&verbs) {
                None => wrong.push(format!("{}: there is no verb {}", named.place, verbs.join(" "))),
                Some(help) => {
                    let missing = named.flags.iter().filter(|flag| !help.contains(flag.as_str()));
                    wrong.extend(
                        missing.map(|flag| format!("{}: {} has no {flag}", named.place, verbs.join(" "))),
                    );
                }
            }
        }
    }
    wrong
}

#[test]
fn verbs_and_flags_of_the_documents_are_there() {
    let mut documents = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        documents.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    documents.sort();
    let (mut helps, mut count, mut broken) = (Helps::default(), 0, Vec::new());
    for document in documents {
        let text = std::fs::read_to_string(repository().join(&document)).unwrap();
        for (at, piece) in pieces(&text) {
            for named in calls(&document, at, &piece) {
                count += 1;
                broken.extend(wrong(&mut helps, &named));
            }
        }
    }
    assert!(count >= CALLS_MIN, "only {count} calls were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
