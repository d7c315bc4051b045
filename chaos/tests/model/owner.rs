//! An owner: what a node knows of the partition, and what it does next.

use crate::partition::{Group, Log, Mutant};

/// Where an owner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It does not own the partition, and wants to.
    Out,
    /// It has proposed the fence of its take-over.
    Claiming,
    /// It takes commands in.
    Owning,
}

/// A node with regard to one partition. All of it is memory: a crash loses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) phase: Phase,
    epoch: u8,
    /// The last group that it knows to be in the log.
    group: u8,
    /// The next position of the inbox.
    next: u8,
    /// What it has proposed and not been told the end of.
    pub(crate) proposed: Option<Group>,
    /// Commands that it knows to be recorded.
    known: Vec<u8>,
}

impl Owner {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Out, epoch: 0, group: 0, next: 0, proposed: None, known: Vec::new() }
    }

    /// Reads the log's end and proposes a fence with the next epoch.
    pub(crate) fn claim(&mut self, log: &Log) {
        let last = log.last();
        self.phase = Phase::Claiming;
        self.epoch = last.epoch + 1;
        self.group = last.number;
        self.proposed = Some(Group {
            epoch: self.epoch,
            number: last.number + 1,
            after_epoch: last.epoch,
            floor: last.floor,
            commands: Vec::new(),
        });
    }

    /// Takes up to `window` commands in and proposes a group. Those that are recorded already are answered from memory.
    pub(crate) fn read_commands(&mut self, commands: u8, window: u8) -> bool {
        if self.phase != Phase::Owning || self.proposed.is_some() || self.next >= commands {
            return false;
        }
        let end = commands.min(self.next + window);
        let new = (self.next..end).filter(|command| !self.known.contains(command)).collect();
        self.next = end;
        self.proposed = Some(Group {
            epoch: self.epoch,
            number: self.group + 1,
            after_epoch: self.epoch,
            floor: end,
            commands: new,
        });
        true
    }

    /// It is told that its group is in the log.
    pub(crate) fn committed(&mut self, log: &Log, mutant: Mutant, acknowledged: u8) {
        let Some(group) = self.proposed.take() else { return };
        self.group = group.number;
        self.known.extend(group.commands);
        if self.phase == Phase::Claiming {
            self.phase = Phase::Owning;
            // What other owners recorded is read only now: what they still had on their way is refused from here on.
            self.known = log.recorded();
            self.next = if mutant == Mutant::AcksInsteadOfFloor { acknowledged } else { log.last().floor };
        }
    }

    /// It is told that its group is not, and never will be, in the log.
    pub(crate) fn fenced(&mut self) {
        *self = Self::new();
    }

    /// Its position in the inbox.
    pub(crate) const fn next(&self) -> u8 {
        self.next
    }
}
