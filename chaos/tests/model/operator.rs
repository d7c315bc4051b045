//! A refund in flight, a participant behind a network, and an operator who says at any time how it ended: in every order
//! of events, with the engine's own decisions.
//!
//! Requests come late, twice, or never; so do answers; the operator says "not done" of anything, and "done" of what stands
//! in the participant's book. Nothing is paid back twice, whoever says what, whenever; and at rest both books agree.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use retailflow_engine::fulfillment::{Mode, deadline, next};
use retailflow_engine::money::Amount;
use retailflow_engine::order::{
    Actor, Command, Context, Decision, EngineCommand, Order, StepAt, StepOutcome, decide, decide_engine,
};
use retailflow_engine::wire::command::{
    RefundData, ResolveStepData, ResolvedAs, ReturnData, ReturnLine, Step,
};
use retailflow_engine::wire::{Code, CommandData};
use retailflow_testkit::author::{CONTEXT, order, place};
use stateright::{Model, Property};

/// Deadlines that pass at most, and commands of the operator.
const DEADLINES_MAX: u8 = 2;
const SAYS_MAX: u8 = 2;
/// Generations that are looked at.
const GENERATIONS_MAX: u32 = 3;

pub(crate) const ONCE: &str = "nothing is paid back twice";
const AGREE: &str = "at rest both books agree";

/// An order, known by all that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known(Order);

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{:?}", self.0).hash(state);
    }
}

/// What a participant knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    Done,
    Settled,
}

/// A request on its way: its asking by generation, and whether it asks to settle.
type Request = (u32, bool);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    order: Known,
    now_ms: i64,
    /// By generation.
    book: BTreeMap<u32, Standing>,
    /// May arrive at any time, more than once, or never.
    requests: BTreeSet<Request>,
    /// Answers: by generation, whether it was done.
    answers: BTreeSet<(u32, bool)>,
    deadlines: u8,
    said: u8,
    /// An operator was believed to be wrong.
    overruled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// What the order asks for is sent.
    Send,
    Arrive(Request),
    Lose(Request),
    Answer(u32, bool),
    Deadline,
    Says(ResolvedAs),
    Resume,
}

/// The model; `believes`: the mistake made on purpose.
pub(crate) struct Refund {
    pub(crate) believes: bool,
    /// Money goes back without goods; otherwise with a return.
    pub(crate) without_goods: bool,
}

impl Refund {
    fn context(&self, now_ms: i64) -> Context {
        let mut context = CONTEXT;
        context.now.0 = now_ms;
        context.policy.believes_operators = self.believes;
        context
    }

    fn take(world: &mut World, decision: Decision, context: &Context) {
        world.order.0 = decision.order;
        world.order.0.version = 0;
        world.order.0.deadline = deadline(&world.order.0, context.now, &context.policy);
    }

    fn tell(&self, world: &mut World, data: CommandData) -> Result<(), Code> {
        let context = self.context(world.now_ms);
        let mut command: Command = place(&order("shop", "o-1"), "x");
        command.data = Arc::new(data);
        command.actor = Actor::Operator("ops".into());
        match decide(&world.order.0, &command, &context) {
            Ok(decision) => {
                Self::take(world, decision, &context);
                Ok(())
            }
            Err(_) => Err(Code::Internal),
        }
    }

    fn outcome(&self, world: &mut World, at: &StepAt, outcome: StepOutcome) -> bool {
        let context = self.context(world.now_ms);
        let command = EngineCommand::StepOutcome { at: at.clone(), outcome };
        let Some(decision) = decide_engine(&world.order.0, &command, &context) else { return false };
        Self::take(world, decision, &context);
        true
    }

    /// A completed order of which some units come back.
    fn start(&self) -> World {
        let placed = place(&order("shop", "o-1"), "p");
        let mut world = World {
            order: Known(Order::default()),
            now_ms: CONTEXT.now.0,
            book: BTreeMap::new(),
            requests: BTreeSet::new(),
            answers: BTreeSet::new(),
            deadlines: 0,
            said: 0,
            overruled: false,
        };
        let CommandData::Place(data) = (*placed.data).clone() else { unreachable!("a place") };
        let line_id = data.lines[0].line_id.clone();
        self.tell(&mut world, CommandData::Place(data)).unwrap();
        while let Some(active) = world.order.0.saga.active.clone() {
            let outcome =
                StepOutcome::Done { reference: "r".into(), amount_minor: None, expires: None, units: None };
            assert!(self.outcome(&mut world, &active.at, outcome));
        }
        let data = if self.without_goods {
            CommandData::Refund(RefundData {
                amount_minor: Amount::new(500).unwrap(),
                components: Vec::new(),
                lines: Vec::new(),
                payment_id: None,
                reason: "late".into(),
                expected_version: None,
            })
        } else {
            let lines = vec![ReturnLine::new(line_id, 1)];
            CommandData::Return(ReturnData {
                lines,
                reason: "too small".into(),
                restock: None,
                fee_minor: None,
                expected_version: None,
            })
        };
        self.tell(&mut world, data).unwrap();
        world
    }

    fn paid_back(world: &World) -> usize {
        world.book.values().filter(|standing| **standing == Standing::Done).count()
    }

    fn at(&self, generation: u32) -> StepAt {
        StepAt {
            step: Step::Refund,
            instance: 1,
            generation,
            part: Some(if self.without_goods { "f1" } else { "r1" }.into()),
        }
    }
}

impl Model for Refund {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Event>) {
        actions.push(Event::Send);
        for request in &world.requests {
            actions.push(Event::Arrive(*request));
            actions.push(Event::Lose(*request));
        }
        for (generation, done) in &world.answers {
            actions.push(Event::Answer(*generation, *done));
        }
        if world.deadlines < DEADLINES_MAX {
            actions.push(Event::Deadline);
        }
        if world.said < SAYS_MAX {
            actions.push(Event::Says(ResolvedAs::NotDone));
            actions.push(Event::Resume);
            if Self::paid_back(world) > 0 {
                actions.push(Event::Says(ResolvedAs::Done));
            }
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next_world = world.clone();
        match event {
            Event::Send => {
                let effect = next(&order("shop", "o-1"), &world.order.0)?;
                if effect.at.step != Step::Refund {
                    return None;
                }
                // Who looks and sees nothing settles it.
                next_world.requests.insert((effect.at.generation, effect.mode != Mode::Perform));
            }
            Event::Arrive((generation, settles)) => {
                let fresh = if settles { Standing::Settled } else { Standing::Done };
                let standing = *next_world.book.entry(generation).or_insert(fresh);
                next_world.answers.insert((generation, standing == Standing::Done));
            }
            Event::Lose(request) => {
                next_world.requests.remove(&request);
            }
            Event::Answer(generation, done) => {
                next_world.answers.remove(&(generation, done));
                let at = self.at(generation);
                let said = world.order.0.saga.active.as_ref().is_some_and(|active| active.settling.is_some());
                let outcome = match done {
                    true => StepOutcome::Done {
                        reference: "re".into(),
                        amount_minor: None,
                        expires: None,
                        units: None,
                    },
                    false => StepOutcome::NotDone { reason: None, calls: 1 },
                };
                self.outcome(&mut next_world, &at, outcome);
                next_world.overruled |= said && done;
            }
            Event::Deadline => {
                next_world.now_ms = world.order.0.deadline?.0;
                next_world.deadlines += 1;
                let context = self.context(next_world.now_ms);
                let command = EngineCommand::DeadlinePassed { last: None };
                let decision = decide_engine(&world.order.0, &command, &context)?;
                Self::take(&mut next_world, decision, &context);
            }
            Event::Says(resolved_as) => {
                let data = ResolveStepData {
                    step: Step::Refund,
                    resolved_as,
                    evidence: "seen".into(),
                    part: None,
                    expected_version: None,
                };
                self.tell(&mut next_world, CommandData::ResolveStep(data)).ok()?;
                next_world.said += 1;
            }
            Event::Resume => {
                self.tell(&mut next_world, CommandData::Resume(Default::default())).ok()?;
                next_world.said += 1;
            }
        }
        Some(next_world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        let active = world.order.0.saga.active.as_ref();
        active.is_none_or(|active| active.at.generation <= GENERATIONS_MAX)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, world: &World| Self::paid_back(world) <= 1),
            Property::always(AGREE, |_, world: &World| {
                let saga = &world.order.0.saga;
                let refunding = saga.active.as_ref().is_some_and(|active| active.at.step == Step::Refund);
                refunding || (Self::paid_back(world) == 1) == (saga.totals.refunded_minor > 0)
            }),
            // That nothing bad happens must not come of nothing happening at all.
            Property::sometimes("an operator is wrong, and it is found out", |_, world: &World| {
                world.overruled
            }),
            Property::sometimes("a key gives way to the next", |_, world: &World| {
                world.book.get(&1) == Some(&Standing::Settled) && world.book.get(&2) == Some(&Standing::Done)
            }),
        ]
    }
}
