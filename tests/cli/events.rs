//! `events`: the same each time, and from any token on exactly the rest. However far the orders come in a run.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};

use retailflow_engine::codec::cursor::Cursor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::cli::exit_code;
use crate::support::parked::world_with_parked_orders;
use crate::support::world::{World, places};

const ORDERS: usize = 5;

fn world() -> World {
    let world = World::new();
    let of_u = places(0, 2).replace("\"tenant\":\"t\"", "\"tenant\":\"u\"").replace("\"c-", "\"u-");
    let again = places(0, 1).replace("\"c-0\"", "\"c-second\"");
    world.run(&world.file("commands", format!("{}{of_u}{again}", places(0, ORDERS)))).run().expect(0);
    world
}

/// The events that a call gives.
fn events(world: &World, words: &[&str]) -> Vec<Value> {
    let ended = world.on_data(&[&["events"], words].concat()).run().expect(0);
    ended.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap()
}

/// Of each event, whose it is and its id.
fn ids(events: &[Value]) -> Vec<(&str, &str)> {
    events.iter().map(|event| (text(event, "source"), text(event, "id"))).collect()
}

#[test]
fn events_are_the_same_each_time_and_rise_order_by_order() {
    let world = world();
    let told = events(&world, &[]);
    assert_eq!(told, events(&world, &[]));
    assert_eq!(ids(&told).iter().collect::<HashSet<_>>().len(), told.len(), "each has its own id");
    let mut last: HashMap<(&str, &str), &str> = HashMap::new();
    for event in &told {
        let before = last.insert((text(event, "tenant"), text(event, "subject")), text(event, "sequence"));
        let first = text(event, "type") == "retailflow.order.placed.v1";
        assert_eq!(before.is_none(), first, "the first one is that it was placed, once: {event}");
        assert!(before <= Some(text(event, "sequence")), "versions never fall: {event}");
        assert_eq!(text(event, "specversion"), "1.0");
    }
    assert_eq!(last.len(), ORDERS + 2);
    let causes: HashSet<&str> = told.iter().filter_map(|event| event["causationid"].as_str()).collect();
    assert!(causes.contains("c-0") && !causes.contains("c-second"), "a rejection is no event: {causes:?}");
    let of_u = events(&world, &["--tenant", "u"]);
    let expected: Vec<&Value> = told.iter().filter(|event| event["tenant"] == "u").collect();
    assert_eq!(of_u.iter().collect::<Vec<_>>(), expected);
    assert_eq!(events(&world, &["--tenant", "nobody"]), Vec::<Value>::new());
}

#[test]
fn from_each_token_on_comes_exactly_the_rest() {
    let world = world();
    let told = events(&world, &[]);
    let with_tokens = events(&world, &["--positions"]);
    assert_eq!(
        with_tokens.iter().map(|line| &line["event"]).collect::<Vec<_>>(),
        told.iter().collect::<Vec<_>>()
    );
    let of_u = |events: &[Value]| -> Vec<Value> {
        events.iter().filter(|event| event["tenant"] == "u").cloned().collect()
    };
    let step = with_tokens.len().div_ceil(12);
    for (at, line) in with_tokens.iter().enumerate().filter(|(at, _)| at % step == 0 || at + 1 == told.len())
    {
        let token = text(line, "position");
        assert_eq!(events(&world, &["--after", token]), told[at + 1..], "after event {at}");
        assert_eq!(events(&world, &["--after", token, "--tenant", "u"]), of_u(&told[at + 1..]), "after {at}");
    }
}

#[test]
fn a_cursor_file_goes_on_where_the_last_reader_stopped() {
    let world = world();
    let cursor = world.path("cursor");
    let words = ["--cursor", cursor.to_str().unwrap()];
    let first = events(&world, &words);
    assert_eq!(first, events(&world, &[]));
    assert_eq!(events(&world, &words), Vec::<Value>::new(), "nothing is new");
    world.run(&world.file("more", places(ORDERS, ORDERS + 2))).run().expect(0);
    let rest = events(&world, &words);
    let placed = |event: &&Value| event["type"] == "retailflow.order.placed.v1";
    assert_eq!(rest.iter().filter(placed).count(), 2);
    assert_eq!([first, rest].concat(), events(&world, &[]));
}

#[test]
fn following_waits_for_more_until_it_is_stopped() {
    let world = World::new();
    world.run(&world.file("commands", places(0, 1))).run().expect(0);
    let (mut child, _) = world.on_data(&["events", "--follow"]).spawn();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for order in 0..3 {
        if order > 0 {
            world.run(&world.file("more", places(order, order + 1))).run().expect(0);
        }
        let placed = format!("\"id\":\"o{order}-1-0\"");
        while !line.contains(&placed) {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before {placed}");
        }
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(exit_code(&mut child), Some(0));
    // A reader that has gone is no error.
    let (mut child, _) = world.on_data(&["events", "--follow"]).spawn();
    drop(child.stdout.take());
    assert_eq!(exit_code(&mut child), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn what_is_no_token_of_this_log_is_told_with_what_to_do() {
    let (world, other) = (world(), World::new());
    other.run(&other.file("commands", places(0, 1))).run().expect(0);
    let foreign = events(&other, &["--positions"]);
    let foreign = text(&foreign[0], "position");
    let after = |token: &str| world.on_data(&["events", "--after", token]).run();
    after("nonsense").expect(2).says(&["invalid value 'nonsense'", "--after"]);
    after(&foreign[1..]).expect(2);
    after(foreign).expect(4).says(&["another log", "begin again without a token"]);
    after(&"aB-_".repeat(30)).expect(2).says(&["a server gave", "--server"]);
    let broken = world.file("broken", "nonsense");
    world.on_data(&["events", "--cursor", &broken]).run().expect(2).says(&["holds no token", "remove it"]);
    world.on("none", &["events"]).run().expect(3).says(&["there is no log in"]);

    // Places that a repair has cut off, or that never were.
    let last = events(&world, &["--positions"]).pop().unwrap();
    let last = Cursor::from_token(text(&last, "position")).unwrap();
    let elsewhere = [
        Cursor { position: last.position + 1, ..last },
        Cursor { position: last.position + (1 << 32), ..last },
        Cursor { index: last.index + 1000, ..last },
    ];
    for cursor in elsewhere {
        let told = after(&cursor.to_token().unwrap()).expect(1);
        assert_eq!(told.says(&["not in this log any more", "begin again without a token"]).stdout, "");
    }
}

#[test]
fn parked_orders_are_told_if_the_public_knows_them() {
    let world = world_with_parked_orders();
    let told = events(&world, &[]);
    let parked: Vec<&Value> =
        told.iter().filter(|event| event["type"] == "retailflow.order.parked.v1").collect();
    let subjects: Vec<&str> = parked.iter().map(|event| text(event, "subject")).collect();
    assert_eq!(subjects, ["o1", "o0"], "nothing was placed as u/o1");
    for event in parked {
        let version: u64 = text(event, "sequence").parse().unwrap();
        assert_eq!(text(event, "id"), format!("{}-{version}-1000000", text(event, "subject")));
    }
    assert_eq!(events(&world, &["--tenant", "u"]), Vec::<Value>::new());
}
