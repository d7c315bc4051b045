//! Where random lives must have been.

use super::*;
use crate::wire::flow_rules::CaptureAt;

/// Lives that are tried until all has been met.
const LIVES_MAX: u32 = 40_000;

/// Where they must have been.
fn wanted() -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for (status, steps) in [("Open", 0..4), ("Canceling", 0..8), ("Completed", 8..9)] {
        wanted.extend(steps.map(|number| format!("{status} Some({:?})", Step::ALL[number])));
    }
    wanted.extend(["Completed Some(Refund)", "Completed None", "Canceled None"].map(str::to_owned));
    wanted.extend(
        [
            "waits true",
            "refunds 2",
            "payments 5",
            "holds 2 overdue true",
            "holds 1 overdue false",
            "facts 2 covered true",
            "terms 2",
        ]
        .map(str::to_owned),
    );
    wanted.extend(["goods Open true", "goods Canceled true", "goods Open false"].map(str::to_owned));
    wanted.extend(ShipmentState::ALL.map(|state| format!("shipment Some({state:?})")));
    wanted.extend(
        [
            "reservations 2",
            "shipments 2",
            "Open Some(Release)",
            "Open Some(Review)",
            "reopened true",
            "split true",
            "partly true",
        ]
        .map(str::to_owned),
    );
    for mode in ["None", "Some(Perform)", "Some(Look)", "Some(Settle)"] {
        wanted.extend(["None", "Held", "Stalled"].map(|kind| format!("{kind} {mode}")));
    }
    // What is held is not at work.
    wanted.retain(|state| state != "Held Some(Perform)");
    wanted.extend(
        ["refused true archived false", "refused false archived true", "renewed 4"].map(str::to_owned),
    );
    wanted
}

/// The random lives must go everywhere, or they prove little.
#[test]
fn the_lives_go_everywhere() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (wanted, mut met) = (wanted(), std::collections::BTreeSet::new());
    let mut lives = 0;
    while lives < LIVES_MAX && !wanted.iter().all(|state| met.contains(state)) {
        lives += 1;
        let moves = moves().new_tree(&mut runner).unwrap().current();
        let way = ways().new_tree(&mut runner).unwrap().current();
        let mut life = Life::new(false, 1000, way);
        for next in &moves {
            life.goes_on(next);
            let (world, saga) = (&life.world, &life.world.order().saga);
            met.insert(format!("{:?} {:?}", world.status(), world.step()));
            met.insert(format!("{:?} {:?}", world.attention(), world.mode()));
            met.insert(format!("refused {} archived {}", saga.cancel_refused, saga.archived));
            met.insert(format!("renewed {}", saga.payments.iter().map(|one| one.entered).max().unwrap_or(0)));
            let awaits_goods = world.order().awaits_goods(world.context.now).is_some();
            met.insert(format!("goods {:?} {awaits_goods}", world.status()));
            met.insert(format!("shipment {:?}", saga.shipment(0).map(|(state, _)| state)));
            met.insert(format!("waits {}", saga.waiting_until.is_some()));
            met.insert(format!("refunds {}", saga.refunds().len().min(2)));
            let covered = saga.refunds().iter().any(|one| one.paid.covered_minor > 0);
            met.insert(format!("facts {} covered {covered}", saga.facts().len().min(2)));
            met.insert(format!("terms {}", saga.return_terms().len().min(2)));
            met.insert(format!("holds {} overdue {}", saga.holds().len(), saga.overdue_hold().is_some()));
            met.insert(format!("payments {}", saga.payments.count().min(5)));
            let goods = saga.goods.as_ref().map_or(0, |goods| goods.reservations.len());
            met.insert(format!("reservations {}", goods.min(2)));
            let shipments = saga.goods.as_ref().map_or(0, |goods| goods.shipments.len());
            met.insert(format!("shipments {}", shipments.min(2)));
            met.insert(format!("reopened {}", saga.reopened));
            met.insert(format!("partly {}", world.order().due_minor().is_some()));
            let split = |one: &crate::order::PaymentState| {
                one.captured_minor > 0 && saga.flow().capture == CaptureAt::AtShipment
            };
            let rest = saga.payments.iter().any(|one| one.open_minor() > 0);
            met.insert(format!("split {}", saga.payments.iter().any(split) && rest));
        }
    }
    let missing: Vec<_> = wanted.iter().filter(|state| !met.contains(*state)).collect();
    assert!(missing.is_empty(), "{missing:?} of {met:#?}");
    assert!(!met.iter().any(|state| state.starts_with("Canceled Some")), "{met:?}");
}
