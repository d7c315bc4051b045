//! Evolve is total: no event, however strange, on no state, however strange, does anything but give a state.

use proptest::prelude::*;

use super::saga::world::*;
use crate::codec::v1::{self, BodyV1};
use crate::ids::TimestampMs;
use crate::order::convert::event_to_stored;
use crate::order::{
    Amended, Event, Fact, Hold, LineChange, LineTerms, Payment, Refund, Return, ReturnTerms, ReturnedLine,
    Split, StepStarted, Word, evolve,
};
use crate::ports::LineUnits;
use crate::wire::command::{ComponentKind, FactKind, ShipmentState};
use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules};
use crate::wire::payment_rules::{OnDecline, PaymentRules, RefundOrder};

fn numbers() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![i64::MIN, -1, 0, 1, 1500, i64::MAX])
}

fn counts() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 1, 3, u64::from(u32::MAX), u64::MAX])
}

fn askings() -> impl Strategy<Value = StepAt> {
    let steps =
        vec![Step::Reserve, Step::Authorize, Step::Book, Step::Capture, Step::CancelShipment, Step::Void];
    let more = [Step::Refund, Step::Release, Step::Restock];
    let steps = prop::sample::select(steps.into_iter().chain(more).collect::<Vec<_>>());
    let number = || prop::sample::select(vec![0, 1, u32::MAX]);
    let parts = vec!["r1", "f1", "p2", "r1.p2", "f1.p99", "g2", "g99"];
    let part = prop::option::of(prop::sample::select(parts).prop_map(std::sync::Arc::from));
    (steps, number(), number(), part).prop_map(|(step, instance, generation, part)| StepAt {
        step,
        instance,
        generation,
        part,
    })
}

fn outcomes() -> impl Strategy<Value = StepOutcome> {
    let time = || prop::option::of(numbers().prop_map(TimestampMs));
    prop_oneof![
        3 => (prop::option::of(numbers()), time()).prop_map(|(amount_minor, expires)| {
            StepOutcome::Done { reference: "r".into(), amount_minor, expires, units: None }
        }),
        1 => prop::sample::select(vec!["x", "authorization_expired"]).prop_map(declined),
        1 => Just(refused("x")),
        1 => Just(failed()),
        1 => Just(unknown()),
        1 => time().prop_map(|until| pending("p", until)),
        1 => any::<bool>().prop_map(settled),
        1 => Just(StepOutcome::Skipped { reason: "r".into() }),
        1 => any::<bool>().prop_map(|done| StepOutcome::Resolved {
            done,
            operator: "o".into(),
            evidence: "e".into(),
        }),
    ]
}

fn split() -> Split {
    Split { lines: [("a".into(), 1)].into(), components: [(ComponentKind::Tax, i64::MAX)].into() }
}

fn refund(amount_minor: i64) -> Refund {
    let payment_id = (amount_minor == 1).then(|| "x".into());
    Refund { refund_id: "f1".into(), amount_minor, split: split(), payment_id, reason: "r".into() }
}

fn holds() -> impl Strategy<Value = Event> {
    let until = prop::option::of(numbers().prop_map(TimestampMs));
    let name = || prop::sample::select(vec!["h", "i"]).prop_map(std::sync::Arc::<str>::from);
    let reason = || std::sync::Arc::<str>::from("r");
    prop_oneof![
        (name(), until).prop_map(move |(name, until)| Event::HoldPlaced(Hold {
            name,
            operator: None,
            reason: reason(),
            since: TimestampMs(0),
            until,
            overdue: None,
        })),
        name().prop_map(|name| Event::HoldReleased { name, reason: None }),
        name().prop_map(move |name| Event::HoldOverdue { name, reason: reason() }),
    ]
}

fn facts() -> impl Strategy<Value = Event> {
    let payment = prop::sample::select(vec![None, Some("payment"), Some("x")]);
    let kind = prop::sample::select(vec![FactKind::Chargeback, FactKind::Loss]);
    (kind, numbers(), payment).prop_map(|(kind, amount_minor, payment_id)| {
        Event::FactRecorded(Fact {
            kind,
            amount_minor,
            reference: "r".into(),
            payment_id: payment_id.map(Into::into),
            line_id: None,
            happened: None,
            recorded: TimestampMs(0),
            reason: None,
        })
    })
}

fn amended(line_id: &str, minor: i64, planned_minor: i64) -> Amended {
    let placed = World::placed().order().placed.clone().unwrap();
    let line = |line_id: &str| LineChange {
        line_id: line_id.into(),
        was_quantity: 7,
        quantity: u32::try_from(minor).unwrap_or(u32::MAX),
        was_amount_minor: i64::MIN,
        amount_minor: minor,
        components: Box::default(),
    };
    Amended {
        lines: [line(line_id)].into(),
        added: if minor == 1 { placed.lines.clone() } else { Box::default() },
        total_minor: minor,
        planned_minor: [planned_minor, minor, 1].into(),
        payments: [Payment { payment_id: "x".into(), token_ref: "t".into(), amount_minor: minor }].into(),
        note: Some("n".into()),
        ..Amended::new(&placed, "r")
    }
}

fn events() -> impl Strategy<Value = Event> {
    let units = || {
        let unit = counts().prop_map(|quantity| LineUnits { line_id: "a".into(), quantity });
        prop::option::of(prop::collection::vec(unit, 0..3).prop_map(std::sync::Arc::from))
    };
    let line = (prop::sample::select(vec!["a", "b", "z"]), counts(), numbers()).prop_map(
        |(line_id, quantity, amount_minor)| ReturnedLine { line_id: line_id.into(), quantity, amount_minor },
    );
    let statuses =
        vec![OrderStatus::Open, OrderStatus::Completed, OrderStatus::Canceling, OrderStatus::Canceled];
    let kinds = vec![Attention::None, Attention::Held, Attention::Stalled, Attention::Parked];
    prop_oneof![
        1 => Just(Event::Placed(World::placed().order().placed.clone().unwrap())),
        6 => (askings(), numbers(), units(), numbers()).prop_map(|(at, amount_minor, units, expires)| {
            Event::StepStarted(StepStarted { at, amount_minor, units, expires: TimestampMs(expires) })
        }),
        6 => (askings(), outcomes()).prop_map(|(at, outcome)| Event::StepEnded { at, outcome }),
        1 => Just(Event::CancelRequested { reason: "r".into() }),
        2 => prop::collection::vec(line, 0..4).prop_map(|lines| {
            Event::ReturnRequested(Return { return_id: "r1".into(), lines: lines.into(), reason: "r".into() })
        }),
        1 => (prop::option::of(Just("r1".into())), numbers()).prop_map(|(return_id, amount_minor)| {
            Event::Refunded { payment_id: "p".into(), owed_id: return_id, amount_minor }
        }),
        2 => prop::sample::select(statuses)
            .prop_map(|status| Event::StatusChanged { status, reason: Some("r".into()) }),
        1 => prop::sample::select(kinds)
            .prop_map(|attention| Event::AttentionChanged { attention, reason: "r".into() }),
        1 => Just(Event::Archived { location: "l".into() }),
        1 => Just(Event::Restored),
        1 => Just(Event::ReturnRulesSet(Default::default())),
        1 => askings().prop_map(|at| {
            Event::SettleRequested { at, word: Word { operator: None, reason: "r".into() } }
        }),
        1 => askings().prop_map(|at| {
            Event::Contradicted { at, reference: Some("x".into()), reason: "r".into() }
        }),
        1 => numbers().prop_map(|amount_minor| Event::RefundRequested(refund(amount_minor))),
        1 => Just(Event::ReturnSplit { return_id: "r1".into(), split: split().into() }),
        1 => (0..3usize, numbers()).prop_map(|(payment, until)| Event::PaymentAwaited {
            payment,
            until: TimestampMs(until),
        }),
        1 => numbers().prop_map(|amount_minor| Event::PaymentsAdded {
            payments: [Payment { payment_id: "x".into(), token_ref: "t".into(), amount_minor }].into(),
            reason: None,
        }),
        1 => Just(Event::PaymentRulesSet(PaymentRules {
            refund_order: RefundOrder::ProRata,
            on_decline: OnDecline::Wait,
            ..PaymentRules::DEFAULT
        })),
        1 => holds(),
        1 => facts(),
        1 => (numbers(), any::<bool>()).prop_map(|(fee_minor, restock)| {
            let line_id = "a".into();
            let line = LineTerms { line_id, quantity: 1, restock, condition: None };
            Event::ReturnTermsSet(ReturnTerms { return_id: "r1".into(), fee_minor, lines: [line].into() })
        }),
        2 => (prop::sample::select(vec!["a", "b", "z"]), numbers(), numbers()).prop_map(|(line_id, minor, planned)| {
            Event::Amended(std::sync::Arc::new(amended(line_id, minor, planned)))
        }),
        1 => numbers().prop_map(|until| Event::GoodsAwaited { until: TimestampMs(until) }),
        1 => (askings(), numbers()).prop_map(|(at, until)| {
            Event::StillPending { at, until: TimestampMs(until), reason: None }
        }),
        1 => (0..3usize, prop::sample::select(ShipmentState::ALL.to_vec())).prop_map(|(shipment, state)| {
            Event::ShipmentMoved { shipment, state, at: TimestampMs(7), reason: None }
        }),
        1 => Just(Event::FlowSet(FlowRules {
            version: 2,
            capture: CaptureAt::BeforeBooking,
            begins_with: BeginsWith::Authorize,
            ..FlowRules::DEFAULT
        })),
        1 => Just(Event::ContradictionSeen),
        1 => Just(Event::Noted { reason: "r".into() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_give_a_state(events in prop::collection::vec(events(), 1..40), placed in any::<bool>()) {
        let mut world = if placed { World::placed() } else { World::empty() };
        let mut order = world.order().clone();
        for event in &events {
            // An answer to what is asked for is rare at random.
            let mut event = event.clone();
            if let (Event::StepEnded { at, .. }, Some(active)) = (&mut event, &order.saga.active)
                && at.generation == 1
            {
                *at = active.at.clone();
            }
            evolve(&mut order, &event);
            // Nor does anything panic that is asked about such a state.
            let _ = next(&super::the_order(), &order);
            let _ = crate::fulfillment::deadline(&order, CONTEXT.now, &CONTEXT.policy);
            let _ = crate::fulfillment::advance(&order, &CONTEXT);
            let _ = crate::order::payment_summary(&order);
            let _ = (order.saga.left_minor(), order.saga.owed().map(|owed| owed.left_minor()));
            order.deadline = Some(CONTEXT.now);
            let _ = crate::order::decide_engine(&order, &EngineCommand::DeadlinePassed { last: None }, &CONTEXT);
            if let Some(active) = &order.saga.active {
                let command = EngineCommand::StepOutcome { at: active.at.clone(), outcome: done() };
                let _ = crate::order::decide_engine(&order, &command, &CONTEXT);
            }
        }
        // The checker finds a great deal wrong with it, and goes on.
        let mut record = v1::decode(&World::placed().log[0]).unwrap();
        let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
        decisions[0].events.extend(events.iter().map(event_to_stored));
        let bytes = v1::encode(&record).unwrap();
        retailflow_invariants::OrderCheck::default().record(&bytes).unwrap();
        world.log.clear();
    }
}
