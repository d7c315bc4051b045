//! Given an order's history, when commands come, then they are decided so.

mod boundaries;
mod dry_run;
mod fields;
mod histories;
mod life_page;
mod machine;
mod publish;
mod records;
mod saga;
mod shop_moves;
mod total;

use super::{Aggregate, Command, Context, Draft, Drafted, RecordedOutcome, Remark, Verdict};
use crate::ids::{CommandId, OrderRef};
use crate::samples::author::{CONTEXT, order, place};
use crate::wire::command::CancelData;
use crate::wire::{Code, CommandData, content_hash};

/// An order, its log, and the draft that is being filled.
struct Given {
    aggregate: Aggregate,
    draft: Draft,
    log: Vec<Vec<u8>>,
    context: Context,
    recent_max: usize,
}

fn the_order() -> OrderRef {
    order("cdnow", "o-1")
}

/// An order that nobody has placed yet.
fn given_nothing() -> Given {
    let aggregate = Aggregate::new(the_order());
    Given { draft: Draft::new(&aggregate), aggregate, log: Vec::new(), context: CONTEXT, recent_max: 1000 }
}

/// An order that was placed by command `p`, durably.
fn given_a_placed_order() -> Given {
    let mut given = given_nothing();
    assert_eq!(given.when(&place(&the_order(), "p")), Drafted::Decided(0));
    given.then_committed();
    given
}

fn cancel(id: &str) -> Command {
    with_data(
        &place(&the_order(), id),
        CommandData::Cancel(CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None }),
    )
}

fn with_data(command: &Command, data: CommandData) -> Command {
    Command { content_hash: content_hash(&data), data: data.into(), ..command.clone() }
}

fn expecting(id: &str, version: u64) -> Command {
    let command = place(&the_order(), id);
    let CommandData::Place(mut data) = (*command.data).clone() else { unreachable!("a place") };
    data.expected_version = Some(version);
    with_data(&command, CommandData::Place(data))
}

impl Given {
    fn when(&mut self, command: &Command) -> Drafted {
        self.draft.decide(&self.aggregate, command, &self.context, false)
    }

    fn when_certainly_new(&mut self, command: &Command) -> Drafted {
        self.draft.decide(&self.aggregate, command, &self.context, true)
    }

    /// The draft becomes durable; what its record says, folded, is what the order has become.
    fn then_committed(&mut self) -> Vec<RecordedOutcome> {
        let mut folded = self.aggregate.clone();
        let sealed =
            std::mem::replace(&mut self.draft, Draft::new(&self.aggregate)).seal(&self.aggregate).unwrap();
        let outcomes = sealed.outcomes.clone();
        self.log.push(sealed.bytes.to_vec());
        let summary = crate::codec::record::summary(&sealed.bytes).unwrap();
        let told = (sealed.expected_revision, sealed.next_revision, sealed.deadline);
        assert_eq!((summary.expected_revision, summary.next_revision, summary.deadline), told);
        folded.fold(&sealed.bytes, self.recent_max).unwrap();
        sealed.commit_to(&mut self.aggregate, self.recent_max);
        assert_eq!(folded, self.aggregate, "folding the record gives what committing it gave");
        assert_eq!(Aggregate::outcomes_in(self.log.last().unwrap()).unwrap(), outcomes);
        self.draft = Draft::new(&self.aggregate);
        outcomes
    }
}

fn applied(version: u64) -> Verdict {
    Verdict::applied(version)
}

fn rejected(version: u64, code: Code) -> Verdict {
    Verdict { version, remark: Some(Box::new(Remark::new(code, code.meaning()))) }
}

fn refused(code: Code) -> Drafted {
    Drafted::Refused(code, code.meaning().to_owned())
}

#[test]
fn the_first_place_is_applied() {
    let mut given = given_nothing();
    assert_eq!(given.when(&place(&the_order(), "p")), Drafted::Decided(0));
    assert_eq!(given.aggregate, Aggregate::new(the_order()), "a tentative state is nobody else's");
    let outcomes = given.then_committed();
    assert_eq!(outcomes[0].verdict, applied(1));
    let order = &given.aggregate.order;
    assert_eq!((order.version, order.status, given.aggregate.revision), (1, super::OrderStatus::Open, 1));
    assert_eq!(order.placed.as_ref().map(|placed| (placed.units(), placed.total_minor)), Some((2, 1999)));
    assert_eq!(order.deadline, Some(CONTEXT.now.plus_ms(CONTEXT.policy.step_deadline_ms)));
}

#[test]
fn a_second_place_is_rejected_and_changes_nothing_but_the_record() {
    let mut given = given_a_placed_order();
    let before = given.aggregate.order.clone();
    assert_eq!(given.when(&place(&the_order(), "q")), Drafted::Decided(0));
    assert_eq!(given.then_committed()[0].verdict, rejected(1, Code::OrderExists));
    assert_eq!((&given.aggregate.order, given.aggregate.revision), (&before, 2));
}

#[test]
fn a_second_place_in_the_same_draft_sees_the_first() {
    let mut given = given_nothing();
    given.when(&place(&the_order(), "p"));
    assert_eq!(given.when(&place(&the_order(), "q")), Drafted::Decided(1));
    let verdicts: Vec<Verdict> = given.then_committed().into_iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(verdicts, [applied(1), rejected(1, Code::OrderExists)]);
}

#[test]
fn the_same_command_again_gets_the_first_outcome() {
    let mut given = given_nothing();
    let (first, second) = (place(&the_order(), "p"), place(&the_order(), "q"));
    given.when(&first);
    given.when(&second);
    assert_eq!(given.when(&first), Drafted::Joined(0), "not durable yet: it waits with the first one");
    assert_eq!(given.when(&second), Drafted::Joined(1));
    given.then_committed();
    assert_eq!(given.when(&first), Drafted::Replayed(applied(1)));
    assert_eq!(given.when(&second), Drafted::Replayed(rejected(1, Code::OrderExists)));
    assert!(given.draft.is_empty(), "a replay leaves no trace");
}

#[test]
fn time_actor_and_trace_do_not_make_another_command() {
    let mut given = given_a_placed_order();
    let mut later = place(&the_order(), "p");
    later.time = None;
    later.trace_id = None;
    later.actor = super::Actor::Operator("ops".into());
    assert_eq!(given.when(&later), Drafted::Replayed(applied(1)));
}

#[test]
fn the_same_id_with_other_content_is_refused() {
    let mut given = given_nothing();
    let mut other = place(&the_order(), "another");
    other.key.id = CommandId::parse("p").unwrap();
    given.when(&place(&the_order(), "p"));
    assert_eq!(given.when(&other), refused(Code::IdReused), "while the first one is not durable yet");
    given.then_committed();
    assert_eq!(given.when(&other), refused(Code::IdReused));
    assert!(given.draft.is_empty());
}

#[test]
fn the_same_id_of_another_source_is_another_command() {
    let mut given = given_a_placed_order();
    let mut other = place(&the_order(), "p");
    other.key.source = crate::ids::Source::parse("/contract/2").unwrap();
    assert_eq!(given.when(&other), Drafted::Decided(0));
}

#[test]
fn what_needs_an_order_is_refused_without_one() {
    let mut given = given_nothing();
    assert_eq!(given.when(&cancel("x")), refused(Code::OrderNotFound));
    assert!(given.draft.is_empty(), "a refusal leaves no trace");
    given.when(&place(&the_order(), "p"));
    assert_eq!(
        given.when(&cancel("x")),
        Drafted::Decided(1),
        "a refused id may come again: the order is there"
    );
    assert_eq!(given.when(&place(&the_order(), "x")), refused(Code::IdReused), "a decided one may not");
    let verdicts: Vec<Verdict> = given.then_committed().into_iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(verdicts, [applied(1), applied(2)]);
    assert_eq!(given.when(&cancel("x")), Drafted::Replayed(applied(2)));
    assert_eq!(given.when(&cancel("y")), Drafted::Decided(0));
    assert_eq!(given.then_committed()[0].verdict, rejected(2, Code::AlreadyCanceled));
}

#[test]
fn a_place_may_expect_that_there_is_no_order() {
    let mut given = given_nothing();
    let Drafted::Refused(Code::OrderNotFound, message) = given.when(&expecting("p", 3)) else {
        panic!("there is nothing at version 3")
    };
    assert!(message.contains("version 3"), "{message}");
    assert_eq!(given.when(&expecting("p", 0)), Drafted::Decided(0));
    given.then_committed();
    assert_eq!(given.when(&expecting("q", 1)), Drafted::Decided(0));
    assert_eq!(
        given.then_committed()[0].verdict,
        rejected(1, Code::OrderExists),
        "it exists, whatever was expected"
    );
}

#[test]
fn a_discarded_command_is_rejected_once_and_not_decided() {
    let mut given = given_nothing();
    let reject = |given: &mut Given, command: &Command, certainly_new| {
        let context = given.context;
        given.draft.reject(&given.aggregate, command, Code::Discarded, &context, certainly_new)
    };
    assert_eq!(reject(&mut given, &cancel("x"), true), refused(Code::OrderNotFound));
    let mut given = given_a_placed_order();
    assert_eq!(reject(&mut given, &place(&the_order(), "p"), false), Drafted::Replayed(applied(1)));
    assert_eq!(reject(&mut given, &cancel("p"), false), refused(Code::IdReused));
    assert_eq!(reject(&mut given, &cancel("x"), false), Drafted::Decided(0));
    assert_eq!(reject(&mut given, &cancel("x"), false), Drafted::Joined(0));
    assert_eq!(given.when(&cancel("x")), Drafted::Joined(0));
    assert_eq!(given.when(&cancel("y")), Drafted::Decided(1));
    let verdicts: Vec<Verdict> = given.then_committed().into_iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(verdicts, [rejected(1, Code::Discarded), applied(2)]);
}
