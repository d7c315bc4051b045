//! `export` and `restore`.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use crate::support::cli::retailflow;
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
        ("a blank line after the end mark", format!("{export}\n").into_bytes()),
        ("a second export after the end mark", format!("{export}{export}").into_bytes()),
    ];
    for (what, bytes) in broken {
        let from = world.file("broken", bytes);
        let ended = world.on("other", &["restore", "--from", &from]).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{what}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{what}: {}", ended.stderr);
        assert!(!world.path("other").exists() && !world.path("other.restoring").exists(), "{what}");
    }
}

#[test]
fn an_export_that_fails_leaves_the_last_good_one() {
    let (world, _, export) = exported();
    let backup = world.file("backup", "the last good one\n");
    // A limit on the size of files, as a full disk would be; the signal that comes with it is ignored.
    let retailflow = env!("CARGO_BIN_EXE_retailflow");
    let data = world.path("data");
    let script = format!(
        "trap '' XFSZ; ulimit -f 16; exec {retailflow} export --data '{}' --to '{backup}'",
        data.display()
    );
    let full = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&full.stderr).into_owned();
    assert_eq!((full.status.code(), said.contains("cannot write")), (Some(3), true), "{said}");
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), "the last good one\n");

    let segment = world.path("data/log/0000000000000001.seg");
    let whole = std::fs::read(&segment).unwrap();
    let mut bytes = whole.clone();
    let at = bytes.windows(5).position(|window| window == b"c-150").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    world.on_data(&["export", "--to", &backup]).run().expect(1).says(&["is not in order"]);
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), "the last good one\n");
    assert!(!world.path("backup.new").exists(), "nothing is left beside it");

    std::fs::write(&segment, whole).unwrap();
    world.on_data(&["export", "--to", &backup]).run().expect(0);
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), export);
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_restore_goes_where_it_is_told_and_deletes_nothing_of_others() {
    let (world, _, export) = exported();
    let from = world.file("export", &export);
    // What an older restore would have taken for its own.
    std::fs::create_dir(world.path("other.restoring")).unwrap();
    world.file("other.restoring/precious", "x");
    let exported_again = |name: &str| world.on(name, &["export"]).run().expect(0).stdout == export;
    world.on("other", &["restore", "--from", &from]).run().expect(0);
    assert!(exported_again("other") && world.path("other.restoring/precious").exists());

    std::fs::create_dir_all(world.path("mount/lost+found")).unwrap();
    world.on("mount", &["restore", "--from", &from]).run().expect(0);
    assert!(exported_again("mount") && world.path("mount/lost+found").is_dir());

    std::fs::create_dir(world.path("here")).unwrap();
    let mut restore = retailflow(&["restore", "--from", &from, "--data", "."]).into_command();
    assert!(restore.current_dir(world.path("here")).status().unwrap().success());
    assert!(exported_again("here"));

    std::fs::create_dir(world.path("real")).unwrap();
    std::os::unix::fs::symlink(world.path("real"), world.path("link")).unwrap();
    world.on("link", &["restore", "--from", &from]).run().expect(0);
    assert!(world.path("link").is_symlink() && exported_again("real"));
}

/// Killed at moments spread over the time that a whole one takes.
#[test]
fn a_restore_that_is_killed_leaves_nothing_or_the_whole() {
    let (world, file, export) = exported();
    let from = world.file("export", &export);
    let begun = Instant::now();
    world.on("whole", &["restore", "--from", &from]).run().expect(0);
    let took = begun.elapsed();
    const KILLS: u32 = 16;
    let mut unfinished = 0;
    for kill in 0..KILLS {
        let name = format!("killed-{kill}");
        let (mut child, _) = world.on(&name, &["restore", "--from", &from]).spawn();
        std::thread::park_timeout(took * kill / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();
        if world.path(&name).join("log").exists() {
            assert_eq!(
                world.on(&name, &["export"]).run().expect(0).stdout,
                export,
                "it is there, and not whole"
            );
            continue;
        }
        if world.path(&name).join("restoring/unfinished-restore").exists() {
            unfinished += 1;
            world.on(&name, &["run", "--commands", &file]).run().expect(4).says(&["was broken off"]);
        }
        world.on(&name, &["restore", "--from", &from]).run().expect(0);
        assert_eq!(world.on(&name, &["export"]).run().expect(0).stdout, export);
    }
    assert!(unfinished > 0, "no kill came amid a restore");
}
