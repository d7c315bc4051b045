//! Many nodes as real processes, on real servers, under load: killed, frozen, drained, replaced. All of it is bounded; the
//! long forms run with `RETAILFLOW_LONG=1` (`cargo xtask test --long`).

mod audit;
mod cluster;
mod faults;
mod load;
mod mailer;
mod publish;
mod samples;

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
fn keep_running(time: Duration) {
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
        keep_running(Duration::from_secs(2));
        load.gap.take();
        many.kill(name);
        let died = Instant::now();
        many.shared_out(&others);
        let taken_over = died.elapsed();
        keep_running(Duration::from_secs(1));
        let (longest, again) = load.gap.take();
        println!(
            "round {round}: taken over after {taken_over:?}; longest wait {longest:?}, asked again {again}"
        );
        many.node(name);
        many.shared_out(&names);
    }
    audit(&mut many, &mut load);
}

/// A node is frozen while it has work, longer than anybody waits for it, and wakes up as a zombie: what it still sends the log
/// refuses, and it takes part again by itself.
#[test]
fn a_node_that_wakes_up_after_its_time_is_refused_and_comes_back() {
    let test = "a_node_that_wakes_up_after_its_time_is_refused_and_comes_back";
    let Some((nats, etcd)) = servers(test) else { return };
    let (size, frozen) = match is_long() {
        true => (Size::LARGE, Duration::from_secs(30)),
        false => (Size::SMALL, Duration::from_secs(6)),
    };
    let mut many = Many::start((&nats, &etcd), size);
    let names = ["n-1", "n-2", "n-3"];
    names.iter().for_each(|name| many.node(name));
    many.shared_out(&names);
    let mut load = Load::begin(&many);
    wait_for("it has a command and an effect under way", Duration::from_secs(60), || {
        let busy = many.metric("n-2", "retailflow_commands_in_flight") > 0.0
            && many.metric("n-2", "retailflow_sagas") > 0.0;
        busy.then_some(())
    });
    many.freeze("n-2");
    let begun = Instant::now();
    many.shared_out(&["n-1", "n-3"]);
    println!("what a frozen node had is run by others after {:?}", begun.elapsed());
    keep_running(frozen.saturating_sub(begun.elapsed()));
    let before = many.log("n-2").len();
    many.wake("n-2");
    // For a moment after it woke up it still calls the partitions its own, and they seem shared out. Then either the log refuses what
    // it still sends, or it hears first that its time is over; that nothing of it was written is seen by the audit.
    let ends = ["event=\"partition_fenced\"", "event=\"partition_lost\""];
    wait_for("it gives up what others run", Duration::from_secs(60), || {
        let log = many.log("n-2");
        ends.iter().any(|end| log[before..].contains(end)).then_some(())
    });
    many.shared_out(&names);
    let fenced = many.metric("n-2", "retailflow_partitions_fenced_total");
    println!(
        "{fenced} of its partitions were refused by the log; the longest wait was {:?}",
        load.gap.take()
    );
    audit(&mut many, &mut load);
}

/// All nodes are restarted, one after another, in good order: others take over before they go.
#[test]
fn a_rolling_restart_is_noticed_by_nobody() {
    let test = "a_rolling_restart_is_noticed_by_nobody";
    let Some((nats, etcd)) = servers(test) else { return };
    let size = if is_long() { Size::LARGE } else { Size::SMALL };
    let mut many = Many::start((&nats, &etcd), size);
    let names = ["n-1", "n-2", "n-3"];
    names.iter().for_each(|name| many.node(name));
    many.shared_out(&names);
    let mut load = Load::begin(&many);
    keep_running(Duration::from_secs(2));
    for name in names {
        load.gap.take();
        many.stop(name);
        let others: Vec<&str> = names.iter().copied().filter(|other| *other != name).collect();
        many.shared_out(&others);
        let (longest, again) = load.gap.take();
        many.node(name);
        many.shared_out(&names);
        let (back, again_back) = load.gap.take();
        println!(
            "{name}: longest wait {longest:?} while it left ({again} asked again), {back:?} ({again_back}) while it came back"
        );
        // Nobody had to wait for its time to run out.
        assert!(longest.max(back) < Duration::from_millis(size.ttl_ms), "{longest:?}, {back:?}");
    }
    audit(&mut many, &mut load);
}

/// One node, then three, then two. What moves is little more than what has to.
#[test]
fn nodes_come_and_go_and_little_moves() {
    let test = "nodes_come_and_go_and_little_moves";
    let Some((nats, etcd)) = servers(test) else { return };
    let mut many = Many::start((&nats, &etcd), Size::SMALL);
    let taken = |many: &Many, names: &[&str]| -> f64 {
        names.iter().map(|name| many.metric(name, "retailflow_take_over_seconds_count")).sum()
    };
    many.node("n-1");
    many.shared_out(&["n-1"]);
    let mut load = Load::begin(&many);
    keep_running(Duration::from_secs(1));
    many.node("n-2");
    many.node("n-3");
    let names = ["n-1", "n-2", "n-3"];
    many.shared_out(&names);
    many.is_fair(&names);
    let moved = taken(&many, &names) - f64::from(cluster::PARTITIONS);
    let ideal = f64::from(cluster::PARTITIONS) * 2.0 / 3.0;
    println!("{moved} partitions moved from one to three nodes, {ideal:.1} have to");
    assert!(moved <= (ideal * 1.2).ceil(), "{moved} moved, {ideal} have to");
    let before = taken(&many, &["n-1", "n-2"]);
    many.stop("n-3");
    many.shared_out(&["n-1", "n-2"]);
    let moved = taken(&many, &["n-1", "n-2"]) - before;
    let ideal = (f64::from(cluster::PARTITIONS) / 3.0).ceil();
    println!("{moved} partitions moved from three to two nodes, {ideal} have to");
    assert!(moved <= (ideal * 1.2).ceil(), "{moved} moved, {ideal} have to");
    audit(&mut many, &mut load);
}

/// etcd goes away altogether for a while: owners go on. Then one who is killed meanwhile is missed once it is back.
#[test]
fn owners_go_on_without_etcd() {
    let test = "owners_go_on_without_etcd";
    let Some((nats, etcd)) = servers(test) else { return };
    let (size, gone) = match is_long() {
        true => (Size::LARGE, Duration::from_secs(60)),
        false => (Size::SMALL, Duration::from_secs(8)),
    };
    let mut many = Many::start((&nats, &etcd), size);
    let names = ["n-1", "n-2", "n-3"];
    names.iter().for_each(|name| many.node(name));
    many.shared_out(&names);
    // A partition that is on its way from one to another has nobody until etcd is back.
    many.is_fair(&names);
    let mut load = Load::begin(&many);
    keep_running(Duration::from_secs(1));
    load.gap.take();
    many.etcd.iter_mut().for_each(crate::support::etcd::Etcd::kill);
    keep_running(gone);
    let (longest, _) = load.gap.take();
    println!("without etcd for {gone:?}: the longest wait was {longest:?}");
    assert!(longest < Duration::from_millis(size.ttl_ms), "{longest:?}");
    let held: f64 = names.iter().map(|name| many.metric(name, "retailflow_partitions_held")).sum();
    assert_eq!(held, f64::from(cluster::PARTITIONS), "owners go on");
    many.etcd.iter_mut().for_each(crate::support::etcd::Etcd::spawn);
    assert!(many.etcd.iter_mut().all(crate::support::etcd::Etcd::comes_up));
    many.shared_out(&names);
    many.kill("n-1");
    many.shared_out(&["n-2", "n-3"]);
    audit(&mut many, &mut load);
}

/// The members of etcd go away one after another, so its leader too: nobody notices. And while one is away, a node that is killed is
/// missed as ever.
#[test]
fn a_member_of_etcd_at_a_time_may_go() {
    let test = "a_member_of_etcd_at_a_time_may_go";
    let Some((nats, etcd)) = servers(test) else { return };
    let (size, gone) = match is_long() {
        true => (Size::LARGE, Duration::from_secs(15)),
        false => (Size { etcd: 3, ..Size::SMALL }, Duration::from_secs(4)),
    };
    let mut many = Many::start((&nats, &etcd), size);
    let names = ["n-1", "n-2", "n-3"];
    names.iter().for_each(|name| many.node(name));
    many.shared_out(&names);
    many.is_fair(&names);
    let mut load = Load::begin(&many);
    keep_running(Duration::from_secs(1));
    for member in 0..size.etcd {
        load.gap.take();
        many.etcd[member].kill();
        keep_running(gone);
        let (longest, _) = load.gap.take();
        println!("without member {member} of etcd: the longest wait was {longest:?}");
        assert!(longest < Duration::from_millis(size.ttl_ms), "{longest:?}");
        if member + 1 < size.etcd {
            many.etcd[member].spawn();
            assert!(many.etcd[member].comes_up());
        }
    }
    many.kill("n-1");
    many.shared_out(&["n-2", "n-3"]);
    println!("a node killed without the last one: the longest wait was {:?}", load.gap.take());
    audit(&mut many, &mut load);
}

/// Servers of the log go away: while most are there it goes on, and afterwards by itself.
#[test]
fn the_log_goes_away_and_comes_back() {
    let test = "the_log_goes_away_and_comes_back";
    let Some((nats, etcd)) = servers(test) else { return };
    let size = if is_long() { Size::LARGE } else { Size::SMALL };
    let mut many = Many::start((&nats, &etcd), size);
    let names = ["n-1", "n-2"];
    names.iter().for_each(|name| many.node(name));
    many.shared_out(&names);
    let mut load = Load::begin(&many);
    keep_running(Duration::from_secs(2));
    if size.nats > 1 {
        for server in 0..size.nats {
            load.gap.take();
            many.nats[server].kill();
            keep_running(Duration::from_secs(15));
            println!("one server of three away: the longest wait was {:?}", load.gap.take());
            many.nats[server].run();
            keep_running(Duration::from_secs(10));
        }
    }
    // Most are gone: nothing can be answered.
    let gone = size.nats / 2 + 1;
    many.nats.iter_mut().take(gone).for_each(crate::support::nats::Server::kill);
    keep_running(Duration::from_secs(3));
    many.nats.iter_mut().take(gone).for_each(crate::support::nats::Server::run);
    many.shared_out(&names);
    println!("{gone} of {} servers away for a while: the longest wait was {:?}", size.nats, load.gap.take());
    audit(&mut many, &mut load);
}

/// While no node is there many times more is published than the stream takes: publishers wait, and nothing is lost.
#[test]
fn publishers_wait_while_nobody_reads_and_nothing_is_lost() {
    let test = "publishers_wait_while_nobody_reads_and_nothing_is_lost";
    let Some((nats, etcd)) = servers(test) else { return };
    let size = Size { commands_max_bytes: 1 << 20, participants: "perfect", ..Size::SMALL };
    let mut many = Many::start((&nats, &etcd), size);
    many.node("n-1");
    many.shared_out(&["n-1"]);
    many.stop("n-1");
    // About 600 bytes each with what the server keeps beside them: 1,400 are four fifths of what it takes.
    let mut load = Load::idle();
    load.flood(&many, if is_long() { 14_000 } else { 4_000 });
    keep_running(Duration::from_secs(3));
    assert!(!load.has_ended(), "nobody had to wait");
    many.node("n-1");
    many.node("n-2");
    audit(&mut many, &mut load);
    let trimmed = many.log("n-1") + &many.log("n-2");
    assert!(trimmed.contains("commands were trimmed"), "{trimmed}");
}
