//! What worlds have found: one test for each mistake, in the world that shows it best.

use retailflow_chaos::{Faults, Plan, run};
use retailflow_invariants::InvariantId;

use crate::support::must_hold;

fn worlds(plan: &Plan) {
    for seed in 0..30 {
        must_hold(&run(seed, plan));
    }
}

/// An order remembered what it had once recalled from the log, and took ids that left its memory later for new ones.
#[test]
fn an_id_that_leaves_memory_after_a_recall_is_not_decided_again() {
    let mut plan = Plan { orders: 1, commands: 2, hot_commands: 30, ..Plan::quiet() };
    plan.config.orders.recent_ids_max = 2;
    plan.config.orders.live_max = 8;
    plan.config.orders.idle_ms = 60_000;
    worlds(&plan);
}

/// An order whose log could not be read, or whose committer lost the partition, ended; after six times it was parked.
#[test]
fn an_order_is_not_parked_for_the_troubles_of_the_log() {
    let faults = Faults { read_permille: 900, count_max: 120, ..Plan::quiet().faults };
    worlds(&Plan { faults, ..Plan::quiet() });
    let faults = Faults { rival_permille: 700, count_max: 60, ..Plan::quiet().faults };
    worlds(&Plan { faults, ..Plan::quiet() });
}

/// A group that might have been written was given up when the log had no room for its repetition.
#[test]
fn a_group_in_doubt_stays_so_when_the_log_has_no_room() {
    let faults =
        Faults { unknown_permille: 300, unavailable_permille: 500, count_max: 80, ..Plan::quiet().faults };
    worlds(&Plan { faults, ..Plan::quiet() });
}

/// Commands were queued behind a park mark that had not been written, and a committer that had just ended took the
/// tenant with it.
#[test]
fn nothing_is_queued_behind_a_mark_that_is_not_there() {
    let faults = Faults {
        unavailable_permille: 500,
        rival_permille: 200,
        lost_answer_permille: 200,
        count_max: 80,
        ..Plan::quiet().faults
    };
    worlds(&Plan { poison: true, faults, ..Plan::quiet() });
}

/// A line that was given up after many tries let the intake floor pass, as if it were recorded somewhere.
#[test]
fn a_line_that_was_given_up_stays_above_the_floor() {
    let faults = Faults { unavailable_permille: 990, count_max: 20_000, ..Plan::quiet().faults };
    let mut given_up = 0;
    for seed in 0..10 {
        let report = run(seed, &Plan { faults, ..Plan::quiet() });
        let text = report.explain(60);
        given_up +=
            report.violations.iter().filter(|violation| violation.detail.contains("was given up")).count();
        assert!(report.violations.iter().all(|violation| violation.id == InvariantId::Progress), "{text}");
    }
    assert!(given_up > 0, "nothing was given up");
}
