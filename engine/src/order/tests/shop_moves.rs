//! Random lives: what shops do beside an order's own way.

use proptest::prelude::*;

use super::saga::world::*;
use crate::ids::TimestampMs;

/// The names of holds.
const HOLDS: [&str; 2] = ["fraud", "address"];

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum ShopMove {
    /// Something happened outside.
    Record { kind: usize, reference: usize, amount: i64, payment: Option<usize> },
    /// Somebody puts a hold, for so long.
    Hold { name: usize, ms: Option<i64> },
    /// Somebody releases one.
    ReleaseHold { name: usize },
}

pub(super) fn shop_moves() -> impl Strategy<Value = ShopMove> {
    prop_oneof![
        2 => (0..2usize, prop::option::of(-5_000..100_000i64))
            .prop_map(|(name, ms)| ShopMove::Hold { name, ms }),
        2 => (0..2usize, 0..4usize, 1..900i64, prop::option::weighted(0.7, 1..4usize)).prop_map(
            |(kind, reference, amount, payment)| ShopMove::Record { kind, reference, amount, payment },
        ),
        3 => (0..2usize).prop_map(|name| ShopMove::ReleaseHold { name }),
    ]
}

impl ShopMove {
    pub(super) fn happens(&self, world: &mut World) {
        let now = world.context.now;
        match self {
            Self::Hold { name, ms } => {
                let until = ms.map(|ms| TimestampMs(now.0 + ms));
                let active = world.order().saga.active.clone();
                let code = world.ask(hold(HOLDS[*name], until));
                let finished = world.order().saga.active == active;
                assert!(code != Code::Applied || finished, "what is in flight is finished");
            }
            Self::Record { kind, reference, amount, payment } => {
                let (kind, reference) = (["chargeback", "external_payment"][*kind], format!("c{reference}"));
                let facts = world.order().saga.facts();
                let known =
                    facts.iter().any(|fact| fact.kind.as_str() == kind && *fact.reference == *reference);
                let payment = payment.map(|number| format!("p{number}"));
                let code = world.ask(record(kind, &reference, *amount, payment.as_deref()));
                assert!(code != Code::Applied || !known, "one of a kind is recorded once");
            }
            Self::ReleaseHold { name } => drop(world.ask(release_hold(HOLDS[*name]))),
        }
    }
}

/// Every hold is released, also of an order that takes no more commands.
pub(super) fn release_all(world: &mut World) {
    for name in HOLDS {
        if world.order().saga.holds().iter().any(|hold| *hold.name == *name) {
            assert_eq!(world.ask(release_hold(name)), Code::Applied);
        }
    }
}
