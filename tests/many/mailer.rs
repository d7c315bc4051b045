//! A mailer on nats-py sends each mail once, whoever is killed: it, a node, the NATS server, or it between "sent" and "I know".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::{Many, Size};
use super::{publish, servers};
use crate::support::cli::repository;
use crate::support::http::Client;
use crate::support::nats::{Server, server_or_skip};
use crate::support::poll::{wait_for, wait_up_to};
use crate::support::samples::Samples;
use crate::support::serving::{or_skipped, tool};
use crate::support::shop::{Ended, Shop, Units};
use crate::support::smtp::{Mail, Sink};

const BOUND: Duration = Duration::from_secs(180);
const SHOPS: usize = 3;
/// Outcomes of a round before anything happens, and after it.
const COMMANDS: u64 = 25;
const HOW: &str = "cargo xtask setup --tests fetches it";

/// One mailer: where it reads, keeps its outbox and sends.
struct Post<'a> {
    samples: &'a Samples,
    home: &'a Path,
    nats: String,
    book: String,
    sink: &'a Sink,
}

/// Says so when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Post<'_> {
    fn words<'w>(&'w self, more: &[&'w str]) -> Vec<&'w str> {
        [&[&*self.nats, "shop", &self.book, &self.sink.address], more].concat()
    }

    /// Until it is dropped, which kills it.
    fn start(&self) -> Running {
        let mut command = Command::new("python3");
        command.arg(repository().join("examples/clients/mailer.py")).args(self.words(&[]));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", self.home);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// To its end.
    fn run(&self, more: &[&str]) {
        self.samples.run("mailer.py", &self.words(more));
    }

    fn outbox(&self) -> Vec<Value> {
        let lines = self.samples.run("mailer.py", &["--print", &self.book]);
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Where nats-py is, with a Python that runs it.
fn python(test: &str) -> Option<(PathBuf, Samples)> {
    let home = or_skipped(test, "nats-py", HOW, publish::home)?;
    let samples = Samples::or_skip(test, "python3")?.with_packages(home.clone());
    Some((home, samples))
}

/// How many mails of each kind there are, by order and kind.
fn by_kind(mails: &BTreeMap<String, Mail>) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for id in mails.keys() {
        // `<order>-<version>-<index>.<kind>@<tenant>.<host>`
        let (event, kind) = id.split_once('@').unwrap().0.rsplit_once('.').unwrap();
        let order = event.rsplitn(3, '-').last().unwrap();
        *counts.entry((order.to_owned(), kind.to_owned())).or_default() += 1;
    }
    counts
}

/// How many of each there must be.
fn expected(orders: &[Ended], address: &str) -> BTreeMap<(String, String), usize> {
    let (mut counts, mut client) = (BTreeMap::new(), Client::new(address));
    for order in orders {
        let mut add = |kind: &str, count: usize| {
            if count > 0 {
                counts.insert((order.order.clone(), kind.to_owned()), count);
            }
        };
        add("taken", 1);
        add(if order.is_canceled() { "canceled" } else { "on-its-way" }, 1);
        let captured = order.view["payment"]["captured_minor"].as_u64().unwrap();
        // What was taken is paid back when the order is canceled, or return by return.
        add("refunded", if order.is_canceled() { usize::from(captured > 0) } else { order.returned.len() });
        let path = format!("/v1/tenants/shop/orders/{}/history", order.order);
        let history = wait_for("the history is read", BOUND, || {
            client.get(&path).ok().filter(|answer| answer.status == 200).map(|answer| answer.json())
        });
        let entries = history["entries"].as_array().unwrap().iter();
        let events = entries.flat_map(|entry| entry["events"].as_array().unwrap());
        let is_declined = |event: &&Value| {
            let event = event.as_str().unwrap();
            event.starts_with("authorize declined:") || event.starts_with("capture declined:")
        };
        add("payment-failed", events.filter(is_declined).count());
    }
    counts
}

/// Without what quoted-printable does to long lines on their way.
fn unfolded(text: &str) -> String {
    text.replace("=\n", "").replace("=3D", "=")
}

/// Each mail says what the order's view says.
fn check_texts(orders: &[Ended], mails: &BTreeMap<String, Mail>) {
    for order in orders {
        let prefix = format!("{}-", order.order);
        let of = |kind: &'static str| {
            let mine = mails.iter().filter(|(id, _)| id.starts_with(&prefix));
            mine.filter(move |(id, _)| id.split_once('@').unwrap().0.ends_with(kind))
                .map(|(_, mail)| unfolded(&mail.text))
        };
        let reason = order.view["cancel_reason"].as_str().unwrap_or_default();
        assert!(of(".canceled").all(|text| text.contains(reason)), "{order:?}");
        let currency = order.view["currency"].as_str().unwrap();
        let digits = if currency == "JPY" { "" } else { "." };
        let refunded = of(".refunded").map(|text| {
            let (_, rest) = text.split_once("paid back ").unwrap();
            let (amount, rest) = rest.split_once(' ').unwrap();
            assert!(rest.starts_with(currency) && amount.contains(digits), "{text}");
            amount.replace('.', "").parse::<u64>().unwrap()
        });
        assert_eq!(Some(refunded.sum()), order.view["payment"]["refunded_minor"].as_u64(), "{order:?}");
    }
}

#[test]
fn a_mailer_sends_each_mail_once_whoever_is_killed() {
    let test = "a_mailer_sends_each_mail_once_whoever_is_killed";
    let Some((nats, etcd)) = servers(test) else { return };
    let Some((home, samples)) = python(test) else { return };
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start(5));
    let mut many = Many::start((&nats, &etcd), Size::SMALL);
    let nodes = ["n-1", "n-2"];
    nodes.iter().for_each(|name| many.node(name));
    many.shared_out(&nodes);
    let book = folder.path().join("mails.db").to_str().unwrap().to_owned();
    let post = Post { samples: &samples, home: &home, nats: many.nats_urls()[0].clone(), book, sink: &sink };
    let mut shops: Vec<Shop> =
        (0..SHOPS).map(|n| Shop::new("shop", &format!("s{n}"), 40 + n as u64)).collect();
    for round in 0..4 {
        let mailer = post.start();
        // The shops' node stays in rounds in which another one goes.
        let address = many.public(nodes[round % 2]);
        let (answered, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let left = AtomicUsize::new(SHOPS);
        let work = |shop: &mut Shop| {
            shop.work(&address, |_| {
                answered.fetch_add(1, Ordering::Relaxed);
                is_over.load(Ordering::Relaxed)
            });
            left.fetch_sub(1, Ordering::Relaxed);
        };
        // Until they have done so much more, or have all lost who they talk to.
        let more = || {
            let until = answered.load(Ordering::Relaxed) + COMMANDS;
            wait_for("the shops work", BOUND, || {
                let is_lost = left.load(Ordering::Relaxed) == 0;
                (is_lost || answered.load(Ordering::Relaxed) >= until).then_some(())
            });
        };
        thread::scope(|scope| {
            for shop in &mut shops {
                scope.spawn(|| work(shop));
            }
            // Whatever fails here, the shops close: the scope waits for them.
            let ends = Ends(&is_over);
            more();
            match round {
                // The mail is taken, and who sent it does not live to hear of it.
                0 => sink.takes_and_is_silent(|| drop(mailer)),
                1 => {
                    many.nats[0].kill();
                    many.nats[0].run();
                    more();
                }
                2 => {
                    many.kill(nodes[1]);
                    more();
                    drop(mailer);
                    many.node(nodes[1]);
                }
                _ => {
                    drop(mailer);
                    // Also the one that they talk to.
                    many.kill(nodes[1]);
                    many.node(nodes[1]);
                }
            }
            drop(ends);
        });
    }
    many.shared_out(&nodes);
    let mailer = post.start();
    let address = many.public(nodes[0]);
    let orders: Vec<Ended> = shops.iter_mut().flat_map(|shop| shop.at_rest(&address)).collect();
    let expected = expected(&orders, &address);
    let same = wait_up_to(BOUND, || (by_kind(&sink.mails()) == expected).then_some(()));
    let (mails, found) = (sink.mails(), by_kind(&sink.mails()));
    let differ = expected.iter().filter(|(of, count)| found.get(*of) != Some(*count));
    let more = found.keys().filter(|of| !expected.contains_key(*of));
    assert!(
        same.is_some(),
        "not sent: {:?}; for nothing: {:?}",
        differ.collect::<Vec<_>>(),
        more.collect::<Vec<_>>()
    );
    check_texts(&orders, &mails);
    drop(mailer);
    // All of it read again, from the first event on: nothing goes out that has gone out.
    post.run(&["--anew", "--until-quiet", "3"]);
    let last = sink.mails();
    assert_eq!((by_kind(&last), last.len()), (expected.clone(), mails.len()));
    assert!(post.outbox().iter().all(|row| row["state"] == "sent"), "{:?}", post.outbox());
    let again: u32 = last.values().map(|mail| mail.times - 1).sum();
    assert!(again > 0, "one was sent twice under its own id at the least: that is what at least once means");
    let of =
        |kind: &str| expected.iter().filter(|((_, of), _)| of == kind).map(|(_, count)| count).sum::<usize>();
    let kinds =
        ["taken", "on-its-way", "canceled", "refunded", "payment-failed"].map(|kind| (kind, of(kind)));
    println!("{kinds:?}, {again} of them came again; {} returns", returns(&orders));
    assert!(kinds.iter().all(|(_, count)| *count > 0), "{kinds:?}");
    many.end();
}

fn returns(orders: &[Ended]) -> u64 {
    orders.iter().flat_map(|order| order.returned.iter().flat_map(Units::values)).sum()
}

/// An event as the stream has it; without a number where it is none of the order's own.
fn event(order: &str, id: &str, number: u64, kind: &str, data: &Value) -> String {
    let mut event = json!({
        "specversion": "1.0", "id": format!("{order}-{id}"), "tenant": "shop", "subject": order,
        "type": format!("retailflow.order.{kind}.v1"), "time": "2026-01-01T00:00:00.000Z", "data": data,
    });
    if number > 0 {
        event["eventnumber"] = number.into();
    }
    format!("{event}\n")
}

/// Puts events into the stream that the mailer reads.
fn say(nats: &str, home: &Path, folder: &Path, events: &[String]) {
    let file = folder.join("events");
    std::fs::write(&file, events.concat()).unwrap();
    let mut command = Command::new("python3");
    command.arg(repository().join("tests/many/events.py")).arg(nats).arg(&file).env("PYTHONPATH", home);
    let (status, _, said) = tool(command, BOUND);
    assert!(status.success(), "{said}");
}

#[test]
fn a_mailer_bears_what_comes_again_and_tells_what_is_parked_for_long() {
    let test = "a_mailer_bears_what_comes_again_and_tells_what_is_parked_for_long";
    let Some(nats) = server_or_skip(test) else { return };
    let Some((home, samples)) = python(test) else { return };
    let (folder, sink, nats) = (tempfile::tempdir().unwrap(), Sink::start(6), Server::with_streams(&nats));
    let book = folder.path().join("mails.db").to_str().unwrap().to_owned();
    let post = Post { samples: &samples, home: &home, nats: nats.url(), book, sink: &sink };
    let customer = "a\r\nBcc: all@x.example";
    let placed = json!({"customer": customer, "currency": "KWD", "total_minor": 12_345});
    let place = |order: &str| event(order, "1-0", 1, "placed", &placed);
    let later = event("o1", "2-0", 2, "told_by_a_later_version", &json!({"lines": "unknown"}));
    let refunded = event("o1", "3-0", 3, "refunded", &json!({"amount_minor": 5}));
    let parked = |order: &str, index: u32| {
        event(order, &format!("3-{index}"), 0, "parked", &json!({"reason": "it crashes"}))
    };
    let unparked = |order: &str, index: u32| event(order, &format!("5-{index}"), 0, "unparked", &json!({}));
    let events = [
        place("o1"),
        place("o1"),
        later.clone(),
        refunded.clone(),
        place("o2"),
        later,
        refunded,
        parked("o1", 1_000_000),
        parked("o1", 1_000_000),
    ];
    say(&post.nats, &home, folder.path(), &events);
    // For those that are parked this has been long ago.
    post.run(&["--until-quiet", "3"]);
    let kinds = |counts: BTreeMap<(String, String), usize>| {
        let rows = counts.into_iter().map(|((order, kind), count)| format!("{order} {kind} {count}"));
        rows.collect::<Vec<_>>()
    };
    let first = ["o1 parked-long 1", "o1 refunded 1", "o1 taken 1", "o2 taken 1"];
    assert_eq!(kinds(by_kind(&sink.mails())), first);
    let mails = sink.mails();
    let refund = &mails["o1-3-0.refunded@shop.mailer.shop.example"].text;
    assert!(refund.contains("paid back 0.005 KWD."), "{refund}");
    assert!(
        mails.values().all(|mail| !mail.text.to_ascii_lowercase().contains("bcc")),
        "a name wrote a header"
    );

    // One that is taken up again in time is told to nobody; one that is parked a second time is another one.
    let century = "3000000000";
    let events = [
        unparked("o1", 1_000_001),
        parked("o1", 1_000_002),
        parked("o2", 1_000_000),
        unparked("o2", 1_000_001),
    ];
    say(&post.nats, &home, folder.path(), &events);
    post.run(&["--until-quiet", "3", "--parked-long", century]);
    assert_eq!(kinds(by_kind(&sink.mails())), first);
    let states = |order: &str| {
        let rows = post
            .outbox()
            .into_iter()
            .filter(|row| row["shop_order"] == order && row["kind"] == "parked-long");
        rows.map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (states("o1"), states("o2")),
        (vec!["sent".into(), "waits".into()], vec!["not needed".into()])
    );

    // A gap is looked for in the whole stream, and told where it stays.
    say(&post.nats, &home, folder.path(), &[event("o2", "4-0", 3, "canceled", &json!({"reason": "no"}))]);
    let mut command = Command::new("python3");
    command
        .arg(repository().join("examples/clients/mailer.py"))
        .args(post.words(&[]))
        .env("PYTHONPATH", &home);
    let (status, _, said) = tool(command, BOUND);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("order o2: event 2 is missing, 3 came") && said.contains("not in the stream"),
        "{said}"
    );
    assert_eq!(kinds(by_kind(&sink.mails())), first, "what is behind the gap is not told");
}
