//! `retailflow dlq`, and `retailflow tenant` on a cluster.

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{DeadLetter, DeadLetters as _};
use retailflow_nats::NatsDeadLetters;
use serde_json::Value;

use super::{CLOSES_WITHIN, at, connections, now, provision, stream};
use crate::support::cli::{file, retailflow};
use crate::support::nats::{Server, server_or_skip};

/// A letter that holds this body.
fn letter(number: u8, tenant: Option<&str>, body: &str, length_bytes: usize) -> DeadLetter {
    DeadLetter {
        key: [number; 16],
        tenant: tenant.map(str::to_owned),
        origin: format!("RF_CMD, position {number}"),
        code: "order_not_found".into(),
        reason: "there is\nno such order".into(),
        body: body.into(),
        length_bytes: length_bytes as u64,
        at: TimestampMs(5),
    }
}

fn put(nats: &Server, letters: Vec<DeadLetter>) {
    now(async {
        let connections = connections(nats).await;
        let store = NatsDeadLetters::new(&connections);
        for letter in letters {
            store.put(letter).await.unwrap();
        }
        connections.close(CLOSES_WITHIN).await;
    });
}

fn a_command() -> String {
    let said = retailflow(&["generate", "--orders", "1", "--seed", "1"]).run().expect(0);
    said.lines()[0].to_owned()
}

fn json(nats: &Server, words: &[&str], code: i32) -> Value {
    serde_json::from_str(&at(nats, words).arg("-o").arg("json").run().expect(code).stdout).unwrap()
}

fn positions(said: &Value) -> Vec<u64> {
    said.as_array().unwrap().iter().map(|letter| letter["position"].as_u64().unwrap()).collect()
}

#[test]
fn letters_are_sent_again_and_closed_and_their_history_stays() {
    let Some(binary) = server_or_skip("letters_are_sent_again_and_closed_and_their_history_stays") else {
        return;
    };
    let nats = Server::with_streams(&binary);
    provision(&nats);
    let command = a_command();
    put(
        &nats,
        vec![
            letter(1, Some("shop"), &command, command.len()),
            letter(2, None, "\u{1b}[2J{", 5),
            letter(3, Some("shop"), &command, 1 << 20),
        ],
    );
    assert_eq!(positions(&json(&nats, &["dlq", "list"], 0)), [1, 2, 3]);
    assert_eq!(positions(&json(&nats, &["dlq", "list", "--tenant", "shop"], 0)), [1, 3]);
    assert_eq!(positions(&json(&nats, &["dlq", "list", "--tenant", "-"], 0)), [2]);
    assert_eq!(positions(&json(&nats, &["dlq", "list", "--after", "1", "--limit", "1"], 0)), [2]);
    let told = at(&nats, &["dlq", "show", "2"]).run().expect(0).stdout;
    assert!(!told.contains('\u{1b}') && told.contains("there is no such order"), "{told:?}");
    at(&nats, &["dlq", "show", "9"]).run().expect(1).says(&["there is no dead letter at 9"]);

    // Nothing happens by mistake.
    at(&nats, &["dlq", "redrive", "1"]).run().expect(4).says(&["repeat with --yes"]);
    at(&nats, &["dlq", "redrive"]).run().expect(2);
    let said = json(&nats, &["dlq", "redrive", "--all", "--dry-run"], 1);
    assert_eq!(
        [&said[0]["possible"], &said[1]["possible"], &said[2]["possible"]],
        [true, false, false],
        "{said:#}"
    );
    assert_eq!((stream(&nats, "RF_CMD").messages, stream(&nats, "RF_DLQ").messages), (0, 3));

    let said = json(&nats, &["dlq", "redrive", "--all", "--yes", "--operator", "ann"], 1);
    assert_eq!((&said[0]["done"], &said[0]["command_position"]), (&true.into(), &1.into()), "{said:#}");
    assert_eq!((&said[1]["done"], &said[2]["done"]), (&false.into(), &false.into()), "{said:#}");
    assert_eq!(stream(&nats, "RF_CMD").messages, 1);
    assert_eq!(positions(&json(&nats, &["dlq", "list"], 0)), [2, 3]);
    at(&nats, &["dlq", "discard", "1", "2", "--yes", "--operator", "bob"]).run().expect(0);
    assert_eq!(positions(&json(&nats, &["dlq", "list"], 0)), [3]);
    assert_eq!(positions(&json(&nats, &["dlq", "list", "--all"], 0)), [1, 2, 3]);
    let shown = json(&nats, &["dlq", "show", "1"], 0);
    let history = shown["history"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        history.iter().map(|mark| (mark["did"].as_str().unwrap(), mark["by"].as_str().unwrap())).collect();
    assert_eq!(told, [("redriven", "ann"), ("discarded", "bob")]);
    assert_eq!(shown["body"], command);
}

#[test]
fn letters_of_a_data_directory_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let commands = file(folder.path(), "commands", "{}\n");
    let run = |words: &[&str]| retailflow(words).arg("--data").arg(&data).run();
    run(&["run", "--commands", &commands, "--quiet"]).expect(1);
    let said: Value = serde_json::from_str(&run(&["dlq", "list", "-o", "json"]).expect(0).stdout).unwrap();
    assert_eq!(said.as_array().unwrap().len(), 1, "{said:#}");
    let position = positions(&said)[0].to_string();
    let told = run(&["dlq", "show", &position]).expect(0).stdout;
    assert!(told.contains("body       {}"), "{told}");
    run(&["dlq", "discard", &position, "--yes"]).expect(2).says(&["looked at only"]);
    retailflow(&["dlq", "list"])
        .run()
        .expect(2)
        .says(&["--data DIR, --admin URL (or --context NAME) and --nats URL"]);
    let both = ["dlq", "list", "--nats", "nats://127.0.0.1:1"];
    run(&both).expect(2).says(&["not more"]);
}

#[test]
fn tenants_of_a_cluster_are_set() {
    let Some(binary) = server_or_skip("tenants_of_a_cluster_are_set") else { return };
    let nats = Server::with_streams(&binary);
    provision(&nats);
    assert_eq!(json(&nats, &["tenant", "list"], 0), Value::Array(Vec::new()));
    at(&nats, &["tenant", "show", "shop"]).run().expect(1).says(&["there is no tenant shop"]);
    json(&nats, &["tenant", "set", "shop", "--in-flight-max", "7"], 0);
    json(&nats, &["tenant", "set", "shop", "--status", "suspended"], 0);
    let shown = json(&nats, &["tenant", "show", "shop"], 0);
    assert_eq!((&shown[0]["status"], &shown[0]["in_flight_max"]), (&"suspended".into(), &7.into()));
    // By the environment, and not another cluster's.
    let by_name = |name: &str| {
        retailflow(&["tenant", "list"])
            .env("RETAILFLOW_NATS", &nats.url())
            .env("RETAILFLOW_CLUSTER", name)
            .run()
    };
    by_name("retailflow").expect(0);
    by_name("other").expect(4).says(&["belongs to the cluster \"retailflow\""]);
}
