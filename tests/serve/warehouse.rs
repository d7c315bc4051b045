//! A stock book that is kept from events alone agrees with the orders and with the participants' books unit by unit, and no parcel
//! is packed twice or for nothing: through kills of the server, of who keeps the book, and of who packs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use retailflow_books::Sides;
use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_invariants::CheckKey;
use serde_json::{Value, json};

use crate::support::cli::{exit_code, repository};
use crate::support::poll::{wait_for, wait_up_to};
use crate::support::samples::Samples;
use crate::support::server::Server;
use crate::support::shop::{Ended, Shop, Units};
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(120);
const ROUNDS: u64 = 4;
const SHOPS: usize = 4;
/// Outcomes of a round before anything is killed.
const COMMANDS: u64 = 100;

/// The program with these words, until it is dropped.
struct Warehouse(Child);

impl Warehouse {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new("python3");
        command.arg(repository().join("examples/clients/warehouse.py")).args(words);
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits for its end: its code, and what it said.
    fn ended(&mut self) -> (Option<i32>, String) {
        let mut stderr = self.0.stderr.take().unwrap();
        let code = exit_code(&mut self.0);
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        (code, said)
    }
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What came out of the packers.
#[derive(Default)]
struct Packed {
    labels: Mutex<Vec<Value>>,
    killed: AtomicU64,
}

impl Packed {
    /// Packs what there is; killed after so many parcels.
    fn pack(&self, book: &str, at_most: usize) {
        let mut packer = Warehouse::start(&["--pack", book]);
        let mut lines = BufReader::new(packer.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first: Vec<String> = lines.by_ref().take(at_most).collect();
        if first.len() == at_most {
            self.killed.fetch_add(1, Ordering::Relaxed);
            drop(packer);
        }
        let labels = first.into_iter().chain(lines).map(|line| serde_json::from_str(&line).unwrap());
        self.labels.lock().extend(labels);
    }
}

fn rows(samples: &Samples, words: &[&str]) -> Vec<Value> {
    samples.run("warehouse.py", words).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What must have moved for an order, by the kind of event.
fn moved(order: &Ended, sides: &Sides) -> BTreeMap<&'static str, Units> {
    let mut moved: BTreeMap<&str, Units> = BTreeMap::new();
    // Which steps an order came to, the participants say; all of its units move together.
    let steps = [
        ("reserved", sides.reserved_units),
        ("booked", sides.booked_units),
        ("shipment_canceled", sides.canceled_units),
        ("released", sides.released_units),
    ];
    let all: u64 = order.ordered.values().sum();
    for (kind, units) in steps {
        assert!(units == 0 || units.unsigned_abs() == all, "{order:?}: {kind} {units}");
        if units > 0 {
            moved.insert(kind, order.ordered.clone());
        }
    }
    let returned: u64 = order.returned.iter().flat_map(Units::values).sum();
    assert_eq!(sides.restocked_units.unsigned_abs(), returned, "{order:?}");
    for (sku, count) in order.returned.iter().flatten() {
        for kind in ["returned", "restocked"] {
            *moved.entry(kind).or_default().entry(sku.clone()).or_default() += count;
        }
    }
    moved
}

#[test]
fn a_warehouse_that_hears_events_alone_agrees_unit_by_unit_and_packs_once() {
    let test = "a_warehouse_that_hears_events_alone_agrees_unit_by_unit_and_packs_once";
    let Some(samples) = Samples::or_skip(test, "python3") else { return };
    let world = World::new();
    let book = world.path("stock.db").to_str().unwrap().to_owned();
    let mut shops: Vec<Shop> = (0..SHOPS).map(|n| Shop::new("t", &format!("s{n}"), n as u64)).collect();
    let (mut rng, packed) = (fastrand::Rng::with_seed(16), Packed::default());
    for round in 0..ROUNDS {
        let server = Server::start(&world);
        let warehouse = Warehouse::start(&[&server.url(), "t", &book]);
        let (lasts, begun) = (Duration::from_millis(rng.u64(300..1200)), Instant::now());
        let (address, answered) = (server.public.clone(), AtomicU64::new(0));
        let left = AtomicUsize::new(SHOPS);
        let work = |shop: &mut Shop| {
            shop.work(&address, |_| {
                answered.fetch_add(1, Ordering::Relaxed);
                false
            });
            left.fetch_sub(1, Ordering::Relaxed);
        };
        let packing = || {
            let mut rng = fastrand::Rng::with_seed(round);
            while left.load(Ordering::Relaxed) > 0 {
                packed.pack(&book, rng.usize(1..12));
            }
        };
        thread::scope(|scope| {
            for shop in &mut shops {
                scope.spawn(|| work(shop));
            }
            scope.spawn(packing);
            wait_for("work, and the moment of the kill", BOUND, || {
                (answered.load(Ordering::Relaxed) > COMMANDS && begun.elapsed() >= lasts).then_some(())
            });
            // In turn, who reads goes before the server and after it.
            let (mut warehouse, mut server) = (Some(warehouse), Some(server));
            drop(if round % 2 == 0 { warehouse.take() } else { None });
            server.take().unwrap().kill();
            drop(warehouse);
        });
    }
    let server = Server::start(&world);
    let warehouse = Warehouse::start(&[&server.url(), "t", &book]);
    let orders: Vec<Ended> = shops.iter_mut().flat_map(|shop| shop.at_rest(&server.public)).collect();
    // Returns go on after their orders have ended; participants' books are written before their answers.
    let expected = wait_for("all returns are restocked", BOUND, || {
        let books = retailflow_participants::audit(&world.path("data/participants")).unwrap();
        let sides = |order: &Ended| {
            let (tenant, id) = (TenantId::parse("t").unwrap(), OrderId::parse(&order.order).unwrap());
            let name = CheckKey::FIXED.order(&OrderRef { tenant, order: id });
            books.orders.get(&name).copied().unwrap_or_default()
        };
        let restocked: i64 = orders.iter().map(|order| sides(order).restocked_units).sum();
        let returned: u64 =
            orders.iter().flat_map(|order| order.returned.iter().flat_map(Units::values)).sum();
        let all =
            || orders.iter().map(|order| (order.order.clone(), json!(moved(order, &sides(order))))).collect();
        (restocked.unsigned_abs() == returned).then(all)
    });
    let expected: BTreeMap<String, Value> = expected;
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let same = wait_up_to_same(&samples, &book, &expected, &mut found);
    let differs =
        || expected.iter().find(|(order, moved)| found.get(*order).map(|row| &row["moved"]) != Some(*moved));
    assert!(same, "{:?} and not {:?}", differs(), differs().map(|(order, _)| found.get(order)));
    packed.pack(&book, usize::MAX);
    check_parcels(&orders, &rows(&samples, &["--orders", &book]), &packed);
    drop(warehouse);
    server.stop();
    assert_eq!(world.verified("data", 0)["sides"]["agree"], true);

    let returns: usize = orders.iter().map(|order| order.returned.len()).sum();
    let canceled = orders.iter().filter(|order| order.is_canceled()).count();
    println!("{} orders, {canceled} of them canceled, {returns} returns", orders.len());
    assert!(canceled > 0 && returns > 0, "there is nothing to see");
    check_stock(&orders, &expected, &rows(&samples, &["--print", &book]));
}

/// Reads the book until it holds what is expected.
fn wait_up_to_same(
    samples: &Samples,
    book: &str,
    expected: &BTreeMap<String, Value>,
    found: &mut BTreeMap<String, Value>,
) -> bool {
    let name = |row: &Value| row["order"].as_str().unwrap().to_owned();
    let is_same = || {
        *found = rows(samples, &["--orders", book]).into_iter().map(|row| (name(&row), row)).collect();
        let same = found.len() == expected.len()
            && expected
                .iter()
                .all(|(order, moved)| found.get(order).is_some_and(|row| row["moved"] == *moved));
        same.then_some(())
    };
    wait_up_to(BOUND, is_same).is_some()
}

/// What was packed: each completed order of which somebody still wants something, once; and no other.
fn check_parcels(orders: &[Ended], rows: &[Value], packed: &Packed) {
    let labels = packed.labels.lock();
    let mut by_order: BTreeMap<&str, &Value> = BTreeMap::new();
    for label in labels.iter() {
        let before = by_order.insert(label["order"].as_str().unwrap(), label);
        assert_eq!(before, None, "packed twice: {label}");
    }
    let mut without = 0;
    for order in orders {
        let row = rows.iter().find(|row| row["order"] == order.order).unwrap();
        assert_eq!(row["ended"], order.view["status"], "{order:?}");
        let (state, label) = (row["parcels"]["1"].as_str(), by_order.get(&*order.order));
        if order.is_canceled() {
            assert!(matches!(state, None | Some("canceled")), "{row}, {order:?}");
            assert_eq!(label, None, "packed, and canceled: {order:?}");
        } else if state == Some("not wanted") {
            let returned: u64 = order.returned.iter().flat_map(Units::values).sum();
            assert_eq!((label, returned), (None, order.ordered.values().sum()), "{order:?}");
        } else {
            assert_eq!(state, Some("packed"), "{row}, {order:?}");
            without += u64::from(label.is_none());
        }
    }
    // Killed between the row and the label.
    assert!(without <= packed.killed.load(Ordering::Relaxed), "{without} parcels have no label");
}

/// Where all units are: what comes to one place has left another, and all is where the orders say.
fn check_stock(orders: &[Ended], moved: &BTreeMap<String, Value>, stock: &[Value]) {
    let mut expected: BTreeMap<(String, &str), i64> = BTreeMap::new();
    for order in orders {
        let moved = &moved[&order.order];
        for (kind, from, to) in [
            ("reserved", "shelf", "set aside"),
            ("released", "set aside", "shelf"),
            ("booked", "set aside", "parcels"),
            ("shipment_canceled", "parcels", "set aside"),
            ("returned", "parcels", "coming back"),
            ("restocked", "coming back", "shelf"),
        ] {
            for (sku, units) in moved[kind].as_object().into_iter().flatten() {
                let units = units.as_i64().unwrap();
                *expected.entry((sku.clone(), from)).or_default() -= units;
                *expected.entry((sku.clone(), to)).or_default() += units;
            }
        }
    }
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for row in stock {
        let (sku, place, units) =
            (row["sku"].as_str().unwrap(), row["place"].as_str().unwrap(), row["units"].as_i64());
        assert_eq!(units, Some(expected[&(sku.to_owned(), place)]), "{row}");
        let rests = !["set aside", "coming back"].contains(&place) || units == Some(0);
        assert!(rests, "all orders are at rest: {row}");
        *sums.entry(sku).or_default() += units.unwrap();
    }
    assert!(!sums.is_empty() && sums.values().all(|sum| *sum == 0), "{sums:?}");
}

/// One event as the stream has it.
fn event(order: &str, number: u64, kind: &str, data: &Value) -> String {
    let (kind, id) = (format!("retailflow.order.{kind}.v1"), format!("{order}-{number}-0"));
    let numbered = json!({"eventnumber": number});
    let mut event = json!({"id": id, "type": kind, "subject": order, "data": data});
    if number > 0 {
        event["eventnumber"] = numbered["eventnumber"].clone();
    }
    format!("id: at-{id}\nevent: {kind}\ndata: {event}\n\n")
}

/// Answers one connection after another with these streams, each of which then ends; gives the cursors that they came with.
fn streams(listener: &TcpListener, streams: &[String]) -> Vec<Option<String>> {
    listener.set_nonblocking(true).unwrap();
    let mut cursors = Vec::new();
    for stream in streams {
        let mut connection = wait_for("the reader comes again", BOUND, || match listener.accept() {
            Ok((connection, _)) => Some(connection),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        });
        connection.set_nonblocking(false).unwrap();
        connection.set_read_timeout(Some(BOUND)).unwrap();
        let mut head = BufReader::new(connection.try_clone().unwrap());
        let lines = std::iter::from_fn(|| {
            let mut line = String::new();
            head.read_line(&mut line).unwrap();
            (line.trim_end() != "").then(|| line.trim_end().to_ascii_lowercase())
        });
        let lines: Vec<String> = lines.collect();
        cursors.push(lines.iter().find_map(|line| line.strip_prefix("last-event-id: ")).map(str::to_owned));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{stream}"
        );
        connection.write_all(answer.as_bytes()).unwrap();
    }
    cursors
}

/// The life of an order of three lines, two of them of one SKU, of which one was short.
fn life(order: &str) -> Vec<String> {
    let line = |id: &str, sku: &str, quantity: u64| json!({"line_id": id, "sku": sku, "quantity": quantity});
    let part = |id: &str, quantity: u64| json!({"line_id": id, "quantity": quantity});
    let carried = json!([part("1", 2), part("2", 3), part("3", 1)]);
    let some = json!({"return_id": "r", "lines": [part("2", 3)]});
    [
        (
            "placed",
            json!({"currency": "USD", "lines": [line("1", "cd", 2), line("2", "cd", 3), line("3", "lp", 4)]}),
        ),
        ("reserved", json!({"reference": "r", "short": [part("3", 3)]})),
        ("told_by_a_later_version", json!({"lines": "unknown"})),
        ("booked", json!({"shipment_id": "1", "reference": "b", "lines": carried})),
        ("completed", json!({})),
        ("returned", some.clone()),
        ("restocked", some),
    ]
    .iter()
    .enumerate()
    .map(|(at, (kind, data))| event(order, at as u64 + 1, kind, data))
    .collect()
}

#[test]
fn a_warehouse_bears_what_comes_again_and_sees_what_is_missing() {
    let test = "a_warehouse_bears_what_comes_again_and_sees_what_is_missing";
    let Some(samples) = Samples::or_skip(test, "python3") else { return };
    let world = World::new();
    let book = world.path("stock.db").to_str().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (life, other) = (life("o1"), life("o2"));
    let parked = event("o1", 0, "parked", &json!({"reason": "it crashes"}));
    let whole: String =
        [&life[..4], &[life[1].clone(), parked.clone()], &other[..2], &life[2..], &life, &[parked]]
            .concat()
            .concat();
    let warehouse = Warehouse::start(&[&server, "t", &book]);
    let gap = [&life[..2], &life[3..]].concat().concat();
    let cursors = streams(&listener, &[gap.clone(), whole, String::new()]);
    // What was missing is looked for from the beginning on; who has read all of it goes on behind.
    assert_eq!(cursors, [None, None, Some("at-o1-0-0".to_owned())]);
    drop(warehouse);
    let of = |order: &str| {
        rows(&samples, &["--orders", &book]).into_iter().find(|row| row["order"] == order).unwrap()
    };
    let moved = json!({
        "reserved": {"cd": 5, "lp": 1}, "booked": {"cd": 5, "lp": 1}, "returned": {"cd": 3}, "restocked": {"cd": 3},
    });
    assert_eq!((&of("o1")["moved"], &of("o1")["parcels"]), (&moved, &json!({"1": "to pack"})));
    // What came back before it was packed is not sent.
    let packed = rows(&samples, &["--pack", &book]);
    assert_eq!(packed, [json!({"order": "o1", "shipment_id": "1", "units": {"cd": 2, "lp": 1}})]);
    assert_eq!(rows(&samples, &["--pack", &book]), Vec::<Value>::new());

    // A gap that stays ends it, with words.
    let gap = [&other[..2], &other[3..]].concat().concat();
    let mut warehouse = Warehouse::start(&[&server, "t", &book]);
    let cursors = streams(&listener, &[gap.clone(), gap]);
    assert_eq!(cursors, [Some("at-o1-0-0".to_owned()), None]);
    let (code, said) = warehouse.ended();
    assert_eq!(code, Some(1), "{said}");
    let missing = "order o2: event 3 is missing, 4 came";
    assert!(said.contains(missing) && said.contains("keep a new book"), "{said}");
    assert_eq!(
        of("o2")["moved"],
        json!({"reserved": {"cd": 5, "lp": 1}}),
        "nothing behind the gap is booked"
    );
}
