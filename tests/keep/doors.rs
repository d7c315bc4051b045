//! One data directory, one process, one cluster.

use std::io::Write;
use std::time::Duration;

use crate::support::cli::exit_code;
use crate::support::poll::wait_for;
use crate::support::world::{World, places};

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    let world = World::new();
    let (mut first, _) = world.run("-").spawn();
    let mut pipe = first.stdin.take().unwrap();
    pipe.write_all(places(0, 1).as_bytes()).unwrap();
    let bound = Duration::from_secs(30);
    wait_for("the first one is running", bound, || (world.outcomes().len() == 1).then_some(()));
    let pid = first.id().to_string();
    let in_use = ["in use", pid.as_str()];
    let file = world.file("commands", places(1, 2));
    let calls: [&[&str]; 8] = [
        &["run", "--commands", &file],
        &["verify"],
        &["export"],
        &["repair", "--yes"],
        &["order", "show", "t", "o0"],
        &["tenant", "set", "t"],
        &["parked", "list"],
        &["parked", "show", "t", "o0"],
    ];
    for words in calls {
        let ended = world.on_data(words).run();
        assert_eq!(ended.code, Some(4), "{words:?}: {}", ended.stderr);
        ended.says(&in_use);
    }
    pipe.write_all(places(2, 3).as_bytes()).unwrap();
    drop(pipe);
    assert_eq!(exit_code(&mut first), Some(0));
    world.expect_counts([2, 2, 0, 0, 0, 0, 0]);
    assert_eq!(world.verified("data", 0)["orders"], 2);
}

#[test]
fn a_refused_run_leaves_the_outcomes_of_the_one_that_is_running() {
    let world = World::new();
    let file = world.file("commands", places(0, 2));
    world.run(&file).run().expect(0);
    let before = std::fs::read(world.path("outcomes")).unwrap();
    world.run(&file).arg("--set").arg("log.cluster=other").run().expect(4).says(&["belongs to", "other"]);
    assert_eq!(std::fs::read(world.path("outcomes")).unwrap(), before);
    world.run(&file).run().expect(0);
    world.expect_counts([2, 0, 0, 2, 0, 0, 0]);
}
