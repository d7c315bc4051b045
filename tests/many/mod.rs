//! Many nodes as real processes, on real servers, under load: killed, frozen, drained, replaced. All of it is bounded; the
//! long forms run with `RETAILFLOW_LONG=1` (`cargo xtask test --long`).

mod audit;
mod cluster;
mod load;
mod publish;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::audit::audit;
use self::cluster::{Many, Size};
use self::load::Load;
use crate::support::etcd::etcd_or_skip;
use crate::support::nats::server_or_skip;
use crate::support::poll::wait_for;

fn is_long() -> bool {
    std::env::var("RETAILFLOW_LONG").is_ok_and(|long| long == "1")
}

fn servers(test: &str) -> Option<(PathBuf, PathBuf)> {
    Some((server_or_skip(test)?, etcd_or_skip(test)?))
}

/// Lets so much time go by, under load.
fn go_on(time: Duration) {
    let until = Instant::now() + time;
    wait_for("time goes by", time * 2, || (Instant::now() >= until).then_some(()));
}

/// Nodes are killed, one after another, and come back: nothing answered is lost, nothing is done twice.
#[test]
fn nodes_that_are_killed_lose_nothing_that_was_answered() {
    let test = "nodes_that_are_killed_lose_nothing_that_was_answered";
    let Some((nats, etcd)) = servers(test) else { return };
    let (size, rounds) = if is_long() { (Size::LARGE, 10) } else { (Size::SMALL, 2) };
    let mut many = Many::start((&nats, &etcd), size);
    let names = ["n-1", "n-2", "n-3"];
    names.iter().for_each(|name| many.node(name));
    many.shared_out(&names);
    let mut load = Load::begin(&many);
    for round in 0..rounds {
        let name = names[round % names.len()];
        let others: Vec<&str> = names.iter().copied().filter(|other| *other != name).collect();
        go_on(Duration::from_secs(2));
        load.gap.take();
        many.kill(name);
        let died = Instant::now();
        many.shared_out(&others);
        let taken_over = died.elapsed();
        go_on(Duration::from_secs(1));
        let (longest, again) = load.gap.take();
        println!(
            "round {round}: taken over after {taken_over:?}; longest wait {longest:?}, asked again {again}"
        );
        many.node(name);
        many.shared_out(&names);
    }
    audit(&mut many, &mut load);
}
