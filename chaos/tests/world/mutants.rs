//! Mistakes made on purpose in the actors: each must break a promise in some world of the normal test run.

use retailflow_actors::Mutant;
use retailflow_chaos::{CrowdPlan, Felt, Plan, Sickness, crowd, run_with};
use retailflow_invariants::InvariantId;

use crate::support::seeds;

/// Worlds within which each mistake must show.
const WORLDS_MAX: usize = 200;

/// The first world in which `mutant` is caught, by one of `promises`.
fn is_caught(mutant: Mutant, promises: &[InvariantId]) {
    for seed in seeds().take(WORLDS_MAX) {
        let report = run_with(seed, &Plan::of_seed(seed), &|settings| settings.mutant = Some(mutant));
        let caught = report.violations.iter().find(|violation| promises.contains(&violation.id));
        if let Some(violation) = caught {
            println!("{mutant:?} caught by seed {seed}: {violation}");
            return;
        }
    }
    panic!("{mutant:?} goes through {} worlds unseen", WORLDS_MAX);
}

#[test]
fn an_order_that_answers_from_tentative_state_is_caught() {
    is_caught(Mutant::AnswersTentative, &[InvariantId::Durable, InvariantId::OneOutcome]);
}

#[test]
fn a_committer_that_proposes_another_group_while_one_is_in_doubt_is_caught() {
    is_caught(Mutant::GivesUpUnknown, &[InvariantId::Fence]);
}

#[test]
fn an_order_that_keeps_its_state_after_a_conflict_is_caught() {
    is_caught(Mutant::KeepsStateAfterConflict, &[InvariantId::Progress]);
}

#[test]
fn an_order_that_forgets_old_ids_is_caught() {
    is_caught(Mutant::ForgetsOldIds, &[InvariantId::OnceRecorded]);
}

#[test]
fn an_intake_floor_that_runs_ahead_is_caught() {
    is_caught(Mutant::FloorRunsAhead, &[InvariantId::Fence]);
}

#[test]
fn compensating_without_settling_is_caught() {
    is_caught(Mutant::CompensatesUnsettled, &[InvariantId::Sides]);
}

#[test]
fn raising_the_generation_after_an_unknown_outcome_is_caught() {
    is_caught(Mutant::RaisesAfterUnknown, &[InvariantId::Sides]);
}

#[test]
fn an_effect_before_its_commit_is_caught() {
    is_caught(Mutant::EffectBeforeCommit, &[InvariantId::Sides, InvariantId::Progress]);
}

#[test]
fn a_deadline_that_is_not_in_the_commit_is_caught() {
    for seed in seeds().take(WORLDS_MAX) {
        let forgets = &|settings: &mut retailflow_actors::Settings| settings.policy.forgets_deadlines = true;
        let report = run_with(seed, &Plan::of_seed(seed), forgets);
        if report.violations.iter().any(|violation| violation.id == InvariantId::Deadline) {
            return;
        }
    }
    panic!("forgotten deadlines go through {WORLDS_MAX} worlds unseen");
}

#[test]
fn an_operator_who_is_believed_at_once_is_caught() {
    for seed in seeds().take(WORLDS_MAX) {
        let believes =
            &|settings: &mut retailflow_actors::Settings| settings.policy.believes_operators = true;
        let report = run_with(seed, &Plan::of_seed(seed), believes);
        if report.violations.iter().any(|violation| violation.id == InvariantId::Sides) {
            return;
        }
    }
    panic!("an operator who is believed goes through {WORLDS_MAX} worlds unseen");
}

/// Crowds within which each mistake must show.
const CROWDS_MAX: usize = 300;

/// The first crowd in which `mutant` is caught, by one of `promises`, among those of which `shows` says that they may show it:
/// others would be run for nothing.
fn is_felt(mutant: Mutant, promises: &[Felt], shows: impl Fn(&Sickness) -> bool) {
    for seed in seeds().take(CROWDS_MAX) {
        let plan = CrowdPlan::of_seed(seed);
        if !shows(&plan.sickness) {
            continue;
        }
        let report = crowd(seed, &plan, &|settings| settings.mutant = Some(mutant));
        let caught = report.findings.iter().find(|finding| promises.contains(&finding.felt));
        // It counts where nothing is found without the mistake.
        if let Some(finding) = caught
            && crowd(seed, &plan, &|_| {}).findings.is_empty()
        {
            println!("{mutant:?} caught by seed {seed}: {finding:?}");
            return;
        }
    }
    panic!("{mutant:?} goes through {CROWDS_MAX} crowds unseen");
}

#[test]
fn an_outcome_that_is_forgotten_with_its_mailbox_is_caught() {
    is_felt(Mutant::ForgetsOutcomes, &[Felt::Undriven], |_| true);
}

#[test]
fn a_node_whose_places_wait_for_one_participant_is_caught() {
    is_felt(Mutant::WidePlacesFirst, &[Felt::Undriven, Felt::Calls], |_| true);
}

#[test]
fn asking_who_contradicts_himself_in_a_circle_is_caught() {
    is_felt(Mutant::AsksContradictedAtOnce, &[Felt::Calls], |_| true);
}

#[test]
fn read_permits_of_the_whole_node_are_caught() {
    is_felt(Mutant::ReadPermitsOfTheNode, &[Felt::Refused, Felt::Delayed], |_| true);
}

#[test]
fn permits_that_end_with_the_answer_and_not_with_the_wait_are_caught() {
    let shard = |sickness: &Sickness| matches!(sickness, Sickness::Shard(_));
    is_felt(Mutant::PermitsUntilAnswered, &[Felt::Refused], shard);
}

#[test]
fn a_tenant_that_waits_for_its_log_is_caught() {
    let parked = |sickness: &Sickness| matches!(sickness, Sickness::ParkedInDoubt(_));
    is_felt(Mutant::TenantAwaitsItsLog, &[Felt::Delayed], parked);
}

#[test]
fn a_partition_that_forgets_its_epoch_when_it_is_set_apart_is_caught() {
    let replaced = |sickness: &Sickness| matches!(sickness, Sickness::Replaced(_));
    is_felt(Mutant::ForgetsEpochWithItsActor, &[Felt::Ousted], replaced);
}

#[test]
fn a_fence_for_each_refusal_is_caught() {
    let refusals = |sickness: &Sickness| matches!(sickness, Sickness::Refusals(_));
    is_felt(Mutant::AFenceForEach, &[Felt::Delayed, Felt::Cost], refusals);
}

#[test]
fn a_parked_command_that_is_acknowledged_under_a_taken_number_is_caught() {
    let crashes = |sickness: &Sickness| matches!(sickness, Sickness::TenantCrashes(_));
    is_felt(Mutant::AcknowledgesTakenNumbers, &[Felt::Lost], crashes);
}

#[test]
fn an_intake_window_that_one_tenant_fills_is_caught() {
    let published = |sickness: &Sickness| matches!(sickness, Sickness::Published(_));
    is_felt(Mutant::WindowWithoutShares, &[Felt::Delayed], published);
}
