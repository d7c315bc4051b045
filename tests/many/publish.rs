//! Orders that a stranger's client publishes, and the same ones through one process: all must come to the same.
//!
//! The client is `publish.py`: nats-py, and nothing of ours. The orders are the real ones of `examples/orders.csv` and a mixed
//! load beside them. With `RETAILFLOW_LONG=1`, `RETAILFLOW_ORDERS_CSV` may name a larger file with the same columns.
//!
//! Returns and cancels are published when their orders are at rest: when a cancel comes in the middle of an order's life, it is
//! a matter of time whether it comes too late, and no two runs are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use retailflow_disk::follow::LogFollower;
use retailflow_disk::log::LogOptions;
use retailflow_engine::codec::v1::{self, ActorV1, BodyV1, EventV1, StatusV1, VerdictV1};
use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::ports::{DeadLetters, LoggedEntry, LoggedGroup};
use retailflow_invariants::{CheckKey, Effects, LogChecker, sides};
use retailflow_nats::{Connections, NatsDeadLetters, NatsLog, NatsLogOptions, NatsOptions};
use retailflow_os::files::RealFiles;
use serde_json::Value;

use super::audit::{all, identity};
use super::cluster::{Many, PARTITIONS, Size};
use super::{is_long, servers};
use crate::support::cli::{file, repository, retailflow};
use crate::support::poll::wait_for;
use crate::support::serving::{or_skipped, tool};

/// Made-up orders beside the real ones.
const MIXED_ORDERS: &str = "800";
/// Commands whose message ids collide; few, so that they meet within the time for which the server remembers ids.
const COLLIDING: usize = 200;
const REST_WITHIN: Duration = Duration::from_secs(900);
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// Where nats-py was installed.
pub(super) fn home() -> Option<PathBuf> {
    let named = std::env::var_os("RETAILFLOW_TOOLS").map(PathBuf::from);
    let home = named.unwrap_or_else(|| repository().join(".tools")).join("nats-py");
    home.join("nats").is_dir().then_some(home)
}

/// An order as a log has it, at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Final {
    status: Option<StatusV1>,
    /// The verdicts on its caller's commands, by id: how many were given, and the code of a rejection.
    verdicts: BTreeMap<String, Option<String>>,
    effects: Effects,
}

/// A log, read to its end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ledger {
    orders: BTreeMap<String, Final>,
    versions: BTreeMap<String, u64>,
    records: usize,
}

impl Ledger {
    fn of(groups: &[LoggedGroup], checker: &LogChecker) -> Self {
        let effects: BTreeMap<_, _> = checker.effects().map(|(key, effects)| (*key, *effects)).collect();
        let mut ledger = Self::default();
        for entry in groups.iter().flat_map(|group| &group.entries) {
            let LoggedEntry::Record(bytes) = entry else { panic!("an order was parked") };
            let record = v1::decode(bytes).unwrap();
            let (tenant, order) = (TenantId::parse(&record.tenant), OrderId::parse(&record.order));
            let order = OrderRef { tenant: tenant.unwrap(), order: order.unwrap() };
            let name = order.to_string();
            ledger.records += 1;
            let found = ledger.orders.entry(name.clone()).or_insert_with(|| {
                let effects = effects[&CheckKey::FIXED.order(&order)];
                Final { status: None, verdicts: BTreeMap::new(), effects }
            });
            let BodyV1::Decisions(decisions) = record.body else { panic!("{name} was archived") };
            for decision in decisions {
                let version = decision.verdict.version();
                let code = match decision.verdict {
                    VerdictV1::Applied { .. } | VerdictV1::AppliedWith { .. } => None,
                    VerdictV1::Rejected { code, .. } | VerdictV1::RejectedAt { code, .. } => Some(code),
                };
                ledger.versions.insert(name.clone(), version);
                if decision.actor == ActorV1::Tenant {
                    found.verdicts.insert(decision.id, code);
                }
                for event in decision.events {
                    if let EventV1::StatusChanged { status, .. } = event {
                        found.status = Some(status);
                    }
                }
            }
        }
        ledger
    }
}

fn checked(groups: &[LoggedGroup], partitions: u16) -> LogChecker {
    let mut checker = LogChecker::new(partitions, CheckKey::FIXED);
    groups.iter().for_each(|group| checker.group(group));
    checker
}

/// What one process makes of the same commands.
fn embedded(folder: &Path, files: [&str; 2]) -> Ledger {
    let data = folder.join("data");
    for commands in files {
        let call =
            retailflow(&["run", "--quiet", "--commands", commands, "--outcomes", "/dev/null", "--data"]);
        call.arg(&data).run().expect(0);
    }
    let mut log = LogFollower::open(&data, LogOptions::default(), Arc::new(RealFiles::default())).unwrap();
    let mut groups = Vec::new();
    loop {
        let piece = log.next(4 << 20).unwrap();
        if piece.is_empty() {
            break;
        }
        groups.extend(piece);
    }
    let checker = checked(&groups, log.identity().partitions);
    assert_eq!((checker.result().violations, checker.open_orders()), (vec![], 0));
    Ledger::of(&groups, &checker)
}

/// Places in one file; in another the first other command of each order.
fn commands(folder: &Path) -> [String; 2] {
    let named = std::env::var("RETAILFLOW_ORDERS_CSV").ok().filter(|_| is_long());
    let csv = named.unwrap_or_else(|| "examples/orders.csv".into());
    let columns = ["--order-column", "row", "--customer-column", "customer_id", "--time-column", "date"];
    let amounts =
        ["--quantity-column", "quantity", "--amount-column", "amount_cents", "--amount-unit", "minor"];
    let words = [&["import", "--tenant", "cdnow", "--csv", &csv][..], &columns, &amounts].concat();
    let real = retailflow(&words).run().expect(0);
    let words = ["generate", "--seed", "11", "--orders", MIXED_ORDERS, "--tenant", "shop"];
    let mixed = retailflow(&[&words[..], &["--return-permille", "200"]].concat()).run().expect(0);
    let (mut places, mut later) = (String::new(), BTreeMap::new());
    for line in real.lines().into_iter().chain(mixed.lines()) {
        let command: Value = serde_json::from_str(line).unwrap();
        match command["type"].as_str() {
            Some("retailflow.order.place.v1") => places.extend([line, "\n"]),
            _ => drop(later.entry(command["subject"].to_string()).or_insert_with(|| format!("{line}\n"))),
        }
    }
    let later: String = later.into_values().collect();
    [file(folder, "places.jsonl", places), file(folder, "later.jsonl", later)]
}

/// The published side.
struct Published<'a> {
    many: &'a Many,
    home: &'a Path,
    runtime: tokio::runtime::Runtime,
    connections: Connections,
    log: Arc<NatsLog>,
    /// Commands that stand in the stream.
    stored: u64,
}

impl<'a> Published<'a> {
    fn new(many: &'a Many, home: &'a Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options =
            NatsOptions { servers: many.nats_urls(), name: "audit".into(), ..NatsOptions::default() };
        let (connections, log) = runtime.block_on(async {
            let connections = Connections::open(&options).await.unwrap();
            let log = NatsLog::open(&connections, &identity(), &NatsLogOptions::default()).await.unwrap();
            (connections, log)
        });
        Self { many, home, runtime, connections, log, stored: 0 }
    }

    fn script(&self, verb: &str, file: &str) -> Value {
        let mut command = Command::new("python3");
        command
            .arg(repository().join("tests/many/publish.py"))
            .arg(&self.many.nats_urls()[0])
            .args([verb, file]);
        command.env("PYTHONPATH", self.home).env("PYTHONDONTWRITEBYTECODE", "1");
        let (status, out, err) = tool(command, REST_WITHIN);
        assert!(status.success(), "{status}\n{out}\n{err}");
        serde_json::from_str(&out).unwrap()
    }

    /// Has a file published; gives how many of its commands the server took for duplicates.
    fn publish(&mut self, verb: &str, file: &str) -> u64 {
        let begun = Instant::now();
        let said = self.script(verb, file);
        let (acknowledged, duplicates) =
            (said["acknowledged"].as_u64().unwrap(), said["duplicates"].as_u64().unwrap());
        println!("{verb}: {acknowledged} acknowledged, {duplicates} as duplicates, {:?}", begun.elapsed());
        self.stored += acknowledged - duplicates;
        duplicates
    }

    /// Waits until all that was published is read and no order is on its way.
    fn at_rest(&self, orders: u64) -> (Ledger, LogChecker) {
        let begun = Instant::now();
        let nodes = ["n-1", "n-2"];
        wait_for("all commands are read", REST_WITHIN, || {
            let read = nodes.map(|node| self.many.metric(node, "retailflow_published_commands_total"));
            (read.iter().sum::<f64>() >= self.stored as f64).then_some(())
        });
        let read = begun.elapsed();
        let ledger = wait_for("all orders are at rest", REST_WITHIN, || {
            let groups = self.runtime.block_on(all(&self.log));
            let checker = checked(&groups, PARTITIONS);
            let rests = checker.open_orders() == 0 && checker.result().orders == orders;
            rests.then(|| (Ledger::of(&groups, &checker), checker))
        });
        println!("all {} read after {read:?}, at rest after {:?}", self.stored, begun.elapsed());
        ledger
    }
}

/// What a stranger publishes comes to the same as in one process, and published again it changes nothing.
#[test]
fn a_strangers_orders_come_to_the_same_as_in_one_process() {
    let test = "a_strangers_orders_come_to_the_same_as_in_one_process";
    let Some((nats, etcd)) = servers(test) else { return };
    let how = "cargo xtask setup --tests fetches it";
    let Some(home) = or_skipped(test, "nats-py", how, home) else { return };
    let folder = tempfile::tempdir().unwrap();
    let [places, later] = commands(folder.path());
    let expected = embedded(folder.path(), [&places, &later]);
    let orders = expected.orders.len() as u64;

    let mut many = Many::start((&nats, &etcd), Size { participants: "perfect", ..Size::SMALL });
    let nodes = ["n-1", "n-2"];
    nodes.iter().for_each(|name| many.node(name));
    many.shared_out(&nodes);
    let mut published = Published::new(&many, &home);
    assert_eq!(published.publish("publish", &places), 0);
    published.at_rest(orders);
    assert_eq!(published.publish("publish", &later), 0);
    let (first, checker) = published.at_rest(orders);

    // Order by order, and so in sum.
    let differ: Vec<_> =
        expected.orders.iter().filter(|(name, order)| first.orders.get(*name) != Some(order)).collect();
    assert_eq!(
        (differ.len(), differ.first()),
        (0, None),
        "{:?}",
        differ.first().map(|(name, _)| first.orders.get(*name))
    );
    assert_eq!(first.orders.len(), expected.orders.len());
    let check = checker.result();
    println!("{orders} orders: {:?}; {:?}", check.by_status, check.effects);
    assert_eq!(check.violations, []);

    // All of it again, and some under ids that hide one tenant's commands behind another's.
    assert_eq!(published.publish("publish", &places), 0);
    assert_eq!(published.publish("publish", &later), 0);
    let lines = std::fs::read_to_string(&places).unwrap();
    let of = |tenant: &str| {
        let tenant = format!("\"tenant\":\"{tenant}\"");
        let lines = lines.lines().filter(move |line| line.contains(&tenant)).take(COLLIDING / 2);
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let some = file(folder.path(), "colliding.jsonl", of("cdnow") + &of("shop"));
    let swallowed = published.publish("collide", &some);
    assert!((1..=COLLIDING as u64 / 2).contains(&swallowed), "{swallowed}");
    let (again, _) = published.at_rest(orders);
    assert!(again == first, "published again, something changed");
    let asked = published.script("ask", &places);
    println!("asked: {asked}");
    assert_eq!((&asked["code"], &asked["replayed"]), (&"applied".into(), &true.into()));

    let letters = published.runtime.block_on(async {
        let letters = NatsDeadLetters::new(&published.connections).list(0, 10).await.unwrap();
        published.log.close(CLOSES_WITHIN).await;
        published.connections.close(CLOSES_WITHIN).await;
        letters
    });
    assert!(letters.is_empty(), "{letters:?}");
    nodes.iter().for_each(|node| assert!(!many.log(node).contains("STOPPED"), "{}", many.log(node)));
    drop(published);
    many.end();
    let totals = retailflow_participants::audit(&many.books().join("participants")).unwrap();
    assert_eq!(sides(checker.effects(), &totals), []);
}
