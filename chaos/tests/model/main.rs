//! A model of one partition: fence, groups, intake floor, take-over and hand-over, explored in every order of events.
//!
//! Owners crash, pause (an event of theirs simply comes late), lose answers, and have appends on their way that arrive
//! when another one owns the partition. What each part stands for: [`Log::append`] for `EventLog::commit`, an owner's
//! steps for `actors/src/committer.rs` and `actors/src/intake.rs`. Two mistakes must be found: a log without the fence,
//! and an intake that goes on from what was acknowledged to the inbox rather than from the floor in the last fence.

mod operator;
mod owner;
mod partition;

use stateright::{Checker, HasDiscoveries, Model};

use partition::{Mutant, Partition};

/// States looked at, at most: a mistake is found long before, and a model that grew shows.
const STATES_MAX: usize = 2_000_000;

#[test]
fn an_operator_may_say_anything_at_any_time() {
    all_states(false);
}

#[test]
fn of_a_refund_without_goods_too() {
    all_states(true);
}

fn all_states(without_goods: bool) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let model = operator::Refund { believes: false, without_goods };
    let checker = model.checker().threads(threads).target_state_count(STATES_MAX).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.state_count() < STATES_MAX, "not all states were looked at");
    println!("{} states", checker.unique_state_count());
    assert!(checker.unique_state_count() > 500, "{} states", checker.unique_state_count());
}

/// As it was: "not done" raised the generation while the refund was on its way.
#[test]
fn an_operator_who_is_believed_at_once_is_refuted() {
    let model = operator::Refund { believes: true, without_goods: false };
    let builder = model.checker().target_state_count(STATES_MAX).finish_when(HasDiscoveries::AnyFailures);
    builder.spawn_bfs().join().assert_any_discovery(operator::ONCE);
}

fn check(owners: usize, commands: u8, crashes: u8, mutant: Mutant) -> impl Checker<Partition> {
    let model = Partition { owners, commands, crashes_max: crashes, epochs_max: 4, mutant };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = model.checker().threads(threads).target_state_count(STATES_MAX);
    match mutant {
        Mutant::None => builder.spawn_bfs().join(),
        _ => builder.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join(),
    }
}

#[test]
fn nothing_is_lost_doubled_or_turned_round_with_two_owners() {
    let checker = check(2, 3, 2, Mutant::None);
    checker.assert_properties();
    assert!(checker.state_count() < STATES_MAX, "not all states were looked at");
    assert!(checker.unique_state_count() > 10_000, "{} states", checker.unique_state_count());
}

#[test]
fn nor_with_three() {
    let checker = check(3, 2, 1, Mutant::None);
    checker.assert_properties();
    assert!(checker.state_count() < STATES_MAX, "not all states were looked at");
}

#[test]
fn a_log_without_the_fence_is_refuted() {
    check(2, 2, 1, Mutant::NoFence).assert_any_discovery(partition::ONCE);
}

#[test]
fn an_intake_that_trusts_acknowledgements_is_refuted() {
    check(2, 3, 1, Mutant::AcksInsteadOfFloor).assert_any_discovery(partition::BELOW_THE_FLOOR);
}
