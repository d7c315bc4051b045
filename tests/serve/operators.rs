//! Operators' verbs against a running server: the same words and exit codes as on the data itself.

use serde_json::{Value, json};

use super::client::{BUSY, LOST, canned};
use crate::support::cli::{Call, Ended, retailflow};
use crate::support::parked::{ended, two_parked};
use crate::support::server::Server;
use crate::support::world::World;

/// A call of a verb at the operators' door.
fn at(server: &Server, words: &[&str]) -> Call {
    retailflow(words).arg("--admin").arg(server.admin_url())
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn parked_orders_are_listed_released_and_discarded_as_on_the_data() {
    let (world, _) = two_parked();
    let lists = [&["parked", "list"][..], &["parked", "list", "-o", "json", "--tenant", "t"]];
    let offline = lists.map(|words| world.on_data(words).run().expect(0).stdout);
    let server = Server::start(&world);
    assert_eq!(lists.map(|words| at(&server, words).run().expect(0).stdout), offline);
    assert_eq!(at(&server, &["parked", "list", "--tenant", "nobody"]).run().expect(0).stdout, "");

    let release = |order| at(&server, &["parked", "release", "t", order, "-o", "json"]);
    let planned = json_of(&release("o1").arg("--dry-run").run().expect(0));
    let plan = json!({"tenant": "t", "order": "o1", "dry_run": true, "reason": "it crashes", "waiting": 2});
    assert_eq!(planned, plan);
    release("o1").run().expect(4).says(&["2 commands that wait behind t/o1 would be decided", "--yes"]);
    release("o2").arg("--yes").run().expect(1).says(&["t/o2 is not parked"]);
    release("o1").arg("--yes").arg("--operator").arg("\u{e9}").run().expect(2).says(&["printable ASCII"]);
    assert_eq!(at(&server, lists[0]).run().expect(0).stdout, offline[0], "nothing has changed");

    let released = release("o1").arg("--yes").arg("--operator").arg("ann").run().expect(0);
    assert_eq!(json_of(&released), ended("o1", [2, 0, 2, 0, 0]));
    release("o1").arg("--yes").run().expect(1).says(&["t/o1 is not parked"]);
    let discarded = at(&server, &["parked", "discard", "t", "new", "--yes"]).run().expect(0);
    assert!(discarded.stdout.contains("of 1 commands 0 applied"), "{}", discarded.stdout);
    assert_eq!(at(&server, lists[0]).run().expect(0).stdout, "");
    server.stop();
    world.verified("data", 0);
}

const PLACE: [&str; 10] =
    ["order", "place", "t", "o1", "--customer", "c", "--currency", "USD", "--line", "cd:2:2354"];

#[test]
fn an_order_is_archived_and_restored_and_operators_are_told_what_is_not_to_be_done() {
    let world = World::new();
    let server = Server::start(&world);
    let placed = |words: &[&str]| retailflow(words).arg("--server").arg(server.url());
    placed(&PLACE).run().expect(0);
    placed(&["order", "watch", "t", "o1"]).run().expect(0);
    let by_ann = |words: &[&str]| at(&server, words).arg("--operator").arg("ann");
    let rejected = |words: &[&str], code: &str| {
        let ended = by_ann(words).run().expect(1);
        assert!(ended.stdout.starts_with(&format!("rejected t/o1: {code}")), "{}", ended.stdout);
    };
    rejected(&["order", "resume", "t", "o1", "--reason", "why not"], "nothing_to_resume");
    rejected(&["order", "restore", "t", "o1"], "not_archived");
    let resolve = ["order", "resolve-step", "t", "o1", "--step", "capture", "--as", "not-done"];
    let resolved = by_ann(&resolve).arg("--evidence").arg("a letter").run().expect(1);
    assert!(resolved.stdout.starts_with("rejected t/o1: step_not_pending"), "{}", resolved.stdout);

    let archive = ["order", "archive", "t", "o1", "--id", "a-1", "-o", "json"];
    at(&server, &archive).run().expect(2).says(&["--operator"]);
    let archived = by_ann(&archive).run().expect(0);
    assert_eq!(
        (&json_of(&archived)["code"], &json_of(&archived)["replayed"]),
        (&"applied".into(), &false.into())
    );
    let again = at(&server, &archive).env("RETAILFLOW_OPERATOR", "ann").run().expect(0);
    assert_eq!(json_of(&again)["replayed"], true);
    by_ann(&["order", "restore", "t", "o1"]).run().expect(0);
    by_ann(&["order", "resume", "t", "none"]).run().expect(4).says(&["order_not_found"]);
    let history = placed(&["order", "history", "t", "o1"]).run().expect(0);
    assert!(history.stdout.contains("a-1"), "{}", history.stdout);

    // A server that drives no steps: the order stays open.
    server.stop();
    let server = Server::of(world.on_data(&["serve"]).arg("--intake-only"));
    let open = ["order", "place", "t", "o2", "--customer", "c", "--currency", "USD", "--line", "cd:1:9"];
    retailflow(&open).arg("--server").arg(server.url()).run().expect(0);
    let early = at(&server, &["order", "archive", "t", "o2", "--operator", "ann"]).run().expect(1);
    assert!(early.stdout.contains("not_terminal"), "{}", early.stdout);
    let undone = at(&server, &["order", "compensate", "t", "o2", "--operator", "Ann B.", "-o", "json"]);
    assert_eq!(json_of(&undone.run().expect(0))["code"], "applied");
}

#[test]
fn the_operators_address_has_a_variable_and_a_place_in_the_contexts() {
    let world = World::new();
    let server = Server::start(&world);
    let list = || retailflow(&["parked", "list"]);
    let text = format!("[contexts.all]\nserver = \"{}\"\nadmin = \"{}\"\n", server.url(), server.admin_url());
    let contexts = world.file("contexts.toml", text + "[contexts.shop]\nserver = \"http://x\"\n");
    let by_name = |name: &str| list().env("RETAILFLOW_CONTEXTS", &contexts).env("RETAILFLOW_CONTEXT", name);
    by_name("all").run().expect(0);
    by_name("shop").run().expect(2).says(&["\"shop\" has no `admin`"]);
    list().env("RETAILFLOW_ADMIN", &server.admin_url()).run().expect(0);
    list().env("RETAILFLOW_DATA", "none").arg("--admin").arg(server.admin_url()).run().expect(0);
    list().run().expect(2).says(&["--data DIR, --admin URL or --context NAME"]);
    let two = list().env("RETAILFLOW_ADMIN", "http://x").env("RETAILFLOW_DATA", "none");
    two.run().expect(2).says(&["RETAILFLOW_DATA, RETAILFLOW_ADMIN and RETAILFLOW_CONTEXT"]);
    // The other door has no such path, and nothing is done there.
    list().arg("--admin").arg(server.url()).run().expect(1).says(&["not_found"]);
}

const PARKED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 105\r\nConnection: close\r\n\r\n\
    {\"schema\":\"retailflow.parked.v1\",\"orders\":[{\"tenant\":\"t\",\"order\":\"o1\",\"reason\":\"it crashes\",\"queued\":2}]}";

#[test]
fn a_release_is_asked_for_again_only_where_it_was_not_done() {
    let release = |url: &str| {
        retailflow(&["parked", "release", "t", "o1", "--yes", "--patience", "5", "--admin", url]).run()
    };
    let (url, served) = canned(vec![PARKED, BUSY, LOST]);
    let ended = release(&url).expect(3);
    served.join().unwrap();
    ended.says(&[
        "draining: elsewhere; trying again in",
        "may be released, or not",
        "`retailflow parked list`",
    ]);
}
