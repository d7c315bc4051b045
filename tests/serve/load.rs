//! A server that is killed, or stopped, under load: no answer ever given changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::poll::wait_for;
use crate::support::server::{Answer, Http, Server, order_data};
use crate::support::world::{World, first_time};

const CALLERS: usize = 24;
/// Answers of earlier rounds that are asked for again after each kill, beside all of the last one.
const AGAIN: usize = 500;
const BOUND: Duration = Duration::from_secs(60);

/// A command that was answered, and how.
#[derive(Clone)]
struct Given {
    order: String,
    kind: &'static str,
    id: String,
    data: String,
    status: u16,
    outcome: Value,
}

/// Places orders and cancels some of them, until the connection breaks; gives what was answered.
fn caller(
    address: &str,
    round: usize,
    number: usize,
    answered: &AtomicUsize,
    stop: &AtomicBool,
) -> Vec<Given> {
    let mut given = Vec::new();
    let Some(mut http) = Http::connect(address) else { return given };
    for count in 0.. {
        let order = format!("r{round}-{number}-{count}");
        let mut commands = vec![("place", format!("p-{order}"), order_data(100 + count))];
        if count % 4 == 0 {
            commands.push(("cancel", format!("c-{order}"), r#"{"reason":"found it cheaper"}"#.to_owned()));
        }
        if count % 7 == 0 {
            // Decided against, and recorded: the order is there.
            commands.push(("place", format!("q-{order}"), order_data(7)));
        }
        for (kind, id, data) in commands {
            if stop.load(Ordering::Relaxed) {
                return given;
            }
            let Some(answer) = http.command(&order, kind, &id, &data) else { return given };
            if matches!(answer.status, 200 | 422) {
                let outcome = first(&answer);
                answered.fetch_add(1, Ordering::Relaxed);
                given.push(Given { order: order.clone(), kind, id, data, status: answer.status, outcome });
            } else {
                // Only a server that goes away or is full may refuse these.
                assert!(matches!(answer.status, 429 | 503 | 504), "{answer:?}");
            }
        }
    }
    given
}

/// What stays the same when an answer is given again.
fn first(answer: &Answer) -> Value {
    match answer.status {
        200 => first_time(&answer.json()),
        _ => {
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("replayed");
            problem
        }
    }
}

/// Load on a server until it is `enough`, by the number of answers and the time; then `end` ends the server, and with it
/// all callers.
fn under_load<T>(
    server: Server,
    round: usize,
    enough: impl Fn(usize, Duration) -> bool,
    end: impl FnOnce(Server) -> T,
) -> (Vec<Given>, T) {
    let (answered, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let address = server.public.clone();
    thread::scope(|scope| {
        let (address, answered, stop) = (&address, &answered, &stop);
        let start = |number| scope.spawn(move || caller(address, round, number, answered, stop));
        let callers: Vec<_> = (0..CALLERS).map(start).collect();
        let begun = Instant::now();
        wait_for("enough load", BOUND, || {
            enough(answered.load(Ordering::Relaxed), begun.elapsed()).then_some(())
        });
        let ended = end(server);
        stop.store(true, Ordering::Relaxed);
        let given = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        (given, ended)
    })
}

/// Asks for answers again: they must be what they were.
fn compare(server: &Server, given: &[Given]) {
    thread::scope(|scope| {
        for part in given.chunks(given.len().div_ceil(8).max(1)) {
            scope.spawn(move || {
                let mut http = Http::connect(&server.public).unwrap();
                for Given { order, kind, id, data, status, outcome } in part {
                    let answer = http.command(order, kind, id, data).unwrap();
                    assert_eq!((answer.status, &first(&answer)), (*status, outcome), "{id}");
                    assert_eq!(answer.header("idempotent-replayed"), Some("true"), "{id}: {answer:?}");
                }
            });
        }
    });
}

#[test]
fn no_answer_ever_given_changes_however_often_the_server_is_killed() {
    let kills = std::env::var("RETAILFLOW_SERVE_KILLS").map_or(4, |text| text.parse().expect("a number"));
    let world = World::new();
    let mut rng = fastrand::Rng::with_seed(4);
    let mut all: Vec<Given> = Vec::new();
    for round in 0..kills {
        let server = Server::start(&world, &["--participants", "flaky", "--seed", "5"]);
        let lasts = Duration::from_millis(rng.u64(100..1500));
        let enough = |answered, took| answered > 50 && took >= lasts;
        let (given, ()) = under_load(server, round, enough, Server::kill);
        assert!(given.len() > 50);
        let server = Server::start(&world, &["--participants", "flaky", "--seed", "5"]);
        compare(&server, &given);
        let old: Vec<Given> =
            (0..AGAIN.min(all.len())).map(|_| all[rng.usize(..all.len())].clone()).collect();
        compare(&server, &old);
        all.extend(given);
    }
    let by_status = all.iter().fold(BTreeMap::new(), |mut counts, given| {
        *counts.entry(given.status).or_insert(0) += 1;
        counts
    });
    assert!(by_status[&200] > 0 && by_status[&422] > 0, "{by_status:?}");
    // Shown with `--nocapture`.
    println!("{kills} kills under load; answers compared: {by_status:?}");
    assert_eq!(world.verified("data", 0)["sound"], true);
}

#[test]
fn a_stop_under_load_answers_what_is_under_way_and_loses_nothing() {
    let world = World::new();
    let server = Server::start(&world, &[]);
    let (given, (code, said)) = under_load(
        server,
        0,
        |answered, _| answered > 500,
        |server| {
            server.terminate();
            server.ended()
        },
    );
    assert_eq!(code, Some(0), "{said}");
    let server = Server::start(&world, &[]);
    compare(&server, &given);
    server.terminate();
    assert_eq!(server.ended().0, Some(0));
    let verified = world.verified("data", 0);
    assert_eq!((&verified["sound"], &verified["clean_stop"]), (&true.into(), &true.into()));
}
