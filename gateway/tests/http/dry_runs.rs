//! What is only looked at, and what must not be taken for it.

use retailflow_engine::order::Actor;

use crate::world::{COMMANDS, JSON, PLACE, Reply, TYPE, World};

const OPERATORS: &str = "/v1/admin/tenants/shop/orders/o-1/commands";

async fn send(world: &World, path: &str, id: &str, more: &[(&str, &str)]) -> Reply {
    let headers = [&[TYPE, JSON, ("idempotency-key", id)][..], more].concat();
    world.call("POST", path, &headers, PLACE.as_bytes()).await
}

fn begun(world: &World) -> (usize, usize) {
    (world.door.asked.lock().unwrap().len(), world.door.tried.lock().unwrap().len())
}

#[tokio::test]
async fn a_dry_run_is_not_asked_as_a_command() {
    let world = World::new().await;
    let path = format!("{COMMANDS}?dry_run=true");
    let told = send(&world, &path, "c-1", &[]).await;
    assert_eq!((told.status, begun(&world)), (200, (0, 1)), "{}", told.text());
    let outcome = told.json();
    assert_eq!((&outcome["dry_run"], &outcome["version"]), (&true.into(), &8.into()));
    assert_eq!((told.header("rf-position"), outcome.get("durability")), (None, None));
    let rejected = send(&world, &path, "over_return", &[]).await.refused(422, "over_return");
    assert_eq!((&rejected["dry_run"], &rejected["outcome_status"]), (&true.into(), &"rejected".into()));
    let refused = send(&world, &path, "order_not_found", &[]).await.refused(404, "order_not_found");
    assert_eq!(refused["dry_run"], true);
    // Also what does not come so far says that it was one.
    let unreadable = world.call("POST", &path, &[TYPE, JSON, ("idempotency-key", "c-2")], b"{").await;
    assert_eq!(unreadable.refused(400, "malformed_json")["dry_run"], true);

    let real = send(&world, &format!("{COMMANDS}?dry_run=false"), "c-1", &[]).await;
    assert_eq!((real.status, begun(&world)), (200, (1, 3)));
    assert_eq!(real.json().get("dry_run"), None);
}

#[tokio::test]
async fn an_operators_command_is_looked_at_at_their_door() {
    let world = World::new().await;
    let headers =
        [("ce-type", "retailflow.order.resume.v1"), ("idempotency-key", "op"), ("rf-operator", "ann")];
    let path = format!("{OPERATORS}?dry_run=true");
    let told = world.admin("POST", &path, &headers, b"").await;
    assert_eq!((told.status, told.json()["dry_run"].clone()), (200, true.into()), "{}", told.text());
    assert_eq!(begun(&world), (0, 1));
    assert_eq!(world.door.tried.lock().unwrap()[0].1, Actor::Operator("ann".into()));
    let unnamed = world.admin("POST", &path, &headers[..2], b"").await;
    assert_eq!((unnamed.status, begun(&world)), (400, (0, 1)), "the same checks as of a command");
    let tenants = world.call("POST", &format!("{COMMANDS}?dry_run=true"), &headers, b"").await;
    tenants.refused(403, "operator_only");
}

/// Whoever misspells it must not have the command carried out.
#[tokio::test]
async fn what_could_mean_a_dry_run_is_carried_out_by_no_mistake() {
    let world = World::new().await;
    for query in ["dry_run", "dry_run=", "dry_run=1", "dry_run=yes", "dry_run=TRUE"] {
        let problem =
            send(&world, &format!("{COMMANDS}?{query}"), "c-1", &[]).await.refused(400, "invalid_field");
        assert_eq!(problem["path"], "dry_run", "{query}");
    }
    for query in ["dryrun=true", "dry-run=true", "DRY_RUN=true", "x=1", "dry_run=true&x=1"] {
        let problem =
            send(&world, &format!("{COMMANDS}?{query}"), "c-1", &[]).await.refused(400, "unknown_field");
        assert!(problem["detail"].as_str().unwrap().contains("dry_run"), "{query}: {problem}");
    }
    let twice = send(&world, &format!("{COMMANDS}?dry_run=true&dry_run=false"), "c-1", &[]).await;
    twice.refused(400, "duplicate_field");
    for header in [("rf-dry-run", "true"), ("ce-dryrun", "true")] {
        let problem = send(&world, COMMANDS, "c-1", &[header]).await.refused(400, "unknown_field");
        assert!(problem["detail"].as_str().unwrap().contains("?dry_run=true"), "{problem}");
    }
    let operators =
        [("ce-type", "retailflow.order.resume.v1"), ("idempotency-key", "op"), ("rf-operator", "ann")];
    let misspelt = world.admin("POST", &format!("{OPERATORS}?dryrun=true"), &operators, b"").await;
    misspelt.refused(400, "unknown_field");
    assert_eq!(begun(&world), (0, 0), "nothing was begun");
}
