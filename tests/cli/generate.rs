//! `generate`, and `run` on what it makes.

use serde_json::Value;

use crate::support::cli::{Call, retailflow};
use crate::support::world::World;

fn generate(words: &[&str]) -> Call {
    words
        .iter()
        .fold(retailflow(&["generate", "--orders", "400", "--seed", "7"]), |call, word| call.arg(word))
}

#[test]
fn the_same_seed_gives_the_same_lines_on_every_way_out() {
    let world = World::new();
    let first = generate(&["-o", "json"]).run().expect(0);
    let path = world.path("commands.jsonl");
    let second = generate(&["--out"]).arg(&path).run().expect(0).says(&["places ", " 400 ", " USD"]);
    assert_eq!((second.stdout.as_str(), std::fs::read_to_string(path).unwrap()), ("", first.stdout.clone()));
    let summary: Value = serde_json::from_str(&first.stderr).unwrap();
    assert_eq!((&summary["places"], &summary["commands"]), (&400.into(), &first.lines().len().into()));
    for line in first.lines() {
        let command: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&command["tenant"], &command["source"]), (&"shop".into(), &"/generate".into()));
        assert!(command["subject"].as_str().unwrap().starts_with("g7-"));
    }
}

#[test]
fn all_of_it_can_be_run() {
    let world = World::new();
    let made = generate(&["--reorder", "5", "--tenant", "t"]).run().expect(0);
    world.run(&world.file("commands", &made.stdout)).run().expect(0);
    assert_eq!(world.counted("received"), made.lines().len() as u64);
    assert_eq!(world.verified("data", 0)["orders"], 400);
}

#[test]
fn a_duplicate_is_a_replay() {
    let world = World::new();
    let none =
        ["-o", "json", "--cancel-permille", "0", "--return-permille", "0", "--duplicate-permille", "300"];
    let made = generate(&none).run().expect(0);
    let summary: Value = serde_json::from_str(&made.stderr).unwrap();
    world.run(&world.file("commands", &made.stdout)).run().expect(0);
    let again = summary["duplicates"].as_u64().unwrap() + summary["late"].as_u64().unwrap();
    assert!(again > 80, "{again}");
    world.expect_counts([400 + again, 400, 0, again, 0, 0, 0]);
}

#[test]
fn wrong_shares_are_usage_errors() {
    generate(&["--cancel-permille", "900", "--return-permille", "101"])
        .run()
        .expect(2)
        .says(&["at most 1000"]);
    generate(&["--late-permille", "1001"]).run().expect(2).says(&["--late-permille"]);
    generate(&["--reorder", "1001"]).run().expect(2).says(&["--reorder"]);
    generate(&["--tenant", "Shop"]).run().expect(2).says(&["a-z, 0-9 and '-'"]);
    generate(&["--out", "src"]).run().expect(2).says(&["cannot write src"]);
}
