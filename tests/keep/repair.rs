//! A byte of the log goes bad while nobody has it open.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::world::{World, first_time, outcomes, places};

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

/// What `verify` says of a log in order. The participants' books are not the log's: they know what was cut.
fn sound_log(world: &World, data: &str) -> Value {
    let verified: Value =
        serde_json::from_str(&world.on(data, &["verify", "-o", "json"]).run().stdout).unwrap();
    assert_eq!(verified["problems"], serde_json::json!([]), "{verified}");
    for invariant in verified["invariants"].as_array().unwrap() {
        assert!(invariant["id"] == "sides" || invariant["held"] == true, "{invariant}");
    }
    verified
}

/// Cuts, and runs again what was cut.
fn repaired(world: &World, file: &str, first: &[Value]) {
    let cut = world.on_data(&["repair", "--yes"]).run().expect(0);
    assert!(cut.stdout.contains("cut; what was cut is kept"), "{}", cut.stdout);
    let left = sound_log(world, "data")["orders"].as_u64().unwrap();
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

/// A log of many small groups in several segments, with a flipped bit in the second.
fn damaged_segments() -> (World, Vec<Value>) {
    let (world, all) = whole_segments();
    let segment = &sorted_segments(&world)[1];
    let bytes = std::fs::metadata(segment).unwrap().len();
    flip_bit(segment, bytes / 3);
    (world, all)
}

fn flip_bit(file: &Path, at: u64) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

fn sorted_segments(world: &World) -> Vec<PathBuf> {
    let mut found = segments(world);
    found.sort();
    found
}

/// A log of many small groups in several segments, and the outcomes that were given.
fn whole_segments() -> (World, Vec<Value>) {
    let world = World::new();
    for part in 0..8 {
        let file = world.file("commands", places(part * 500, part * 500 + 500));
        let small = ["--set", "log.segment_bytes=1048576", "--set", "log.group_max_bytes=1048576"];
        let words = [&["run", "--quiet", "--commands", &file][..], &small].concat();
        world.on_data(&words).arg("--outcomes").arg(world.path(&format!("outcomes-{part}"))).run().expect(0);
    }
    let all = (0..8).flat_map(|part| {
        let text = std::fs::read_to_string(world.path(&format!("outcomes-{part}"))).unwrap();
        outcomes(&text)
    });
    let all = all.collect();
    let found = segments(&world);
    assert!(found.len() >= 4, "{} segments", found.len());
    (world, all)
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_salvage_keeps_what_is_whole_behind_the_damage_and_parks_what_is_not() {
    let (world, given) = damaged_segments();
    let before = log_bytes(&world);
    let to = world.path("new");
    let salvaged = world.on_data(&["repair", "--salvage"]).arg("--to").arg(&to).run().expect(0);
    assert!(salvaged.stdout.contains("behind the first gap"), "{}", salvaged.stdout);
    assert!(log_bytes(&world) == before, "the damaged log was changed");
    let verified = world.verified("new", 0);
    assert!(verified["orders"].as_u64().unwrap() > 3_000, "{verified}");
    let listed = lines(to.join("salvaged.jsonl"));
    let (first, last) = (&listed[0], &listed[listed.len() - 1]);
    assert_eq!((&first["kind"], &last["kind"]), (&"log".into(), &"end".into()));
    assert_ne!(first["log_id"], first["new_log_id"]);
    assert_eq!(last["gaps"], 1);
    let of = |fate: &str| -> Vec<&Value> { listed.iter().filter(|line| line["fate"] == fate).collect() };
    assert!(of("salvaged").len() > 1_000, "{last}");
    // Each command that is listed as salvaged has the outcome that was given.
    let told: std::collections::HashMap<_, _> =
        given.iter().map(|outcome| (outcome["command_id"].clone(), outcome)).collect();
    for line in of("salvaged").into_iter().filter(|line| !line["command_id"].is_null()) {
        assert_eq!(line["code"], told[&line["command_id"]]["code"], "{line}");
    }
    // Nothing of an order stands in the new log behind what it has lost.
    let parked = world.on("new", &["parked", "list", "-o", "json"]).run().expect(0).stdout;
    let holed: std::collections::BTreeSet<&str> =
        of("behind_hole").iter().map(|line| line["order"].as_str().unwrap()).collect();
    for order in &holed {
        assert!(parked.contains(order), "{order} is not parked: {parked}");
    }
    let compared = world.on("new", &["verify"]).arg("--lost").arg(to.join("salvaged.jsonl")).run().expect(0);
    assert!(compared.stdout.contains("have the same outcome here"), "{}", compared.stdout);
    // It is a log like any other: what is lost is decided anew, what is not is replayed.
    let file = world.file("commands", places(0, 4_000));
    world
        .on("new", &["run", "--quiet", "--commands", &file])
        .arg("--outcomes")
        .arg(world.path("again"))
        .run();
    let again = outcomes(&std::fs::read_to_string(world.path("again")).unwrap());
    assert_eq!(again.len(), 4_000);
    let replayed = again.iter().filter(|outcome| outcome["replayed"] == true).count();
    assert!(replayed > 3_000, "{replayed}");
    sound_log(&world, "new");
}

/// What is done to the log's folder; another log's folder stands beside it.
type Harm = fn(&Path, &Path);

fn write_at(file: PathBuf, at: usize, with: &[u8]) {
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(file, bytes).unwrap();
}

fn segment(log: &Path, number: u32) -> PathBuf {
    log.join(format!("{number:016}.seg"))
}

fn swap(log: &Path, one: u32, other: u32) {
    let aside = log.join("aside");
    std::fs::rename(segment(log, one), &aside).unwrap();
    std::fs::rename(segment(log, other), segment(log, one)).unwrap();
    std::fs::rename(aside, segment(log, other)).unwrap();
}

const SECTOR: usize = 512;

/// Damage that leaves every frame whole, or all but one.
const HARMS: &[(&str, Harm)] = &[
    ("first header", |log, _| flip_bit(&segment(log, 1), 40)),
    ("a header", |log, _| flip_bit(&segment(log, 2), 100)),
    ("a header's magic", |log, _| flip_bit(&segment(log, 3), 3)),
    ("a header's seal", |log, _| flip_bit(&segment(log, 2), 511)),
    ("a header of another version", |log, _| write_at(segment(log, 2), 8, &[0xee; 60])),
    ("zeros in a header", |log, _| write_at(segment(log, 3), 8, &[0; 100])),
    ("another log's header", |log, other| {
        let header = std::fs::read(segment(other, 1)).unwrap();
        write_at(segment(log, 2), 0, &header[..SECTOR]);
    }),
    ("another log's header, first", |log, other| {
        let header = std::fs::read(segment(other, 1)).unwrap();
        write_at(segment(log, 1), 0, &header[..SECTOR]);
    }),
    ("a sector's end", |log, _| flip_bit(&segment(log, 2), 2 * SECTOR as u64 - 1)),
    ("two files changed places", |log, _| swap(log, 2, 3)),
    ("the identity", |log, _| flip_bit(&segment(log, 1), SECTOR as u64 + 95)),
];

/// Before, a segment whose header was hit was one gap with all that stood in it, as was the rest of a write; a few bytes
/// that looked like another version's, or hit the first frame, left nothing to be salvaged; and one segment of another
/// log in the first one's place made that log's orders of all.
#[test]
fn a_salvage_gives_all_frames_that_are_whole_whatever_is_wrong_around_them() {
    let (world, given) = whole_segments();
    let other = world.file("other", places(9_000, 9_020));
    world.on("other-data", &["run", "--quiet", "--commands", &other]).run().expect(0);
    let strange = world.path("other-data/log");
    let salvaged = |name: &str, harm: Harm| {
        let (log, to) = (world.path("data/log"), world.path(&format!("new {name}")));
        let before = log_bytes(&world);
        harm(&log, &strange);
        world.on_data(&["repair", "--salvage"]).arg("--to").arg(&to).run().expect(0);
        for (path, bytes) in before {
            std::fs::write(path, bytes).unwrap();
        }
        let orders = world.verified(&format!("new {name}"), 0)["orders"].as_u64().unwrap();
        let compared = world.on(&format!("new {name}"), &["verify"]).arg("--lost");
        let compared = compared.arg(to.join("salvaged.jsonl")).run().expect(0).stdout;
        assert!(compared.contains("0 another one"), "{name}: {compared}");
        let export = world.on(&format!("new {name}"), &["export"]).run().expect(0).stdout;
        assert!(!export.contains("o-9000"), "{name}: another log's orders are in it");
        orders
    };
    for (name, harm) in HARMS {
        assert_eq!(salvaged(name, *harm), given.len() as u64, "{name}");
    }
    // One write is lost with its first header; a segment of another log takes the place of one.
    let most = given.len() as u64 / 2;
    assert!(
        salvaged("a frame of another version", |log, _| write_at(segment(log, 2), SECTOR + 4, &[9; 4]))
            > most
    );
    let replaced: Harm = |log, other| {
        std::fs::copy(segment(other, 1), segment(log, 1)).unwrap();
    };
    assert!(salvaged("another log's segment", replaced) > most);
}

#[test]
fn a_repair_names_what_goes_and_can_be_cut_short() {
    let (world, given) = damaged_segments();
    let lost = world.path("lost.jsonl");
    world.on_data(&["repair", "--dry-run"]).arg("--lost").arg(&lost).run().expect(1);
    let named = lines(lost.clone());
    let sums = &named[named.len() - 1];
    assert!(sums["decisions"].as_u64().unwrap() > 1_000 && sums["captured_minor"]["USD"].is_u64(), "{sums}");
    let whole = world.on_data(&["verify"]).arg("--lost").arg(&lost).run().expect(1);
    assert!(whole.stdout.contains(" 0 have the same outcome here"), "{}", whole.stdout);
    world.on_data(&["repair", "--yes"]).arg("--lost").arg(&lost).run().expect(0);
    assert_eq!(lines(lost.clone()), named, "it was told what would go");
    // All of them are run again, and the file says which outcomes are there again.
    let file = world.file("commands", places(0, 4_000));
    world.on_data(&["run", "--quiet", "--commands", &file]).run();
    let compared = world.on_data(&["verify", "-o", "json"]).arg("--lost").arg(&lost).run().expect(0);
    let compared: Value = serde_json::from_str(&compared.stdout).unwrap();
    assert_eq!(compared["lost"]["missing"], 0, "{compared}");
    assert!(given.len() == 4_000);
    assert!(!world.path("data/index").join("stale").exists());
}
