//! The ledger against the commands as they came.

use crate::support::world::{World, places};

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
