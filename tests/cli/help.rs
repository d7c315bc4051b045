//! What the program says about itself.

use std::collections::BTreeSet;

use crate::support::cli::retailflow;

const COMMANDS: &[&[&str]] = &[
    &["import"],
    &["generate"],
    &["run"],
    &["serve"],
    &["publish"],
    &["participants"],
    &["verify"],
    &["reconcile"],
    &["repair"],
    &["events"],
    &["export"],
    &["restore"],
    &["backup", "create"],
    &["backup", "verify"],
    &["order", "show"],
    &["order", "history"],
    &["order", "list"],
    &["order", "search"],
    &["order", "place"],
    &["order", "cancel"],
    &["order", "return"],
    &["order", "refund"],
    &["order", "pay"],
    &["order", "record"],
    &["order", "hold"],
    &["order", "release-hold"],
    &["order", "amend"],
    &["order", "exchange"],
    &["order", "watch"],
    &["order", "resume"],
    &["order", "resolve-step"],
    &["order", "compensate"],
    &["order", "archive"],
    &["order", "restore"],
    &["parked", "list"],
    &["parked", "show"],
    &["parked", "release"],
    &["parked", "discard"],
    &["dlq", "list"],
    &["dlq", "show"],
    &["dlq", "redrive"],
    &["dlq", "discard"],
    &["tenant", "list"],
    &["tenant", "show"],
    &["tenant", "set"],
    &["cluster", "status"],
    &["cluster", "recover-commands"],
    &["cluster", "repair-streams"],
    &["doctor"],
    &["node", "list"],
    &["node", "drain"],
    &["node", "undrain"],
    &["node", "forget"],
    &["partition", "list"],
    &["partition", "move"],
    &["partition", "release"],
    &["config", "show"],
    &["bench", "embedded"],
    &["bench", "cluster"],
    &["bench", "isolation"],
    &["bench", "take-over"],
];

#[test]
fn help_leads_a_newcomer() {
    let help = retailflow(&["--help"]).run().expect(0);
    for words in COMMANDS {
        assert!(help.stdout.contains(&format!("\n  {} ", words[0])), "{words:?} is not in: {}", help.stdout);
    }
    for part in ["Examples:", "retailflow import --csv", "Exit codes: 0 fine"] {
        assert!(help.stdout.contains(part), "{part:?} is not in: {}", help.stdout);
    }
    // Without a word it says the same, as an error: a script that forgot one must notice.
    retailflow(&[]).run().expect(2).says(&["Usage: retailflow", "Examples:"]);
}

/// The verbs that the help below some words lists, down to those that have none below.
fn listed(words: &[&str]) -> BTreeSet<String> {
    let help = retailflow(words).arg("--help").run().expect(0).stdout;
    let Some((_, rest)) = help.split_once("\nCommands:\n") else { return [words.join(" ")].into() };
    let lines = rest.split("\n\n").next().unwrap().lines();
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.map(|line| line.split(' ').next().unwrap()).filter(|name| *name != "help");
    names.flat_map(|name| listed(&[words, &[name]].concat())).collect()
}

/// A verb that is missing in the list above would be looked at by none of the tests here.
#[test]
fn every_verb_that_help_lists_is_known_here() {
    assert_eq!(listed(&[]), COMMANDS.iter().map(|words| words.join(" ")).collect());
}

#[test]
fn every_command_has_help_with_words_for_every_flag() {
    for words in COMMANDS {
        let help = retailflow(words).arg("--help").run().expect(0);
        assert!(help.stdout.contains(&format!("Usage: retailflow {}", words.join(" "))), "{}", help.stdout);
        let flags = help.stdout.split("\nExample").next().unwrap();
        let lines: Vec<&str> = flags.lines().collect();
        // Deeper in stands what a flag means, which may name another one at the beginning of a line.
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("      --")) {
            let told =
                line.trim().contains("  ") || lines.get(at + 1).is_some_and(|next| next.starts_with("     "));
            assert!(told, "{words:?}: {line:?} is not explained");
        }
    }
}

#[test]
fn commands_that_take_a_place_take_it_from_the_environment() {
    for words in COMMANDS {
        let at_admin = match words[0] {
            "order" => ["resume", "resolve-step", "compensate", "archive", "restore"].contains(&words[1]),
            "parked" | "tenant" | "dlq" | "verify" | "export" => true,
            "backup" => words[1] == "create",
            _ => false,
        };
        let at_server = ["order", "events"].contains(&words[0]) && !at_admin;
        let on_data = match words[0] {
            "import" | "generate" | "publish" | "config" | "bench" => false,
            "cluster" | "doctor" | "node" | "partition" | "backup" => false,
            "order" => ["show", "history", "list", "search"].contains(&words[1]),
            _ => true,
        };
        let help = retailflow(words).arg("--help").run().expect(0);
        for (taken, name) in [
            (on_data, "RETAILFLOW_DATA"),
            (at_server, "RETAILFLOW_SERVER"),
            // For `serve` it is where operators reach it.
            (at_admin || words[0] == "serve", "RETAILFLOW_ADMIN"),
            (at_server || at_admin, "RETAILFLOW_CONTEXT"),
        ] {
            assert_eq!(help.stdout.contains(name), taken, "{words:?}, {name}: {}", help.stdout);
        }
    }
}

#[test]
fn the_version_tells_what_can_be_read() {
    let version = retailflow(&["--version"]).run().expect(0);
    let lines = version.lines();
    assert_eq!(lines[0], concat!("retailflow ", env!("CARGO_PKG_VERSION")));
    for (line, name) in lines[1..].iter().zip(["build:", "record: v1", "wire:   v1"]) {
        assert!(line.starts_with(name), "{line}");
    }
}

#[test]
fn wrong_words_are_usage_errors_that_say_what_is_right() {
    retailflow(&["imprt"]).run().expect(2).says(&["import"]);
    retailflow(&["order", "show", "Shop", "1", "--data", "x"]).run().expect(2).says(&["a-z, 0-9 and '-'"]);
    retailflow(&["verify"]).run().expect(2).says(&["give --data DIR, --admin URL or --context NAME"]);
    retailflow(&["repair", "--data", "x", "--yes", "--dry-run"])
        .run()
        .expect(2)
        .says(&["cannot be used with"]);
}
