//! Tenants that are not known, and those that are suspended.

use crate::support::world::{World, places};

#[test]
fn an_unknown_tenant_is_refused_until_it_is_set_and_while_it_is_suspended() {
    let world = World::new();
    let file = world.file("commands", places(0, 3));
    let run = |code: &str, fate: &str| {
        let call = world.run(&file).arg("--set").arg("tenants.unknown=refuse");
        call.run().expect(i32::from(fate == "refused"));
        for outcome in world.outcomes() {
            assert_eq!(outcome["code"], code, "{outcome}");
        }
        assert_eq!((world.outcomes().len(), world.counted(fate)), (3, 3));
    };
    run("unknown_tenant", "refused");
    world.on_data(&["tenant", "set", "t", "--status", "suspended"]).run().expect(0);
    run("tenant_disabled", "refused");
    world.on_data(&["tenant", "set", "t", "--status", "active"]).run().expect(0);
    run("applied", "applied");
    run("applied", "replayed");
    assert_eq!(world.verified("data", 0)["orders"], 3);
}
