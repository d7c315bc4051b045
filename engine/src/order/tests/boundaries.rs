//! Limits: how many decisions an order takes, how many ids it keeps, how large a record may get.

use super::*;
use crate::wire::command::{Component, ComponentKind, Line};

#[test]
fn a_full_order_takes_no_more_decisions_but_still_answers() {
    let mut given = given_a_placed_order();
    given.context.policy.decisions_max = 3;
    assert_eq!(given.when(&place(&the_order(), "q")), Drafted::Decided(0));
    assert_eq!(given.when(&place(&the_order(), "r")), Drafted::Decided(1));
    assert_eq!(given.when(&place(&the_order(), "s")), refused(Code::OrderFull), "while the draft fills it");
    assert_eq!(given.when(&place(&the_order(), "r")), Drafted::Joined(1));
    given.then_committed();
    assert_eq!(given.when(&place(&the_order(), "s")), refused(Code::OrderFull));
    assert_eq!(given.when(&place(&the_order(), "p")), Drafted::Replayed(applied(1)));
    assert!(given.draft.is_empty());
}

#[test]
fn ids_that_have_left_memory_are_asked_for_in_the_log() {
    let mut given = given_a_placed_order();
    for number in 0..1000 {
        assert_eq!(given.when(&place(&the_order(), &format!("c-{number}"))), Drafted::Decided(number));
    }
    given.then_committed();
    assert_eq!(given.aggregate.recent().count(), 1000);
    let first = place(&the_order(), "p");
    assert_eq!(given.when(&first), Drafted::AskLog, "the oldest of 1001");
    let in_log = |key: &crate::ids::CommandKey| {
        let outcomes = given.log.iter().flat_map(|record| Aggregate::outcomes_in(record).unwrap());
        outcomes.filter(|outcome| outcome.key == *key).collect::<Vec<_>>()
    };
    let found = in_log(&first.key);
    assert_eq!((found.len(), &found[0].verdict, found[0].content_hash), (1, &applied(1), first.content_hash));
    let never = place(&the_order(), "never");
    assert!(in_log(&never.key).is_empty());
    assert_eq!(given.when(&never), Drafted::Decided(0), "no fingerprint of it: certainly new without asking");
}

#[test]
fn a_fingerprint_that_lies_costs_a_look_and_no_more() {
    let mut given = given_a_placed_order();
    let command = place(&the_order(), "looks old");
    given.aggregate.older.insert(crate::keys::command_fingerprint(&command.key));
    assert_eq!(given.when(&command), Drafted::AskLog);
    assert_eq!(given.when_certainly_new(&command), Drafted::Decided(0));
    assert_eq!(
        given.when_certainly_new(&command),
        Drafted::Joined(0),
        "only once, however sure the caller is"
    );
    given.recent_max = 1000;
    let sealed = given.draft.seal(&given.aggregate).unwrap();
    sealed.commit_to(&mut given.aggregate, 1000);
    given.draft = Draft::new(&given.aggregate);
    assert_eq!(given.when_certainly_new(&command), Drafted::Replayed(rejected(1, Code::OrderExists)));
}

#[test]
fn one_draft_may_hold_more_than_memory_keeps() {
    let mut given = given_nothing();
    given.recent_max = 10;
    for number in 0..50 {
        given.when(&place(&the_order(), &format!("c-{number}")));
    }
    assert_eq!(given.when(&place(&the_order(), "c-0")), Drafted::Joined(0));
    given.then_committed();
    assert_eq!(given.when(&place(&the_order(), "c-0")), Drafted::AskLog);
    assert_eq!(given.when(&place(&the_order(), "c-49")), Drafted::Replayed(rejected(1, Code::OrderExists)));
}

/// A place command with everything at its longest, in letters of four bytes.
fn largest(lines: usize, components: usize) -> Command {
    let long = |seed: usize| format!("{seed:04}{}", "\u{1f6d2}".repeat(124));
    let component = Component {
        kind: ComponentKind::Fee,
        amount_minor: crate::money::Amount::new(-((1 << 53) - 1)).unwrap(),
    };
    let command = place(&the_order(), &"~".repeat(128));
    let CommandData::Place(mut data) = (*command.data).clone() else { unreachable!("a place") };
    let line = data.lines[0].clone();
    data.lines = (0..lines)
        .map(|number| Line {
            line_id: long(number),
            sku: long(number),
            quantity: 1_000_000,
            components: vec![component.clone(); components],
            ..line.clone()
        })
        .collect();
    data.customer = long(0);
    data.attributes =
        (0..32).map(|n| (format!("{n:02}{}", "\u{1f6d2}".repeat(62)), "\u{1f6d2}".repeat(512))).collect();
    with_data(&command, CommandData::Place(data))
}

/// Batches are bounded by the guess: were it too low, a record could be refused when it is too late.
#[test]
fn the_weight_of_a_draft_is_never_less_than_its_record() {
    for (lines, components) in [(1, 0), (1, 64), (3, 64), (1000, 0), (1000, 64)] {
        let mut given = given_nothing();
        let mut command = largest(lines, components);
        command.actor = super::super::Actor::Operator("o".repeat(500).into());
        assert_eq!(given.when(&command), Drafted::Decided(0));
        for number in 0..3 {
            given.when(&place(&the_order(), &format!("q-{number}")));
        }
        let guess = given.draft.weight_bytes();
        let written = given.draft.seal(&given.aggregate).unwrap().bytes.len();
        assert!(written <= guess, "{lines} lines, {components} components: {written} bytes, guessed {guess}");
        assert!(guess < written + written / 2 + 8192, "{guess} is far more than {written}");
    }
}
