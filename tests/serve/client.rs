//! The client's verbs against a running server: what they print, and how they end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::cli::{Call, Ended, exit_code, retailflow};
use crate::support::server::Server;
use crate::support::world::World;

/// A call of a verb at the server.
fn at(server: &Server, words: &[&str]) -> Call {
    retailflow(words).arg("--server").arg(server.url())
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

const PLACE: [&str; 10] =
    ["order", "place", "t", "o1", "--customer", "c", "--currency", "USD", "--line", "cd:2:2354"];

#[test]
fn an_order_is_placed_watched_returned_and_read() {
    let world = World::new();
    let server = Server::start(&world);
    let placed = at(&server, &PLACE).arg("--id").arg("p").run().expect(0);
    assert!(placed.stdout.starts_with("applied t/o1, version 1: "), "{}", placed.stdout);
    let again = at(&server, &PLACE).arg("--id").arg("p").arg("-o").arg("json").run().expect(0);
    assert_eq!(json_of(&again)["replayed"], true);
    let fresh = at(&server, &PLACE).run().expect(1).says(&["command id: cli-"]);
    assert!(fresh.stdout.starts_with("rejected t/o1: already_placed") || fresh.stdout.contains("rejected"));

    let watched = at(&server, &["order", "watch", "t", "o1"]).run().expect(0);
    assert!(watched.lines().last().unwrap().contains("completed"), "{}", watched.stdout);
    let last = at(&server, &["order", "watch", "t", "o1", "-o", "json"]).run().expect(0);
    assert_eq!(json_of(&last)["status"], "completed");

    let back = ["order", "return", "t", "o1", "--line", "1:1", "--reason", "too loud"];
    let stale = at(&server, &back).arg("--expected-version").arg("1").run().expect(1);
    assert!(stale.stdout.contains("rejected"), "{}", stale.stdout);
    let returned = at(&server, &back).arg("-o").arg("json").run().expect(0);
    assert_eq!(json_of(&returned)["code"], "applied");
    let shown = at(&server, &["order", "show", "t", "o1", "-o", "json"]).run().expect(0);
    assert_eq!(json_of(&shown)["returns"]["returned_units"], 1);
    let history = at(&server, &["order", "history", "t", "o1", "-o", "json"]).run().expect(0);
    assert_eq!(json_of(&history)[0]["command_id"], "p");
    let online =
        ["show", "history"].map(|verb| at(&server, &["order", verb, "t", "o1"]).run().expect(0).stdout);
    at(&server, &["order", "show", "t", "o2"]).run().expect(1).says(&["order_not_found"]);
    server.stop();
    // Without a server, the data itself says the same.
    let offline =
        ["show", "history"].map(|verb| world.on_data(&["order", verb, "t", "o1"]).run().expect(0).stdout);
    assert_eq!(online, offline);
}

#[test]
fn data_comes_from_a_file_or_standard_input_and_cancels_from_flags() {
    let world = World::new();
    let server = Server::of(world.on_data(&["serve"]).arg("--intake-only"));
    let data = json!({
        "customer": "c",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": "lp", "quantity": 1, "amount_minor": 1999}],
    });
    let file = world.file("order.json", data.to_string());
    at(&server, &["order", "place", "t", "o1", "--data-file", &file]).run().expect(0);
    let from_stdin = ["order", "place", "t", "o2", "--data-file", "-"];
    at(&server, &from_stdin).stdin(data.to_string()).run().expect(0);
    at(&server, &from_stdin).stdin("[1]").run().expect(2).says(&["one JSON object"]);
    at(&server, &from_stdin).stdin(r#"{"customer": 1}"#).run().expect(4).says(&["(at data"]);
    let waits = ["order", "watch", "t", "o1", "--timeout", "0"];
    at(&server, &waits).run().expect(1).says(&["has not ended within 0 seconds"]);
    let cancel = ["order", "cancel", "t", "o1", "--reason", "changed my mind"];
    at(&server, &cancel).arg("--source").arg("/shop").run().expect(0);
    at(&server, &["order", "place", "t", "o3", "--customer", "c"]).run().expect(2).says(&["--data-file"]);
}

#[test]
fn events_come_from_a_server_as_from_the_data() {
    let world = World::new();
    let server = Server::start(&world);
    at(&server, &PLACE).run().expect(0);
    at(&server, &["order", "watch", "t", "o1"]).run().expect(0);
    at(&server, &["events"]).run().expect(2).says(&["--tenant"]);
    let of_t = ["events", "--tenant", "t", "--positions"];
    let told = at(&server, &of_t).run().expect(0);
    let first: Value = serde_json::from_str(told.lines()[0]).unwrap();
    let token = first["position"].as_str().unwrap();
    let rest = at(&server, &of_t).arg("--after").arg(token).run().expect(0);
    assert_eq!(rest.lines(), told.lines()[1..]);

    let (mut child, _) = at(&server, &["events", "--tenant", "t", "--follow"]).spawn();
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    assert!(line.contains("retailflow.order.placed.v1"), "{line}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(exit_code(&mut child), Some(0));
    server.stop();
    let offline = world.on_data(&["events", "--tenant", "t"]).run().expect(0);
    let events = |ended: &Ended| -> Vec<Value> {
        ended.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let online: Vec<Value> = events(&told).iter().map(|told| told["event"].clone()).collect();
    assert_eq!(online, events(&offline));
}

#[test]
fn a_server_has_a_name_and_a_flag_wins_over_the_environment() {
    let world = World::new();
    let server = Server::start(&world);
    at(&server, &PLACE).run().expect(0);
    let contexts = world.file("contexts.toml", format!("[contexts.here]\nserver = \"{}\"\n", server.url()));
    let show = || retailflow(&["order", "show", "t", "o1"]);
    show().arg("--context").arg("here").arg("--contexts").arg(&contexts).run().expect(0);
    let by_name = || show().env("RETAILFLOW_CONTEXTS", &contexts);
    by_name().env("RETAILFLOW_CONTEXT", "here").run().expect(0);
    by_name().env("RETAILFLOW_CONTEXT", "there").run().expect(2).says(&["it has: here"]);
    show().arg("--server").arg(server.url()).env("RETAILFLOW_DATA", "none").run().expect(0);
    show().env("RETAILFLOW_SERVER", &server.url()).run().expect(0);
    show().run().expect(2).says(&["--data DIR", "--server URL", "--context NAME"]);
    let two = show().env("RETAILFLOW_SERVER", "http://x").env("RETAILFLOW_DATA", "none");
    two.run().expect(2).says(&["names more than one"]);
    show().arg("--server").arg(server.url()).arg("--data").arg("x").run().expect(2).says(&["not more"]);
    show().arg("--server").arg("https://x").run().expect(2).says(&["no server's address"]);
}

#[test]
fn an_order_is_watched_by_reading_where_events_are_not_to_be_had() {
    let world = World::new();
    let server = Server::of(world.on_data(&["serve"]).arg("--set").arg("http.streams_max=1"));
    at(&server, &PLACE).run().expect(0);
    let (mut follower, _) = at(&server, &["events", "--tenant", "t", "--follow"]).spawn();
    let mut line = String::new();
    // Kept: a follower without a reader ends, and its stream with it.
    let mut lines = BufReader::new(follower.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    let watched = at(&server, &["order", "watch", "t", "o1"]).run();
    kill_process(Pid::from_child(&follower), Signal::TERM).unwrap();
    assert_eq!(exit_code(&mut follower), Some(0));
    watched.expect(0).says(&["is read from time to time", "overloaded"]);
}

/// Takes requests and answers them with these texts, one connection each; gives the requests.
pub(super) fn canned(answers: Vec<&'static str>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let answer = |text: &str| {
            let (stream, _) = listener.accept().unwrap();
            let request = whole(&stream);
            (&stream).write_all(text.as_bytes()).unwrap();
            request
        };
        answers.into_iter().map(answer).collect()
    });
    (url, served)
}

/// The body of one request.
fn whole(stream: &TcpStream) -> String {
    let (mut reader, mut length) = (BufReader::new(stream), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

pub(super) const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 59\r\nConnection: close\r\n\r\n\
    {\"code\":\"draining\",\"message\":\"elsewhere\",\"replayed\":false }";
pub(super) const LOST: &str = "";
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{\"code\":\"applied\"}";

#[test]
fn what_may_come_again_comes_again_under_the_same_id_and_says_so() {
    let (url, served) = canned(vec![BUSY, LOST, DONE]);
    let ended = retailflow(&PLACE).arg("--server").arg(&url).arg("-o").arg("json").run().expect(0);
    let requests = served.join().unwrap();
    assert_eq!((requests.len(), &requests[0]), (3, &requests[2]), "the same each time");
    assert_eq!(requests[0], requests[1]);
    let ended = ended.says(&["draining: elsewhere; trying again in", "command id: cli-"]);
    let first = ended.stderr.lines().find(|line| line.contains("draining")).unwrap();
    let wait: f64 = first.split("in ").last().unwrap().trim_end_matches(" s").parse().unwrap();
    assert!(wait >= 1.0, "Retry-After is honored: {first}");
}

#[test]
fn a_server_that_is_not_there_or_refuses_has_an_exit_code() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let call = || retailflow(&PLACE).arg("--patience").arg("1");
    call().arg("--server").arg(&gone).run().expect(3).says(&["does not answer", "retailflow serve"]);
    let (url, served) = canned(vec![BUSY]);
    call().arg("--server").arg(&url).run().expect(4).says(&["draining: elsewhere (tried 1 time)"]);
    served.join().unwrap();
}
