//! The shipped `deploy/nats/accounts.conf` and the verbs of the program agree: each verb has a user that may do it, which
//! `docs/cluster.md` names, and the server refuses it nothing.

use std::time::Duration;

use crate::support::cli::{Call, file, retailflow};
use crate::support::etcd::{Etcd, etcd_or_skip};
use crate::support::nats::{self, server_or_skip};
use crate::support::poll::wait_for;
use crate::support::server::Server;

const ACCOUNTS: &str = include_str!("../../deploy/nats/accounts.conf");
const GUIDE: &str = include_str!("../../docs/cluster.md");
const BOUND: Duration = Duration::from_secs(60);

/// Who does what, in an order in which each finds something to do; and how it ends. `FILE` is a file of commands.
const VERBS: &[(&str, &[&str], i32)] = &[
    ("shop-publisher", &["publish", "--commands", "FILE"], 0),
    ("operator", &["cluster", "status", "--partitions"], 0),
    ("operator", &["cluster", "repair-streams", "--dry-run"], 0),
    ("operator", &["cluster", "repair-streams"], 0),
    ("rescuer", &["cluster", "recover-commands", "--dry-run"], 0),
    ("operator", &["node", "list"], 0),
    ("operator", &["node", "drain", "n-1", "--dry-run"], 0),
    ("operator", &["node", "drain", "n-1", "--yes"], 0),
    ("operator", &["node", "undrain", "n-1"], 0),
    // It is missed by nobody.
    ("operator", &["node", "forget", "n-9"], 1),
    ("operator", &["partition", "list"], 0),
    ("operator", &["partition", "move", "1", "n-1"], 0),
    ("operator", &["partition", "release", "1"], 0),
    ("operator", &["tenant", "list"], 0),
    ("operator", &["dlq", "list"], 0),
    ("operator", &["dlq", "show", "1"], 0),
    ("steward", &["tenant", "list"], 0),
    ("steward", &["tenant", "set", "shop", "--in-flight-max", "7"], 0),
    ("steward", &["tenant", "show", "shop"], 0),
    ("steward", &["dlq", "list"], 0),
    ("steward", &["dlq", "show", "1"], 0),
    ("steward", &["dlq", "redrive", "1", "--dry-run"], 0),
    ("steward", &["dlq", "redrive", "1", "--yes"], 0),
    ("steward", &["dlq", "discard", "2", "--yes"], 0),
];

/// The verb as the guide names it.
fn named(words: &[&str]) -> String {
    let verb: Vec<&str> = words.iter().take_while(|word| !word.starts_with('-')).copied().collect();
    let of_two = ["cluster", "node", "partition", "tenant", "dlq"].contains(&verb[0]);
    format!("`{}`", verb[..if of_two { 2 } else { 1 }].join(" "))
}

/// The guide's row of a user.
fn row(user: &str) -> &'static str {
    let begins = format!("| `{user}` |");
    GUIDE
        .lines()
        .find(|line| line.starts_with(&begins))
        .unwrap_or_else(|| panic!("docs/cluster.md: no row of {user}"))
}

fn started(binary: &std::path::Path) -> nats::Server {
    let name = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let names = ACCOUNTS.split('$').skip(1).map(|rest| &rest[..name(rest)]);
    let secrets: String =
        names.filter(|name| name.ends_with("_PASSWORD")).map(|name| format!("{name}: secret\n")).collect();
    let streams = "max_payload: 8MB\njetstream { store_dir: \"FOLDER/js\", sync_interval: always }\n";
    nats::Server::start(binary, &format!("{streams}{secrets}{ACCOUNTS}"))
}

#[test]
fn each_verb_has_a_user_of_the_shipped_accounts_that_may_do_it() {
    let name = "each_verb_has_a_user_of_the_shipped_accounts_that_may_do_it";
    let (Some(server), Some(binary)) = (server_or_skip(name), etcd_or_skip(name)) else { return };
    let (nats, etcd, folder) = (started(&server), Etcd::start(&binary), tempfile::tempdir().unwrap());
    let settings = "[nats]\nreplicas = 1\n[cluster]\npartitions = 4\nshards = 2\ndurability = \"memory\"\npatience_ms = 500\n";
    let config = file(folder.path(), "cluster.toml", settings);
    let replier = file(folder.path(), "replier", "replier:secret\n");
    let call = |user: &str, words: &[&str]| -> Call {
        retailflow(words)
            .arg("--config")
            .arg(&config)
            .arg("--nats")
            .arg(format!("nats://{user}:secret@{}", nats.address()))
    };
    let with_etcd = |user: &str, words: &[&str]| call(user, words).arg("--etcd").arg(etcd.url());
    let refusals = || -> Vec<String> {
        let log = std::fs::read_to_string(nats.folder().join("log")).unwrap();
        log.lines().filter(|line| line.contains("Violation")).map(str::to_owned).collect()
    };

    let serve = with_etcd("engine", &["serve", "--node", "n-1", "--participants", "shared"]);
    let node = Server::of(serve.arg("--set").arg(format!("nats.replier_credentials={replier}")));
    let books = folder.path().join("books").display().to_string();
    // From a file alone, as its help says: it asked for --nats all the same.
    let servers = format!("[nats]\nservers = \"nats://participants:secret@{}\"\n", nats.address());
    let servers = file(folder.path(), "participants.toml", servers);
    let participants = retailflow(&["participants", "--data", &books, "--config", &servers]).spawn().0;
    let participants = Ended(participants);
    wait_for("the node has its partitions", BOUND, || {
        let said = with_etcd("operator", &["partition", "list", "-o", "json"]).run();
        (said.stdout.matches("\"runs\": \"n-1\"").count() == 4 || said.stdout.matches("n-1").count() >= 4)
            .then_some(())
    });
    // An order whose steps the participants do, and two commands that belong to none.
    let body = |kind: &str, id: &str, order: &str, data: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/t\",\"type\":\"retailflow.order.{kind}.v1\",\"tenant\":\"shop\",\"subject\":\"{order}\",\"data\":{data}}}\n"
        )
    };
    let line = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"a","quantity":1,"amount_minor":100}]}"#;
    let commands = body("place", "p", "o-1", line)
        + &body("cancel", "c", "o-2", "{\"reason\":\"changed\"}")
        + &body("cancel", "c", "o-3", "{\"reason\":\"changed\"}");
    let commands = file(folder.path(), "commands.jsonl", commands);
    for (user, words, code) in VERBS {
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "FILE" { &*commands } else { *word }).collect();
        if words.starts_with(&["dlq", "list"]) || words.starts_with(&["dlq", "show"]) {
            wait_for("the dead letters are there", BOUND, || {
                let said = call("operator", &["dlq", "list", "--all", "-o", "json"]).run();
                (said.stdout.matches("\"position\"").count() >= 2).then_some(())
            });
        }
        let takes_etcd = ["cluster", "node", "partition"].contains(&words[0]);
        let done = if takes_etcd { with_etcd(user, &words) } else { call(user, &words) };
        let ended = done.run();
        assert_eq!(ended.code, Some(*code), "{user}: {words:?}: {}\n{}", ended.stdout, ended.stderr);
        assert_eq!(refusals(), Vec::<String>::new(), "{user}: {words:?}");
        assert!(
            row(user).contains(&named(&words)),
            "docs/cluster.md: {} is not in the row of {user}",
            named(&words)
        );
    }
    // It tries whether nodes may publish what they must. Its warnings are not asked about here.
    let said = with_etcd("engine", &["doctor"]).run();
    assert!(!said.stdout.is_empty(), "{}", said.stderr);
    assert_eq!(refusals(), Vec::<String>::new(), "engine: doctor");
    assert!(
        row("engine").contains("`serve`")
            && row("engine").contains("`doctor`")
            && row("participants").contains("`participants`")
    );

    // Their steps were done over the shared participants.
    let mut client = node.client();
    wait_for("the order is done", BOUND, || {
        let order = client.get("/v1/tenants/shop/orders/o-1").ok()?;
        (order.body.contains("\"completed\"") || order.body.contains("\"shipped\"")).then_some(())
    });
    drop(participants);
    node.stop();
    assert_eq!(refusals(), Vec::<String>::new());

    // Whoever may not is refused, and the row is not there for nothing.
    let said = call("operator", &["tenant", "set", "shop", "--status", "suspended"]).run();
    assert_ne!(said.code, Some(0), "{}", said.stdout);
}

/// A process that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
