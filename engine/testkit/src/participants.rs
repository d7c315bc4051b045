//! The suite of [`Participant`], run on the three of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Subject;
use crate::author::order;
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::keys::idempotency_key;
use retailflow_engine::money::Currency;
use retailflow_engine::order::{Line, Placed};
use retailflow_engine::ports::{
    Clock, KeyStanding, LineUnits, Participant, Participants, Performed, Role, Settlement, StepAnswer,
    StepRequest,
};
use retailflow_engine::wire::command::Step;

/// A clock that is set by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// One that shows `at`.
    #[must_use]
    pub fn new(at: TimestampMs) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(at.0)))
    }

    /// Sets it.
    pub fn set(&self, at: TimestampMs) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::SeqCst))
    }
}

/// Participants without faults, and the clock that they read.
pub struct World {
    /// The ports.
    pub participants: Participants,
    /// Their clock; it shows [`START`] at first.
    pub clock: Arc<ManualClock>,
}

/// When each check begins.
pub const START: TimestampMs = TimestampMs(1_700_000_000_000);
/// When the requests made here expire.
pub const EXPIRES: TimestampMs = TimestampMs(START.0 + 60_000);

/// An order of two lines of `quantity` units each, for `total_minor`.
#[must_use]
pub fn placed(quantity: u32, total_minor: i64) -> Arc<Placed> {
    let line = |id: &str| Line {
        line_id: id.into(),
        sku: format!("sku-{id}").into(),
        quantity,
        amount_minor: total_minor / 2,
        components: [].into(),
        delivery: 0,
    };
    Arc::new(Placed::new("c-1", Currency::parse("EUR").unwrap(), total_minor, [line("a"), line("b")]))
}

/// A request for the whole of `placed`, the `instance`-th of its step.
#[must_use]
pub fn request(
    order: &OrderRef,
    placed: &Arc<Placed>,
    step: Step,
    instance: u32,
    reference: Option<&Arc<str>>,
) -> StepRequest {
    let money = Role::of(step) == Role::Payments;
    StepRequest {
        key: idempotency_key(order, step.as_str(), None, instance, 0).into(),
        order: order.clone(),
        step,
        reference: reference.cloned(),
        payment: 0,
        amount_minor: if money { placed.total_minor } else { 0 },
        units: None,
        placed: Arc::clone(placed),
        expires: EXPIRES,
    }
}

fn first(step: Step) -> StepRequest {
    request(&order("shop", "o-1"), &placed(2, 2000), step, 1, None)
}

fn of(world: &World, step: Step) -> &dyn Participant {
    &**world.participants.of(Role::of(step))
}

/// Asks for the step, which must be done.
async fn done(world: &World, request: &StepRequest) -> Performed {
    match of(world, request.step).perform(request).await {
        StepAnswer::Done(performed) => performed,
        other => panic!("{}: {other:?}", request.step.as_str()),
    }
}

/// Runs every check.
pub async fn suite<S: Subject<Port = World>>(subject: &mut S) {
    steps_follow_each_other_by_reference(subject).await;
    a_key_is_done_at_most_once(subject).await;
    definite_answers_are_remembered(subject).await;
    nothing_is_done_after_the_expiry(subject).await;
    what_was_settled_is_never_done(subject).await;
    settling_what_was_done_says_so(subject).await;
    a_query_changes_nothing(subject).await;
    a_dropped_request_can_be_settled(subject).await;
    keys_do_not_mix(subject).await;
    nobody_does_the_work_of_another(subject).await;
}

/// What a step gives as its reference "of 1 to 128 characters" is what the next one acts on.
pub async fn steps_follow_each_other_by_reference<S: Subject<Port = World>>(subject: &mut S) {
    let chains: [&[Step]; 4] = [
        &[Step::Reserve, Step::Release],
        &[Step::Authorize, Step::Capture, Step::Refund],
        &[Step::Authorize, Step::Void],
        &[Step::Book, Step::CancelShipment],
    ];
    for chain in chains {
        let mut world = subject.fresh().await;
        let mut reference = None;
        for step in chain {
            let asked = request(&order("shop", "o-1"), &placed(2, 2000), *step, 1, reference.as_ref());
            let performed = done(&world, &asked).await;
            assert!((1..=128).contains(&performed.reference.chars().count()));
            reference = Some(performed.reference);
            world = subject.reopen(world).await;
        }
    }
    let world = subject.fresh().await;
    done(&world, &first(Step::Restock)).await;
}

/// "MUST do the work of a key at most once, however often and however late it is asked": all of a capture can be paid
/// back once, however often the capture and the refund are asked for.
pub async fn a_key_is_done_at_most_once<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    let (shop, placed) = (order("shop", "o-1"), placed(2, 2000));
    let authorize = request(&shop, &placed, Step::Authorize, 1, None);
    let authorization = done(&world, &authorize).await;
    let capture = request(&shop, &placed, Step::Capture, 1, Some(&authorization.reference));
    let captured = done(&world, &capture).await;
    let refund = request(&shop, &placed, Step::Refund, 1, Some(&captured.reference));
    let refunded = done(&world, &refund).await;
    for round in 0..3 {
        for (asked, answer) in [(&authorize, &authorization), (&capture, &captured), (&refund, &refunded)] {
            assert_eq!(done(&world, asked).await, *answer, "round {round}");
        }
        world.clock.set(TimestampMs(EXPIRES.0 + round * 1000));
        world = subject.reopen(world).await;
    }
    let again = StepRequest {
        expires: TimestampMs(EXPIRES.0 + 60_000),
        ..request(&shop, &placed, Step::Refund, 2, Some(&captured.reference))
    };
    let answer = of(&world, Step::Refund).perform(&again).await;
    assert!(matches!(answer, StepAnswer::Refused { .. }), "paid back twice: {answer:?}");
}

/// "A definite answer MUST be given again for the same key, at least for `remembers_ms` after the request's expiry; so
/// must a settlement."
pub async fn definite_answers_are_remembered<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    let mut answers = Vec::new();
    // Without a reference, there is nothing to capture or undo: these are declined or refused.
    for step in Step::ALL {
        let asked = first(step);
        let answer = of(&world, step).perform(&asked).await;
        let definite =
            matches!(answer, StepAnswer::Done(_) | StepAnswer::Declined { .. } | StepAnswer::Refused { .. });
        assert!(definite, "{}: {answer:?}", step.as_str());
        answers.push((asked, answer));
        let asked = request(&order("shop", "o-2"), &placed(2, 2000), step, 1, None);
        match of(&world, step).settle(&asked).await {
            Settlement::NotDone => answers.push((asked, StepAnswer::Settled)),
            Settlement::Unsupported => {}
            other => panic!("{}: {other:?}", step.as_str()),
        }
    }
    let window = |step: Step| i64::try_from(of(&world, step).remembers_ms()).unwrap();
    let window = Step::ALL.into_iter().map(window).min().unwrap();
    for at in [START.0, EXPIRES.0, EXPIRES.0 + 1, EXPIRES.0 + window] {
        world.clock.set(TimestampMs(at));
        world = subject.reopen(world).await;
        for (asked, answer) in &answers {
            let port = of(&world, asked.step);
            assert_eq!(port.perform(asked).await, *answer, "{} at {at}", asked.step.as_str());
            assert_eq!(port.query(asked).await, KeyStanding::Answered(answer.clone()));
        }
    }
}

/// "`perform` MUST NOT do anything after the request's expiry", and does at the expiry itself.
pub async fn nothing_is_done_after_the_expiry<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    for step in Step::ALL {
        world.clock.set(TimestampMs(EXPIRES.0 + 1));
        let asked = first(step);
        assert_eq!(of(&world, step).perform(&asked).await, StepAnswer::Expired, "{}", step.as_str());
        assert_eq!(of(&world, step).query(&asked).await, KeyStanding::NotSeen);
        world = subject.reopen(world).await;
        assert_eq!(of(&world, step).query(&asked).await, KeyStanding::NotSeen);
    }
    world.clock.set(EXPIRES);
    for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Restock] {
        done(&world, &first(step)).await;
    }
}

/// "After `settle` answered `NotDone`, no request of that key may do anything", and it is answered `Settled`.
pub async fn what_was_settled_is_never_done<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    for step in Step::ALL {
        let asked = first(step);
        for _ in 0..2 {
            match of(&world, step).settle(&asked).await {
                Settlement::NotDone => {}
                Settlement::Unsupported => break,
                other => panic!("{}: {other:?}", step.as_str()),
            }
            for _ in 0..2 {
                assert_eq!(of(&world, step).perform(&asked).await, StepAnswer::Settled, "{}", step.as_str());
                let standing = KeyStanding::Answered(StepAnswer::Settled);
                assert_eq!(of(&world, step).query(&asked).await, standing);
            }
            world = subject.reopen(world).await;
        }
    }
}

/// `settle` of what was done answers `Done`, as it was done, also after the expiry.
pub async fn settling_what_was_done_says_so<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Restock] {
        world.clock.set(START);
        let asked = first(step);
        let performed = done(&world, &asked).await;
        for at in [START, TimestampMs(EXPIRES.0 + 1)] {
            world.clock.set(at);
            let settled = of(&world, step).settle(&asked).await;
            if settled != Settlement::Unsupported {
                assert_eq!(settled, Settlement::Done(performed.clone()), "{}", step.as_str());
            }
            world.clock.set(START);
            assert_eq!(done(&world, &asked).await, performed);
            world = subject.reopen(world).await;
        }
    }
}

/// "`query` MUST NOT change anything."
pub async fn a_query_changes_nothing<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Restock] {
        let asked = first(step);
        for _ in 0..3 {
            assert_eq!(of(&world, step).query(&asked).await, KeyStanding::NotSeen, "{}", step.as_str());
            world = subject.reopen(world).await;
        }
        let performed = done(&world, &asked).await;
        let standing = KeyStanding::Answered(StepAnswer::Done(performed.clone()));
        assert_eq!(of(&world, step).query(&asked).await, standing);
        assert_eq!(done(&world, &asked).await, performed);
    }
}

/// "A dropped future MAY have done its work, and MAY do it later": `settle` says what became of it, and that stays.
pub async fn a_dropped_request_can_be_settled<S: Subject<Port = World>>(subject: &mut S) {
    let mut world = subject.fresh().await;
    for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Restock] {
        let asked = first(step);
        drop(of(&world, step).perform(&asked));
        let expected = match of(&world, step).settle(&asked).await {
            Settlement::Done(performed) => StepAnswer::Done(performed),
            Settlement::NotDone => StepAnswer::Settled,
            Settlement::Unsupported => continue,
            unknown @ Settlement::Unknown { .. } => panic!("{unknown:?}"),
        };
        for _ in 0..2 {
            assert_eq!(of(&world, step).perform(&asked).await, expected, "{}", step.as_str());
            world = subject.reopen(world).await;
        }
    }
}

/// What happens under one key does not show under another: of another step, instance or order.
pub async fn keys_do_not_mix<S: Subject<Port = World>>(subject: &mut S) {
    let world = subject.fresh().await;
    let placed = placed(2, 2000);
    let mut references = std::collections::BTreeSet::new();
    for (name, instance) in [("o-1", 1), ("o-1", 2), ("o-2", 1), ("o-2", 2)] {
        for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Restock] {
            let asked = request(&order("shop", name), &placed, step, instance, None);
            assert_eq!(of(&world, step).query(&asked).await, KeyStanding::NotSeen);
            let reference = done(&world, &asked).await.reference;
            assert!(references.insert((Role::of(step), reference)), "a reference given twice");
        }
    }
}

/// A step is done by those whose it is ("Who does which steps"), and units that the order does not have by nobody.
pub async fn nobody_does_the_work_of_another<S: Subject<Port = World>>(subject: &mut S) {
    let world = subject.fresh().await;
    for step in Step::ALL {
        for role in Role::ALL.into_iter().filter(|role| *role != Role::of(step)) {
            let answer = world.participants.of(role).perform(&first(step)).await;
            assert!(!matches!(answer, StepAnswer::Done(_)), "{} does {}", role.as_str(), step.as_str());
        }
    }
    for (line_id, quantity) in [("a", 3), ("c", 1)] {
        let units = [LineUnits { line_id: line_id.into(), quantity }];
        let asked = StepRequest {
            units: Some(units.into()),
            ..request(&order("shop", line_id), &placed(2, 2000), Step::Reserve, 1, None)
        };
        let answer = of(&world, Step::Reserve).perform(&asked).await;
        assert!(matches!(answer, StepAnswer::Declined { .. }), "{answer:?}");
    }
}
