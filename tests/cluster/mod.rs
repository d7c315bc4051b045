//! Many nodes on a real NATS server and a real etcd, inside one process.

mod forwarding;
mod member;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use retailflow_actors::NodeHandle;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::Command;
use retailflow_engine::ports::{EventLog, LogPosition};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, content_hash};
use retailflow_invariants::{CheckKey, LogChecker, OutcomeBook, sides};
use retailflow_testkit::author::{order, place};
use retailflow_testkit::simulated::{MemoryJournal, SimOptions, SimParticipants};
use tokio::task::JoinHandle;

use self::member::{Member, PARTITIONS, SystemClock, provision};
use crate::support::etcd::{Etcd, etcd_or_skip};
use crate::support::nats::{Server, server_or_skip};
use crate::support::poll::wait_for;

const BOUND: Duration = Duration::from_secs(120);
const ORDERS: usize = 120;
/// Commands of one order at least; they go on as long as anything happens to the cluster.
const TURNS_MIN: usize = 12;
/// Between two commands of one order.
const PAUSE: Duration = Duration::from_millis(100);

fn cancel(order: &OrderRef, id: &str) -> Command {
    let data =
        CommandData::Cancel(CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None });
    Command { content_hash: content_hash(&data), data: data.into(), ..place(order, id) }
}

type Nodes = Arc<RwLock<Vec<NodeHandle>>>;

/// Asks whoever there is, until somebody has an outcome.
async fn ask(nodes: &Nodes, command: &Command, book: &Mutex<OutcomeBook>) {
    let until = Instant::now() + BOUND;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    for turn in 0_usize.. {
        pace.tick().await;
        let node = {
            let nodes = nodes.read();
            nodes[turn % nodes.len()].clone()
        };
        let asked = tokio::time::timeout(Duration::from_secs(15), node.ask(command.clone())).await;
        if let Ok(outcome) = asked
            && !matches!(outcome.code, Code::Unavailable | Code::OutcomeUnknown | Code::Draining)
        {
            book.lock().given(&command.order, &command.key, &outcome).unwrap();
            return;
        }
        assert!(Instant::now() < until, "{} {} has no outcome", command.order, command.key.id);
    }
}

/// Commands of many orders, one after another of each, in turn new ones and old ones, until it is `calm`.
fn load(nodes: &Nodes, book: &Arc<Mutex<OutcomeBook>>, calm: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let asker = |number: usize| {
        let (nodes, book, calm) = (Arc::clone(nodes), Arc::clone(book), Arc::clone(calm));
        tokio::spawn(async move {
            let order = order(["shop", "till"][number % 2], &format!("o-{number}"));
            let mut pace = tokio::time::interval(PAUSE);
            for turn in 0.. {
                pace.tick().await;
                if turn >= TURNS_MIN && calm.load(Ordering::Relaxed) {
                    return;
                }
                let command = match turn % 3 {
                    0 => place(&order, &format!("p-{}", turn / 6)),
                    // Some orders are canceled, and asked for it again.
                    _ if number.is_multiple_of(3) => cancel(&order, &format!("c-{}", turn / 9)),
                    _ => place(&order, "p-0"),
                };
                ask(&nodes, &command, &book).await;
            }
        })
    };
    (0..ORDERS).map(asker).collect()
}

/// Waits until these run everything, each some of it.
fn shared_out(members: &[&Member]) {
    wait_for("the partitions are shared out", BOUND, || {
        let held: Vec<_> = members.iter().map(|member| member.node.owned_partitions()).collect();
        let all: usize = held.iter().map(Vec::len).sum();
        (all == usize::from(PARTITIONS) && held.iter().all(|held| !held.is_empty())).then_some(())
    });
}

/// One node, then three; NATS and etcd are killed and come back; a node dies, another leaves. All under load: every command
/// has one outcome, in the log and for whoever asked; every order comes to its end; and the participants' books agree with the log.
#[test]
fn nodes_join_die_and_leave_under_load_and_the_books_balance() {
    let name = "nodes_join_die_and_leave_under_load_and_the_books_balance";
    let (Some(nats), Some(etcd)) = (server_or_skip(name), etcd_or_skip(name)) else { return };
    let (mut nats, mut etcd) = (Server::with_streams(&nats), Etcd::start(&etcd));
    let clients = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    clients.block_on(provision(&nats));
    let journal = Arc::new(MemoryJournal::of_totals());
    let sim = Arc::new(SimParticipants::new(&SimOptions::default(), Arc::new(SystemClock), journal.clone()));

    let one = Member::join(&nats, &etcd, "n-1", sim.ports());
    shared_out(&[&one]);
    let nodes: Nodes = Arc::new(RwLock::new(vec![one.node.clone()]));
    let book = Arc::new(Mutex::new(OutcomeBook::default()));
    let within = clients.enter();
    let calm = Arc::new(AtomicBool::new(false));
    let askers = load(&nodes, &book, &calm);
    drop(within);
    let [two, three] = ["n-2", "n-3"].map(|name| Member::join(&nats, &etcd, name, sim.ports()));
    nodes.write().extend([two.node.clone(), three.node.clone()]);
    shared_out(&[&one, &two, &three]);

    // The log and the owner of partitions, each gone for a moment. What was on its way is proposed again.
    nats.kill();
    nats.run();
    etcd.kill();
    etcd.run();
    shared_out(&[&one, &two, &three]);

    // What it was doing nobody knows; who asks again is answered by the others.
    one.die();
    let died = Instant::now();
    nodes.write().remove(0);
    shared_out(&[&two, &three]);
    println!("what a dead node had is run by others after {:?}", died.elapsed());

    two.leave();
    nodes.write().remove(0);
    shared_out(&[&three]);

    calm.store(true, Ordering::Relaxed);
    clients.block_on(async {
        for asker in askers {
            asker.await.unwrap();
        }
    });
    wait_for("all orders have come to their end", BOUND, || {
        three.block_on(three.node.has_open_orders()).is_some_and(|open| !open).then_some(())
    });
    let mut checker = LogChecker::new(PARTITIONS, CheckKey::FIXED);
    let mut groups = Vec::new();
    loop {
        let after = groups
            .last()
            .map_or(LogPosition(0), |group: &retailflow_engine::ports::LoggedGroup| group.position);
        let piece = three.block_on(three.log.scan(after, 1 << 20)).unwrap();
        if piece.is_empty() {
            break;
        }
        groups.extend(piece);
    }
    groups.iter().for_each(|group| checker.group(group));
    let check = checker.result();
    println!(
        "{} groups, {} records, {} commands answered",
        check.groups,
        check.records,
        book.lock().answered().count()
    );
    assert_eq!(check.violations, []);
    assert_eq!(check.orders, ORDERS as u64);
    assert_eq!(checker.open_orders(), 0);
    assert_eq!(book.lock().check_log(&groups), []);
    assert_eq!(sides(checker.effects(), &journal.totals()), []);
    three.leave();
}
