//! A book that is kept from events alone agrees with both sides' to the cent, through kills of the server and of who keeps it.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::load::Load;
use crate::support::cli::{repository, retailflow};
use crate::support::poll::wait_for;
use crate::support::samples::Samples;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);
const KILLS: u64 = 3;
/// Mixed orders that lie there before: some of them canceled, some sent back in part.
const MIXED: &str = "600";

/// Follows a server until it is ended.
struct Accountant(Child);

impl Accountant {
    fn follow(server: &str, tenant: &str, book: &str) -> Self {
        let mut command = Command::new("python3");
        command.arg(repository().join("examples/clients/accountant.py")).args([server, tenant, book]);
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Accountant {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What is in the provider's account, by currency. All accounts of a currency add up to nothing, and nobody owes anybody.
fn with_the_provider(samples: &Samples, book: &str) -> BTreeMap<String, i64> {
    let mut taken = BTreeMap::new();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for line in samples.run("accountant.py", &["--print", book]) {
        let row: Value = serde_json::from_str(&line).unwrap();
        let (currency, minor) = (row["currency"].as_str().unwrap(), row["amount_minor"].as_i64().unwrap());
        *sums.entry(currency.to_owned()).or_default() += minor;
        match row["account"].as_str().unwrap() {
            "provider" => *taken.entry(currency.to_owned()).or_default() += minor,
            "customers" => assert_eq!(minor, 0, "{book}: {line}"),
            _ => {}
        }
    }
    assert!(sums.values().all(|sum| *sum == 0), "{book}: {sums:?}");
    taken
}

/// An order of which the bank takes a part back, and for which something was paid past the provider.
fn facts(server: &Server) {
    let url = server.url();
    let send = |words: &[&str]| {
        let words = [&["order"][..], words, &["--server", url.as_str()]].concat();
        retailflow(&words).run().expect(0);
    };
    send(&["place", "t", "facts", "--customer", "c", "--currency", "USD", "--line", "cd:2:2000"]);
    send(&["watch", "t", "facts"]);
    let record = ["record", "t", "facts", "--reference", "case-1"];
    send(&[&record[..], &["--kind", "chargeback", "--amount", "500"]].concat());
    send(&[&record[..], &["--kind", "external_payment", "--amount", "300"]].concat());
}

#[test]
fn an_accountant_who_hears_events_alone_agrees_to_the_cent() {
    let test = "an_accountant_who_hears_events_alone_agrees_to_the_cent";
    let Some(samples) = Samples::or_skip(test, "python3") else { return };
    let (world, mut load) = (World::new(), Load::new());
    let words = ["generate", "--orders", MIXED, "--seed", "5", "--return-permille", "400", "--tenant", "t"];
    let mixed = retailflow(&words).run().expect(0).stdout;
    world.run(&world.file("mixed", mixed)).run().expect(0);
    let book = world.path("book.db").to_str().unwrap().to_owned();
    let mut rng = fastrand::Rng::with_seed(KILLS);
    for _ in 0..KILLS {
        let server = Server::start(&world);
        let accountant = Accountant::follow(&server.url(), "t", &book);
        let lasts = Duration::from_millis(rng.u64(100..600));
        let address = server.public.clone();
        load.work(&address, |answered| {
            let begun = Instant::now();
            let passed = || {
                let answers = answered.load(std::sync::atomic::Ordering::Relaxed);
                (answers > 100 && begun.elapsed() >= lasts).then_some(())
            };
            wait_for("work, and the moment of the kill", BOUND, passed);
            server.kill();
        });
        drop(accountant);
    }
    let server = Server::start(&world);
    load.check(&server.public);
    facts(&server);
    let orders = load.orders() + MIXED.parse::<usize>().unwrap() + 1;
    samples.run("accountant.py", &[&server.url(), "t", &book, "--until-ended", &orders.to_string()]);
    server.stop();
    let verified = world.verified("data", 0);
    let sides = &verified["sides"];
    assert_eq!((&sides["agree"], &sides["under_way"]), (&true.into(), &0.into()), "{sides}");
    let theirs = &sides["theirs"];
    let refunded: i64 =
        theirs["refunded_minor"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
    assert!(refunded > 0, "something was sent back: {theirs}");
    let taken = with_the_provider(&samples, &book);
    for (currency, captured) in theirs["captured_minor"].as_object().unwrap() {
        let kept = captured.as_i64().unwrap() - theirs["refunded_minor"][currency].as_i64().unwrap_or(0);
        assert_eq!(taken.get(currency).copied().unwrap_or(0), kept, "{currency}: {taken:?}, {theirs}");
    }
}
