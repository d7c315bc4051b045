//! What operators look at and set while the one node runs: the same answers as on the data itself, without a stop.

use serde_json::{Value, json};

use crate::support::cli::{Call, Ended, retailflow};
use crate::support::http::Client;
use crate::support::parked::two_parked;
use crate::support::server::Server;
use crate::support::world::{World, places};

/// A call of a verb at the operators' door.
fn at(server: &Server, words: &[&str]) -> Call {
    retailflow(words).arg("--admin").arg(server.admin_url())
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

const PLACE: [&str; 10] =
    ["order", "place", "t", "o1", "--customer", "c", "--currency", "USD", "--line", "cd:2:2354"];

#[test]
fn tenants_are_listed_shown_and_set_and_what_is_set_is_in_force_at_once() {
    let world = World::new();
    let server = Server::start(&world);
    let place = || retailflow(&PLACE).arg("--server").arg(server.url()).arg("--patience").arg("1").run();
    at(&server, &["tenant", "show", "t"]).run().expect(1).says(&["there is no tenant t"]);
    let set = ["tenant", "set", "t", "--status", "suspended", "--in-flight-max", "7", "-o", "json"];
    let told = json_of(&at(&server, &set).arg("--operator").arg("ann").run().expect(0));
    let keeps = json!({"shipping": "never", "tax": "never", "fee": "never"});
    let pays =
        json!({"refund_order": "reverse", "on_decline": "cancel", "payment_wait_ms": 3 * 24 * 3_600_000});
    let flow = json!({"version": 1, "capture": "at_shipment", "begins_with": "reserve", "short_lines": "wait", "review": false,
        "attempts_max": null, "renewals_max": null});
    assert_eq!(
        told,
        json!([{"tenant": "t", "status": "suspended", "in_flight_max": 7, "returns": keeps, "payments": pays, "flow": flow}])
    );
    place().expect(4).says(&["tenant_disabled"]);
    at(&server, &["tenant", "set", "t", "--status", "active"]).run().expect(0);
    place().expect(0);
    let shown = json_of(&at(&server, &["tenant", "show", "t", "-o", "json"]).run().expect(0));
    assert_eq!(
        shown,
        json!([{"tenant": "t", "status": "active", "in_flight_max": 7, "returns": keeps, "payments": pays, "flow": flow}])
    );
    at(&server, &["tenant", "set", "t", "--in-flight-default"]).run().expect(0);
    at(&server, &["tenant", "set", "t", "--in-flight-max", "0"]).run().expect(2).says(&["from 1"]);
    at(&server, &["tenant", "set", "t", "--operator", "\u{e9}"]).run().expect(2).says(&["printable ASCII"]);
    let online = at(&server, &["tenant", "list"]).run().expect(0).stdout;
    assert!(online.contains("in flight at most: default"), "{online}");
    server.stop();
    assert_eq!(world.on_data(&["tenant", "list"]).run().expect(0).stdout, online);
}

#[test]
fn what_waits_behind_a_parked_order_is_shown_as_on_the_data() {
    let (world, _) = two_parked();
    let shows = [&["parked", "show", "t", "o1"][..], &["parked", "show", "t", "o1", "-o", "json"]];
    let offline = shows.map(|words| world.on_data(words).run().expect(0).stdout);
    let server = Server::start(&world);
    assert_eq!(shows.map(|words| at(&server, words).run().expect(0).stdout), offline);
    at(&server, &["parked", "show", "t", "o2"]).run().expect(1).says(&["t/o2 is not parked"]);
}

#[test]
fn dead_letters_are_listed_in_pages_and_the_end_of_a_page_is_said() {
    let world = World::new();
    let lines: String = (0..7).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    world.run(&world.file("commands", lines)).run().expect(1);
    let lists = [&["dlq", "list"][..], &["dlq", "list", "-o", "json"], &["dlq", "list", "--tenant", "-"]];
    let offline = lists.map(|words| world.on_data(words).run().expect(0).stdout);
    assert_eq!(offline[0].lines().count(), 8, "{}", offline[0]);
    assert_eq!(offline[0], offline[2], "they are of no tenant");
    let short = world.on_data(&["dlq", "list", "--limit", "3", "-o", "json"]).run().expect(0);
    let letters = json_of(&short);
    let third = letters[2]["position"].to_string();
    let more = format!("go on with --after {third}");
    let short = short.says(&["these are 3, and there are more", &more]);

    let server = Server::start(&world);
    assert_eq!(lists.map(|words| at(&server, words).run().expect(0).stdout), offline);
    let online = at(&server, &["dlq", "list", "--limit", "3", "-o", "json"]).run().expect(0);
    assert_eq!(online.stdout, short.stdout);
    online.says(&[&more]);
    let rest = at(&server, &["dlq", "list", "--after", &third, "--limit", "4", "-o", "json"]).run().expect(0);
    assert_eq!((json_of(&rest).as_array().unwrap().len(), rest.stderr.as_str()), (4, ""));
    let shown = at(&server, &["dlq", "show", &third]).run().expect(0).stdout;
    assert!(shown.contains("body       {\"n\":2}"), "{shown}");
    assert_eq!(
        at(&server, &["dlq", "list", "--tenant", "none", "-o", "json"]).run().expect(0).stdout,
        "[]\n"
    );
    let redrive = at(&server, &["dlq", "redrive", &third, "--yes"]).run().expect(2);
    redrive.says(&["on one node dead letters are looked at only", "dlq show POSITION", "--nats URL"]);
}

#[test]
fn a_server_is_verified_and_exported_while_it_runs() {
    let world = World::new();
    // Of several segments, so that more than the last one is read.
    let small = ["log.segment_bytes=65536", "log.group_max_bytes=32768", "orders.record_max_bytes=16384"];
    let small = |call: Call| small.iter().fold(call, |call, set| call.arg("--set").arg(set));
    small(world.run(&world.file("commands", places(0, 300)))).run().expect(0);
    let server = Server::of(small(world.on_data(&["serve"])));
    let place = |order: &str| {
        let words = [&PLACE[..3], &[order], &PLACE[4..]].concat();
        retailflow(&words).arg("--server").arg(server.url()).run().expect(0);
    };
    place("late-1");
    let verify = ["verify", "--online", "-o", "json", "--mib-per-s", "1000"];
    let told = json_of(&at(&server, &verify).run().expect(0));
    assert_eq!((&told["sound"], &told["problems"]), (&true.into(), &json!([])), "{told:#}");
    assert!(told["orders"].as_u64().unwrap() >= 301 && told["segments"].as_u64().unwrap() > 3, "{told:#}");
    assert!(told["online"]["position"].is_u64() && told["sides"].is_null(), "{told:#}");
    let text = at(&server, &["verify"]).run().expect(0).stdout;
    for part in ["of a running server", "not looked at: the participants' books", "all is in order"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // What is exported is the log as it was at that moment, and becomes a data directory.
    let file = world.path("export.jsonl");
    at(&server, &["export"]).arg("--to").arg(&file).run().expect(0);
    place("late-2");
    let restore = retailflow(&["restore"]).arg("--from").arg(&file).arg("--data").arg(world.path("restored"));
    small(restore).run().expect(0);
    small(world.on("restored", &["order", "show", "t", "late-1"])).run().expect(0);
    small(world.on("restored", &["order", "show", "t", "late-2"])).run().expect(1);
    at(&server, &["verify", "--read-only"]).run().expect(2).says(&["--read-only is for a data directory"]);
    server.stop();
    world.verified("data", 0);
}

/// It used to say "stop it first" and nothing else, or to name another command altogether.
#[test]
fn who_finds_the_data_in_use_is_told_whom_to_ask() {
    let world = World::new();
    let server = Server::start(&world);
    let address = format!("--admin {}", server.admin_url());
    for words in [
        &["tenant", "list"][..],
        &["tenant", "set", "t", "--status", "suspended"],
        &["parked", "list"],
        &["parked", "show", "t", "o1"],
        &["dlq", "list"],
        &["verify"],
        &["verify", "--read-only"],
        &["export"],
        &["order", "show", "t", "o1"],
        &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
    ] {
        let ended = world.on_data(words).run().expect(4);
        let public = format!("--server {}", server.url());
        ended.says(&["is in use by process", "a server", &address, &public]);
    }
    world.on_data(&["verify", "--online"]).run().expect(2).says(&[&address]);
    server.kill();
    world.on_data(&["tenant", "list"]).run().expect(0);
    assert!(!world.path("data/serving").exists() || world.on_data(&["verify"]).run().code == Some(0));
}

#[test]
fn the_console_is_named_at_the_start_and_the_bare_address_leads_there() {
    let world = World::new();
    let server = Server::start(&world);
    assert_eq!(server.console, format!("console at {}/console", server.admin_url()));
    let answer = Client::new(&server.admin).get("/").unwrap();
    assert_eq!(answer.status, 303);
}

/// Series used to begin with their first count, which no rate shows; and tenants saw who else is served.
#[test]
fn counters_are_there_from_the_start_and_tenants_are_told_to_operators_only() {
    let world = World::new();
    let server = Server::start(&world);
    retailflow(&PLACE).arg("--server").arg(server.url()).run().expect(0);
    let of = |address: &str| Client::new(address).get("/metrics").unwrap().body;
    let all = of(&server.admin);
    for one in retailflow_engine::metric::ALL {
        let is_counter = matches!(one.kind, retailflow_engine::metric::Kind::Counter);
        if is_counter && one.labels.is_empty() {
            assert!(all.contains(&format!("\n{} ", one.name)), "{} is not there", one.name);
        }
    }
    assert!(all.contains("tenant=\"t\""), "{all}");
    let public = of(&server.public);
    assert!(!public.contains("tenant=\"") && public.contains("retailflow_"), "{public}");
}

#[test]
fn who_acted_is_seen_in_the_history() {
    let world = World::new();
    let server = Server::start(&world);
    retailflow(&PLACE).arg("--server").arg(server.url()).run().expect(0);
    at(&server, &["order", "resume", "t", "o1", "--operator", "Ann B."]).run().expect(1);
    let history = ["order", "history", "t", "o1"];
    let online = retailflow(&history).arg("--server").arg(server.url()).run().expect(0).stdout;
    assert!(online.contains("by operator Ann B."), "{online}");
    server.stop();
    let offline = world.on_data(&history).arg("-o").arg("json").run().expect(0);
    let entries = json_of(&offline);
    let by: Vec<&Value> = entries.as_array().unwrap().iter().map(|entry| &entry["actor"]).collect();
    assert!(by.contains(&&json!({"kind": "operator", "name": "Ann B."})), "{entries:#}");
    assert!(by.contains(&&json!({"kind": "tenant", "name": null})), "{entries:#}");
}
