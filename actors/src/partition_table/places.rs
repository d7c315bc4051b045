//! The places of what is under way in a partition, and the permits of those who wait for it.

use crate::admission::Permit;

/// A command's place in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    index: usize,
    /// Places are used again; numbers are not.
    number: u64,
}

#[derive(Default)]
pub(super) struct Places {
    all: Vec<(u64, Option<Permit>)>,
    free: Vec<usize>,
    /// The last number given out.
    numbers: u64,
    permitted: usize,
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }

    /// Those that hold permits.
    pub(super) fn permitted(&self) -> usize {
        self.permitted
    }

    pub(super) fn add(&mut self, permit: Option<Permit>) -> Place {
        self.numbers += 1;
        self.permitted += usize::from(permit.is_some());
        let number = self.numbers;
        let index = match self.free.pop() {
            Some(index) => {
                self.all[index] = (number, permit);
                index
            }
            None => {
                self.all.push((number, permit));
                self.all.len() - 1
            }
        };
        Place { index, number }
    }

    /// The permit of a place, if it is still the same one's.
    pub(super) fn take_permit(&mut self, place: Place) -> Option<Permit> {
        let (_, permit) = self.all.get_mut(place.index).filter(|(number, _)| *number == place.number)?;
        let permit = permit.take();
        self.permitted -= usize::from(permit.is_some());
        permit
    }

    /// All permits.
    pub(super) fn take_permits(&mut self) -> Vec<Permit> {
        self.permitted = 0;
        self.all.iter_mut().filter_map(|(_, permit)| permit.take()).collect()
    }

    /// The command has left.
    pub(super) fn remove(&mut self, place: Place) -> Option<Permit> {
        let permit = self.take_permit(place);
        self.free.push(place.index);
        permit
    }
}
