//! A byte of the log goes bad while nobody has it open.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::world::{World, first_time, places};

const PLACE: &str = "segment 0000000000000001, byte ";

/// A log of 300 orders, written by three runs; a bit within one of the second run's is flipped.
fn damaged() -> (World, String) {
    let world = World::new();
    for count in [100, 200, 300] {
        let file = world.file("commands", places(0, count));
        world.run(&file).run().expect(0);
    }
    let segment = segments(&world).pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let name = b"c-150";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    let file = world.path("commands").to_str().unwrap().to_owned();
    (world, file)
}

fn segments(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.path("data/log")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect()
}

fn log_bytes(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    segments(world).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn damage_that_the_index_has_covered_is_refused_named_and_cut_after_asking() {
    refused_and_repaired(damaged());
}

#[test]
fn damage_without_an_index_is_refused_named_and_cut_after_asking() {
    let (world, file) = damaged();
    std::fs::remove_dir_all(world.path("data/index")).unwrap();
    refused_and_repaired((world, file));
}

fn refused_and_repaired((world, file): (World, String)) {
    let first = world.outcomes();
    let before = log_bytes(&world);
    world.run(&file).run().expect(1).says(&["cannot open", "damaged", PLACE]);
    assert_eq!(world.outcomes(), first, "what was told before stays");
    let verified = world.on_data(&["verify"]).run().expect(1);
    assert!(verified.stdout.contains(PLACE), "{}", verified.stdout);
    world.on_data(&["export"]).run().expect(1);
    let planned = world.on_data(&["repair", "--dry-run"]).run().expect(1);
    assert!(planned.stdout.contains(PLACE), "{}", planned.stdout);
    world.on_data(&["repair"]).run().expect(4).says(&["--yes"]);
    assert!(log_bytes(&world) == before, "something was changed before it was asked for");
    repaired(&world, &file, &first);
}

/// Cuts, and runs again what was cut.
fn repaired(world: &World, file: &str, first: &[Value]) {
    let cut = world.on_data(&["repair", "--yes"]).run().expect(0);
    assert!(cut.stdout.contains("cut; what was cut is kept"), "{}", cut.stdout);
    let left = world.verified("data", 0)["orders"].as_u64().unwrap();
    assert!((100..200).contains(&left), "{left}");
    let again = world.on_data(&["repair", "--yes"]).run().expect(0);
    assert!(again.stdout.contains("needs no repair"), "{}", again.stdout);

    world.run(file).run().expect(0);
    world.expect_counts([300, 300 - left, 0, left, 0, 0, 0]);
    for (again, first) in world.outcomes().iter().zip(first) {
        assert_eq!(first_time(again), first_time(first));
    }
    assert_eq!(world.verified("data", 0)["orders"], 300);
}
