//! Moves by which participants report.

use crate::order::tests::saga::world::*;
use crate::wire::command::ShipmentState;

/// A participant reports on a step under a reference.
pub(super) fn report_of(
    world: &mut World,
    (step, reference): (Step, &str),
    outcome: usize,
    amount: Option<i64>,
    later_ms: u64,
) {
    let says = ["done", "declined", "failed", "pending"][outcome];
    let until = world.context.now.plus_ms(later_ms);
    let mut command = report(step, reference, says);
    if let CommandData::Report(data) = &mut command {
        data.amount_minor = amount.map(|minor| crate::money::Amount::new(minor).unwrap());
        data.until = (says == "pending").then_some(until);
    }
    let code = world.ask(command);
    if (says, code) == ("pending", Code::Applied) {
        // But for a hold, whose time is people's.
        let hold = world.order().saga.holds().iter().filter_map(|hold| hold.until).min();
        let looked_at = world.order().deadline.filter(|at| hold != Some(*at));
        assert!(looked_at.is_none_or(|at| at == until), "nobody looks before");
        assert_eq!(world.attention(), Attention::None);
    }
}

/// Shipping reports where the shipment is, under the reference of its booking or of one that is pending.
pub(super) fn shipment(world: &mut World, state: ShipmentState, pending: bool) {
    let reference = world.order().saga.reference(Step::Book).filter(|_| !pending).cloned();
    let mut command = report(Step::Book, reference.as_deref().unwrap_or("p-1"), "done");
    if let CommandData::Report(data) = &mut command {
        data.shipment = Some(state);
    }
    if world.ask(command) == Code::Applied {
        let saga = &world.order().saga;
        let known: Vec<_> =
            (0..64).filter_map(|number| saga.shipment(number)).map(|(known, _)| known).collect();
        assert!(known.is_empty() || known.contains(&state), "{known:?}, and it is said to be {state:?}");
    }
}
