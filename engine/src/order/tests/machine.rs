//! Random lives: all commands, answers that are legal, late or foreign, and leaps of time, in any order. What holds of
//! every state is in [`World`]; what holds of every life is here.

mod acts;
mod everywhere;
mod many;
mod reports;
mod ways;

use proptest::prelude::*;
use serde_json::json;

use self::acts::{amends, exchanges, part_of, parts_of, pays};
use self::ways::{Way, ways};
use super::saga::world::*;
use super::shop_moves::{ShopMove, release_all, shop_moves};
use super::the_order;
use crate::ids::TimestampMs;
use crate::order::{Incoming, StepState, SummaryState};
use crate::wire::command::{DeliveryPart, ShipmentState};
use crate::wire::order::OrderView;
use crate::wire::order_list::OrderSummary;

/// What happens next.
#[derive(Debug, Clone)]
enum Move {
    /// The active step is answered.
    Answer(Answer),
    /// Some asking of before is answered, or one that never was.
    Stale {
        which: usize,
        answer: Answer,
        foreign: bool,
    },
    /// A participant reports.
    Report {
        step: Option<usize>,
        right: bool,
        outcome: usize,
        amount: Option<i64>,
        later_ms: u64,
    },
    /// Shipping reports where the shipment is.
    Shipment {
        state: ShipmentState,
        pending: bool,
    },
    /// The customer cancels.
    Cancel,
    /// Units come back.
    Return {
        b: bool,
        quantity: u32,
        amount: Option<i64>,
        terms: (Option<i64>, bool),
    },
    /// Money is to go back without goods.
    Refund {
        amount: i64,
        of: usize,
        payment: Option<usize>,
    },
    /// Another means of payment.
    Pay {
        parts: usize,
        right: bool,
    },
    /// What shops do beside.
    Shop(ShopMove),
    /// The order is changed: other units, another price, a line more.
    Amend {
        b: bool,
        quantity: u32,
        amount: Option<i64>,
        adds: bool,
        pays: bool,
    },
    /// Units come back, and a line is ordered in their place.
    Exchange {
        b: bool,
        quantity: u32,
        amount: Option<i64>,
        pays: bool,
    },
    /// Some units are canceled.
    CancelUnits {
        b: bool,
        quantity: u32,
    },
    /// The order is placed again.
    Place,
    /// An operator says how a step ended.
    Resolve {
        step: Option<usize>,
        done: bool,
    },
    /// Operators' other commands.
    Resume,
    Compensate,
    Archive,
    Restore,
    /// Time goes on, and the deadline may have passed.
    Later(u64),
    /// The deadline comes.
    Deadline,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Done,
    DoneFor(i64),
    DoneUntil(u64),
    Declined,
    AuthorizationExpired,
    Refused,
    Failed,
    Unknown,
    Pending(u64),
    Settled(bool),
    /// Of goods, so many units of what was asked for, or all but so many.
    Part(u64, bool),
}

impl Answer {
    fn outcome(self, step: Step, now: TimestampMs) -> StepOutcome {
        match self {
            // Only a capture needs one; elsewhere it would be but another decline.
            Self::AuthorizationExpired if step != Step::Capture => done(),
            Self::Done => done(),
            Self::DoneFor(minor) => StepOutcome::Done {
                reference: "part".into(),
                amount_minor: Some(minor),
                expires: None,
                units: None,
            },
            Self::DoneUntil(ms) => {
                let expires = Some(now.plus_ms(ms));
                StepOutcome::Done { reference: "until".into(), amount_minor: None, expires, units: None }
            }
            Self::Declined => declined("nope"),
            Self::AuthorizationExpired => declined("authorization_expired"),
            Self::Refused => refused("gone"),
            Self::Failed => failed(),
            Self::Unknown => unknown(),
            Self::Pending(ms) => pending("p-1", (ms > 0).then(|| now.plus_ms(ms))),
            Self::Settled(done) => settled(done),
            Self::Part(..) => done(),
        }
    }
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        12 => Just(Answer::Done),
        1 => prop::sample::select(vec![-1, 0, 500, 1500, i64::MAX]).prop_map(Answer::DoneFor),
        2 => (0..20_000u64).prop_map(Answer::DoneUntil),
        1 => Just(Answer::Declined),
        6 => Just(Answer::AuthorizationExpired),
        1 => Just(Answer::Refused),
        2 => Just(Answer::Failed),
        2 => Just(Answer::Unknown),
        4 => (0..100_000u64).prop_map(Answer::Pending),
        2 => any::<bool>().prop_map(Answer::Settled),
        4 => (0..3u64, any::<bool>()).prop_map(|(units, all_but)| Answer::Part(units, all_but)),
    ]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let step = || prop::option::weighted(0.2, 0..10usize);
    let amount = || prop::option::weighted(0.2, 0..2000i64);
    let terms = (prop::option::weighted(0.2, 0..700i64), prop::bool::weighted(0.7));
    let next = prop_oneof![
        20 => answers().prop_map(Move::Answer),
        2 => (any::<usize>(), answers(), any::<bool>())
            .prop_map(|(which, answer, foreign)| Move::Stale { which, answer, foreign }),
        4 => (step(), prop::bool::weighted(0.8), 0..4usize, amount(), 0..300_000u64).prop_map(
            |(step, right, outcome, amount, later_ms)| Move::Report { step, right, outcome, amount, later_ms },
        ),
        2 => (prop::sample::select(ShipmentState::ALL.to_vec()), any::<bool>())
            .prop_map(|(state, pending)| Move::Shipment { state, pending }),
        1 => Just(Move::Cancel),
        3 => (any::<bool>(), 1..3u32, amount(), terms)
            .prop_map(|(b, quantity, amount, terms)| Move::Return { b, quantity, amount, terms }),
        3 => (1..900i64, 0..3usize, prop::option::weighted(0.3, 0..5usize))
            .prop_map(|(amount, of, payment)| Move::Refund { amount, of, payment }),
        1 => (1..3usize, prop::bool::weighted(0.9)).prop_map(|(parts, right)| Move::Pay { parts, right }),
        6 => shop_moves().prop_map(Move::Shop),
        3 => (any::<bool>(), 0..6u32, amount(), prop::bool::weighted(0.3), any::<bool>())
            .prop_map(|(b, quantity, amount, adds, pays)| Move::Amend { b, quantity, amount, adds, pays }),
        2 => (any::<bool>(), 1..4u32).prop_map(|(b, quantity)| Move::CancelUnits { b, quantity }),
        2 => (any::<bool>(), 1..3u32, amount(), any::<bool>())
            .prop_map(|(b, quantity, amount, pays)| Move::Exchange { b, quantity, amount, pays }),
        1 => Just(Move::Place),
        1 => (step(), any::<bool>()).prop_map(|(step, done)| Move::Resolve { step, done }),
        2 => Just(Move::Resume),
        1 => Just(Move::Compensate),
        1 => Just(Move::Archive),
        1 => Just(Move::Restore),
        2 => (0..200_000u64).prop_map(Move::Later),
        4 => Just(Move::Deadline),
    ];
    prop::collection::vec(next, 1..80)
}

/// Line `b` goes by itself, and is there from then on.
fn apart(from: TimestampMs) -> DeliveryPart {
    DeliveryPart { line_ids: vec!["b".into()], method: None, address_ref: None, available_from: Some(from) }
}

/// A life, and the askings that it had.
struct Life {
    world: World,
    asked: Vec<StepAt>,
}

impl Life {
    fn new(free: bool, decisions_max: u64, way: Way) -> Self {
        let mut data = match way.payments {
            0 => basket(),
            parts => paid_by(&parts_of(1500, parts)),
        };
        if free {
            data["components"] = json!([{ "kind": "discount", "amount_minor": -1500 }]);
            data["payments"] = json!([]);
        }
        let mut world = World::empty();
        let policy = &mut world.context.policy;
        (policy.payments, policy.flow) = (way.rules(), way.flow());
        (policy.step_attempts_max, policy.renewals_max, policy.decisions_max) = (3, 2, decisions_max);
        let mut data = place_of(data);
        if let CommandData::Place(place) = &mut data {
            let now = world.context.now;
            place.available_from = Some(now.plus_ms(way.goods_ms));
            place.deliveries.extend(way.apart_ms.map(|ms| apart(now.plus_ms(ms))));
        }
        assert_eq!(world.ask(data), Code::Applied);
        Self { world, asked: Vec::new() }
    }

    fn goes_on(&mut self, next: &Move) {
        let world = &mut self.world;
        let active = world.active().map(|active| active.at.clone());
        if let Some(at) = &active
            && self.asked.last() != Some(at)
        {
            self.asked.push(at.clone());
        }
        let now = world.context.now;
        let of = |step: Option<usize>| match (step, &active) {
            (Some(number), _) => Step::ALL[number],
            (None, Some(at)) => at.step,
            (None, None) => Step::Refund,
        };
        match next {
            Move::Answer(answer) => {
                if let Some(at) = &active {
                    let outcome = match answer {
                        Answer::Part(units, all_but) => part_of(world, *units, *all_but),
                        _ => answer.outcome(at.step, now),
                    };
                    world.answer_to(at, outcome);
                }
            }
            Move::Stale { which, answer, foreign } => {
                let mut at = self.asked.get(which % self.asked.len().max(1)).cloned().unwrap_or(StepAt {
                    step: Step::Capture,
                    instance: 9,
                    generation: 9,
                    part: None,
                });
                if *foreign {
                    at.generation += 1;
                }
                let before = world.aggregate.clone();
                if active.as_ref() != Some(&at) {
                    let outcome = answer.outcome(at.step, now);
                    let over = before.order.saga.earlier.iter().find(|earlier| earlier.at == at);
                    let contradicts =
                        outcome.is_done() && over.is_some_and(|earlier| earlier.standing != StepState::Done);
                    if world.answer_to(&at, outcome) {
                        assert!(contradicts, "nobody waits for that");
                        assert!(world.order().saga.contradiction.is_some(), "somebody is told");
                        assert_eq!(before.order.saga.active, world.order().saga.active);
                    } else {
                        assert_eq!(before, world.aggregate);
                    }
                }
            }
            Move::Report { step, right, outcome, amount, later_ms } => {
                let reference = if *right { "p-1" } else { "p-2" };
                reports::report_of(world, (of(*step), reference), *outcome, *amount, *later_ms);
            }
            Move::Shipment { state, pending } => reports::shipment(world, *state, *pending),
            Move::Cancel => drop(world.ask(cancel())),
            Move::Return { b, quantity, amount, terms: (fee, restock) } => {
                let mut line = json!({ "line_id": if *b { "b" } else { "a" }, "quantity": quantity });
                if let Some(minor) = amount {
                    line["amount_minor"] = json!(minor);
                }
                let mut data = json!({ "lines": [line] });
                if let Some(fee) = fee {
                    data["fee_minor"] = json!(fee);
                }
                if !restock {
                    data["restock"] = json!("no");
                }
                world.ask(returning_with(data));
            }
            Move::Refund { amount, of, payment } => {
                let mut data = json!({ "amount_minor": amount });
                if *of < 2 {
                    let line_id = ["a", "b"][*of];
                    data["lines"] = json!([{ "line_id": line_id, "amount_minor": amount }]);
                }
                if let Some(number) = payment {
                    data["payment_id"] = json!(format!("p{number}"));
                }
                let left = world.order().saga.left_minor();
                let code = world.ask(refund(data));
                assert!(code != Code::Applied || *amount <= left, "{amount} of {left}");
            }
            Move::Amend { b, quantity, amount, adds, pays } => {
                amends(world, if *b { "b" } else { "a" }, (*quantity, *amount), *adds, *pays);
            }
            Move::CancelUnits { b, quantity } => {
                let before = world.order().placed.as_ref().unwrap().units();
                let line = json!({ "line_id": if *b { "b" } else { "a" }, "quantity": quantity });
                let code = world.ask(cancel_units(json!([line])));
                let left = world.order().placed.as_ref().unwrap().units();
                // On hold before its first step, nothing is left to be undone.
                let turned = matches!(world.status(), OrderStatus::Canceling | OrderStatus::Canceled);
                assert!(code != Code::Applied || turned || before - left == u64::from(*quantity));
            }
            Move::Exchange { b, quantity, amount, pays } => {
                exchanges(world, if *b { "b" } else { "a" }, *quantity, *amount, *pays);
            }
            Move::Pay { parts, right } => drop(pays(world, *parts, *right)),
            Move::Shop(next) => next.happens(world),
            Move::Place => assert_ne!(world.ask(place_of(basket())), Code::Applied),
            Move::Resolve { step, done } => {
                let mut data = resolve(of(*step), *done);
                if let CommandData::ResolveStep(said) = &mut data {
                    said.part = active.as_ref().map(|at| at.part.as_deref().unwrap_or("p1").to_owned());
                }
                world.ask(data);
            }
            Move::Resume => drop(world.ask(resume())),
            Move::Compensate => drop(world.ask(compensate())),
            Move::Archive => drop(world.ask(archive())),
            Move::Restore => drop(world.ask(restore())),
            Move::Later(ms) => {
                world.context.now = now.plus_ms(*ms);
                let passed = world.order().deadline.is_some_and(|at| at <= world.context.now);
                let news = world.engine(&EngineCommand::DeadlinePassed { last: None });
                assert_eq!(news, passed, "a deadline that has passed is never without consequence");
                assert!(world.order().deadline.is_none_or(|at| at > world.context.now), "and is set anew");
            }
            Move::Deadline => {
                if let Some(at) = world.order().deadline.filter(|at| *at >= now) {
                    world.context.now = at;
                    assert!(world.engine(&EngineCommand::DeadlinePassed { last: None }));
                }
            }
        }
    }

    /// From wherever it is: with participants that do what they are asked for, and people who resume what is held, it
    /// comes to its end.
    fn comes_to_its_end(&mut self) {
        let world = &mut self.world;
        for _ in 0..100 {
            if world.active().is_some() {
                world.answer(done());
            } else if world.order().saga.is_on_hold(world.status()) {
                release_all(world);
            } else if world.order().saga.waiting_until.is_some() {
                // One that takes no more commands turns back when its time is over.
                if pays(world, 2, true) != Code::Applied {
                    world.deadline_passes();
                }
            } else if world.order().awaits_goods(world.context.now).is_some()
                && world.status() == OrderStatus::Open
            {
                world.deadline_passes();
            } else if world.attention() == Attention::Held {
                assert_eq!(world.ask(resume()), Code::Applied);
            } else {
                let canceled = world.status() == OrderStatus::Canceled;
                let ended = matches!(world.status(), OrderStatus::Completed | OrderStatus::Canceled);
                assert!(ended && (canceled || world.order().saga.owed().is_none()), "{:#?}", world.order());
                assert_eq!((world.attention(), world.order().deadline), (Attention::None, None));
                return;
            }
        }
        panic!("it goes round: {:#?}", world.order());
    }
}

fn summary_state(log: &[Vec<u8>]) -> SummaryState {
    let mut summary_state = SummaryState::default();
    for bytes in log {
        let record = Incoming::read(bytes).unwrap();
        assert!(record.expected_revision() == summary_state.revision);
        summary_state.fold(&record).unwrap();
        assert!(summary_state.fold(&record).is_err(), "a record counts once");
    }
    summary_state
}

/// What a list shows of an order that looks like this.
fn listed(view: OrderView) -> OrderSummary {
    OrderSummary {
        head: view.head,
        currency: view.currency,
        total_minor: view.total_minor,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

fn lives(moves: &[Move], free: bool, decisions_max: u64, way: Way) -> World {
    let mut life = Life::new(free, decisions_max, way);
    for next in moves {
        life.goes_on(next);
    }
    life.comes_to_its_end();
    let world = life.world;
    // Each record was folded onto the state before it when it was committed: so is each prefix, and so is the whole.
    assert_eq!(World::from_log(&world.log).aggregate, world.aggregate, "the whole log");
    for parked in [None, Some("it crashes")] {
        let (view, _) = crate::order::view(&the_order(), &world.log, parked).unwrap().unwrap();
        assert_eq!(summary_state(&world.log).summary(&the_order(), parked).unwrap().unwrap(), listed(view));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_keeps_the_books_and_comes_to_its_end(
        moves in moves(),
        free in prop::bool::weighted(0.15),
        decisions_max in prop::sample::select(vec![100_000, 12]),
        way in ways(),
    ) {
        lives(&moves, free, decisions_max, way);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_life_gives_the_same_bytes(moves in moves(), way in ways()) {
        prop_assert_eq!(lives(&moves, false, 1000, way).log, lives(&moves, false, 1000, way).log);
    }
}
