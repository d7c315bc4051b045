//! `export` and `restore`.

use crate::support::world::{World, first_time, places};

const COUNT: usize = 200;

/// A world with orders, a rejection and a dead letter in it, and its export.
fn exported() -> (World, String, String) {
    let world = World::new();
    let second = places(0, 1).replace("\"c-0\"", "\"c-second\"");
    let file = world.file("commands", format!("{}{second}not a command\n", places(0, COUNT)));
    world.run(&file).run().expect(1);
    let export = world.on_data(&["export"]).run().expect(0).stdout;
    (world, file, export)
}

#[test]
fn what_was_exported_is_restored_and_goes_on() {
    let (world, file, export) = exported();
    let first = world.outcomes();
    let from = world.file("export", &export);
    world.on("other", &["restore", "--dry-run", "--from", &from]).run().expect(0);
    assert!(!world.path("other").exists());
    world.on("other", &["restore", "--from", &from]).run().expect(0);
    assert_eq!(world.on("other", &["export"]).run().expect(0).stdout, export);
    assert_eq!(world.verified("other", 0)["tenants"], world.verified("data", 0)["tenants"]);
    world.on("other", &["restore", "--from", &from]).run().expect(4).says(&["is not empty"]);

    std::fs::rename(world.path("data"), world.path("gone")).unwrap();
    std::fs::rename(world.path("other"), world.path("data")).unwrap();
    // The participants' books are their own: they are no part of an export, and still there.
    std::fs::rename(world.path("gone").join("participants"), world.path("data").join("participants"))
        .unwrap();
    world.run(&file).run().expect(1);
    let all = COUNT as u64;
    world.expect_counts([all + 2, 0, 0, all + 1, 0, 0, 1]);
    for (again, first) in world.outcomes().iter().zip(&first) {
        assert_eq!(first_time(again), first_time(first));
    }
    world.verified("data", 0);
}

#[test]
fn an_export_that_was_cut_or_changed_is_refused_and_leaves_nothing() {
    let (world, _, export) = exported();
    let lines: Vec<&str> = export.split_inclusive('\n').collect();
    let middle = lines.len() / 2;
    let mut flipped = export.clone().into_bytes();
    let at = flipped.len() * 2 / 3;
    flipped[at] ^= 1;
    let mut swapped = lines.clone();
    swapped.swap(middle, middle + 1);
    let broken = [
        ("cut within a line", export.as_bytes()[..at].to_vec()),
        ("without the end mark", lines[..lines.len() - 1].concat().into_bytes()),
        ("a line left out", [&lines[..middle], &lines[middle + 1..]].concat().concat().into_bytes()),
        ("two lines swapped", swapped.concat().into_bytes()),
        ("a flipped bit", flipped),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in broken {
        let from = world.file("broken", bytes);
        let ended = world.on("other", &["restore", "--from", &from]).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{what}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{what}: {}", ended.stderr);
        assert!(!world.path("other").exists() && !world.path("other.restoring").exists(), "{what}");
    }
}
