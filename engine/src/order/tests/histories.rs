//! Random histories, cut into records at random, against a model that knows nothing of drafts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::CommandKey;
use crate::keys::Hash;

/// What a history does next.
#[derive(Debug, Clone)]
enum Step {
    /// A place under one of few ids, of one of two contents.
    Place { id: u8, content: bool },
    /// A cancel, under one of the same ids.
    Cancel { id: u8 },
    /// The draft becomes durable.
    Commit,
    /// The actor crashes: the draft is gone.
    Crash,
    /// The order leaves memory and comes back from its snapshot.
    Passivate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..12u8, any::<bool>()).prop_map(|(id, content)| Step::Place { id, content }),
        1 => (0..12u8).prop_map(|id| Step::Cancel { id }),
        3 => Just(Step::Commit),
        1 => Just(Step::Crash),
        1 => Just(Step::Passivate),
    ];
    prop::collection::vec(step, 1..60)
}

/// One decision after another, nothing else.
#[derive(Clone, Default)]
struct Model {
    version: u64,
    canceled: bool,
    decided: BTreeMap<CommandKey, (Hash, Verdict)>,
}

/// What a caller of the model would hear.
#[derive(Debug, PartialEq)]
enum Expected {
    Refused(Code),
    Outcome(Verdict),
}

impl Model {
    fn decide(&mut self, command: &Command) -> Expected {
        if let Some((hash, verdict)) = self.decided.get(&command.key) {
            let same = *hash == command.content_hash;
            return if same { Expected::Outcome(verdict.clone()) } else { Expected::Refused(Code::IdReused) };
        }
        let verdict = match (&*command.data, self.version) {
            (CommandData::Place(_), 0) => applied(1),
            (CommandData::Place(_), version) => rejected(version, Code::OrderExists),
            (_, 0) => return Expected::Refused(Code::OrderNotFound),
            (_, version) if self.canceled => rejected(version, Code::AlreadyCanceled),
            (_, version) => applied(version + 1),
        };
        self.canceled |= matches!(&*command.data, CommandData::Cancel(_));
        self.version = verdict.version;
        self.decided.insert(command.key.clone(), (command.content_hash, verdict.clone()));
        Expected::Outcome(verdict)
    }
}

fn command(id: u8, content: bool) -> Command {
    let mut command = place(&the_order(), if content { "one content" } else { "another content" });
    command.key.id = CommandId::parse(&format!("c-{id}")).unwrap();
    command
}

/// Decides as an actor does, asking the log where the draft says so.
fn decide(given: &mut Given, command: &Command) -> Drafted {
    let drafted = given.when(command);
    if drafted != Drafted::AskLog {
        return drafted;
    }
    let mut outcomes = given.log.iter().flat_map(|record| Aggregate::outcomes_in(record).unwrap());
    match outcomes.rfind(|outcome| outcome.key == command.key) {
        Some(found) if found.content_hash == command.content_hash => Drafted::Replayed(found.verdict),
        Some(_) => refused(Code::IdReused),
        None => given.when_certainly_new(command),
    }
}

/// Runs a history; every answer is the model's, and every state can be rebuilt from the log.
fn run(steps: &[Step], recent_max: usize) -> Given {
    let mut given = given_nothing();
    given.recent_max = recent_max;
    let (mut committed, mut tentative) = (Model::default(), Model::default());
    let mut states = vec![given.aggregate.clone()];
    for step in steps {
        let asked = match step {
            Step::Place { id, content } => command(*id, *content),
            Step::Cancel { id } => Command { key: command(*id, true).key, ..cancel("x") },
            Step::Commit => {
                if !given.draft.is_empty() {
                    given.then_committed();
                    states.push(given.aggregate.clone());
                }
                committed = tentative.clone();
                continue;
            }
            Step::Crash => {
                given.draft = Draft::new(&given.aggregate);
                tentative = committed.clone();
                continue;
            }
            Step::Passivate => {
                let bytes = given.aggregate.to_snapshot([1; 16]).unwrap();
                let back = Aggregate::from_snapshot(&the_order(), [1; 16], &bytes).unwrap();
                assert_eq!(back, given.aggregate, "a snapshot holds all of the state");
                given.aggregate = back;
                continue;
            }
        };
        let expected = tentative.decide(&asked);
        let drafted = decide(&mut given, &asked);
        let found = match drafted {
            Drafted::Decided(index) | Drafted::Joined(index) => {
                Expected::Outcome(given.draft.outcome(index).clone())
            }
            Drafted::Replayed(verdict) => Expected::Outcome(verdict),
            Drafted::Refused(code, _) => Expected::Refused(code),
            Drafted::AskLog => panic!("asked twice"),
        };
        assert_eq!(found, expected, "{step:?}");
    }
    assert_eq!(given.aggregate.revision, committed.decided.len() as u64, "each id was decided once");
    assert_eq!(given.aggregate.order.version, committed.version, "versions count what was applied");
    let mut replayed = Aggregate::new(the_order());
    for (number, record) in given.log.iter().enumerate() {
        assert_eq!(replayed, states[number], "the first {number} records");
        replayed.fold(record, recent_max).unwrap();
    }
    assert_eq!(replayed, given.aggregate, "the whole log");
    given
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_gives_one_outcome_and_can_be_replayed(steps in steps(), recent_max in 1..8usize) {
        run(&steps, recent_max);
    }

    #[test]
    fn the_same_history_gives_the_same_bytes(steps in steps()) {
        prop_assert_eq!(run(&steps, 5).log, run(&steps, 5).log);
    }
}
