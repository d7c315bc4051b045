//! Mixed orders with flaky participants, under kills all the while: an upstream sends until it has each outcome.
//!
//! `cargo xtask kill` runs it with 100,000 orders and a kill about every second.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::cli::retailflow;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::{World, first_time};

/// Outcomes that are asked for again in each life, beside what has none yet.
const REPEATED_MAX: usize = 200;
const BOUND: Duration = Duration::from_secs(60);

/// What the environment asks for, or what is quick.
fn wanted(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A system that has commands to send, and remembers what it was told.
struct Upstream {
    world: World,
    lines: Vec<String>,
    commands: Vec<Value>,
    /// By line: the first outcome that was recorded, without what may differ when it is given again.
    told: BTreeMap<usize, Value>,
    /// Lines that were refused, which may come again or not.
    refused: Vec<usize>,
    /// How many lines from the beginning have an outcome of either kind.
    answered: usize,
    compared: usize,
}

impl Upstream {
    fn new(orders: u64) -> Self {
        let world = World::new();
        let words =
            ["generate", "--seed", "11", "--reorder", "20", "--reuse-permille", "20", "--tenant", "t"];
        let few = ["--early-permille", "20", "--mix", "shop", "--orders", &orders.to_string(), "--out"];
        let call = few.iter().fold(retailflow(&words), |call, word| call.arg(word));
        call.arg(world.path("commands")).run().expect(0);
        let text = std::fs::read_to_string(world.path("commands")).unwrap();
        let lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
        let commands = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (told, refused) = (BTreeMap::new(), Vec::new());
        Self { world, lines, commands, told, refused, answered: 0, compared: 0 }
    }

    /// What one life of the engine is sent: some lines again, and then all that has no outcome.
    fn sends(&self, rng: &mut fastrand::Rng) -> Vec<usize> {
        let mut again: Vec<usize> = match self.answered {
            0 => Vec::new(),
            answered => (0..REPEATED_MAX).map(|_| rng.usize(..answered)).collect(),
        };
        // Commands of one order keep their order.
        again.sort_unstable();
        again.dedup();
        again.retain(|at| self.told.contains_key(at));
        again.extend(self.answered..self.lines.len());
        again
    }

    /// Takes in what was answered to these lines.
    fn hears(&mut self, sent: &[usize]) {
        let given = self.world.outcomes();
        assert!(given.len() <= sent.len(), "more outcomes than commands");
        for (&at, outcome) in sent.iter().zip(&given) {
            let (told, command) = (first_time(outcome), &self.commands[at]);
            let named = [&told["command_id"], &told["source"], &told["tenant"], &told["order"]];
            let meant = [&command["id"], &command["source"], &command["tenant"], &command["subject"]];
            assert_eq!(named, meant, "line {}", at + 1);
            self.answered = self.answered.max(at + 1);
            if told["status"] == "refused" {
                assert!(!self.told.contains_key(&at), "line {}, recorded before: {outcome}", at + 1);
                self.refused.push(at);
                continue;
            }
            let replayed = self.told.contains_key(&at);
            let first = self.told.entry(at).or_insert_with(|| told.clone());
            assert_eq!(*first, told, "line {} was told otherwise before", at + 1);
            assert!(!replayed || outcome["replayed"] == true, "line {} was decided twice: {outcome}", at + 1);
            self.compared += usize::from(replayed);
        }
    }

    /// One life of the engine, ended by SIGKILL after so long.
    fn life(&mut self, rng: &mut fastrand::Rng, lasts: Duration) {
        let sent = self.sends(rng);
        let outcomes = self.world.path("outcomes");
        let _ = std::fs::remove_file(&outcomes);
        let call = self.world.run("-").arg("--participants").arg("flaky").arg("--seed").arg("3");
        let (mut child, _) = call.spawn();
        // Half of the kills may meet the start; the others come so long after the first outcome, or a busy machine with
        // many orders would do nothing but start.
        let mut begun = rng.bool().then(Instant::now);
        let feeder = self.feed(&mut child, &sent);
        wait_for("the moment of the kill", BOUND, || {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself, with its input open");
            if begun.is_none() && std::fs::metadata(&outcomes).is_ok_and(|file| file.len() > 0) {
                begun = Some(Instant::now());
            }
            begun.is_some_and(|begun| begun.elapsed() >= lasts).then_some(())
        });
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(feeder.join().unwrap());
        self.hears(&sent);
    }

    /// Writes the lines to the child from a thread, and then keeps its input open.
    fn feed(&self, child: &mut Child, sent: &[usize]) -> JoinHandle<impl Sized + use<>> {
        let mut stdin = child.stdin.take().unwrap();
        let mut bytes = Vec::new();
        sent.iter().for_each(|&at| bytes.extend_from_slice(self.lines[at].as_bytes()));
        thread::spawn(move || {
            // Fails when the child is killed, as it is meant to be.
            drop(stdin.write_all(&bytes));
            stdin
        })
    }

    /// The whole file to its end, and what both sides' books say then.
    fn finish(&mut self) {
        let all: Vec<usize> = (0..self.lines.len()).collect();
        let file = self.world.path("commands");
        let call = self.world.run(file.to_str().unwrap());
        let (mut child, _) = call.arg("--participants").arg("flaky").arg("--seed").arg("3").spawn();
        let mut pipe = child.stderr.take().unwrap();
        let said = thread::spawn(move || std::io::read_to_string(&mut pipe).unwrap());
        // How long it takes is the disk's affair: each minute brings outcomes, and the last of them the end.
        let outcomes = self.world.path("outcomes");
        let bytes = || std::fs::metadata(&outcomes).map_or(0, |file| file.len());
        let mut ended = None;
        while ended.is_none() {
            let before = bytes();
            ended = wait_for("an outcome, or the end", 2 * BOUND, || {
                let ended = child.try_wait().unwrap();
                (ended.is_some() || bytes() > before).then_some(ended)
            });
        }
        // Some ids are used for another command, and refused.
        let (code, said) = (ended.and_then(|status| status.code()), said.join().unwrap());
        assert!(code == Some(1) && said.contains("refused"), "{code:?}: {said}");
        self.hears(&all);
        assert_eq!(self.world.outcomes().len(), self.lines.len());
        let report: Value =
            serde_json::from_slice(&std::fs::read(self.world.path("report")).unwrap()).unwrap();
        let by_status = report["orders"]["by_status"].as_object().unwrap();
        let orders: u64 = by_status.values().map(|count| count.as_u64().unwrap()).sum();
        let ended = ["completed", "canceled"].map(|status| report["orders"]["by_status"][status].as_u64());
        let open = orders - ended.map(Option::unwrap_or_default).iter().sum::<u64>();
        // Of some, a part had gone when the payment of the rest was declined, or its booking: they wait for people.
        assert!(open * 20 <= orders, "{by_status:?}");
        let books = &report["books"];
        assert_eq!((&books["agree"], &books["ours"]), (&true.into(), &books["theirs"]), "{books}");
        assert!(books["compensations"].as_u64().unwrap() > 0, "{books}");
        for invariant in report["invariants"].as_array().unwrap() {
            assert_eq!(invariant["held"], true, "{invariant}");
        }
        if open > 0 {
            self.people_decide();
        }
        let verified = self.world.verified("data", 0);
        assert_eq!((&verified["sound"], &verified["orders"]), (&true.into(), &orders.into()));
    }

    /// People give up what is left of the orders that wait for them, until all have ended.
    fn people_decide(&self) {
        let serve = ["serve", "--participants", "flaky", "--seed", "3"];
        let server = Server::of(self.world.on_data(&serve));
        let mut client = server.client();
        let mut acts = 0;
        wait_for("all orders to end", 10 * BOUND, || {
            let list = client.get("/v1/tenants/t/orders?status=open&limit=1000").unwrap().json();
            let canceling = client.get("/v1/tenants/t/orders?status=canceling&limit=1000").unwrap().json();
            let listed = |list: &Value| list["orders"].as_array().cloned().unwrap_or_default();
            let orders = [listed(&list), listed(&canceling)].concat();
            for entry in &orders {
                let order = entry["order"].as_str().unwrap();
                acts += 1;
                let view = client.get(&format!("/v1/tenants/t/orders/{order}")).unwrap().json();
                give_up(&server, order, &view, acts);
            }
            orders.is_empty().then_some(())
        });
        server.stop();
    }
}

/// What people do for an order that does not go on by itself: what is not booked is canceled, otherwise it is resumed.
fn give_up(server: &Server, order: &str, view: &Value, act: u64) {
    let waits = view["payment"]["waiting_until"].is_string();
    if view["attention"] == "none" && !waits {
        return;
    }
    let id = format!("people-{act}");
    let at = |words: &[&str]| retailflow(words).arg("--server").arg(server.url()).arg("--id").arg(&id).run();
    let open = |line: &&Value| line["booked_units"].as_u64() < line["quantity"].as_u64();
    let lines = view["lines"].as_array().unwrap();
    let mut words =
        vec!["order".to_owned(), "cancel".into(), "t".into(), order.into(), "--reason".into(), "x".into()];
    for line in lines.iter().filter(|line| line["booked_units"].is_u64()).filter(open) {
        let left = line["quantity"].as_u64().unwrap() - line["booked_units"].as_u64().unwrap();
        words.extend(["--line".into(), format!("{}:{left}", line["line_id"].as_str().unwrap())]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    drop(at(&words));
    let resume = ["order", "resume", "t", order, "--operator", "people"];
    drop(retailflow(&resume).arg("--admin").arg(server.admin_url()).run());
}

#[test]
fn mixed_orders_come_to_their_end_and_keep_each_outcome_whatever_is_killed() {
    let orders = wanted("RETAILFLOW_KILL_ORDERS", 2_000);
    let every_ms = wanted("RETAILFLOW_KILL_EVERY_MS", 350);
    let mut rng = fastrand::Rng::with_seed(orders);
    let mut upstream = Upstream::new(orders);
    let (mut kills, mut barren, begun) = (0, 0, Instant::now());
    while upstream.answered < upstream.lines.len() {
        let before = upstream.answered;
        let lasts = Duration::from_millis(rng.u64(every_ms / 2..every_ms * 3 / 2));
        upstream.life(&mut rng, lasts);
        kills += 1;
        // A machine that is busy may not get through its start before a kill, but not for ever.
        barren = if upstream.answered == before { barren + 1 } else { 0 };
        assert!(barren < 100, "no outcome in {barren} lives");
    }
    let seconds = begun.elapsed().as_secs();
    upstream.finish();
    assert!(upstream.compared > 0 && !upstream.refused.is_empty());
    // Shown with `--nocapture`, as `cargo xtask kill` has it.
    println!(
        "{orders} orders, {} commands: {kills} kills in {seconds} s; {} outcomes given again, none of them changed; \
         all orders ended, and both sides' books agree",
        upstream.lines.len(),
        upstream.compared
    );
}
