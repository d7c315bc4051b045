//! The ledger against the commands as they came, and the participants' books against the log.

use serde_json::json;

use crate::support::cli::Ended;
use crate::support::server::Server;
use crate::support::world::{World, place, places};

#[test]
fn every_order_placed_up_to_the_cut_is_in_the_books_and_a_missing_one_is_named() {
    let world = World::new();
    let file = world.file("commands", places(0, 50));
    world.run(&file).run().expect(0);
    let good = world.on_data(&["verify", "--commands", &file]).run().expect(0);
    assert!(good.stdout.contains("50 orders placed up to the cut, 0 missing"), "{}", good.stdout);
    assert!(good.stdout.contains("cut: partition 0 at group"), "{}", good.stdout);
    // A command that the log was told it had passed, and that it does not hold.
    let text = std::fs::read_to_string(world.path("commands")).unwrap().replace("c-17\"", "c-17-lost\"");
    std::fs::write(world.path("commands"), text).unwrap();
    let bad = world.on_data(&["verify", "--commands", &file]).run().expect(1);
    assert!(bad.stdout.contains("1 missing") && bad.stdout.contains("c-17-lost"), "{}", bad.stdout);
}

#[track_caller]
fn shows(ended: &Ended, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(ended.stdout.contains(part), "{part:?} is not in {}", ended.stdout));
}

/// Twenty orders at rest, and one whose payment is reviewed.
fn one_under_way() -> World {
    let world = World::new();
    let mut reviewed = place("reviewed", "c-reviewed", 100);
    reviewed["data"]["payments"] =
        json!([{"payment_id": "p", "token_ref": "tok_review", "amount_minor": 100}]);
    let file = world.file("commands", format!("{}{reviewed}\n", places(0, 20)));
    world.run(&file).run().expect(0);
    world
}

/// While any order was on its way nothing was compared, and that was said to hold.
#[test]
fn books_are_compared_while_orders_are_on_their_way() {
    let world = one_under_way();
    let good = world.on_data(&["verify"]).run().expect(0);
    let said =
        ["PARTLY sides", "20 orders compared in full", "1 on their way: their running step was not compared"];
    shows(&good, &said);
    let asked = world.on_data(&["reconcile"]).run().expect(0);
    shows(&asked, &["payments: the log says that 40 steps were done", "81 agree, 0 differ"]);

    // The book of payments as it was three lines ago, as a restore or a power cut leaves it.
    let book = world.path("data/participants/payments.book");
    let whole = std::fs::read_to_string(&book).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    std::fs::write(&book, lines[..lines.len() - 3].concat()).unwrap();
    shows(
        &world.on_data(&["verify"]).run().expect(1),
        &["BROKEN sides", "an older copy", "retailflow reconcile"],
    );
    std::fs::remove_file(world.path("data/participants/payments.book.synced")).unwrap();
    let bad = world.on_data(&["verify"]).run().expect(1);
    let said =
        ["BROKEN sides", "the book of payments is behind", "its last line is of 2", "differs: order t/o"];
    shows(&bad, &said);
    let asked = world.on_data(&["reconcile"]).run().expect(1);
    shows(&asked, &["payments says it has not seen the key"]);
    shows(&world.on_data(&["reconcile", "--dry-run"]).run().expect(0), &["nobody was asked"]);
}

#[test]
fn orders_in_the_books_alone_are_told_and_so_is_that_there_are_none() {
    let world = one_under_way();
    let other = world.on("other", &["run", "--quiet", "--outcomes", "/dev/null"]);
    other.arg("--commands").arg(world.file("others", places(100, 103))).run().expect(0);
    // Another log beside these books.
    std::fs::rename(world.path("data/participants"), world.path("aside")).unwrap();
    let none = world.on_data(&["verify"]).run().expect(0);
    shows(&none, &["PARTLY sides", "not compared: there are no books in"]);
    std::fs::remove_dir_all(world.path("other/participants")).unwrap();
    std::fs::rename(world.path("aside"), world.path("other/participants")).unwrap();
    let bad = world.on("other", &["verify"]).run().expect(1);
    let said = [
        "21 orders stand in their books alone",
        "3 orders differ",
        "stands in the book of inventory and not in",
    ];
    shows(&bad, &said);
}

/// Neither `serve` nor `verify` began, and `repair` said that nothing was needed.
#[test]
fn a_broken_book_keeps_the_engine_from_nothing_and_is_repaired() {
    let world = World::new();
    world.run(&world.file("commands", places(0, 20))).run().expect(0);
    let book = world.path("data/participants/payments.book");
    let mut bytes = std::fs::read(&book).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 3] = 0xff;
    std::fs::write(&book, &bytes).unwrap();

    let server = Server::of(world.on_data(&["serve"]));
    let headers = [
        ("Content-Type", "application/json"),
        ("Ce-Type", "retailflow.order.place.v1"),
        ("Idempotency-Key", "c"),
    ];
    let order = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":5}]}"#;
    let reply = server.client().post("/v1/tenants/t/orders/new/commands", &headers, order).unwrap();
    assert_eq!(reply.status, 200, "orders are taken: {}", reply.body);
    let said = server.stop();
    assert!(said.contains("book_unusable") && said.contains("payments") && said.contains("line 2"), "{said}");
    assert_eq!(said.matches("book_unusable").count(), 1, "told once: {said}");

    let bad = world.on_data(&["verify"]).run().expect(1);
    shows(&bad, &["held   chain", "BROKEN sides", "payments.book is damaged at line 2", "retailflow repair"]);
    // What would never end is refused, by name.
    let more = world.file("more", places(30, 31));
    let run =
        world.on_data(&["run", "--quiet", "--outcomes", "/dev/null", "--commands", &more]).run().expect(1);
    run.says(&["payments.book is damaged at line 2"]);
    world.on_data(&["reconcile"]).run().expect(1).says(&["payments.book is damaged at line 2"]);

    shows(
        &world.on_data(&["repair", "--dry-run"]).run().expect(1),
        &["the log needs no repair", "damaged at line 2"],
    );
    world.on_data(&["repair"]).run().expect(4).says(&["repeat with --yes"]);
    let mended = world.on_data(&["repair", "--yes"]).run().expect(0);
    shows(&mended, &["1 pieces that are none were left out", "payments.book.damaged-1", "reconcile"]);
    assert_eq!(std::fs::read(world.path("data/participants/payments.book.damaged-1")).unwrap(), bytes);
    shows(&world.on_data(&["repair"]).run().expect(0), &["the log needs no repair"]);
    // One step is not known to the participant any more, and that is what is said.
    let asked = world.on_data(&["reconcile"]).run().expect(1);
    shows(&asked, &["payments says it has not seen the key"]);
    let server = Server::of(world.on_data(&["serve"]));
    assert!(!server.stop().contains("book_unusable"));
}
