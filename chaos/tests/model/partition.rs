//! The world around the owners: the log, appends on their way, answers, and the properties.

use stateright::{Model, Property};

use crate::owner::{Owner, Phase};

pub(crate) const ONCE: &str = "no command is recorded twice";
pub(crate) const BELOW_THE_FLOOR: &str = "all commands below the floor are recorded";
const ANSWERED: &str = "what was answered is recorded";
const IN_ORDER: &str = "commands are recorded in their order";
const EPOCHS: &str = "epochs never fall";

/// Commands taken in at once, at most.
const WINDOW: u8 = 2;

/// Groups in the log at most: more than the epochs and commands of any check here need.
const GROUPS_MAX: usize = 8;

/// A mistake made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mutant {
    None,
    /// The log takes what comes.
    NoFence,
    /// The inbox is told of each command that was read, and a new owner goes on after those.
    AcksInsteadOfFloor,
}

/// A group: its fence, and the commands recorded in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) epoch: u8,
    pub(crate) number: u8,
    /// The epoch of the group that it follows; with the number, what the hash of that group stands for.
    pub(crate) after_epoch: u8,
    pub(crate) floor: u8,
    pub(crate) commands: Vec<u8>,
}

/// The log of the partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Log(Vec<Group>);

impl Log {
    /// The last group; before the first one, an empty one of epoch 0.
    pub(crate) fn last(&self) -> Group {
        let none = Group { epoch: 0, number: 0, after_epoch: 0, floor: 0, commands: Vec::new() };
        self.0.last().cloned().unwrap_or(none)
    }

    /// All recorded commands, in their order in the log.
    pub(crate) fn recorded(&self) -> Vec<u8> {
        self.0.iter().flat_map(|group| group.commands.iter().copied()).collect()
    }

    /// Takes a group if it follows the last one, or is the last one.
    fn append(&mut self, group: &Group, mutant: Mutant) -> bool {
        let last = self.last();
        if last == *group {
            return true;
        }
        let follows = group.number == last.number + 1 && group.after_epoch == last.epoch;
        let taken = follows || mutant == Mutant::NoFence;
        if taken {
            self.0.push(group.clone());
        }
        taken
    }
}

/// Everything that there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    log: Log,
    owners: Vec<Owner>,
    /// Appends on their way, whoever sent them; they may arrive at any time, more than once, or never.
    on_the_way: Vec<Group>,
    /// Commands whose senders were told "recorded".
    answered: Vec<u8>,
    /// How many commands the inbox was told of.
    acknowledged: u8,
    crashes: u8,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Claim(usize),
    TakeIn(usize),
    /// An append reaches the log, and its answer is lost or late.
    Arrive(Group),
    /// An append reaches the log, and its sender is told at once what became of it.
    ArriveAndTell(usize),
    /// An append gets lost.
    Lose(Group),
    Crash(usize),
    /// Nothing is under way, and the owner gives the partition back.
    HandOver(usize),
}

/// The model.
pub(crate) struct Partition {
    pub(crate) owners: usize,
    pub(crate) commands: u8,
    pub(crate) crashes_max: u8,
    pub(crate) epochs_max: u8,
    pub(crate) mutant: Mutant,
}

impl Partition {
    fn send(world: &mut World, owner: usize) {
        if let Some(group) = &world.owners[owner].proposed
            && !world.on_the_way.contains(group)
        {
            world.on_the_way.push(group.clone());
            // The same set of appends is the same state, in whatever order they were sent.
            world.on_the_way.sort();
        }
    }

    fn tell(&self, world: &mut World, owner: usize) {
        let Some(group) = world.owners[owner].proposed.clone() else { return };
        if world.log.append(&group, self.mutant) {
            let (log, acknowledged) = (world.log.clone(), world.acknowledged);
            world.owners[owner].committed(&log, self.mutant, acknowledged);
            world.answered.extend(group.commands);
            world.answered.sort_unstable();
            world.answered.dedup();
        } else {
            world.owners[owner].fenced();
        }
    }
}

impl Model for Partition {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let owners = (0..self.owners).map(|_| Owner::new()).collect();
        let (log, on_the_way, answered) = (Log::default(), Vec::new(), Vec::new());
        vec![World { log, owners, on_the_way, answered, acknowledged: 0, crashes: 0 }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Event>) {
        for (at, owner) in world.owners.iter().enumerate() {
            match owner.phase {
                Phase::Out if world.log.last().epoch < self.epochs_max => actions.push(Event::Claim(at)),
                Phase::Owning if owner.proposed.is_none() => {
                    actions.push(Event::TakeIn(at));
                    actions.push(Event::HandOver(at));
                }
                _ => {}
            }
            if owner.proposed.is_some() {
                actions.push(Event::ArriveAndTell(at));
            }
            if owner.phase != Phase::Out && world.crashes < self.crashes_max {
                actions.push(Event::Crash(at));
            }
        }
        for group in &world.on_the_way {
            actions.push(Event::Arrive(group.clone()));
            actions.push(Event::Lose(group.clone()));
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = world.clone();
        match event {
            Event::Claim(at) => {
                next.owners[at].claim(&world.log);
                Self::send(&mut next, at);
            }
            Event::TakeIn(at) => {
                if !next.owners[at].read_commands(self.commands, WINDOW) {
                    return None;
                }
                if self.mutant == Mutant::AcksInsteadOfFloor {
                    next.acknowledged = next.acknowledged.max(next.owners[at].next());
                }
                Self::send(&mut next, at);
            }
            Event::Arrive(group) => {
                next.on_the_way.retain(|other| *other != group);
                next.log.append(&group, self.mutant);
            }
            Event::ArriveAndTell(at) => {
                if let Some(group) = &world.owners[at].proposed {
                    next.on_the_way.retain(|other| other != group);
                }
                self.tell(&mut next, at);
            }
            Event::Lose(group) => next.on_the_way.retain(|other| *other != group),
            Event::Crash(at) => {
                next.owners[at] = Owner::new();
                next.crashes += 1;
            }
            Event::HandOver(at) => next.owners[at] = Owner::new(),
        }
        Some(next)
    }

    /// Without the fence the log would grow for ever.
    fn within_boundary(&self, world: &World) -> bool {
        world.log.0.len() <= GROUPS_MAX
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, world: &World| {
                let mut recorded = world.log.recorded();
                let count = recorded.len();
                recorded.sort_unstable();
                recorded.dedup();
                recorded.len() == count
            }),
            Property::always(ANSWERED, |_, world: &World| {
                let recorded = world.log.recorded();
                world.answered.iter().all(|command| recorded.contains(command))
            }),
            Property::always(BELOW_THE_FLOOR, |_, world: &World| {
                let recorded = world.log.recorded();
                (0..world.log.last().floor).all(|command| recorded.contains(&command))
            }),
            Property::always(IN_ORDER, |_, world: &World| world.log.recorded().is_sorted()),
            Property::always(EPOCHS, |_, world: &World| world.log.0.is_sorted_by_key(|group| group.epoch)),
            // That nothing bad happens must not come of nothing happening at all.
            Property::sometimes("all commands are answered", |model: &Self, world: &World| {
                world.answered.len() == usize::from(model.commands)
            }),
            Property::sometimes(
                "a commit whose answer was lost is found by the next owner",
                |_, world: &World| {
                    let recorded = world.log.recorded();
                    world.log.last().epoch > 1
                        && recorded.iter().any(|command| !world.answered.contains(command))
                },
            ),
        ]
    }
}
