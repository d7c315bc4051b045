//! SIGTERM: the first one finishes in good order, the second one ends at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::cli::exit_code;
use crate::support::poll::wait_for;
use crate::support::world::{World, first_time, outcomes, places};

const BOUND: Duration = Duration::from_secs(30);

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

#[test]
fn a_stop_answers_what_was_read_and_the_next_run_goes_on() {
    let world = World::new();
    let (mut child, _) = world.run("-").spawn();
    let mut pipe = child.stdin.take().unwrap();
    for n in 0..30 {
        pipe.write_all(places(n, n + 1).as_bytes()).unwrap();
        wait_for("an outcome before the next command", BOUND, || (world.outcomes().len() > n).then_some(()));
    }
    pipe.write_all(places(30, 200).as_bytes()).unwrap();
    terminate(&child);
    // The pipe stays open: nobody waits for its end.
    assert_eq!(exit_code(&mut child), Some(0));
    let given = world.outcomes();
    let count = given.len() as u64;
    assert!((30..=200).contains(&count), "{count}");
    world.expect_counts([count, count, 0, 0, 0, 0, 0]);
    let verified = world.verified("data", 0);
    assert_eq!((&verified["clean_stop"], &verified["orders"]), (&true.into(), &count.into()));
    world.on_data(&["verify"]).run().expect(0).says(&[]).stdout.find("closed in good order").unwrap();

    world.run("-").stdin(places(0, 300)).run().expect(0);
    world.expect_counts([300, 300 - count, 0, count, 0, 0, 0]);
    for (again, first) in world.outcomes().iter().zip(&given) {
        assert_eq!((first_time(again), &again["replayed"]), (first_time(first), &true.into()));
    }
}

/// The outcomes go to a pipe that nobody reads, so that the first signal cannot finish.
#[test]
fn a_second_signal_ends_at_once_and_loses_nothing_given() {
    const COUNT: usize = 3000;
    let world = World::new();
    let (mut child, _) = world.on_data(&["run", "--quiet", "--commands", "-"]).spawn();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(places(0, COUNT).as_bytes()).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut given = String::new();
    stdout.read_line(&mut given).unwrap();
    terminate(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("a second signal ends at once") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    assert_eq!(child.try_wait().unwrap(), None);
    terminate(&child);
    assert_eq!(exit_code(&mut child), Some(1));
    stdout.read_to_string(&mut given).unwrap();
    let given = outcomes(&given);
    assert!((1..COUNT).contains(&given.len()), "{}", given.len());

    world.run("-").stdin(places(0, COUNT)).run().expect(0);
    let again = world.outcomes();
    assert_eq!(again.len(), COUNT);
    for (again, first) in again.iter().zip(&given) {
        assert_eq!((first_time(again), &again["replayed"]), (first_time(first), &true.into()));
    }
    world.verified("data", 0);
}
