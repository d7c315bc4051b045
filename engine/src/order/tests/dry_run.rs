//! What is shown before it is done. That a dry run says what the decision on the same state says holds for every command
//! of every test that is decided by [`World::ask_as`], random lives among them; here is what it says.

use serde_json::json;

use super::saga::world::*;
use super::{the_order, with_data};
use crate::ids::CommandId;
use crate::order::{Actor, DryRun, dry_run};
use crate::wire::dry_run::Preview;
use crate::wire::event::PublicEvent;

/// What the order would say to `data`, asked for by whoever may.
fn would(world: &World, data: CommandData) -> (Verdict, Preview) {
    let mut command = with_data(&crate::samples::author::place(&the_order(), "template"), data);
    command.key.id = CommandId::parse("dry-1").unwrap();
    if command.data.kind().is_operator() {
        command.actor = Actor::Operator("ops".into());
    }
    let before = world.aggregate.clone();
    let told = dry_run(before, &command, &world.context, false).unwrap();
    let DryRun::Decided(verdict, preview) = told else { panic!("{told:?}") };
    (verdict, *preview)
}

fn words(events: &[PublicEvent]) -> Vec<&str> {
    let word = |event: &'static str| event.trim_start_matches("retailflow.order.").trim_end_matches(".v1");
    events.iter().map(|event| word(event.data.kind())).collect()
}

fn minor(amount: Option<crate::money::Amount>) -> Option<i64> {
    amount.map(|amount| amount.minor())
}

/// Row 2 of the cases: what is capped is shown before it is.
#[test]
fn a_capped_return_is_shown_before_it_is_taken() {
    let lines = json!([{ "line_id": "1", "sku": "cd", "quantity": 3, "amount_minor": 3000 }]);
    let mut world = World::placed_as(json!({ "customer": "7", "currency": "USD", "lines": lines }));
    world.runs_out();
    let goodwill = json!([{ "line_id": "1", "quantity": 1, "amount_minor": 2500 }]);
    let (verdict, preview) = would(&world, returning(goodwill.clone()));
    assert_eq!((verdict.code(), minor(preview.money.refund_minor)), (Code::Applied, Some(2500)));
    assert_eq!(preview.money.left_to_refund_minor.minor(), 500);
    assert_eq!(world.ask(returning(goodwill)), Code::Applied);
    world.runs_out();
    let one = json!([{ "line_id": "1", "quantity": 1 }]);
    for _ in 0..2 {
        // It changes nothing, so it says the same again.
        let (verdict, preview) = would(&world, returning(one.clone()));
        assert_eq!((verdict.code(), minor(preview.money.refund_minor)), (Code::Applied, Some(500)));
        assert!(verdict.message().contains("it pays 500, not 1000"), "{}", verdict.message());
        assert_eq!(preview.money.left_to_refund_minor.minor(), 0);
        assert_eq!(preview.money.payment.refunded_minor.minor(), 2500, "and nothing is paid back yet");
        assert_eq!(words(&preview.events), ["returned"]);
        assert_eq!(serde_json::to_value(&preview.events).unwrap()[0]["data"]["refund_minor"], 500);
    }
    assert_eq!(world.ask(returning(one)), Code::Applied);
}

#[test]
fn what_is_authorized_voided_and_paid_back_is_told_apart() {
    let (_, placing) = would(&World::empty(), place_of(basket()));
    assert_eq!(minor(placing.money.authorize_minor), Some(1500));
    assert_eq!((words(&placing.events), placing.step), (vec!["placed"], Some(Step::Reserve)));

    let mut world = World::at(Step::Book);
    let (_, canceling) = would(&world, cancel());
    assert_eq!(
        (words(&canceling.events), minor(canceling.money.void_minor)),
        (vec!["canceling"], Some(1500))
    );
    assert_eq!((canceling.money.refund_minor, canceling.money.authorize_minor), (None, None));
    world.runs_out();
    assert_eq!(world.status(), OrderStatus::Completed);
    let (rejected, preview) = would(&world, cancel());
    assert_ne!(rejected.code(), Code::Applied);
    assert!(preview.events.is_empty() && preview.money.refund_minor.is_none());
    assert_eq!(preview.money.left_to_refund_minor.minor(), 1500);
}

#[test]
fn an_id_that_was_used_says_what_a_retry_would_get() {
    let mut world = World::empty();
    let command = crate::samples::author::place(&the_order(), "c-1");
    world.ask_as(&command);
    let again = |command: &Command| dry_run(world.aggregate.clone(), command, &world.context, false).unwrap();
    assert_eq!(again(&command), DryRun::Replayed(world.said.clone()));
    let other = with_data(&command, cancel());
    assert!(matches!(again(&other), DryRun::Refused(Code::IdReused, _)));
    let absent =
        Command { order: crate::samples::author::order("shop", "nobody"), ..with_data(&command, cancel()) };
    let told = dry_run(Aggregate::new(absent.order.clone()), &absent, &world.context, false).unwrap();
    assert!(matches!(told, DryRun::Refused(Code::OrderNotFound, _)), "{told:?}");
}
